//! `ALTER TABLE`, action by action.

use std::ops::Range;

use super::{Column, Constraint, Expr, Index, Name, TypeName};

/// Where a column is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// `FIRST`.
    First,
    /// `AFTER column`.
    After(String),
}

/// One action, and which bytes of the statement say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Where.
    pub span: Range<usize>,
    /// What.
    pub what: Alter,
}

/// `ALTER TABLE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterTable {
    /// Which; for PostgreSQL maybe a view or an index that is altered as if it were one.
    pub table: Name,
    /// `IF EXISTS`.
    pub if_exists: bool,
    /// In order.
    pub actions: Vec<Action>,
    /// MySQL's `ALGORITHM=`, upper case.
    pub algorithm: Option<String>,
    /// MySQL's `LOCK=`, upper case.
    pub lock: Option<String>,
}

/// What an `ALTER TABLE` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alter {
    /// `ADD COLUMN`.
    AddColumn {
        /// The column.
        column: Box<Column>,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// `FIRST`, `AFTER`.
        position: Option<Position>,
    },
    /// `DROP COLUMN`.
    DropColumn {
        /// Which.
        name: String,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `RENAME COLUMN`.
    RenameColumn {
        /// From.
        from: String,
        /// To.
        to: String,
    },
    /// `RENAME TO`.
    RenameTable(Name),
    /// `SET SCHEMA`.
    SetSchema(String),
    /// `ALTER COLUMN … TYPE`.
    SetType {
        /// Which column.
        column: String,
        /// The new type.
        ty: TypeName,
        /// `USING`.
        using: Option<Expr>,
    },
    /// MySQL's `MODIFY` and `CHANGE`: the whole column anew.
    Modify {
        /// Its name before.
        old: String,
        /// As it is then.
        column: Box<Column>,
        /// `FIRST`, `AFTER`.
        position: Option<Position>,
    },
    /// `SET NOT NULL`.
    SetNotNull(String),
    /// `DROP NOT NULL`.
    DropNotNull(String),
    /// `SET DEFAULT`.
    SetDefault(String, Expr),
    /// `DROP DEFAULT`.
    DropDefault(String),
    /// `SET EXPRESSION` (PostgreSQL 17).
    SetExpression(String),
    /// `DROP EXPRESSION`.
    DropExpression(String),
    /// `ADD GENERATED … AS IDENTITY`.
    AddIdentity(String),
    /// `SET GENERATED`: whether it takes no value but its own (`ALWAYS`).
    SetGenerated(String, bool),
    /// `DROP IDENTITY`.
    DropIdentity(String),
    /// Statistics, storage, compression, options, identity settings of a column: no rows are touched.
    ColumnSetting(String),
    /// MySQL's `SET INVISIBLE`: true.
    ColumnVisibility(String, bool),
    /// `NO INHERIT`: the rows leave the parent.
    Disinherit(Name),
    /// `ADD CONSTRAINT`.
    AddConstraint(Box<Constraint>),
    /// `ADD INDEX` (MySQL).
    AddIndex(Box<Index>),
    /// `DROP INDEX`, `DROP KEY` (MySQL).
    DropIndex(String),
    /// `RENAME INDEX`.
    RenameIndex(String, String),
    /// `ALTER INDEX … INVISIBLE`: true.
    IndexVisibility(String, bool),
    /// `DROP CONSTRAINT`, `DROP CHECK`, `DROP FOREIGN KEY`.
    DropConstraint {
        /// Which.
        name: String,
        /// `FOREIGN KEY`, when said so.
        foreign_key: bool,
    },
    /// `DROP PRIMARY KEY` (MySQL).
    DropPrimaryKey,
    /// `VALIDATE CONSTRAINT`.
    Validate(String),
    /// `RENAME CONSTRAINT`.
    RenameConstraint(String, String),
    /// `ALTER CONSTRAINT`, `ALTER CHECK`; whether it begins to be enforced, if that is said.
    AlterConstraint(String, Option<bool>),
    /// `ATTACH PARTITION`.
    Attach {
        /// The table that becomes one.
        partition: Name,
        /// `FOR VALUES …`, as text; none: `DEFAULT`.
        bounds: Option<String>,
    },
    /// `DETACH PARTITION`.
    Detach {
        /// Which.
        partition: Name,
        /// `CONCURRENTLY` or `FINALIZE`.
        concurrently: bool,
    },
    /// `ADD PARTITION` (MySQL); whether rows must be distributed anew.
    AddPartition {
        /// `PARTITIONS n`, of HASH or KEY.
        spreads: bool,
    },
    /// `DROP PARTITION`, `TRUNCATE PARTITION`, `DISCARD PARTITION`: the verb, upper case.
    LosePartition(&'static str),
    /// `COALESCE`, `REORGANIZE`, `REBUILD`, `OPTIMIZE`, `REPAIR`, `EXCHANGE PARTITION`: the verb, upper case.
    RebuildPartition(&'static str),
    /// `PARTITION BY`.
    PartitionBy,
    /// `REMOVE PARTITIONING`.
    RemovePartitioning,
    /// `SET LOGGED`: true, `SET UNLOGGED`: false.
    SetLogged(bool),
    /// `SET ACCESS METHOD`.
    SetAccessMethod,
    /// `SET TABLESPACE`.
    SetTablespace,
    /// `ENABLE` or `DISABLE TRIGGER`: whether it is enabled.
    Trigger(bool),
    /// `ENABLE`, `DISABLE`, `FORCE ROW LEVEL SECURITY`: whether it is tightened.
    RowSecurity(bool),
    /// `CONVERT TO CHARACTER SET`.
    ConvertCharset(String),
    /// `ENGINE =`.
    Engine(String),
    /// `FORCE`, `ROW_FORMAT`, `KEY_BLOCK_SIZE`, `ORDER BY`, `ENCRYPTION`, system versioning …: what rebuilds, upper case.
    Rebuild(String),
    /// `DISCARD TABLESPACE`.
    DiscardTablespace,
    /// `DROP SYSTEM VERSIONING` (MariaDB): the old versions of rows go.
    DropVersioning,
    /// Known, and no rows are touched: owner, comment, options, inheritance …
    Setting(String),
}
