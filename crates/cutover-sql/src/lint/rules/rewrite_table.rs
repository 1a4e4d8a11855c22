//! What writes a table anew.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "rewrite-table",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "SET LOGGED, UNLOGGED, ACCESS METHOD, TABLESPACE or EXPRESSION",
    why: "The table is written anew under ACCESS EXCLUSIVE, and nobody reads or writes it meanwhile. An unlogged table is also empty \
          after a crash, and on replicas always.",
    safe: "make a new table as it should be, write to both, fill it in a backfill, and read from it",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: true,
        scan: true,
    }),
    bad: &[
        Example::pg_after("CREATE TABLE orders (a int);", "ALTER TABLE orders SET UNLOGGED;"),
        Example::pg("ALTER TABLE orders SET ACCESS METHOD columnar;"),
        Example::pg("ALTER TABLE orders SET TABLESPACE fast;"),
        Example::pg("ALTER TABLE orders ALTER total SET EXPRESSION AS (a * 2);"),
        Example::pg("ALTER INDEX by_state SET TABLESPACE fast;"),
    ],
    good: &[
        Example::pg("ALTER TABLE orders SET (fillfactor = 70);"),
        Example::pg("CREATE TABLE o (a int); ALTER TABLE o SET LOGGED;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        let more = match &action.what {
            Alter::SetLogged(false) => ", and will be empty after a crash",
            Alter::SetLogged(true) | Alter::SetAccessMethod | Alter::SetTablespace => "",
            // One that is computed when read is not stored.
            Alter::SetExpression(column)
                if look.column(table, column).is_none_or(|known| {
                    known.generated.as_ref().is_none_or(|generated| generated.stored)
                }) =>
            {
                ""
            }
            _ => continue,
        };
        report.add(
            action.span.clone(),
            format!("{table} is written anew while everybody waits{more}"),
        );
    }
}
