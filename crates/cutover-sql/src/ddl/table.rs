//! Tables, their columns, constraints and indexes.

use super::{Expr, Name, TypeName};

/// A column as declared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// None where SQLite lets it be left out.
    pub ty: Option<TypeName>,
    /// `NOT NULL`, or part of a primary key.
    pub not_null: bool,
    /// `DEFAULT`.
    pub default: Option<Expr>,
    /// `GENERATED ALWAYS AS (…)`.
    pub generated: Option<Generated>,
    /// `GENERATED … AS IDENTITY`.
    pub identity: bool,
    /// `GENERATED ALWAYS AS IDENTITY`: it takes no other value.
    pub always: bool,
    /// MySQL's `INVISIBLE`: only who names it sees it.
    pub invisible: bool,
    /// MySQL's `AUTO_INCREMENT`, SQLite's `AUTOINCREMENT`.
    pub auto_increment: bool,
    /// `PRIMARY KEY` at the column.
    pub primary_key: bool,
    /// `UNIQUE` at the column.
    pub unique: bool,
    /// `REFERENCES` at the column.
    pub references: Option<References>,
    /// `CHECK` at the column.
    pub check: Option<Expr>,
}

impl Column {
    /// Whether a row that does not mention it gets a value.
    #[must_use]
    pub fn has_value(&self) -> bool {
        self.default.as_ref().is_some_and(|default| !default.is_null())
            || self.generated.is_some()
            || self.identity
            || self.auto_increment
            || self.ty.as_ref().is_some_and(TypeName::is_serial)
    }
}

/// How a column is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// From what.
    pub expr: Expr,
    /// `STORED` (MariaDB: `PERSISTENT`); otherwise it is computed when read.
    pub stored: bool,
}

/// What a foreign key points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct References {
    /// The table.
    pub table: Name,
    /// Its columns; empty: its primary key.
    pub columns: Vec<String>,
}

/// A constraint of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// As given; databases make one up otherwise.
    pub name: Option<String>,
    /// What it demands.
    pub kind: ConstraintKind,
    /// `NOT VALID`: rows that are there are not looked at.
    pub not_valid: bool,
    /// False with `NOT ENFORCED`.
    pub enforced: bool,
}

/// What a constraint demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConstraintKind {
    /// `CHECK (…)`.
    Check(Expr),
    /// `NOT NULL column` (PostgreSQL 18).
    NotNull(String),
    /// `UNIQUE (…)`, or over an index that is there.
    Unique {
        /// The columns or expressions.
        columns: Vec<String>,
        /// `USING INDEX`.
        using_index: Option<Name>,
    },
    /// `PRIMARY KEY (…)`, or over an index that is there.
    PrimaryKey {
        /// The columns.
        columns: Vec<String>,
        /// `USING INDEX`.
        using_index: Option<Name>,
    },
    /// `FOREIGN KEY (…) REFERENCES …`.
    ForeignKey {
        /// The columns of this table.
        columns: Vec<String>,
        /// What they point to.
        references: References,
    },
    /// `EXCLUDE`.
    Exclude,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Index {
    /// None: the database makes one up.
    pub name: Option<Name>,
    /// Columns, or expressions as text.
    pub columns: Vec<String>,
    /// `UNIQUE`.
    pub unique: bool,
    /// `FULLTEXT` or `SPATIAL` (MySQL), upper case.
    pub special: Option<&'static str>,
    /// `WHERE`.
    pub predicate: Option<Expr>,
    /// Not usable by queries: MySQL's `INVISIBLE`, MariaDB's `IGNORED`.
    pub invisible: bool,
}

/// `PARTITION OF`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionOf {
    /// The partitioned table.
    pub parent: Name,
    /// `DEFAULT`, the one for what fits nowhere else.
    pub is_default: bool,
}

/// `CREATE TABLE`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreateTable {
    /// Its name.
    pub name: Option<Name>,
    /// `TEMPORARY`: nobody else sees it.
    pub temporary: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// MariaDB's `OR REPLACE`, which drops what is there.
    pub replace: bool,
    /// In order.
    pub columns: Vec<Column>,
    /// Of the table; those at a column are in the column.
    pub constraints: Vec<Constraint>,
    /// MySQL's `KEY` lines.
    pub indexes: Vec<Index>,
    /// `LIKE`.
    pub like: Vec<Name>,
    /// Filled at once by a query.
    pub from_query: bool,
    /// `PARTITION OF`.
    pub partition_of: Option<PartitionOf>,
    /// `PARTITION BY`, the columns or expressions; empty: not partitioned.
    pub partition_by: Vec<String>,
    /// `DEFAULT CHARSET`, lower case.
    pub charset: Option<String>,
    /// `ENGINE`, lower case.
    pub engine: Option<String>,
    /// SQLite's `STRICT`, `WITHOUT ROWID`, `ON CONFLICT` (`IGNORE` or `REPLACE`), PostgreSQL's `UNLOGGED`, `ON COMMIT
    /// DROP`: words that matter elsewhere, upper case.
    pub options: Vec<String>,
}
