//! Tables that are emptied.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "truncate",
    family: Family::DataLoss,
    severity: Severity::Error,
    dialects: &[Dialect::Postgres, Dialect::Mysql, Dialect::MariaDb],
    lifted: Lifted::Never,
    summary: "TRUNCATE",
    why: "All rows are gone, with CASCADE also those of every table that points to it; nobody reads or writes it meanwhile.",
    safe: "delete in batches, after a backup, with a WHERE that says what may go",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: true,
        scan: false,
    }),
    bad: &[
        Example::pg_after("CREATE TABLE orders (a int);", "TRUNCATE orders;"),
        Example::pg("TRUNCATE TABLE ONLY a, b RESTART IDENTITY CASCADE;"),
        Example::my("", "TRUNCATE TABLE orders"),
    ],
    good: &[Example::pg("CREATE TABLE o (a int); TRUNCATE o;")],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Ddl::Truncate { tables, cascade } = look.ddl else {
        return;
    };
    for table in tables.iter().filter(|table| !look.state.is_empty(table)) {
        let more = if *cascade {
            ", and those of every table that points to it,"
        } else {
            ""
        };
        report.add(look.whole(), format!("all rows of {table}{more} are lost"));
    }
}
