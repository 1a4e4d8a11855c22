//! Unique indexes on rows that are there.

use super::prelude::*;
use crate::lint::swap::is_key;

pub(crate) const RULE: Rule = Rule {
    id: "unique-key",
    family: Family::Compat,
    severity: Severity::Error,
    dialects: &[Dialect::Mysql, Dialect::MariaDb, Dialect::Sqlite],
    lifted: Lifted::Never,
    summary: "a unique index is added to a table that has rows",
    why: "It fails on the first duplicate, and from then on the old version's writes may. Tools that copy the table \
          (gh-ost, pt-online-schema-change) drop duplicate rows without a word.",
    safe: "look for duplicates first (a precheck query that must return 0), and add it in a contract",
    effect: None,
    bad: &[
        Example::my("", "ALTER TABLE users ADD UNIQUE INDEX by_mail (mail)"),
        Example::my("", "CREATE UNIQUE INDEX by_mail ON users (mail)"),
        Example::my(
            "",
            "ALTER TABLE users ADD COLUMN mail varchar(50) DEFAULT 'x' UNIQUE",
        ),
        Example::lite("", "CREATE UNIQUE INDEX by_mail ON users (mail)"),
    ],
    good: &[
        Example::my("", "CREATE TABLE users (mail varchar(50), UNIQUE KEY (mail))"),
        Example::my("", "ALTER TABLE users ADD INDEX by_mail (mail)"),
        Example::my(
            "",
            "ALTER TABLE users ADD COLUMN mail varchar(50), ADD UNIQUE (mail)",
        ),
    ],
    check,
};

/// A column that is added with it holds nothing but NULL, of which there may be many.
fn is_new_and_null(look: &Look<'_>, table: &Name, name: &str) -> bool {
    let added_here = look
        .added_columns()
        .any(|(of, column, _)| of == table && column.name == name && !column.has_value());
    let added_before = look.state.added.contains(&(table.clone(), name.to_owned()))
        && look.column(table, name).is_some_and(|column| !column.has_value());
    added_here || added_before
}

/// What was unique before this text may be made unique again: an index under another name, or that of a table made anew.
fn was_key(look: &Look<'_>, table: &Name, columns: &[String]) -> bool {
    look.prior
        .table(table)
        .is_some_and(|known| is_key(known, columns))
}

fn check(look: &Look<'_>, report: &mut Report) {
    if let Ddl::CreateIndex { index, table, .. } = look.ddl
        && index.unique
        && !look.state.is_fresh(table)
        && !index
            .columns
            .iter()
            .any(|column| is_new_and_null(look, table, column))
        && !was_key(look, table, &index.columns)
    {
        report.add(
            look.whole(),
            format!("duplicates in {table}, and those that the old version writes, fail"),
        );
    }
    for (table, action) in look.actions() {
        let found = match &action.what {
            Alter::AddConstraint(constraint) => match &constraint.kind {
                ConstraintKind::Unique { columns, .. } => {
                    !columns.iter().any(|column| is_new_and_null(look, table, column))
                        && !was_key(look, table, columns)
                }
                _ => false,
            },
            Alter::AddColumn { column, .. } => column.unique && column.has_value(),
            Alter::Modify { column, old, .. } => {
                column.unique && look.table(table).is_none_or(|known| !known.has_index_on(old))
            }
            _ => false,
        };
        if found {
            report.add(
                action.span.clone(),
                format!("duplicates in {table}, and those that the old version writes, fail"),
            );
        }
    }
}
