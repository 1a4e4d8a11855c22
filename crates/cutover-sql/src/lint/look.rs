//! What a rule sees of a statement.

use std::ops::Range;

use super::state::{State, Transaction};
use super::version::ServerVersion;
use crate::Dialect;
use crate::ddl::{Action, Alter, AlterTable, Column, Ddl, Name};
use crate::schema::{Schema, Table};

pub(super) struct Look<'a> {
    pub(super) dialect: Dialect,
    pub(super) version: ServerVersion,
    /// Before the text.
    pub(super) prior: &'a Schema,
    /// Before the statement.
    pub(super) state: &'a State,
    pub(super) text: &'a str,
    pub(super) ddl: &'a Ddl,
    /// All statements of the text.
    pub(super) facts: &'a [Ddl],
    /// Which of them this is.
    pub(super) at: usize,
}

impl<'a> Look<'a> {
    pub(super) const fn whole(&self) -> Range<usize> {
        0..self.text.len()
    }

    /// The actions of an `ALTER TABLE` on a table that others use: not one that this text made and nothing filled.
    pub(super) fn actions(&self) -> impl Iterator<Item = (&'a Name, &'a Action)> + use<'a> {
        let alter = self.alter();
        alter
            .into_iter()
            .flat_map(|alter| alter.actions.iter().map(move |action| (&alter.table, action)))
    }

    /// The actions of an `ALTER TABLE` on a table that may hold data.
    pub(super) fn actions_on_data(&self) -> impl Iterator<Item = (&'a Name, &'a Action)> + use<'a> {
        let alter = match self.ddl {
            Ddl::AlterTable(alter) if !self.state.is_empty(&alter.table) => Some(alter),
            _ => None,
        };
        alter
            .into_iter()
            .flat_map(|alter| alter.actions.iter().map(move |action| (&alter.table, action)))
    }

    /// An `ALTER TABLE` on a table that others use.
    pub(super) fn alter(&self) -> Option<&'a AlterTable> {
        match self.ddl {
            Ddl::AlterTable(alter) if !self.state.is_fresh(&alter.table) => Some(alter),
            _ => None,
        }
    }

    /// The columns that it adds.
    pub(super) fn added_columns(
        &self,
    ) -> impl Iterator<Item = (&'a Name, &'a Column, Range<usize>)> + use<'a> {
        self.actions().filter_map(|(table, action)| match &action.what {
            Alter::AddColumn { column, .. } => Some((table, &**column, action.span.clone())),
            _ => None,
        })
    }

    /// A collection that this text made, filled or not: nobody else knows it.
    pub(super) fn is_own_collection(&self, name: &str) -> bool {
        self.state.is_mine(&Name::plain(name))
    }

    /// One that it made and that nothing filled.
    pub(super) fn is_empty_collection(&self, name: &str) -> bool {
        self.state.is_empty(&Name::plain(name))
    }

    pub(super) fn table(&self, name: &Name) -> Option<&'a Table> {
        self.state.schema.table(name)
    }

    pub(super) fn column(&self, table: &Name, column: &str) -> Option<&'a Column> {
        self.table(table)?.column(column)
    }

    /// Whether this `ALTER TABLE` adds the column itself, or its transaction did.
    pub(super) fn is_new_column(&self, table: &Name, column: &str) -> bool {
        self.added_columns().any(|(_, added, _)| added.name == column)
            || self.state.added.contains(&(table.clone(), column.to_owned()))
    }

    /// Whether it runs in a transaction that the text or the caller asked for, rather than one that Cutover makes.
    pub(super) const fn is_asked_transaction(&self) -> bool {
        matches!(self.state.transaction, Transaction::Begun(_) | Transaction::Whole)
    }

    pub(super) fn since(&self, major: u16, minor: u16, patch: u16) -> bool {
        self.version >= ServerVersion::new(major, minor, patch)
    }

    /// The statements that follow.
    pub(super) fn later(&self) -> &'a [Ddl] {
        self.facts.get(self.at + 1..).unwrap_or_default()
    }

    /// The statements before.
    pub(super) fn earlier(&self) -> &'a [Ddl] {
        self.facts.get(..self.at).unwrap_or_default()
    }
}
