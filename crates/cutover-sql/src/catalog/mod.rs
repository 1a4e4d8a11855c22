//! What a database says that it holds, and what it takes to make one the other.
//!
//! A [`Catalog`] is read from a live database, so its definitions are in the server's own words: two of them from
//! servers of one version are equal exactly when their schemas are. The order of columns does not count, because no
//! statement changes it. [`changes`] compares; [`Change`] knows its inverse; [`statements`] writes.

mod change;
mod mysql;
mod sqlite;
mod write;
mod write_mysql;

use std::collections::BTreeMap;

pub use change::{Change, Safety, changes};
pub use mysql::{read_shown_table, read_shown_view, without_database};
pub use sqlite::{canonical, read_table};
pub use write::{renamed, statements};

use crate::TableName;

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type; PostgreSQL's `serial` where it owns the sequence that it counts with.
    pub ty: String,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// The expression of its default.
    pub default: Option<String>,
    /// What else stands in its definition: `GENERATED …`, `COLLATE …` (MySQL: a part of the type), `AUTO_INCREMENT`,
    /// SQLite's constraints of one column.
    pub extra: Option<String>,
    /// What `COMMENT ON COLUMN` says of it; MySQL's is in `extra`.
    pub comment: Option<String>,
}

impl Column {
    /// Whether MySQL gives the column its numbers, for which it wants a key of it at every moment.
    #[must_use]
    pub fn counts_itself(&self) -> bool {
        let extra = self.extra.as_deref();
        extra.is_some_and(|extra| extra.contains("AUTO_INCREMENT"))
    }
}

/// Which kind of constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConstraintKind {
    /// `PRIMARY KEY`
    PrimaryKey,
    /// `UNIQUE`
    Unique,
    /// `CHECK`
    Check,
    /// `EXCLUDE`
    Exclude,
    /// `FOREIGN KEY`
    ForeignKey,
}

/// A constraint of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// Which kind.
    pub kind: ConstraintKind,
    /// As the server writes it, without its name.
    pub definition: String,
}

/// An index that no constraint stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The statement that makes it.
    pub definition: String,
    /// Whether it refuses a second row.
    pub unique: bool,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// In order.
    pub columns: Vec<Column>,
    /// By name; SQLite's, which need none, by their definition.
    pub constraints: BTreeMap<String, Constraint>,
    /// By name.
    pub indexes: BTreeMap<String, Index>,
    /// What stands behind its closing parenthesis: `PARTITION BY …`, `WITHOUT ROWID`.
    pub options: String,
    /// What `COMMENT ON TABLE` says of it; MySQL's is in `options`.
    pub comment: Option<String>,
}

impl Table {
    /// A column by its name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// A view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: TableName,
    /// Whether it is materialized.
    pub materialized: bool,
    /// Its query.
    pub query: String,
    /// What stands before `VIEW` where it is not the default (MySQL's `ALGORITHM=…`, `SQL SECURITY …`), and PostgreSQL's
    /// `WITH (…)` behind its name.
    pub options: String,
    /// What `COMMENT ON VIEW` says of it.
    pub comment: Option<String>,
}

/// What is compared and shown: functions, triggers, sequences, domains. Only schemas and extensions are written, too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OtherName {
    /// `function`, `trigger`, …
    pub kind: String,
    /// Its name, with what tells it from others of that name.
    pub name: String,
}

/// A schema, as the database has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    /// Tables.
    pub tables: BTreeMap<TableName, Table>,
    /// Enumerated types with their values, in order.
    pub enums: BTreeMap<TableName, Vec<String>>,
    /// Views, each after those that it reads.
    pub views: Vec<View>,
    /// All else, with its definition.
    pub others: BTreeMap<OtherName, String>,
}

impl Catalog {
    /// A view by its name.
    #[must_use]
    pub fn view(&self, name: &TableName) -> Option<&View> {
        self.views.iter().find(|view| view.name == *name)
    }

    /// The columns of a type, with their defaults.
    pub(crate) fn columns_of(&self, ty: &TableName) -> Vec<(TableName, Column)> {
        let (bare, whole) = (ty.name.as_str(), ty.to_string());
        let is = |column: &Column| {
            let own = column.ty.trim_end_matches("[]");
            own == whole || own == bare || own == ty.sql() || own == crate::quoted(bare)
        };
        self.tables
            .iter()
            .flat_map(|(name, table)| {
                table
                    .columns
                    .iter()
                    .map(move |column| (name.clone(), column.clone()))
            })
            .filter(|(_, column)| is(column))
            .collect()
    }

    /// The schema after a change.
    #[must_use]
    pub fn with(mut self, change: &Change) -> Self {
        change.apply(&mut self);
        self
    }
}
