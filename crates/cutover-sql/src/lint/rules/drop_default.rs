//! Values that nobody fills in any more.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "drop-default",
    family: Family::Compat,
    severity: Severity::Error,
    dialects: &[Dialect::Postgres, Dialect::Mysql, Dialect::MariaDb],
    lifted: Lifted::Contract,
    summary: "a NOT NULL column loses its default or its numbers",
    why: "The old version leaves the column out and counts on the default: each of its INSERTs fails from that moment on.",
    safe: "drop it in a contract",
    effect: None,
    bad: &[
        Example::pg_after(
            "CREATE TABLE o (n int NOT NULL DEFAULT 1);",
            "ALTER TABLE o ALTER n DROP DEFAULT;",
        ),
        Example::pg_after(
            "CREATE TABLE o (n int GENERATED ALWAYS AS IDENTITY);",
            "ALTER TABLE o ALTER n DROP IDENTITY;",
        ),
        Example::my(
            "CREATE TABLE o (n int NOT NULL DEFAULT 1);",
            "ALTER TABLE o MODIFY n int NOT NULL",
        ),
    ],
    good: &[
        Example::pg_after(
            "CREATE TABLE o (n int DEFAULT 1);",
            "ALTER TABLE o ALTER n DROP DEFAULT;",
        ),
        Example::pg("ALTER TABLE o ADD n int DEFAULT 1; ALTER TABLE o ALTER n DROP DEFAULT;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        let (name, loses) = match &action.what {
            Alter::DropDefault(name) | Alter::DropIdentity(name) => (name, true),
            Alter::Modify { old, column, .. } => (old, !column.has_value()),
            _ => continue,
        };
        if !loses || look.is_new_column(table, name) {
            continue;
        }
        match look.column(table, name) {
            Some(column) if column.not_null && column.has_value() => {
                report.add(
                    action.span.clone(),
                    format!("the old version may leave {table}.{name} out of its INSERTs"),
                );
            }
            None if !matches!(action.what, Alter::Modify { .. }) => {
                report.weigh(
                    Severity::Note,
                    action.span.clone(),
                    format!("if {table}.{name} is NOT NULL, the old version may leave it out of its INSERTs"),
                );
            }
            _ => {}
        }
    }
}
