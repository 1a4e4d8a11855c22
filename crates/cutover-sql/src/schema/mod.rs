//! The schema that statements make: tables with their columns, constraints and indexes, and the other objects that a
//! migration may stand on.
//!
//! [`Schema::apply`] folds one statement's facts into it, in order. It knows nothing of a server: what a statement would be
//! refused for is folded as far as it makes sense, what was not understood changes nothing, and a table whose columns
//! cannot be known from the text (`CREATE TABLE … AS`) says so by [`Table::complete`].

mod alter;
mod table;

use std::collections::{BTreeMap, BTreeSet};

pub use table::{Table, TableConstraint};
pub(crate) use table::{mentions, words};

use crate::ddl::{Ddl, Drop, Index, Kind, Name};

/// A schema.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// Tables, partitioned ones and partitions included.
    pub tables: BTreeMap<Name, Table>,
    /// Types of `CREATE TYPE … AS ENUM`, with their values as written, in order.
    pub enums: BTreeMap<Name, Vec<String>>,
    /// Domains with the type each stands on, and whether it has constraints.
    pub domains: BTreeMap<Name, (crate::ddl::TypeName, bool)>,
    /// Functions by name, and whether one is declared `IMMUTABLE` or `STABLE`.
    pub functions: BTreeMap<Name, bool>,
    /// Views, sequences, triggers and all else, with the kind of each.
    pub others: BTreeSet<(Kind, Name)>,
}

impl Schema {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A table by its name.
    #[must_use]
    pub fn table(&self, name: &Name) -> Option<&Table> {
        self.tables.get(name)
    }

    /// An index by its name, and the table that it belongs to. The schema of an index is its table's, whatever is written.
    #[must_use]
    pub fn index(&self, name: &Name) -> Option<(&Table, &Index)> {
        self.tables.values().find_map(|table| {
            let index = table
                .indexes
                .iter()
                .find(|index| index.name.as_ref().is_some_and(|own| own.name == name.name))?;
            Some((table, index))
        })
    }

    /// The foreign keys that point to a table.
    pub fn pointing_to<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a Table> {
        self.tables.values().filter(move |table| table.points_to(name))
    }

    /// Folds a statement in.
    pub fn apply(&mut self, ddl: &Ddl) {
        match ddl {
            Ddl::CreateTable(create) => self.create_table(create),
            Ddl::AlterTable(alter) => self.alter_table(alter),
            Ddl::RenameTables(pairs) => {
                // All at once, so that two tables can be swapped.
                let moved: Vec<_> = pairs
                    .iter()
                    .filter_map(|(from, to)| Some((self.tables.remove(from)?, from, to)))
                    .collect();
                for (table, from, to) in moved {
                    self.put_renamed(table, from, to);
                }
            }
            Ddl::CreateIndex {
                index,
                table,
                if_not_exists,
                ..
            } => {
                if !(*if_not_exists && index.name.as_ref().is_some_and(|name| self.index(name).is_some()))
                    && let Some(table) = self.tables.get_mut(table)
                {
                    table.indexes.push((**index).clone());
                }
            }
            Ddl::Drop(drop) => self.drop(drop),
            // A policy that only restrains opens nothing, and nothing is missing without it.
            Ddl::Create {
                kind: Kind::Policy,
                restrains: true,
                ..
            } => {}
            Ddl::Create {
                kind,
                name: Some(name),
                ..
            } => {
                self.others.insert((*kind, name.clone()));
            }
            Ddl::CreateEnum { name, values } => {
                self.enums.insert(name.clone(), values.clone());
            }
            Ddl::CreateDomain {
                name,
                ty,
                constrained,
            } => {
                self.domains.insert(name.clone(), (ty.clone(), *constrained));
            }
            Ddl::CreateFunction { name, steady, .. } | Ddl::AlterFunction { name, steady } => {
                self.functions.insert(name.clone(), *steady);
            }
            Ddl::AddEnumValue { name, value, .. } => {
                if let Some(values) = self.enums.get_mut(name)
                    && !values.contains(value)
                {
                    values.push(value.clone());
                }
            }
            Ddl::Rename { kind, name, part, to } => self.rename(*kind, name, part.as_deref(), to),
            Ddl::Opaque { inner, .. } => {
                for (_, ddl) in inner {
                    self.apply(ddl);
                }
            }
            _ => {}
        }
    }

    /// What does not outlive a transaction goes (`CREATE TEMP TABLE … ON COMMIT DROP`), and is answered.
    pub fn end_transaction(&mut self) -> Vec<Name> {
        let ends = |table: &Table| table.options.iter().any(|option| option == "ON COMMIT DROP");
        let gone: Vec<Name> = self
            .tables
            .values()
            .filter(|table| ends(table))
            .map(|table| table.name.clone())
            .collect();
        self.tables.retain(|_, table| !ends(table));
        gone
    }

    /// What does not outlive a session goes.
    pub fn end_session(&mut self) {
        self.tables.retain(|_, table| !table.temporary);
    }

    fn drop(&mut self, drop: &Drop) {
        for name in &drop.names {
            match drop.kind {
                Kind::Table => {
                    self.tables.remove(name);
                }
                Kind::Index => {
                    for table in self.tables.values_mut() {
                        if drop.table.as_ref().is_none_or(|of| *of == table.name) {
                            table
                                .indexes
                                .retain(|index| index.name.as_ref().is_none_or(|own| own.name != name.name));
                        }
                    }
                }
                Kind::Type | Kind::Domain => {
                    self.enums.remove(name);
                    self.domains.remove(name);
                    self.others.remove(&(drop.kind, name.clone()));
                }
                Kind::Function => {
                    self.functions.remove(name);
                }
                Kind::Schema => {
                    let inside = |one: &Name| one.schema.as_deref() == Some(name.name.as_str());
                    self.tables.retain(|name, _| !inside(name));
                    self.enums.retain(|name, _| !inside(name));
                    self.domains.retain(|name, _| !inside(name));
                    self.functions.retain(|name, _| !inside(name));
                    self.others.retain(|(_, name)| !inside(name));
                    self.others.remove(&(Kind::Schema, name.clone()));
                }
                kind => {
                    self.others.remove(&(kind, name.clone()));
                }
            }
        }
    }

    fn rename(&mut self, kind: Kind, name: &Name, part: Option<&str>, to: &str) {
        if let Some(part) = part {
            if let Some(value) = self
                .enums
                .get_mut(name)
                .and_then(|values| values.iter_mut().find(|value| *value == part))
            {
                to.clone_into(value);
            }
            return;
        }
        let new = match to.split_once('.') {
            Some((schema, to)) => Name {
                schema: Some(schema.to_owned()).filter(|schema| schema != "public"),
                name: to.to_owned(),
            },
            None => name.sibling(to),
        };
        match kind {
            Kind::Index => {
                for index in self.tables.values_mut().flat_map(|table| &mut table.indexes) {
                    if index.name.as_ref().is_some_and(|own| own.name == name.name) {
                        index.name = Some(new.clone());
                    }
                }
            }
            Kind::Type | Kind::Domain => {
                if let Some(values) = self.enums.remove(name) {
                    self.enums.insert(new.clone(), values);
                }
                if let Some(domain) = self.domains.remove(name) {
                    self.domains.insert(new, domain);
                }
            }
            _ => {
                if self.others.remove(&(kind, name.clone())) {
                    self.others.insert((kind, new));
                }
            }
        }
    }
}
