//! What the new table in the place of the old one does not have.

use super::copy_table::{columns, swap};
use super::prelude::*;
use crate::ddl::Write;
use crate::schema::mentions;

pub(crate) const RULE: Rule = Rule {
    id: "copy-table-loss",
    family: Family::DataLoss,
    severity: Severity::Error,
    dialects: LITE,
    lifted: Lifted::Contract,
    summary: "a column or rows are left out when a table is made anew",
    why: "What is not copied is gone with the old table, and the old version, which still reads and writes it, fails.",
    safe: "copy every column and every row, and leave out in a contract",
    effect: None,
    bad: &[
        Example::lite(
            "CREATE TABLE posts (body text, title text);",
            "CREATE TABLE n (body text); INSERT INTO n SELECT body FROM posts; DROP TABLE posts; ALTER TABLE n RENAME TO posts;",
        ),
        Example::lite(
            "CREATE TABLE posts (body text);",
            "CREATE TABLE n (body text); INSERT INTO n SELECT body FROM posts WHERE body <> ''; DROP TABLE posts; ALTER TABLE n RENAME TO posts;",
        ),
    ],
    good: &[Example::lite(
        "CREATE TABLE posts (body text);",
        "CREATE TABLE n (body text, title text); INSERT INTO n (body) SELECT body FROM posts; DROP TABLE posts; ALTER TABLE n RENAME TO posts;",
    )],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Some(swap) = swap(look) else { return };
    if let (Some(old), Some(columns)) = (look.table(swap.old), columns(look, &swap)) {
        for column in &old.columns {
            let kept = columns.iter().any(|one| one.name == column.name);
            if !is_copied(look, swap.filled, column) || (!kept && !is_selected(swap.filled, column)) {
                report.add(
                    look.whole(),
                    format!(
                        "{}, with what it holds, is not in the new {}",
                        column.name, swap.old
                    ),
                );
            }
        }
    }
    if swap.filled.bounded {
        report.add(
            look.whole(),
            format!("only some rows of {} were copied", swap.old),
        );
    }
}

fn is_selected(filled: &Write, column: &Column) -> bool {
    filled.selected.iter().any(|one| mentions(one, &column.name))
}

/// Whether what a column of the old table holds is read where the new one is filled; one that is computed need not be.
fn is_copied(look: &Look<'_>, filled: &Write, column: &Column) -> bool {
    let all = filled
        .selected
        .iter()
        .any(|one| one == "*" || one.ends_with(". *"));
    let known = look
        .table(&filled.table)
        .is_some_and(|table| table.column(&column.name).is_some());
    column.generated.is_some() || filled.selected.is_empty() || is_selected(filled, column) || (all && known)
}
