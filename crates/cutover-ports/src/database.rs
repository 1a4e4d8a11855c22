//! Databases: history, migrations, backups.

use cutover_model::{
    DatabaseName, DatabaseState, Diagnostic, Fence, Migration, MigrationId, SchemaRevision, Span, UpgradeId,
    Version,
};

use crate::PortError;

/// What goes with a migration into its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrateOptions {
    /// The release that brings it.
    pub release: Version,
    /// The upgrade that applies it; none from `cutover migrate`.
    pub upgrade: Option<UpgradeId>,
    /// Who.
    pub by: String,
}

/// What came of applying one migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationReport {
    /// Which.
    pub id: MigrationId,
    /// How long it ran.
    pub took: Span,
    /// Rows that its statements changed, where the database says.
    pub rows: Option<u64>,
    /// Whether it had been applied before, so that nothing was done.
    pub already: bool,
    /// Of a tool that says where the schema is: where it was, and where it is.
    pub moved: Option<(SchemaRevision, SchemaRevision)>,
}

/// The databases of an application, by name. The texts of the migrations come with the adapter (from the stored
/// release), so that only identities cross this port.
#[async_trait::async_trait]
pub trait Databases: Send + Sync {
    /// History, size and metadata.
    async fn observe(&self, database: &DatabaseName) -> Result<DatabaseState, PortError>;

    /// The up file is applied, whole, and recorded; its checksum must be the plan's. Resumes what was interrupted.
    /// A backfill's verify query must return 0 afterwards; a contract's runs before. Idempotent by history.
    async fn up(
        &self,
        fence: &Fence,
        migration: &Migration,
        options: &MigrateOptions,
    ) -> Result<MigrationReport, PortError>;

    /// Writes, before the first contract, that no version below this may be started from now on. Only ever raises.
    async fn retire_below(
        &self,
        fence: &Fence,
        database: &DatabaseName,
        version: &Version,
    ) -> Result<(), PortError>;

    /// Ends the idle sessions of others, and with them what they have prepared, where it would outlive a change of a table's
    /// columns; says how many. Clients that look before they use a connection notice nothing.
    async fn recycle(&self, fence: &Fence, database: &DatabaseName) -> Result<u64, PortError>;

    /// Marks a backfill as pending again: without sync the old version may have written since. Idempotent.
    async fn reopen(&self, fence: &Fence, migration: &Migration) -> Result<(), PortError>;

    /// Where the tool that migrates it says that the schema is; none where files do, or where the tool cannot say.
    async fn revision(&self, database: &DatabaseName) -> Result<Option<SchemaRevision>, PortError>;

    /// The tool that migrates the database goes back to a revision. Idempotent by where the schema is.
    async fn downgrade(
        &self,
        fence: &Fence,
        migration: &Migration,
        to: &SchemaRevision,
        options: &MigrateOptions,
    ) -> Result<MigrationReport, PortError>;

    /// Findings that must be looked at before anything runs: unreachable, a changed checksum, an unknown migration.
    async fn check(&self, database: &DatabaseName) -> Vec<Diagnostic>;

    /// What these migrations, all applied, left to be looked at: a constraint that older rows were never looked through for, an index that
    /// is invalid, rows that violate a key. Reads only, keeps nobody waiting, and takes seconds at most; what cannot be looked at is
    /// a finding, too.
    async fn look_over(&self, database: &DatabaseName, applied: &[MigrationId]) -> Vec<Diagnostic>;
}

/// A backup that exists and was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// Where, for people.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Backups before migrations.
#[async_trait::async_trait]
pub trait Backups: Send + Sync {
    /// A verified backup of the database for this upgrade exists. Idempotent: an existing whole one is verified and
    /// reported again.
    async fn create(
        &self,
        fence: &Fence,
        database: &DatabaseName,
        upgrade: &UpgradeId,
    ) -> Result<BackupReport, PortError>;
}
