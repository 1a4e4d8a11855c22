//! MODIFY … NOT NULL.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mysql-not-null",
    family: Family::Lock,
    severity: Severity::Warning,
    dialects: MY,
    lifted: Lifted::Contract,
    summary: "a column becomes NOT NULL",
    why: "The table is rebuilt, and the statement fails, or without strict mode fills in made-up values, where a row is null. From \
          then on the old version's INSERTs may fail.",
    safe: "fill the column in a backfill, and do it in a contract",
    effect: None,
    bad: &[Example::my(
        "CREATE TABLE t (a int);",
        "ALTER TABLE t MODIFY a int NOT NULL",
    )],
    good: &[
        Example::my(
            "CREATE TABLE t (a int NOT NULL);",
            "ALTER TABLE t MODIFY a int NOT NULL DEFAULT 4",
        ),
        Example::my(
            "CREATE TABLE t (a int PRIMARY KEY);",
            "ALTER TABLE t MODIFY a int NOT NULL",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        let Alter::Modify { old, column, .. } = &action.what else {
            continue;
        };
        if column.not_null && look.column(table, old).is_some_and(|before| !before.not_null) {
            report.add(
                action.span.clone(),
                format!("{table} is rebuilt, and {old} must have no null"),
            );
        }
    }
}
