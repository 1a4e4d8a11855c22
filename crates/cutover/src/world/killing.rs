//! In debug builds only: a store that kills its process right after a chosen record of a journal is on the disk, so that
//! tests can see what another controller makes of every position; or one that has no room while a file is there.

use std::path::PathBuf;

use cutover_model::{Diagnostic, Event, Fence, Plan, Record, ReleaseId, Span, StoreId, Timestamp, UpgradeId};
use cutover_ports::{Append, Holder, Lease, LeaseError, Stable, Store, StoreError, UpgradeHead};
use cutover_spec::Release;
use cutover_store::SqliteStore;

/// Which record, by its place in the journal.
const SWITCH: &str = "CUTOVER_KILL_AT";

/// Which file stands for a full disk.
const FULL_WHILE: &str = "CUTOVER_FULL_WHILE";

/// Passes everything on.
pub(crate) struct KillingStore {
    inner: SqliteStore,
    at: Option<u64>,
    full_while: Option<PathBuf>,
}

impl KillingStore {
    /// None unless the environment asks for it.
    pub(crate) fn from_env(inner: SqliteStore) -> Option<Self> {
        let at = std::env::var(SWITCH).ok().and_then(|at| at.parse().ok());
        let full_while = std::env::var_os(FULL_WHILE).map(PathBuf::from);
        (at.is_some() || full_while.is_some()).then_some(Self {
            inner,
            at,
            full_while,
        })
    }

    /// Refuses as a full disk does.
    fn room(&self) -> Result<(), StoreError> {
        match &self.full_while {
            Some(file) if file.exists() => Err(StoreError::Failed(Box::new(
                Diagnostic::error("store.disk-full", "there is no room for the state").help("df -h"),
            ))),
            _ => Ok(()),
        }
    }

    fn written(&self, records: &[Record]) {
        if records.iter().any(|record| Some(record.seq) == self.at) {
            let me = nix::unistd::Pid::this();
            // Nothing runs after it: no destructor, no flush.
            let _ = nix::sys::signal::kill(me, nix::sys::signal::Signal::SIGKILL);
        }
    }
}

#[async_trait::async_trait]
impl Store for KillingStore {
    fn id(&self) -> &StoreId {
        self.inner.id()
    }

    async fn acquire(
        &self,
        holder: &Holder,
        now: Timestamp,
        length: Span,
        is_dead: &(dyn for<'a> Fn(&'a Holder) -> bool + Send + Sync),
    ) -> Result<Lease, LeaseError> {
        self.inner.acquire(holder, now, length, is_dead).await
    }

    async fn renew(&self, fence: &Fence, now: Timestamp, length: Span) -> Result<Lease, LeaseError> {
        self.room()?;
        self.inner.renew(fence, now, length).await
    }

    async fn release_lease(&self, fence: &Fence) -> Result<(), LeaseError> {
        self.inner.release_lease(fence).await
    }

    async fn put_release(&self, release: &Release) -> Result<(), StoreError> {
        self.inner.put_release(release).await
    }

    async fn release(&self, id: &ReleaseId) -> Result<Option<Release>, StoreError> {
        self.inner.release(id).await
    }

    async fn create(
        &self,
        fence: &Fence,
        id: &UpgradeId,
        plan: &Plan,
        first: &Event,
        now: Timestamp,
    ) -> Result<Record, StoreError> {
        let record = self.inner.create(fence, id, plan, first, now).await?;
        self.written(std::slice::from_ref(&record));
        Ok(record)
    }

    async fn append(
        &self,
        fence: Option<&Fence>,
        id: &UpgradeId,
        write: Append<'_>,
    ) -> Result<Vec<Record>, StoreError> {
        self.room()?;
        let records = self.inner.append(fence, id, write).await?;
        self.written(&records);
        Ok(records)
    }

    async fn records(&self, id: &UpgradeId, after: u64) -> Result<Vec<Record>, StoreError> {
        self.inner.records(id, after).await
    }

    async fn plan(&self, id: &UpgradeId) -> Result<Option<Plan>, StoreError> {
        self.inner.plan(id).await
    }

    async fn upgrades(&self, most: u32) -> Result<Vec<UpgradeHead>, StoreError> {
        self.inner.upgrades(most).await
    }

    async fn stable(&self) -> Result<Option<Stable>, StoreError> {
        self.inner.stable().await
    }

    async fn succeeded(&self) -> Result<Vec<Stable>, StoreError> {
        self.inner.succeeded().await
    }
}
