//! A migration with its texts.

use cutover_model::{Digest, Migration};
use cutover_sql::{EndSync, Statement, Sync, Timeout};

use crate::Batched;

/// A migration as read from its two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationFile {
    /// What the planner sees of it.
    pub migration: Migration,
    /// Digest over the up file as it is, byte by byte.
    pub raw_checksum: Digest,
    /// Queries that must return 0 before its first statement, in order.
    pub prechecks: Vec<String>,
    /// What applies it.
    pub up: Script,
    /// What takes it back; none when it is irreversible.
    pub down: Option<Script>,
    /// Two-way triggers that come with the up file and go with the down file.
    pub syncs: Vec<Sync>,
    /// Two-way triggers that go with the up file.
    pub ended: Vec<EndSync>,
    /// How a backfill runs in batches; none: it is run as it is written.
    pub batched: Option<Batched>,
}

/// One file, split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The file's name, for messages.
    pub name: String,
    /// Its whole text.
    pub text: String,
    /// Its statements in order.
    pub statements: Vec<Statement>,
    /// Whether it runs in one transaction.
    pub transaction: bool,
    /// How long each of its statements may run; none: as the database's settings say.
    pub timeout: Option<Timeout>,
}
