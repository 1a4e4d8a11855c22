//! Defaults that differ from row to row.

use super::prelude::*;
use crate::lint::volatile::volatile_call;

pub(crate) const RULE: Rule = Rule {
    id: "add-column-volatile-default",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "a new column's default must be computed for every row",
    why: "A default that is the same for all rows is stored once (since PostgreSQL 11). One with a volatile function in it, \
          such as gen_random_uuid() or random(), is computed row by row: the table is rewritten under ACCESS EXCLUSIVE. A \
          function that is not known counts as volatile.",
    safe: "add the column without a default, then ALTER COLUMN … SET DEFAULT, then fill the old rows in a backfill",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: true,
        scan: true,
    }),
    bad: &[
        Example::pg_after(
            "CREATE TABLE orders (a int);",
            "ALTER TABLE orders ADD COLUMN key uuid DEFAULT gen_random_uuid();",
        ),
        Example::pg("ALTER TABLE orders ADD COLUMN n int DEFAULT (random() * 10)::int;"),
        Example::pg("ALTER TABLE orders ADD COLUMN n int DEFAULT mine();"),
        Example::pg(
            "ALTER TABLE orders ADD COLUMN n text DEFAULT CASE WHEN true THEN clock_timestamp()::text END;",
        ),
    ],
    good: &[
        Example::pg("ALTER TABLE orders ADD COLUMN at timestamptz DEFAULT now();"),
        Example::pg("ALTER TABLE orders ADD COLUMN at timestamptz DEFAULT current_timestamp NOT NULL;"),
        Example::pg("ALTER TABLE orders ADD COLUMN n numeric DEFAULT 1.0::numeric(10, 2);"),
        Example::pg_after(
            "CREATE FUNCTION one() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';",
            "ALTER TABLE orders ADD COLUMN n int DEFAULT one();",
        ),
        Example::pg("ALTER TABLE orders ADD COLUMN tags text[] DEFAULT ARRAY[]::text[];"),
        Example::pg(
            "ALTER TABLE orders ADD COLUMN n uuid; ALTER TABLE orders ALTER n SET DEFAULT gen_random_uuid();",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if !look.since(11, 0, 0) {
        return;
    }
    for (table, column, span) in look.added_columns() {
        let Some(call) = column
            .default
            .as_ref()
            .and_then(|default| volatile_call(look, default))
        else {
            continue;
        };
        let name = &column.name;
        report.add(span, format!("{table} is rewritten, because {call}() may differ from row to row")).fix(format!(
            "ALTER TABLE {table} ADD COLUMN {name} {};\nALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT {};",
            column.ty.as_ref().map(ToString::to_string).unwrap_or_default(),
            column.default.as_ref().map(|default| default.text.clone()).unwrap_or_default(),
        ));
    }
}
