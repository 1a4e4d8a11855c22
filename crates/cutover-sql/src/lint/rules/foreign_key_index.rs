//! Foreign keys without an index.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "foreign-key-index",
    family: Family::Lock,
    severity: Severity::Warning,
    dialects: &[Dialect::Postgres, Dialect::Sqlite],
    lifted: Lifted::Never,
    summary: "a foreign key's columns have no index",
    why: "Each DELETE and each change of a key in the other table reads this whole table to see whether a row points there.",
    safe: "CREATE INDEX CONCURRENTLY on the columns",
    effect: None,
    bad: &[Example::pg_after(
        "CREATE TABLE users (id int PRIMARY KEY); CREATE TABLE orders (user_id int);",
        "ALTER TABLE orders ADD CONSTRAINT buyer FOREIGN KEY (user_id) REFERENCES users NOT VALID;",
    )],
    good: &[Example::pg_after(
        "CREATE TABLE orders (user_id int); CREATE INDEX by_user ON orders (user_id);",
        "ALTER TABLE orders ADD CONSTRAINT buyer FOREIGN KEY (user_id) REFERENCES users NOT VALID;",
    )],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        let (columns, other) = match &action.what {
            Alter::AddConstraint(constraint) => match &constraint.kind {
                ConstraintKind::ForeignKey { columns, references } => (columns.clone(), references),
                _ => continue,
            },
            Alter::AddColumn { column, .. } => match &column.references {
                Some(references) => (vec![column.name.clone()], references),
                None => continue,
            },
            _ => continue,
        };
        // Of a table that is not known it is not known either whether anything is ever deleted there.
        let known = look.table(&other.table).is_some_and(|other| other.complete);
        let weight = if known { Severity::Warning } else { Severity::Note };
        let follows = look.later().iter().any(|ddl| {
            matches!(ddl, Ddl::CreateIndex { index, table: of, .. } if of == table && index.columns.first().is_some_and(|first| columns.contains(first)))
        });
        if look
            .table(table)
            .is_some_and(|known| known.complete && !known.is_indexed(&columns))
            && !follows
        {
            report.weigh(
                weight,
                action.span.clone(),
                format!("a DELETE in {} reads all of {table}", other.table),
            );
        }
    }
}
