//! What the new table in the place of the old one does not have.

use super::copy_table::swap;
use super::prelude::*;

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
    if let (Some(old), Some(new)) = (look.table(swap.old), look.table(swap.new)) {
        for column in old
            .columns
            .iter()
            .filter(|column| new.column(&column.name).is_none())
        {
            report.add(
                look.whole(),
                format!(
                    "{}, with what it holds, is not in the new {}",
                    column.name, swap.old
                ),
            );
        }
    }
    let cut = look.earlier().iter().any(|ddl| {
        matches!(ddl, Ddl::Insert(write) if write.table == *swap.new && write.from.contains(swap.old) && write.bounded)
    });
    if cut {
        report.add(
            look.whole(),
            format!("only some rows of {} were copied", swap.old),
        );
    }
}
