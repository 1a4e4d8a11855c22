//! What is different between two schemas, one difference at a time.

use std::fmt;

use super::{Catalog, Column, Constraint, ConstraintKind, Index, OtherName, Table, View};
use crate::TableName;

/// One difference, with what was there before and what is there afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A table: none before, or none afterwards.
    Table {
        /// Its name.
        name: TableName,
        /// Before.
        from: Option<Table>,
        /// Afterwards.
        to: Option<Table>,
    },
    /// A column of a table that is there before and afterwards.
    Column {
        /// Of which table.
        table: TableName,
        /// Before.
        from: Option<Column>,
        /// Afterwards.
        to: Option<Column>,
    },
    /// A constraint of such a table.
    Constraint {
        /// Of which table.
        table: TableName,
        /// Its name.
        name: String,
        /// Before.
        from: Option<Constraint>,
        /// Afterwards.
        to: Option<Constraint>,
    },
    /// An index of such a table.
    Index {
        /// Of which table.
        table: TableName,
        /// Its name.
        name: String,
        /// Before.
        from: Option<Index>,
        /// Afterwards.
        to: Option<Index>,
    },
    /// An enumerated type.
    Enum {
        /// Its name.
        name: TableName,
        /// Before.
        from: Option<Vec<String>>,
        /// Afterwards.
        to: Option<Vec<String>>,
    },
    /// A view.
    View {
        /// Its name.
        name: TableName,
        /// Before.
        from: Option<View>,
        /// Afterwards.
        to: Option<View>,
    },
    /// What is said of a table or view that is there before and afterwards.
    Comment {
        /// Of which.
        name: TableName,
        /// Before.
        from: Option<String>,
        /// Afterwards.
        to: Option<String>,
    },
    /// What is told; of these only schemas and extensions are written.
    Other {
        /// Which.
        name: OtherName,
        /// Before.
        from: Option<String>,
        /// Afterwards.
        to: Option<String>,
    },
    /// What stands behind a table's definition: told, but not written.
    Options {
        /// Of which table.
        table: TableName,
        /// Before.
        from: String,
        /// Afterwards.
        to: String,
    },
}

/// The kinds of [`OtherName`] that are written, too.
pub(super) const SCHEMA: &str = "schema";
pub(super) const EXTENSION: &str = "extension";

/// When a change may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    /// The old version is unharmed.
    Expand,
    /// The old version is unharmed; an index of a table that is there, built beside the traffic.
    Concurrent,
    /// The old version must be gone.
    Contract,
}

/// All differences from one schema to another.
#[must_use]
pub fn changes(from: &Catalog, to: &Catalog) -> Vec<Change> {
    let mut out = Vec::new();
    for (name, from, to) in both(&from.enums, &to.enums) {
        out.push(Change::Enum {
            name: name.clone(),
            from: from.cloned(),
            to: to.cloned(),
        });
    }
    for (name, from, to) in both(&from.tables, &to.tables) {
        match (from, to) {
            (Some(from), Some(to)) => tables(&mut out, name, from, to),
            (from, to) => out.push(Change::Table {
                name: name.clone(),
                from: from.cloned(),
                to: to.cloned(),
            }),
        }
    }
    let gone = from
        .views
        .iter()
        .filter(|view| to.view(&view.name).is_none())
        .map(|view| (Some(view), None));
    let there = to.views.iter().map(|view| (from.view(&view.name), Some(view)));
    for (from, to) in gone.chain(there) {
        if let (Some(from), Some(to)) = (from, to) {
            comments(&mut out, &to.name, from.comment.as_ref(), to.comment.as_ref());
            if is_same(from, to) {
                continue;
            }
        }
        if let Some(view) = to.or(from) {
            out.push(Change::View {
                name: view.name.clone(),
                from: from.cloned(),
                to: to.cloned(),
            });
        }
    }
    for (name, from, to) in both(&from.others, &to.others) {
        out.push(Change::Other {
            name: name.clone(),
            from: from.cloned(),
            to: to.cloned(),
        });
    }
    out
}

/// Whether they are equal but for what is said of them.
pub(super) fn is_same(one: &View, other: &View) -> bool {
    let View {
        name: _,
        materialized,
        query,
        options,
        comment: _,
    } = one;
    (*materialized, query, options) == (other.materialized, &other.query, &other.options)
}

fn comments(out: &mut Vec<Change>, name: &TableName, from: Option<&String>, to: Option<&String>) {
    if from != to {
        out.push(Change::Comment {
            name: name.clone(),
            from: from.cloned(),
            to: to.cloned(),
        });
    }
}

/// The keys of either map whose values are not equal.
fn both<'a, K: Ord, V: PartialEq>(
    from: &'a std::collections::BTreeMap<K, V>,
    to: &'a std::collections::BTreeMap<K, V>,
) -> Vec<(&'a K, Option<&'a V>, Option<&'a V>)> {
    let mut keys: Vec<&K> = from.keys().chain(to.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .map(|key| (key, from.get(key), to.get(key)))
        .filter(|(_, from, to)| from != to)
        .collect()
}

fn tables(out: &mut Vec<Change>, table: &TableName, from: &Table, to: &Table) {
    comments(out, table, from.comment.as_ref(), to.comment.as_ref());
    if from.options != to.options {
        out.push(Change::Options {
            table: table.clone(),
            from: from.options.clone(),
            to: to.options.clone(),
        });
        // What it has of the table that it is a partition of comes and goes with that.
        if [from, to]
            .iter()
            .any(|one| one.options.starts_with("PARTITION OF"))
        {
            return;
        }
    }
    let gone = from
        .columns
        .iter()
        .filter(|column| to.column(&column.name).is_none());
    let gone = gone.map(|column| (Some(column), None));
    let there = to
        .columns
        .iter()
        .map(|column| (from.column(&column.name), Some(column)));
    for (from, to) in gone.chain(there).filter(|(from, to)| from != to) {
        out.push(Change::Column {
            table: table.clone(),
            from: from.cloned(),
            to: to.cloned(),
        });
    }
    for (name, from, to) in both(&from.constraints, &to.constraints) {
        out.push(Change::Constraint {
            table: table.clone(),
            name: name.clone(),
            from: from.cloned(),
            to: to.cloned(),
        });
    }
    for (name, from, to) in both(&from.indexes, &to.indexes) {
        out.push(Change::Index {
            table: table.clone(),
            name: name.clone(),
            from: from.cloned(),
            to: to.cloned(),
        });
    }
}

impl Change {
    /// The way back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let mut out = self.clone();
        match &mut out {
            Self::Table { from, to, .. } => std::mem::swap(from, to),
            Self::Column { from, to, .. } => std::mem::swap(from, to),
            Self::Constraint { from, to, .. } => std::mem::swap(from, to),
            Self::Index { from, to, .. } => std::mem::swap(from, to),
            Self::Enum { from, to, .. } => std::mem::swap(from, to),
            Self::View { from, to, .. } => std::mem::swap(from, to),
            Self::Comment { from, to, .. } => std::mem::swap(from, to),
            Self::Other { from, to, .. } => std::mem::swap(from, to),
            Self::Options { from, to, .. } => std::mem::swap(from, to),
        }
        out
    }

    /// When it may be made. Where the old version could be harmed, it is a contract.
    #[must_use]
    pub fn safety(&self) -> Safety {
        match self {
            Self::Table { to: Some(_), .. }
            | Self::View { from: None, .. }
            | Self::Enum { from: None, .. }
            | Self::Comment { .. }
            | Self::Other { from: None, .. } => Safety::Expand,
            Self::Enum {
                from: Some(from),
                to: Some(to),
                ..
            } if adds_only(from, to) => Safety::Expand,
            Self::Column {
                from: None,
                to: Some(new),
                ..
            } if (!new.not_null || fills_itself(new)) && !new.counts_itself() => Safety::Expand,
            // Looser than before: the new version needs it before it writes.
            Self::Column {
                from: Some(old),
                to: Some(new),
                ..
            } if (old.ty == new.ty || appends_only(&old.ty, &new.ty))
                && old.extra == new.extra
                && (!new.not_null || old.not_null)
                && (new.default.is_some() || old.default.is_none()) =>
            {
                Safety::Expand
            }
            Self::Constraint { to: None, .. } => Safety::Expand,
            Self::Index {
                from: None,
                to: Some(index),
                ..
            } if !index.unique => Safety::Concurrent,
            Self::Index {
                from: Some(index),
                to: None,
                ..
            } if index.unique => Safety::Expand,
            _ => Safety::Contract,
        }
    }

    /// Whether [`statements`](super::statements) can write it.
    #[must_use]
    pub fn is_written(&self) -> bool {
        match self {
            Self::Other { name, from, to } => {
                (from.is_none() || to.is_none()) && (name.kind == SCHEMA || name.kind == EXTENSION)
            }
            Self::Options { .. } => false,
            _ => true,
        }
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        fn put<K: Ord + Clone, V: Clone>(
            map: &mut std::collections::BTreeMap<K, V>,
            key: &K,
            value: Option<&V>,
        ) {
            match value {
                Some(value) => map.insert(key.clone(), value.clone()),
                None => map.remove(key),
            };
        }
        match self {
            Self::Table { name, to, .. } => put(&mut catalog.tables, name, to.as_ref()),
            Self::Enum { name, to, .. } => put(&mut catalog.enums, name, to.as_ref()),
            Self::Comment { name, to, .. } => {
                if let Some(table) = catalog.tables.get_mut(name) {
                    table.comment.clone_from(to);
                } else if let Some(view) = catalog.views.iter_mut().find(|view| view.name == *name) {
                    view.comment.clone_from(to);
                }
            }
            Self::Other { name, to, .. } => put(&mut catalog.others, name, to.as_ref()),
            Self::View { name, to, .. } => {
                let at = catalog.views.iter().position(|view| view.name == *name);
                match (at, to) {
                    (Some(at), Some(to)) => catalog.views[at] = to.clone(),
                    (None, Some(to)) => catalog.views.push(to.clone()),
                    (Some(at), None) => drop(catalog.views.remove(at)),
                    (None, None) => {}
                }
            }
            Self::Column { table, from, to } => {
                let Some(table) = catalog.tables.get_mut(table) else {
                    return;
                };
                let name = from.as_ref().or(to.as_ref()).map(|column| column.name.clone());
                let at = table
                    .columns
                    .iter()
                    .position(|column| Some(&column.name) == name.as_ref());
                match (at, to) {
                    (Some(at), Some(to)) => table.columns[at] = to.clone(),
                    (None, Some(to)) => table.columns.push(to.clone()),
                    (Some(at), None) => drop(table.columns.remove(at)),
                    (None, None) => {}
                }
            }
            Self::Constraint { table, name, to, .. } => {
                if let Some(table) = catalog.tables.get_mut(table) {
                    put(&mut table.constraints, name, to.as_ref());
                }
            }
            Self::Index { table, name, to, .. } => {
                if let Some(table) = catalog.tables.get_mut(table) {
                    put(&mut table.indexes, name, to.as_ref());
                }
            }
            Self::Options { table, to, .. } => {
                if let Some(table) = catalog.tables.get_mut(table) {
                    table.options.clone_from(to);
                }
            }
        }
    }
}

/// Whether an old insert, which does not name the column, still works.
fn fills_itself(column: &Column) -> bool {
    column.default.is_some()
        || column.ty.ends_with("serial")
        || column
            .extra
            .as_deref()
            .is_some_and(|extra| extra.to_uppercase().contains("GENERATED"))
}

/// Whether a type of MySQL has only more values than before, behind those that it had.
fn appends_only(from: &str, to: &str) -> bool {
    let split = |text: &'_ str| {
        let (values, rest) = text.rsplit_once(')')?;
        (values.starts_with("enum(") || values.starts_with("set("))
            .then(|| (values.to_owned(), rest.to_owned()))
    };
    match (split(from), split(to)) {
        (Some((old, rest)), Some((new, now))) => rest == now && new.starts_with(&format!("{old},")),
        _ => false,
    }
}

/// Whether all old values stay, in their order.
pub(super) fn adds_only(from: &[String], to: &[String]) -> bool {
    let mut rest = to.iter();
    from.iter().all(|value| rest.any(|other| other == value))
}

/// Which constraints may stand in the way of dropping others.
pub(super) fn is_foreign(constraint: &Constraint) -> bool {
    constraint.kind == ConstraintKind::ForeignKey
}

/// A column as it would be written, for people.
fn shown(column: &Column) -> String {
    let mut out = column.ty.clone();
    if column.not_null {
        out.push_str(" not null");
    }
    if let Some(default) = &column.default {
        out.push_str(" default ");
        out.push_str(default);
    }
    if let Some(extra) = &column.extra {
        out.push(' ');
        out.push_str(extra);
    }
    if let Some(comment) = &column.comment {
        out.push_str(" comment ");
        out.push_str(&one_line(comment));
    }
    out
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = |values: &Vec<String>| values.join(", ");
        let (what, from, to) = match self {
            Self::Table { name, from, to } => {
                let columns = |table: &Table| format!("{} columns", table.columns.len());
                (
                    format!("table {name}"),
                    from.as_ref().map(columns),
                    to.as_ref().map(columns),
                )
            }
            Self::Column { table, from, to } => {
                let name = from
                    .as_ref()
                    .or(to.as_ref())
                    .map_or("", |column| column.name.as_str());
                (
                    format!("column {table}.{name}"),
                    from.as_ref().map(shown),
                    to.as_ref().map(shown),
                )
            }
            Self::Constraint {
                table,
                name,
                from,
                to,
            } => {
                let text = |one: &Constraint| one.definition.clone();
                let named = from
                    .as_ref()
                    .or(to.as_ref())
                    .is_none_or(|one| one.definition == *name);
                let what = if named {
                    format!("constraint of {table}")
                } else {
                    format!("constraint {name} of {table}")
                };
                (what, from.as_ref().map(text), to.as_ref().map(text))
            }
            Self::Index {
                table,
                name,
                from,
                to,
            } => {
                let text = |one: &Index| one.definition.clone();
                (
                    format!("index {name} of {table}"),
                    from.as_ref().map(text),
                    to.as_ref().map(text),
                )
            }
            Self::Enum { name, from, to } => (
                format!("enum {name}"),
                from.as_ref().map(values),
                to.as_ref().map(values),
            ),
            Self::View { name, from, to } => {
                let text = |view: &View| {
                    let all = view
                        .options
                        .split_whitespace()
                        .chain(view.query.split_whitespace());
                    all.collect::<Vec<_>>().join(" ")
                };
                (
                    format!("view {name}"),
                    from.as_ref().map(text),
                    to.as_ref().map(text),
                )
            }
            Self::Comment { name, from, to } => (
                format!("comment on {name}"),
                from.as_deref().map(one_line),
                to.as_deref().map(one_line),
            ),
            Self::Other { name, from, to } => (
                format!("{} {}", name.kind, name.name),
                from.as_deref().map(one_line),
                to.as_deref().map(one_line),
            ),
            Self::Options { table, from, to } => (
                format!("options of table {table}"),
                Some(one_line(from)),
                Some(one_line(to)),
            ),
        };
        match (from, to) {
            (None, Some(to)) => write!(f, "+ {what}  {to}"),
            (Some(from), None) => write!(f, "- {what}  {from}"),
            (Some(from), Some(to)) => write!(f, "~ {what}  {from} → {to}"),
            (None, None) => f.write_str(&what),
        }
    }
}
