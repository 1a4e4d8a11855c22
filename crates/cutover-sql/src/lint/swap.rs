//! SQLite's way to change a table: a new one is filled from the old one, and takes its place.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::look::Look;
use crate::Dialect;
use crate::ddl::{Alter, Column, ConstraintKind, CreateTable, Ddl, Kind, Name, Write};
use crate::schema::{Schema, Table, mentions};

/// The old table and the one that takes its place.
pub(super) struct Swap<'a> {
    pub(super) old: &'a Name,
    /// What holds the rows when the old one goes.
    pub(super) new: &'a Name,
    /// What filled it, and which statement that was.
    pub(super) filled: &'a Write,
    at: usize,
    /// The statement with which it is in the place of the old one.
    until: usize,
    /// The table that is then made under the old name, if the rows only wait in the other, and what fills it.
    anew: Option<(&'a CreateTable, &'a Write)>,
}

impl<'a> Swap<'a> {
    /// The table as it is in the end; none when the text does not tell.
    pub(super) fn result(&self, look: &Look<'a>) -> Option<Cow<'a, Table>> {
        match self.anew {
            Some((create, _)) => made(create).map(Cow::Owned),
            None => look.table(self.new).map(Cow::Borrowed),
        }
    }

    /// Each copy of rows on the way: from which table, into which, and how.
    pub(super) fn copies(&self, look: &Look<'a>) -> Vec<Copy<'a>> {
        let first = Copy {
            from: self.old,
            into: look.table(self.new).map(Cow::Borrowed),
            write: self.filled,
        };
        let second = self.anew.map(|(create, write)| Copy {
            from: self.new,
            into: made(create).map(Cow::Owned),
            write,
        });
        [Some(first), second].into_iter().flatten().collect()
    }

    /// Whether rows are taken out of the new table again before it is in the place of the old one.
    pub(super) fn loses_again(&self, look: &Look<'a>) -> bool {
        look.facts
            .iter()
            .take(self.until)
            .skip(self.at)
            .any(|ddl| matches!(ddl, Ddl::Delete(write) if write.table == *self.new))
    }
}

/// One `INSERT … SELECT` of it.
pub(super) struct Copy<'a> {
    pub(super) from: &'a Name,
    /// None when the text does not tell.
    pub(super) into: Option<Cow<'a, Table>>,
    pub(super) write: &'a Write,
}

fn made(create: &CreateTable) -> Option<Table> {
    let name = create.name.as_ref()?;
    let mut schema = Schema::new();
    schema.apply(&Ddl::CreateTable(Box::new(create.clone())));
    schema.tables.remove(name)
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
    let filled = |new: &'a Name, until: usize| {
        let (at, filled) = filling(look.earlier(), new, old)?;
        look.state.is_made(new).then_some(Swap {
            old,
            new,
            filled,
            at,
            until,
            anew: None,
        })
    };
    let later = || (look.at + 1..).zip(look.later());
    // Filled from it before, and renamed to it after.
    if let Some((until, new)) = later().find_map(|(at, ddl)| Some((at, renamed_to_old(ddl)?))) {
        return filled(new, until);
    }
    // The other order: the old one was moved away, and what is dropped now is its remains.
    if let Some(origin) = look.earlier().iter().find_map(renamed_to_old) {
        return filled(origin, look.at);
    }
    // Or its rows wait in another table until it is made anew.
    let create = later().find_map(|(_, ddl)| match ddl {
        Ddl::CreateTable(create) if create.name.as_ref() == Some(old) => Some(&**create),
        _ => None,
    })?;
    let (until, waiting, write) = later().find_map(|(at, ddl)| match ddl {
        Ddl::Insert(write) if write.table == *old => Some((at, write.from.first()?, write)),
        _ => None,
    })?;
    filled(waiting, until).map(|swap| Swap {
        anew: Some((create, write)),
        ..swap
    })
}

/// The statement that fills the new table from the old one: of several, one that takes every row.
fn filling<'a>(statements: &'a [Ddl], new: &Name, old: &Name) -> Option<(usize, &'a Write)> {
    let fills = || {
        statements.iter().enumerate().filter_map(|(at, ddl)| match ddl {
            Ddl::Insert(write) if write.table == *new && write.from.contains(old) => Some((at, write)),
            _ => None,
        })
    };
    fills()
        .find(|(_, write)| write.whole.as_ref() == Some(old))
        .or_else(|| fills().next())
}

/// Whether this DROP or RENAME is a part of it.
pub(super) fn is_idiom(look: &Look<'_>) -> bool {
    if look.dialect != Dialect::Sqlite {
        return false;
    }
    if swap(look).is_some() || hands_on(look) {
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

/// Whether a table that goes is one that this text made, whose rows only waited in it for another.
fn hands_on(look: &Look<'_>) -> bool {
    let Ddl::Drop(drop) = look.ddl else { return false };
    let [name] = drop.names.as_slice() else {
        return false;
    };
    let handed = look
        .earlier()
        .iter()
        .any(|ddl| matches!(ddl, Ddl::Insert(write) if write.whole.as_ref() == Some(name)));
    drop.kind == Kind::Table && look.state.is_mine(name) && handed
}

/// What no two rows of a table may have alike; with those of some rows only, or without.
fn keys(table: &Table, partial: bool) -> Vec<BTreeSet<&str>> {
    let constraints = table
        .constraints
        .iter()
        .filter_map(|one| match &one.constraint.kind {
            ConstraintKind::PrimaryKey { columns, .. } | ConstraintKind::Unique { columns, .. } => {
                Some(columns)
            }
            _ => None,
        });
    let indexes = table.indexes.iter().filter_map(|index| {
        (index.unique && (partial || index.predicate.is_none())).then_some(&index.columns)
    });
    constraints
        .chain(indexes)
        .map(|columns| columns.iter().map(String::as_str).collect())
        .collect()
}

/// The keys of the new table that rows of the old one may break: those that no key of the old one implies.
pub(super) fn new_keys<'t>(new: &'t Table, old: Option<&Table>) -> Vec<BTreeSet<&'t str>> {
    let before = old.map(|old| keys(old, false)).unwrap_or_default();
    keys(new, true)
        .into_iter()
        .filter(|key| !before.iter().any(|own| own.is_subset(key)))
        .collect()
}

/// Whether rows of a table are never alike in some columns.
pub(super) fn is_key(table: &Table, columns: &[String]) -> bool {
    let wanted: BTreeSet<&str> = columns.iter().map(String::as_str).collect();
    keys(table, false).iter().any(|own| own.is_subset(&wanted))
}

/// The CHECKs of the new table that the old one does not have, and that are about columns which it has.
pub(super) fn new_checks<'t>(new: &'t Table, old: Option<&Table>) -> Vec<&'t str> {
    let text = |kind: &'t ConstraintKind| match kind {
        ConstraintKind::Check(expr) => Some(expr.text.as_str()),
        _ => None,
    };
    let checks = new
        .constraints
        .iter()
        .filter_map(|one| text(&one.constraint.kind));
    checks
        .filter(|check| {
            old.is_none_or(|old| {
                let had = old.constraints.iter().any(
                    |one| matches!(&one.constraint.kind, ConstraintKind::Check(expr) if expr.text == *check),
                );
                let is_about_it = old.columns.iter().any(|column| mentions(check, &column.name));
                !had && is_about_it
            })
        })
        .collect()
}

/// The columns that may not be null any more.
pub(super) fn new_not_nulls<'t>(new: &'t Table, old: Option<&Table>) -> impl Iterator<Item = &'t Column> {
    new.columns.iter().filter(move |column| {
        let before = old.and_then(|old| old.column(&column.name));
        column.not_null && before.is_none_or(|before| !(before.not_null || before.primary_key))
    })
}
