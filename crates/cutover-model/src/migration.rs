//! Schema and data changes, as the planner sees them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    DatabaseName, Digest, MigrationPhase, Runner, SchemaRevision, Span, StoreId, Timestamp, Version,
};

/// A migration within its database: number and name, `004_full_name`. Ordered by number, then name.
///
/// One that is repeatable runs after all that have a number, and again whenever its text changes. Its name ends with a dot
/// and the beginning of its checksum (`R__views.1a2b3c4d`), so that each text is a migration of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MigrationId {
    /// Its number.
    pub number: u64,
    /// Its name as in the file's name: `full_name`.
    pub name: String,
    /// How many digits the file's name has, for printing.
    pub width: u8,
}

impl MigrationId {
    /// The number of those that are repeatable: above all others, and the largest that databases keep.
    pub const REPEATABLE: u64 = i64::MAX as u64;

    /// The number of what another tool does with a database: all of it is one migration, of the tool's name.
    pub const RUNNER: u64 = Self::REPEATABLE - 1;

    /// What another tool does with a database.
    #[must_use]
    pub fn of_runner(name: &str) -> Self {
        Self {
            number: Self::RUNNER,
            name: name.to_owned(),
            width: 0,
        }
    }

    /// Whether it runs again when its text changes.
    #[must_use]
    pub const fn is_repeatable(&self) -> bool {
        self.number == Self::REPEATABLE
    }

    /// The name without the text's checksum; of one that has a number, the name.
    #[must_use]
    pub fn base(&self) -> &str {
        match self.name.rsplit_once('.') {
            Some((base, _)) if self.is_repeatable() => base,
            _ => &self.name,
        }
    }
}

impl fmt::Display for MigrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_repeatable() {
            return f.pad(&format!("R__{}", self.name));
        }
        if self.number == Self::RUNNER {
            return f.pad(&self.name);
        }
        f.pad(&format!(
            "{:0width$}_{}",
            self.number,
            self.name,
            width = usize::from(self.width)
        ))
    }
}

/// A migration as read from its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Migration {
    /// Its identity.
    pub id: MigrationId,
    /// The database.
    pub database: DatabaseName,
    /// When it may run.
    pub phase: MigrationPhase,
    /// For a contract: versions below this cannot live with it.
    pub retires: Option<Version>,
    /// Whether the file runs in one transaction.
    pub transaction: bool,
    /// Digest over the normalised text of the up file.
    pub checksum: Digest,
    /// A query that must return 0 once a backfill is done.
    pub verify: Option<String>,
    /// Why there is no down file, where the author says so.
    pub irreversible: Option<String>,
    /// One line on what it does, from its file's first comment.
    pub summary: Option<String>,
    /// Whether sessions that have prepared `SELECT *` fail after it: rows of a table that was there get another shape, and the
    /// database keeps the former one with the statement.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reshapes: bool,
    /// Set where it is not a file but all that another tool does with the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<Runner>,
}

/// A migration that a database's history records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliedMigration {
    /// Its identity.
    pub id: MigrationId,
    /// Its phase when it was applied.
    pub phase: MigrationPhase,
    /// Checksum when it was applied.
    pub checksum: Digest,
    /// When.
    pub applied_at: Timestamp,
    /// How long it ran.
    pub took: Span,
    /// The release that brought it.
    pub release: Option<Version>,
    /// Whether all its statements are applied; false: interrupted in the middle.
    pub complete: bool,
}

/// A database as observed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseState {
    /// Product and version, for people: `PostgreSQL 15.18`.
    pub server: String,
    /// Size in bytes, where it can be had.
    pub size: Option<u64>,
    /// What its history records, by number.
    pub applied: Vec<AppliedMigration>,
    /// No version below this may be started against it: written before the first contract (invariant I11).
    pub retired_below: Option<Version>,
    /// The store whose controllers may write to it; nothing before the first write.
    pub owner: Option<StoreId>,
    /// Where the tool that migrates it says that its schema is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<SchemaRevision>,
}

impl DatabaseState {
    /// Whether a migration is recorded as applied, whole.
    #[must_use]
    pub fn has(&self, id: &MigrationId) -> bool {
        self.applied.iter().any(|done| done.id == *id && done.complete)
    }
}
