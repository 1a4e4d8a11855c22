//! The state that survives: releases, plans, journals, leases.

use cutover_model::{
    Diagnostic, Event, Fence, Generation, Plan, Record, ReleaseId, Span, StoreId, Timestamp, UpgradeId,
    UpgradePhase, Version,
};
use cutover_spec::Release;
use serde::{Deserialize, Serialize};

/// Who holds a lease. On one machine a holder whose boot id, pid and start time are dead is replaced at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// The machine's name.
    pub host: String,
    /// The boot, from the kernel.
    pub boot: String,
    /// The process.
    pub pid: u32,
    /// When the process started, in the kernel's ticks since boot.
    pub started: u64,
}

/// A lease on an application in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What every outside write carries.
    pub fence: Fence,
    /// Until when it is held without being renewed.
    pub until: Timestamp,
}

/// Why a lease could not be had or kept.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LeaseError {
    /// Another controller holds it.
    #[error("another controller holds the lease: pid {} on {} until {until}", holder.pid, holder.host)]
    Held {
        /// Who.
        holder: Holder,
        /// Until when.
        until: Timestamp,
    },
    /// It was taken over: this controller must stop.
    #[error("the lease was taken over by generation {0}")]
    Lost(Generation),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// The journal has grown since it was read: read again and decide again.
    #[error("the journal is at {found}, not at {expected}")]
    Conflict {
        /// What the writer had read.
        expected: u64,
        /// What it is.
        found: u64,
    },
    /// A newer generation owns the application.
    #[error("generation {found} owns the application, this is {own}")]
    Fenced {
        /// The writer's.
        own: Generation,
        /// The newer one.
        found: Generation,
    },
    /// It failed: full disk, damaged file, newer format.
    #[error("{0}")]
    Failed(Box<Diagnostic>),
}

/// What is recorded as stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stable {
    /// The release.
    pub release: ReleaseId,
    /// Its version.
    pub version: Version,
    /// Since when.
    pub since: Timestamp,
    /// By which upgrade.
    pub upgrade: UpgradeId,
}

/// The release that a promotion records as stable, in the same transaction as its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// The release.
    pub release: ReleaseId,
    /// Its version.
    pub version: Version,
}

/// What is appended to a journal.
#[derive(Debug, Clone, Copy)]
pub struct Append<'a> {
    /// Where the journal must be: its last record's `seq`.
    pub expected: u64,
    /// What happened.
    pub events: &'a [Event],
    /// The fold's phase after these events, kept for lists.
    pub phase: UpgradePhase,
    /// What is recorded as stable in the same transaction.
    pub promotion: Option<&'a Promotion>,
    /// When.
    pub now: Timestamp,
}

/// An upgrade in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeHead {
    /// Which.
    pub id: UpgradeId,
    /// From.
    pub from: Option<Version>,
    /// To.
    pub to: Version,
    /// Where it stands.
    pub phase: UpgradePhase,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its last event was written.
    pub updated_at: Timestamp,
}

/// The state of one application in one environment. Everything answered as `Ok` has reached the disk.
#[async_trait::async_trait]
pub trait Store: Send + Sync {
    /// The store's identity, made when it was created.
    fn id(&self) -> &StoreId;

    /// Takes the lease: free, run out, held by this holder, or held by one that `is_dead`. The generation grows each time.
    async fn acquire(
        &self,
        holder: &Holder,
        now: Timestamp,
        length: Span,
        is_dead: &(dyn for<'a> Fn(&'a Holder) -> bool + Send + Sync),
    ) -> Result<Lease, LeaseError>;

    /// Prolongs the lease.
    async fn renew(&self, fence: &Fence, now: Timestamp, length: Span) -> Result<Lease, LeaseError>;

    /// Gives the lease back; the generation stays.
    async fn release_lease(&self, fence: &Fence) -> Result<(), LeaseError>;

    /// Keeps a release; one with the same id is the same.
    async fn put_release(&self, release: &Release) -> Result<(), StoreError>;

    /// A kept release.
    async fn release(&self, id: &ReleaseId) -> Result<Option<Release>, StoreError>;

    /// Records an upgrade with its plan and its first event. Refused while another one is not final.
    async fn create(
        &self,
        fence: &Fence,
        id: &UpgradeId,
        plan: &Plan,
        first: &Event,
        now: Timestamp,
    ) -> Result<Record, StoreError>;

    /// Appends to a journal, all or nothing. A person's request carries no fence.
    async fn append(
        &self,
        fence: Option<&Fence>,
        id: &UpgradeId,
        write: Append<'_>,
    ) -> Result<Vec<Record>, StoreError>;

    /// The journal from after `seq` on.
    async fn records(&self, id: &UpgradeId, after: u64) -> Result<Vec<Record>, StoreError>;

    /// The plan of an upgrade.
    async fn plan(&self, id: &UpgradeId) -> Result<Option<Plan>, StoreError>;

    /// The upgrades, newest first, at most so many.
    async fn upgrades(&self, most: u32) -> Result<Vec<UpgradeHead>, StoreError>;

    /// What is recorded as stable.
    async fn stable(&self) -> Result<Option<Stable>, StoreError>;

    /// The releases that were stable, newest first, without repetition.
    async fn succeeded(&self) -> Result<Vec<Stable>, StoreError>;
}
