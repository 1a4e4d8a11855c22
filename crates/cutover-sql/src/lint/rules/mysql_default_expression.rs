//! Defaults that are computed.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mysql-default-expression",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: &[Dialect::Mysql],
    lifted: Lifted::Never,
    summary: "a new column's default is an expression",
    why: "It is computed for every row: the table is copied, and nobody writes to it meanwhile. A literal, and CURRENT_TIMESTAMP, are \
          stored once.",
    safe: "add the column without a default, ALTER COLUMN … SET DEFAULT, and fill the old rows in a backfill",
    effect: None,
    bad: &[Example::my(
        "",
        "ALTER TABLE t ADD id2 binary(16) DEFAULT (uuid_to_bin(uuid()))",
    )],
    good: &[
        Example::my("", "ALTER TABLE t ADD at datetime DEFAULT CURRENT_TIMESTAMP"),
        Example::my("", "ALTER TABLE t ADD n int NOT NULL DEFAULT 5"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, column, span) in look.added_columns() {
        if column
            .default
            .as_ref()
            .is_some_and(|default| default.text.starts_with('(') && !default.is_literal())
        {
            report.add(
                span,
                format!("{table} is copied to compute {} for every row", column.name),
            );
        }
    }
}
