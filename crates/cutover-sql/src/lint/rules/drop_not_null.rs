//! Columns that may be null from now on.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "drop-not-null",
    family: Family::Compat,
    severity: Severity::Warning,
    dialects: ALL,
    lifted: Lifted::Contract,
    summary: "a column may be null that never was",
    why: "The new version may write NULL where the old version, which still runs, has never had to read one.",
    safe: "do it in a contract, or let the new version write no NULL until the old one is gone",
    effect: None,
    bad: &[
        Example::pg("ALTER TABLE orders ALTER COLUMN state DROP NOT NULL;"),
        Example::my(
            "CREATE TABLE orders (state int NOT NULL);",
            "ALTER TABLE orders MODIFY state int NULL",
        ),
    ],
    good: &[
        Example::pg_after(
            "CREATE TABLE orders (state int);",
            "ALTER TABLE orders ALTER COLUMN state DROP NOT NULL;",
        ),
        Example::pg("CREATE TABLE o (a int NOT NULL); ALTER TABLE o ALTER a DROP NOT NULL;"),
        Example::my(
            "CREATE TABLE o (id int PRIMARY KEY);",
            "ALTER TABLE o MODIFY id int COMMENT 'x'",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if let Ddl::AlterDomain {
        name,
        action: DomainAction::DropNotNull,
    } = look.ddl
    {
        report.add(
            look.whole(),
            format!("the old version may read NULL from columns of type {name}"),
        );
    }
    for (table, action) in look.actions() {
        let (column, known) = match &action.what {
            Alter::DropNotNull(column) => (column, look.column(table, column)),
            Alter::Modify { old, column, .. } if !column.not_null && !stays_key(look, table, old) => {
                match look.column(table, old) {
                    Some(before) => (old, Some(before)),
                    None => continue,
                }
            }
            _ => continue,
        };
        if known.is_none_or(|before| before.not_null) && !look.is_new_column(table, column) {
            report.add(
                action.span.clone(),
                format!("the old version may read NULL from {table}.{column}"),
            );
        }
    }
}

/// A column of the primary key is never null, whether or not that is said again.
fn stays_key(look: &Look<'_>, table: &Name, column: &str) -> bool {
    let drops_key = look
        .actions()
        .any(|(_, action)| action.what == Alter::DropPrimaryKey);
    !drops_key
        && look
            .table(table)
            .and_then(|known| known.primary_key())
            .is_some_and(|key| key.iter().any(|one| one == column))
}
