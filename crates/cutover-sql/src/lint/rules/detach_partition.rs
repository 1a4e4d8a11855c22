//! Partitions that go their own way.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "detach-partition",
    family: Family::Lock,
    severity: Severity::Warning,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "DETACH PARTITION without CONCURRENTLY",
    why: "The whole partitioned table is locked against reads and writes (ACCESS EXCLUSIVE), after it has waited for every query on it.",
    safe: "DETACH PARTITION … CONCURRENTLY (PostgreSQL 14), in a file with transaction=none",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: false,
        scan: false,
    }),
    bad: &[Example::pg_after(
        "CREATE TABLE logs (at int) PARTITION BY RANGE (at); CREATE TABLE old PARTITION OF logs FOR VALUES FROM (0) TO (9);",
        "ALTER TABLE logs DETACH PARTITION old;",
    )],
    good: &[
        Example::pg("ALTER TABLE logs DETACH PARTITION old CONCURRENTLY;"),
        Example::pg("ALTER TABLE logs DETACH PARTITION old FINALIZE;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        if let Alter::Detach {
            partition,
            concurrently: false,
        } = &action.what
        {
            let found = report.add(
                action.span.clone(),
                format!("everybody waits for {table} while {partition} is detached"),
            );
            if look.since(14, 0, 0) {
                found.fix(format!(
                    "ALTER TABLE {table} DETACH PARTITION {partition} CONCURRENTLY;"
                ));
            } else {
                found.help("set a short lock_timeout and try again; CONCURRENTLY needs PostgreSQL 14");
            }
        }
    }
}
