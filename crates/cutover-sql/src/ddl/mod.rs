//! What a statement does to a schema: small facts, the same for all databases.
//!
//! They are made by [`crate::read()`] and nothing else; what it could not read is [`Ddl::NotUnderstood`], and whoever
//! decides by facts must treat that as "may be anything".

mod alter;
mod expr;
mod name;
mod table;
mod types;

use std::ops::Range;

use crate::command::Command;

pub use alter::{Action, Alter, AlterTable, Position};
pub use expr::Expr;
pub use name::Name;
pub use table::{Column, Constraint, ConstraintKind, CreateTable, Generated, Index, PartitionOf, References};
pub use types::TypeName;

/// A kind of object that is neither table nor index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the SQL word of its name")]
pub enum Kind {
    Table,
    Index,
    View,
    MaterializedView,
    Sequence,
    Type,
    Domain,
    Schema,
    Database,
    Function,
    Procedure,
    Trigger,
    Event,
    Policy,
    Rule,
    Extension,
    Role,
    Constraint,
    Other,
}

impl Kind {
    /// For messages: `view`, `materialized view`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Index => "index",
            Self::View => "view",
            Self::MaterializedView => "materialized view",
            Self::Sequence => "sequence",
            Self::Type => "type",
            Self::Domain => "domain",
            Self::Schema => "schema",
            Self::Database => "database",
            Self::Function => "function",
            Self::Procedure => "procedure",
            Self::Trigger => "trigger",
            Self::Event => "event",
            Self::Policy => "policy",
            Self::Rule => "rule",
            Self::Extension => "extension",
            Self::Role => "role",
            Self::Constraint => "constraint",
            Self::Other => "object",
        }
    }
}

/// What begins or ends a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`.
    Commit,
    /// `ROLLBACK`, `ABORT`.
    Rollback,
    /// `SAVEPOINT`.
    Savepoint(String),
    /// `RELEASE SAVEPOINT`.
    Release(String),
    /// `ROLLBACK TO SAVEPOINT`.
    RollbackTo(String),
}

/// Rows that are written, without DDL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Write {
    /// Whose rows.
    pub table: Name,
    /// `UPDATE … SET` columns, or the columns an `INSERT` names.
    pub columns: Vec<String>,
    /// Whether a `WHERE` or `LIMIT` bounds it.
    pub bounded: bool,
    /// Whether the rows come from a query (`INSERT … SELECT`), and of which tables.
    pub from: Vec<Name>,
    /// Of `INSERT … SELECT`: what is selected, one text each.
    pub selected: Vec<String>,
    /// Of `INSERT … SELECT`: the table whose every row is handed on, as far as the query shows it.
    pub whole: Option<Name>,
    /// Of `INSERT`: what conflicts with a key is left out, or takes the other's place (`IGNORE`, `REPLACE`, `ON CONFLICT`).
    pub lenient: bool,
}

/// `DROP …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drop {
    /// What.
    pub kind: Kind,
    /// Which.
    pub names: Vec<Name>,
    /// The table it belongs to: of a trigger, a policy, a MySQL index.
    pub table: Option<Name>,
    /// `IF EXISTS`.
    pub if_exists: bool,
    /// `CASCADE`.
    pub cascade: bool,
    /// `CONCURRENTLY`.
    pub concurrently: bool,
}

/// What a statement is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ddl {
    /// `CREATE TABLE`, also `… AS` and `SELECT … INTO`.
    CreateTable(Box<CreateTable>),
    /// `ALTER TABLE`, also MySQL's `RENAME TABLE` of one table.
    AlterTable(AlterTable),
    /// `RENAME TABLE a TO b, …`
    RenameTables(Vec<(Name, Name)>),
    /// `CREATE INDEX`.
    CreateIndex {
        /// What is built.
        index: Box<Index>,
        /// On which table.
        table: Name,
        /// `ON ONLY`: the partitions are left alone.
        only: bool,
        /// `CONCURRENTLY`.
        concurrently: bool,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// MySQL's `ALGORITHM=`, upper case.
        algorithm: Option<String>,
        /// MySQL's `LOCK=`, upper case.
        lock: Option<String>,
    },
    /// `DROP …`, of anything.
    Drop(Drop),
    /// `REINDEX`.
    Reindex {
        /// `CONCURRENTLY`.
        concurrently: bool,
        /// Of what: an index, a table, or everything.
        name: Option<Name>,
    },
    /// `CREATE [OR REPLACE] VIEW | FUNCTION | TRIGGER | …`.
    Create {
        /// What.
        kind: Kind,
        /// Its name.
        name: Option<Name>,
        /// `OR REPLACE`.
        replace: bool,
        /// The table of a trigger, policy or rule.
        table: Option<Name>,
        /// It restrains what others do: a RESTRICTIVE policy, a rule that does something else instead.
        restrains: bool,
    },
    /// `CREATE TYPE … AS ENUM`.
    CreateEnum {
        /// Its name.
        name: Name,
        /// Its values in order.
        values: Vec<String>,
    },
    /// `CREATE DOMAIN`.
    CreateDomain {
        /// Its name.
        name: Name,
        /// What it stands on.
        ty: TypeName,
        /// Whether it has a CHECK or NOT NULL.
        constrained: bool,
    },
    /// `CREATE FUNCTION`, with what a default needs to know.
    CreateFunction {
        /// Its name.
        name: Name,
        /// Declared `IMMUTABLE` or `STABLE`.
        steady: bool,
        /// `OR REPLACE`.
        replace: bool,
    },
    /// `ALTER FUNCTION … IMMUTABLE | STABLE | VOLATILE`.
    AlterFunction {
        /// Its name.
        name: Name,
        /// `IMMUTABLE` or `STABLE` from now on.
        steady: bool,
    },
    /// A role that may not connect any more: `NOLOGIN`, `ACCOUNT LOCK`.
    LockRole {
        /// Its name; none where it is not a plain one.
        name: Option<Name>,
    },
    /// `ALTER VIEW | TYPE | SEQUENCE | … RENAME TO`, `SET SCHEMA`, `RENAME VALUE`, `RENAME ATTRIBUTE`.
    Rename {
        /// What.
        kind: Kind,
        /// From.
        name: Name,
        /// What within it: an enum value, an attribute; none for itself.
        part: Option<String>,
        /// To.
        to: String,
    },
    /// `ALTER TYPE … ADD VALUE`.
    AddEnumValue {
        /// The type.
        name: Name,
        /// The value.
        value: String,
        /// `BEFORE` or `AFTER` is given.
        placed: bool,
    },
    /// `ALTER TYPE … ADD | DROP | ALTER ATTRIBUTE`.
    AlterComposite {
        /// The type.
        name: Name,
        /// An attribute is dropped or changes its type.
        breaks: bool,
    },
    /// `ALTER DOMAIN`.
    AlterDomain {
        /// The domain.
        name: Name,
        /// What happens.
        action: DomainAction,
    },
    /// `TRUNCATE`.
    Truncate {
        /// Which tables.
        tables: Vec<Name>,
        /// `CASCADE`.
        cascade: bool,
    },
    /// `INSERT`, `REPLACE`, `COPY … FROM`, `LOAD DATA`, `MERGE`.
    Insert(Write),
    /// `UPDATE`.
    Update(Write),
    /// `DELETE`.
    Delete(Write),
    /// A query. The tables after its `FROM`s.
    Select {
        /// Which.
        from: Vec<Name>,
    },
    /// `VACUUM`.
    Vacuum {
        /// `FULL`, or SQLite's, which is always full.
        full: bool,
        /// None: everything.
        table: Option<Name>,
    },
    /// `CLUSTER`, `REPACK`.
    Cluster {
        /// None: everything.
        table: Option<Name>,
        /// `REPACK (CONCURRENTLY)`.
        concurrently: bool,
    },
    /// `REFRESH MATERIALIZED VIEW`.
    Refresh {
        /// Which.
        name: Name,
        /// `CONCURRENTLY`.
        concurrently: bool,
        /// False with `WITH NO DATA`.
        with_data: bool,
    },
    /// `LOCK TABLE`, `LOCK TABLES`, `FLUSH TABLES WITH READ LOCK`.
    Lock {
        /// Which; empty: all.
        tables: Vec<Name>,
        /// The mode in words of the server, upper case.
        mode: String,
    },
    /// `OPTIMIZE TABLE`, `REPAIR TABLE`: MySQL's rebuilds.
    Rebuild {
        /// The word.
        verb: &'static str,
        /// Which.
        tables: Vec<Name>,
    },
    /// `REVOKE`.
    Revoke {
        /// On what kind of object.
        kind: Kind,
        /// Which; empty: not told, or everything.
        names: Vec<Name>,
    },
    /// Transactions.
    Transaction(Control),
    /// `SET`, `PRAGMA`, `set_config`: what is set for the session, each a name and its value as written, lower case.
    Set(Vec<(String, String)>),
    /// `DO $$ … $$`, and `EXECUTE`, `CALL`, `PREPARE`: what runs is inside.
    Opaque {
        /// The statements that could be read within, and where in the text they begin.
        inner: Vec<(Range<usize>, Self)>,
        /// Something runs that cannot be read: `EXECUTE` of an expression, a call.
        dynamic: bool,
    },
    /// A command of MongoDB.
    Command(Box<Command>),
    /// Known, and of no interest here: `COMMENT`, `GRANT`, `ANALYZE`, `SHOW` …
    Harmless,
    /// Not read: it may be anything.
    NotUnderstood {
        /// Where reading ended, in bytes of the statement.
        at: usize,
    },
}

/// `ALTER DOMAIN …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainAction {
    /// `ADD CHECK`.
    AddCheck {
        /// `NOT VALID`.
        not_valid: bool,
    },
    /// `VALIDATE CONSTRAINT`.
    Validate,
    /// `SET NOT NULL`.
    SetNotNull,
    /// `DROP NOT NULL`.
    DropNotNull,
    /// `DROP CONSTRAINT`.
    DropConstraint,
    /// Anything else: defaults, owners, names.
    Other,
}
