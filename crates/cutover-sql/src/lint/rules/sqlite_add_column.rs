//! What SQLite's ADD COLUMN refuses.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "sqlite-add-column",
    family: Family::Correctness,
    severity: Severity::Error,
    dialects: LITE,
    lifted: Lifted::Never,
    summary: "ADD COLUMN with a key, UNIQUE, or a default that is computed",
    why: "SQLite refuses it, on an empty table too.",
    safe: "add a plain column and CREATE UNIQUE INDEX, or make the table anew",
    effect: None,
    bad: &[
        Example::lite("", "ALTER TABLE t ADD COLUMN id integer PRIMARY KEY"),
        Example::lite("", "ALTER TABLE t ADD COLUMN at text DEFAULT CURRENT_TIMESTAMP"),
    ],
    good: &[Example::lite("", "ALTER TABLE t ADD COLUMN n int DEFAULT 5")],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Ddl::AlterTable(alter) = look.ddl else { return };
    for action in &alter.actions {
        let Alter::AddColumn { column, .. } = &action.what else {
            continue;
        };
        let computed = column.default.as_ref().is_some_and(|default| {
            !default.calls.is_empty() || (default.text.starts_with('(') && !default.is_literal())
        });
        if column.primary_key || column.unique || computed {
            report.add(
                action.span.clone(),
                format!("SQLite refuses to add {} like this", column.name),
            );
        }
    }
}
