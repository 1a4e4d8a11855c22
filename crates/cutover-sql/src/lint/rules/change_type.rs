//! Columns of another type.

use super::prelude::*;
use crate::lint::types::{self, Change};

pub(crate) const RULE: Rule = Rule {
    id: "change-type",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "a column's type changes, and the table is rewritten",
    why: "The table and its indexes are written anew under ACCESS EXCLUSIVE, and nobody reads or writes meanwhile. Some changes \
          only touch the catalogue: a longer varchar, varchar to text, a numeric with more digits before the point.",
    safe: "add a column of the new type, keep both in step by a trigger, fill it in a backfill, let the new version use it, drop the old one in a contract",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: true,
        scan: true,
    }),
    bad: &[
        Example::pg_after(
            "CREATE TABLE orders (n int);",
            "ALTER TABLE orders ALTER COLUMN n TYPE bigint;",
        ),
        Example::pg("ALTER TABLE orders ALTER COLUMN n SET DATA TYPE text;"),
        Example::pg_after(
            "CREATE TABLE o (n numeric(10, 2));",
            "ALTER TABLE o ALTER n TYPE numeric(12, 3);",
        ),
        Example::pg_after(
            "CREATE TABLE o (n char(2));",
            "ALTER TABLE o ALTER n TYPE char(4);",
        ),
        Example::pg_after(
            "CREATE TABLE o (n varchar(9));",
            "ALTER TABLE o ALTER n TYPE text USING upper(n);",
        ),
        Example::pg_after(
            "CREATE TABLE o (n varchar(9), CHECK (n <> ''));",
            "ALTER TABLE o ALTER n TYPE text;",
        ),
    ],
    good: &[
        Example::pg_after(
            "CREATE TABLE o (n varchar(9));",
            "ALTER TABLE o ALTER n TYPE varchar(20);",
        ),
        Example::pg_after(
            "CREATE TABLE o (n varchar(9));",
            "ALTER TABLE o ALTER n TYPE text USING n::text;",
        ),
        Example::pg_after(
            "CREATE TABLE o (n numeric(10, 2));",
            "ALTER TABLE o ALTER n TYPE numeric(12, 2);",
        ),
        Example::pg_after(
            "CREATE TABLE o (n timestamp(0));",
            "ALTER TABLE o ALTER n TYPE timestamp;",
        ),
        Example::pg_after("CREATE TABLE o (n cidr);", "ALTER TABLE o ALTER n TYPE inet;"),
        Example::pg_after(
            "CREATE TABLE o (n timestamp); SET TIME ZONE 'UTC';",
            "ALTER TABLE o ALTER n TYPE timestamptz;",
        ),
        Example::pg("CREATE TABLE o (n int); ALTER TABLE o ALTER n TYPE bigint;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        let Alter::SetType { column, ty, using } = &action.what else {
            continue;
        };
        let message = match types::change(look, table, column, ty, using.as_ref()) {
            Change::Metadata => continue,
            Change::Checked(constraint) => {
                format!("{constraint} is checked on every row of {table} again while everybody waits")
            }
            Change::Indexes => {
                format!("the indexes on {column} are built anew while everybody waits for {table}")
            }
            Change::Rewrite(before) => {
                format!("{table} is rewritten, because {before} is not stored as {ty} is")
            }
            Change::Unknown => format!("{table} is rewritten, unless {column} is stored as {ty} is"),
        };
        report.add(action.span.clone(), message);
    }
}
