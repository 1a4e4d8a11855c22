//! Columns that every row must have a value for, and no row has.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "add-column-not-null",
    family: Family::Compat,
    severity: Severity::Error,
    dialects: ALL,
    lifted: Lifted::Never,
    summary: "a new column is NOT NULL and has no default",
    why: "Rows that are there have no value for it, so the statement fails, or (MySQL) fills in a made-up one. And the old \
          version does not know the column: from then on each of its INSERTs fails.",
    safe: "add it nullable or with a constant default, fill it in a backfill, and make it NOT NULL in a contract",
    effect: None,
    bad: &[
        Example::pg("ALTER TABLE orders ADD COLUMN state int NOT NULL;"),
        Example::pg("ALTER TABLE orders ADD COLUMN id int PRIMARY KEY;"),
        Example::my("", "ALTER TABLE orders ADD state varchar(20) NOT NULL"),
        Example::lite("", "ALTER TABLE orders ADD COLUMN state int NOT NULL"),
    ],
    good: &[
        Example::pg("ALTER TABLE orders ADD COLUMN state int NOT NULL DEFAULT 0;"),
        Example::pg("CREATE TABLE o (id int); ALTER TABLE o ADD COLUMN state int NOT NULL;"),
        Example::pg("ALTER TABLE orders ADD COLUMN total int GENERATED ALWAYS AS (a + b) STORED NOT NULL;"),
        Example::my("", "ALTER TABLE orders ADD state varchar(20)"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, column, span) in look.added_columns() {
        if (column.not_null || column.primary_key) && !column.has_value() {
            let name = &column.name;
            report.add(
                span,
                format!("rows of {table} have no value for {name}, and the old version will insert none"),
            );
        }
    }
}
