//! Whole schemas and databases.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "drop-schema",
    family: Family::DataLoss,
    severity: Severity::Error,
    dialects: &[Dialect::Postgres, Dialect::Mysql, Dialect::MariaDb],
    lifted: Lifted::Never,
    summary: "a schema, a database, or all that a role owns is dropped",
    why: "All that it holds is gone. No upgrade needs that.",
    safe: "drop tables one by one in contracts, and the empty schema by hand",
    effect: None,
    bad: &[
        Example::pg("DROP SCHEMA shop CASCADE;"),
        Example::pg("DROP DATABASE IF EXISTS shop;"),
        Example::pg("DROP OWNED BY shop;"),
        Example::my("", "DROP DATABASE shop"),
    ],
    good: &[Example::pg("CREATE SCHEMA shop; DROP SCHEMA shop;")],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Ddl::Drop(drop) = look.ddl else { return };
    if !matches!(drop.kind, Kind::Schema | Kind::Database) {
        return;
    }
    if drop.names.is_empty() {
        report.add(look.whole(), "all that the role owns is lost".to_owned());
    }
    for name in &drop.names {
        if !look.state.is_made_object(drop.kind, name) {
            report.add(
                look.whole(),
                format!("all that the {} {name} holds is lost", drop.kind.word()),
            );
        }
    }
}
