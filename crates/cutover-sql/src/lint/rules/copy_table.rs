//! SQLite's way to change a table: a new one is filled, and takes the place of the old one.

use super::prelude::*;

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
    let (Some(old), Some(new)) = (look.table(swap.old), look.table(swap.new)) else {
        return;
    };
    for column in new
        .columns
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
}

/// The old table and the one that takes its place.
pub(super) struct Swap<'a> {
    pub(super) old: &'a Name,
    pub(super) new: &'a Name,
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
    // Filled from it before, and renamed to it after.
    let new = look.later().iter().find_map(|ddl| match ddl {
        Ddl::AlterTable(alter) => alter
            .actions
            .iter()
            .any(|action| matches!(&action.what, Alter::RenameTable(to) if to == old))
            .then_some(&alter.table),
        _ => None,
    });
    if let Some(new) = new {
        return (look.state.is_made(new) && is_filled(look.earlier(), new, old)).then_some(Swap { old, new });
    }
    // The other order: the old one was moved away, and what is dropped now is its remains.
    let origin = look.earlier().iter().find_map(|ddl| match ddl {
        Ddl::AlterTable(alter) => alter
            .actions
            .iter()
            .any(|action| matches!(&action.what, Alter::RenameTable(to) if to == old))
            .then_some(&alter.table),
        _ => None,
    })?;
    (look.state.is_made(origin) && is_filled(look.earlier(), origin, old))
        .then_some(Swap { old, new: origin })
}

fn is_filled(earlier: &[Ddl], new: &Name, old: &Name) -> bool {
    earlier
        .iter()
        .any(|ddl| matches!(ddl, Ddl::Insert(write) if write.table == *new && write.from.contains(old)))
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
        && is_filled(look.later(), &alter.table, to);
    takes_place || made_anew
}
