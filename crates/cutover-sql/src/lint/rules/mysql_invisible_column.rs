//! Columns that are not seen any more unless they are named.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mysql-invisible-column",
    family: Family::Compat,
    severity: Severity::Warning,
    dialects: MY,
    lifted: Lifted::Contract,
    summary: "a column becomes INVISIBLE",
    why: "SELECT * of the old version does not have it any more, and an INSERT without a list of columns has one value too many.",
    safe: "see that every version names its columns, or do it in a contract",
    effect: None,
    bad: &[
        Example::my(
            "CREATE TABLE users (age int);",
            "ALTER TABLE users ALTER COLUMN age SET INVISIBLE",
        ),
        Example::maria(
            "CREATE TABLE users (age int);",
            "ALTER TABLE users MODIFY age int INVISIBLE",
        ),
    ],
    good: &[
        Example::my("", "ALTER TABLE users ALTER COLUMN age SET VISIBLE"),
        Example::my("", "ALTER TABLE users ADD COLUMN age int INVISIBLE"),
        Example::my("", "ALTER TABLE users ALTER INDEX by_age INVISIBLE"),
        Example::maria(
            "CREATE TABLE users (age int INVISIBLE);",
            "ALTER TABLE users MODIFY age int INVISIBLE",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        let name = match &action.what {
            Alter::ColumnVisibility(name, true) => name,
            Alter::Modify { old, column, .. } if column.invisible => old,
            _ => continue,
        };
        let known = look.column(table, name);
        if known.is_some_and(|column| column.invisible) || look.is_new_column(table, name) {
            continue;
        }
        // What is not known may be so already.
        let weight = known.map_or(Severity::Note, |_| RULE.severity);
        report.weigh(
            weight,
            action.span.clone(),
            format!("SELECT * of the old version does not have {table}.{name} any more"),
        );
    }
}
