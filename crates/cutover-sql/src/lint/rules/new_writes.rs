//! What the old version's writes must fulfil from now on.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "new-writes",
    family: Family::Compat,
    severity: Severity::Note,
    dialects: PG,
    lifted: Lifted::Contract,
    summary: "a NOT VALID constraint or a unique index binds the old version's writes",
    why: "NOT VALID spares the rows that are there, not those that come: the old version's writes must fulfil it from that moment on.",
    safe: "see that the old version cannot break it, or add it in a contract",
    effect: None,
    bad: &[
        Example::pg("ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0) NOT VALID;"),
        Example::pg("CREATE UNIQUE INDEX CONCURRENTLY once ON orders (code);"),
    ],
    good: &[Example::pg("CREATE INDEX CONCURRENTLY by_code ON orders (code);")],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        if let Alter::AddConstraint(constraint) = &action.what
            && constraint.not_valid
        {
            report.add(
                action.span.clone(),
                format!("the old version's writes to {table} must fulfil it at once"),
            );
        }
    }
    if let Ddl::CreateIndex {
        index,
        table,
        concurrently: true,
        ..
    } = look.ddl
        && index.unique
    {
        report.add(
            look.whole(),
            format!("the old version's writes to {table} must be unique from now on"),
        );
    }
}
