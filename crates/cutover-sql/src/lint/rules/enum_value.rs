//! Values that the old version does not know.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "enum-value",
    family: Family::Compat,
    severity: Severity::Note,
    dialects: PG,
    lifted: Lifted::Contract,
    summary: "an enum gets a value",
    why: "The old version may fail on the first row with a value that it has never heard of.",
    safe: "write the new value only once the old version is gone",
    effect: None,
    bad: &[Example::pg("ALTER TYPE state ADD VALUE 'paused' AFTER 'open';")],
    good: &[Example::pg("CREATE TYPE state AS ENUM ('open', 'done');")],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if let Ddl::AddEnumValue { name, value, .. } = look.ddl
        && !look.state.is_made_object(Kind::Type, name)
    {
        report.add(
            look.whole(),
            format!("the old version does not know {value} of {name}"),
        );
    }
}
