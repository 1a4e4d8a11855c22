//! SQLite's way to change a table: a new one is filled, and takes the place of the old one.

use super::prelude::*;
use crate::ddl::{CreateTable, Write};
use crate::schema::mentions;

pub(crate) const RULE: Rule = Rule {
    id: "copy-table",
    family: Family::Compat,
    severity: Severity::Error,
    dialects: LITE,
    lifted: Lifted::Contract,
    summary: "the new table in the place of the old one demands more",
    why: "A column that becomes NOT NULL without a default makes the copy fail where a row is null, and the old version's INSERTs fail \
          from that moment on; so does a new one. A column that is left out is a matter of copy-table-loss.",
    safe: "keep the column nullable or give it a default, and be strict in a contract",
    effect: None,
    bad: &[Example::lite(
        "CREATE TABLE posts (body text);",
        "CREATE TABLE new_posts (body text NOT NULL); INSERT INTO new_posts (body) SELECT body FROM posts;
         DROP TABLE posts; ALTER TABLE new_posts RENAME TO posts;",
    )],
    good: &[Example::lite(
        "CREATE TABLE posts (body text);",
        "CREATE TABLE new_posts (body text NOT NULL DEFAULT ''); INSERT INTO new_posts (body) SELECT coalesce(body, '') FROM posts;
         DROP TABLE posts; ALTER TABLE new_posts RENAME TO posts;",
    )],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Some(swap) = swap(look) else { return };
    let Some(old) = look.table(swap.old) else { return };
    let Some(columns) = columns(look, &swap) else {
        return;
    };
    for column in columns
        .iter()
        .filter(|column| column.not_null && !column.has_value())
    {
        match old.column(&column.name) {
            Some(before) if before.not_null || before.primary_key => {}
            Some(_) => {
                report.add(
                    look.whole(),
                    format!("{} of {} must not be null any more", column.name, swap.old),
                );
            }
            None if old.complete && !column.primary_key => {
                report.add(
                    look.whole(),
                    format!("the old version inserts no {} into {}", column.name, swap.old),
                );
            }
            None => {}
        }
    }
    for column in &old.columns {
        let kept = columns.iter().any(|one| one.name == column.name);
        if !kept && swap.filled.selected.iter().any(|one| mentions(one, &column.name)) {
            report.add(
                look.whole(),
                format!(
                    "the old version knows {}.{}, which goes on under another name",
                    swap.old, column.name
                ),
            );
        }
    }
}

/// The old table and the one that takes its place.
pub(super) struct Swap<'a> {
    pub(super) old: &'a Name,
    /// What holds the rows when the old one goes.
    pub(super) new: &'a Name,
    /// What filled it.
    pub(super) filled: &'a Write,
    /// The table that is then made under the old name, if the rows only wait in the other.
    anew: Option<&'a CreateTable>,
}

/// The columns that the table has in the end; none when the text does not tell.
pub(super) fn columns<'a>(look: &Look<'a>, swap: &Swap<'a>) -> Option<&'a [Column]> {
    match swap.anew {
        Some(create) => Some(&create.columns),
        None => look.table(swap.new).map(|table| table.columns.as_slice()),
    }
}

/// Whether a statement of SQLite is the one of the idiom at which the old table goes: its DROP.
pub(super) fn swap<'a>(look: &Look<'a>) -> Option<Swap<'a>> {
    if look.dialect != Dialect::Sqlite {
        return None;
    }
    let Ddl::Drop(drop) = look.ddl else { return None };
    let [old] = drop.names.as_slice() else { return None };
    if drop.kind != Kind::Table {
        return None;
    }
    let renamed_to_old = |ddl: &'a Ddl| match ddl {
        Ddl::AlterTable(alter) => alter
            .actions
            .iter()
            .any(|action| matches!(&action.what, Alter::RenameTable(to) if to == old))
            .then_some(&alter.table),
        _ => None,
    };
    let filled = |new: &'a Name| {
        let filled = filling(look.earlier(), new, old)?;
        look.state.is_made(new).then_some(Swap {
            old,
            new,
            filled,
            anew: None,
        })
    };
    // Filled from it before, and renamed to it after.
    if let Some(new) = look.later().iter().find_map(renamed_to_old) {
        return filled(new);
    }
    // The other order: the old one was moved away, and what is dropped now is its remains.
    if let Some(origin) = look.earlier().iter().find_map(renamed_to_old) {
        return filled(origin);
    }
    // Or its rows wait in another table until it is made anew.
    let anew = look.later().iter().find_map(|ddl| match ddl {
        Ddl::CreateTable(create) if create.name.as_ref() == Some(old) => Some(&**create),
        _ => None,
    })?;
    let waiting = look.later().iter().find_map(|ddl| match ddl {
        Ddl::Insert(write) if write.table == *old && !write.bounded => write.from.first(),
        _ => None,
    })?;
    filled(waiting).map(|swap| Swap {
        anew: Some(anew),
        ..swap
    })
}

fn filling<'a>(statements: &'a [Ddl], new: &Name, old: &Name) -> Option<&'a Write> {
    statements.iter().find_map(|ddl| match ddl {
        Ddl::Insert(write) if write.table == *new && write.from.contains(old) => Some(write),
        _ => None,
    })
}

/// Whether this DROP or RENAME is a part of it.
pub(super) fn is_idiom(look: &Look<'_>) -> bool {
    if look.dialect != Dialect::Sqlite {
        return false;
    }
    if swap(look).is_some() {
        return true;
    }
    let Ddl::AlterTable(alter) = look.ddl else {
        return false;
    };
    let Some(to) = alter.actions.iter().find_map(|action| match &action.what {
        Alter::RenameTable(to) => Some(to),
        _ => None,
    }) else {
        return false;
    };
    // The new one takes the name that was dropped before.
    let takes_place = look.state.is_made(&alter.table)
        && look
            .earlier()
            .iter()
            .any(|ddl| matches!(ddl, Ddl::Drop(drop) if drop.kind == Kind::Table && drop.names.contains(to)));
    // Or the old one is moved away, and a new one of its name is made and filled from it.
    let made_anew = look
        .later()
        .iter()
        .any(|ddl| matches!(ddl, Ddl::CreateTable(create) if create.name.as_ref() == Some(&alter.table)))
        && filling(look.later(), &alter.table, to).is_some();
    takes_place || made_anew
}
