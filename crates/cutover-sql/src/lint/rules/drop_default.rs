//! Values that nobody fills in any more.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "drop-default",
    family: Family::Compat,
    severity: Severity::Error,
    dialects: &[Dialect::Postgres, Dialect::Mysql, Dialect::MariaDb],
    lifted: Lifted::Contract,
    summary: "a NOT NULL column loses its default or its numbers, or a column is no longer computed",
    why: "The old version leaves the column out and counts on the default: each of its INSERTs fails from that moment on. What is no \
          longer computed it leaves empty. A default that the same file gave to a new column and takes away again is a note: the old \
          version does not know the column at all, and its INSERTs fail if it is NOT NULL.",
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
        Example::pg_after(
            "CREATE TABLE o (a int, n int GENERATED ALWAYS AS (a * 2) STORED);",
            "ALTER TABLE o ALTER n DROP EXPRESSION;",
        ),
    ],
    good: &[
        Example::pg_after(
            "CREATE TABLE o (n int DEFAULT 1);",
            "ALTER TABLE o ALTER n DROP DEFAULT;",
        ),
        Example::pg("ALTER TABLE o ADD n int DEFAULT 1; ALTER TABLE o ALTER n DROP DEFAULT;"),
        Example::pg_after(
            "CREATE TABLE o (a int, n int);",
            "ALTER TABLE o ALTER n DROP EXPRESSION IF EXISTS;",
        ),
        // As Django writes it: contested, and a note.
        Example::pg(
            "BEGIN; ALTER TABLE o ADD n int DEFAULT 1 NOT NULL; ALTER TABLE o ALTER n DROP DEFAULT; COMMIT;",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        if let Alter::DropExpression(name) = &action.what
            && !look.is_new_column(table, name)
        {
            let known = look.column(table, name);
            // One that is not computed loses nothing; what is not known may not be.
            let weight = known.map_or(Severity::Note, |_| RULE.severity);
            if known.is_none_or(|column| column.generated.is_some()) {
                report.weigh(
                    weight,
                    action.span.clone(),
                    format!(
                        "{table}.{name} is no longer computed, and the old version fills it in no INSERT"
                    ),
                );
            }
        }
        let (name, loses) = match &action.what {
            Alter::DropDefault(name) | Alter::DropIdentity(name) => (name, true),
            Alter::Modify { old, column, .. } => (old, !column.has_value()),
            _ => continue,
        };
        if !loses {
            continue;
        }
        if look.is_new_column(table, name) {
            if look
                .column(table, name)
                .is_some_and(|column| column.not_null && column.has_value())
            {
                report.weigh(
                    Severity::Note,
                    action.span.clone(),
                    format!(
                        "the old version does not know {table}.{name}, and its INSERTs fail without a default"
                    ),
                );
            }
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
