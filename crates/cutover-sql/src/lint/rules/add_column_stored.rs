//! Columns that are computed and stored.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "add-column-stored",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: ALL,
    lifted: Lifted::Never,
    summary: "a new column is GENERATED … STORED",
    why: "Its value is computed for every row at once. PostgreSQL rewrites the table under ACCESS EXCLUSIVE; MySQL and MariaDB \
          copy it, and nobody writes meanwhile. SQLite refuses it.",
    safe: "add a plain column, keep it up to date by a trigger, fill it in a backfill; or make it VIRTUAL (PostgreSQL 18, MySQL, MariaDB, SQLite)",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: true,
        scan: true,
    }),
    bad: &[
        Example::pg_after(
            "CREATE TABLE orders (a int, b int);",
            "ALTER TABLE orders ADD COLUMN total int GENERATED ALWAYS AS (a + b) STORED;",
        ),
        Example::my("", "ALTER TABLE orders ADD total int AS (a + b) STORED"),
        Example::maria("", "ALTER TABLE orders ADD total int AS (a + b) PERSISTENT"),
    ],
    good: &[
        Example::my("", "ALTER TABLE orders ADD total int AS (a + b) VIRTUAL"),
        Example::my("", "ALTER TABLE orders ADD total int GENERATED ALWAYS AS (a + b)"),
        Example::pg("CREATE TABLE orders (a int, b int GENERATED ALWAYS AS (a + 1) STORED);"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, column, span) in look.added_columns() {
        if column
            .generated
            .as_ref()
            .is_some_and(|generated| generated.stored)
        {
            report.add(
                span,
                format!(
                    "{} is computed for every row of {table} while it is locked",
                    column.name
                ),
            );
        }
    }
}
