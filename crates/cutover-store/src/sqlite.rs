//! The store: the port's operations, each one transaction.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cutover_model::{
    Diagnostic, EnvironmentName, Event, Fence, Plan, Record, ReleaseId, Span, StoreId, Timestamp, UpgradeId,
    Version,
};
use cutover_ports::{Append, Holder, Lease, LeaseError, Stable, Store, StoreError, UpgradeHead};
use cutover_spec::Release;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::failure::Failure;
use crate::journal::{self, NewRecords, NewUpgrade, Place};
use crate::{codec, lease, open, promotion};

/// The state of one application in one environment, in a SQLite file. Clones share one connection; other processes have
/// their own.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    file: Arc<OpenFile>,
    environment: EnvironmentName,
}

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    id: StoreId,
    connection: Mutex<Connection>,
}

impl SqliteStore {
    /// Opens the file, makes it and its folder when they are missing (0600 and 0700; then `new_id` makes the store's
    /// identity), and brings an older format forward. Blocks for as long as that takes: milliseconds.
    ///
    /// # Errors
    /// [`StoreError::Failed`] with `store.newer-format`, `store.foreign` (another application's database),
    /// `store.damaged`, `store.read-only`, `store.cannot-open`, `store.disk-full` or `store.locked`.
    pub fn open(
        path: &Path,
        environment: EnvironmentName,
        new_id: impl FnOnce() -> StoreId,
    ) -> Result<Self, StoreError> {
        let (connection, id) = open::open(path, new_id).map_err(|failure| failure.into_store_error(path))?;
        Ok(Self {
            file: Arc::new(OpenFile {
                path: path.to_owned(),
                id,
                connection: Mutex::new(connection),
            }),
            environment,
        })
    }

    /// The same file, for another environment.
    #[must_use]
    pub fn in_environment(&self, environment: EnvironmentName) -> Self {
        Self {
            file: Arc::clone(&self.file),
            environment,
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Which environment this is the state of.
    #[must_use]
    pub const fn environment(&self) -> &EnvironmentName {
        &self.environment
    }

    /// Every environment that was ever controlled, sorted.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the file cannot be read.
    pub async fn environments(&self) -> Result<Vec<EnvironmentName>, StoreError> {
        self.read(|tx, _| {
            promotion::environments(tx)?
                .into_iter()
                .map(|name| codec::decode_word(name, "an environment's name"))
                .collect()
        })
        .await
    }

    /// Whether an upgrade to this version has succeeded in that environment: `requires: {succeededIn: …}`.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the file cannot be read.
    pub async fn succeeded_in(
        &self,
        environment: &EnvironmentName,
        version: &Version,
    ) -> Result<bool, StoreError> {
        let (environment, version) = (environment.clone(), version.clone());
        self.read(move |tx, _| promotion::succeeded_in(tx, environment.as_str(), &version))
            .await
    }

    /// Who holds the lease, as recorded, and until when: a look that takes nothing. The holder may be dead by now.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the file cannot be read.
    pub async fn holder(&self) -> Result<Option<(Holder, Timestamp)>, StoreError> {
        self.read(|tx, place| Ok(lease::read(tx, place.environment)?.held))
            .await
    }

    /// One transaction on a thread that may block. When the caller stops waiting it still ends whole.
    async fn transaction<T: Send + 'static>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>, &Place<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let Self { file, environment } = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            // A panic in another transaction has rolled it back: the connection is as good as before.
            let mut connection = file.connection.lock().unwrap_or_else(PoisonError::into_inner);
            let tx = connection.transaction_with_behavior(behavior)?;
            let place = Place {
                environment: environment.as_str(),
                store: &file.id,
            };
            let done = work(&tx, &place)?;
            tx.commit()?;
            Ok(done)
        });
        match task.await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Failure::refused(Diagnostic::error(
                "store.stopped",
                "the program ends: the state is not written any more",
            ))),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>, &Place<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.transaction(TransactionBehavior::Deferred, work)
            .await
            .map_err(|failure| failure.into_store_error(&self.file.path))
    }

    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>, &Place<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.transaction(TransactionBehavior::Immediate, work).await
    }

    fn store_error(&self, failure: Failure) -> StoreError {
        failure.into_store_error(&self.file.path)
    }

    fn lease_error(&self, failure: Failure) -> LeaseError {
        failure.into_lease_error(&self.file.path)
    }

    #[cfg(test)]
    pub(crate) fn with_connection<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        work(&self.file.connection.lock().unwrap())
    }
}

#[async_trait::async_trait]
impl Store for SqliteStore {
    fn id(&self) -> &StoreId {
        &self.file.id
    }

    async fn acquire(
        &self,
        holder: &Holder,
        now: Timestamp,
        length: Span,
        is_dead: &(dyn for<'a> Fn(&'a Holder) -> bool + Send + Sync),
    ) -> Result<Lease, LeaseError> {
        let until = length.after(now);
        loop {
            // Whether a holder lives is asked outside of the transaction; taking compares with what was read.
            let seen = self.read(|tx, place| lease::read(tx, place.environment)).await?;
            if let Some((other, held_until)) = &seen.held
                && other != holder
                && *held_until > now
                && !is_dead(other)
            {
                return Err(LeaseError::Held {
                    holder: other.clone(),
                    until: *held_until,
                });
            }
            let holder = holder.clone();
            let taken = self
                .write(move |tx, place| lease::take(tx, place.environment, &seen, &holder, until))
                .await
                .map_err(|failure| self.lease_error(failure))?;
            if let Some(generation) = taken {
                return Ok(Lease {
                    fence: Fence {
                        store: self.file.id.clone(),
                        generation,
                    },
                    until,
                });
            }
        }
    }

    async fn renew(&self, fence: &Fence, now: Timestamp, length: Span) -> Result<Lease, LeaseError> {
        let fence = fence.clone();
        self.write(move |tx, place| lease::renew(tx, place, &fence, now, length))
            .await
            .map_err(|failure| self.lease_error(failure))
    }

    async fn release_lease(&self, fence: &Fence) -> Result<(), LeaseError> {
        let fence = fence.clone();
        self.write(move |tx, place| lease::give_back(tx, place, &fence))
            .await
            .map_err(|failure| self.lease_error(failure))
    }

    async fn put_release(&self, release: &Release) -> Result<(), StoreError> {
        let (id, version) = (release.id.clone(), release.version.clone());
        let body = codec::encode(release).map_err(|failure| self.store_error(failure))?;
        self.write(move |tx, _| promotion::put_release(tx, &id, &version, &body))
            .await
            .map_err(|failure| self.store_error(failure))
    }

    async fn release(&self, id: &ReleaseId) -> Result<Option<Release>, StoreError> {
        let id = id.clone();
        self.read(move |tx, _| promotion::release(tx, &id)).await
    }

    async fn create(
        &self,
        fence: &Fence,
        id: &UpgradeId,
        plan: &Plan,
        first: &Event,
        now: Timestamp,
    ) -> Result<Record, StoreError> {
        let fence = fence.clone();
        let encoded = codec::encode(plan).and_then(|plan| Ok((plan, codec::encode(first)?)));
        let (plan_text, first_text) = encoded.map_err(|failure| self.store_error(failure))?;
        let new = NewUpgrade {
            id: id.clone(),
            from: plan.from.clone(),
            to: plan.to.clone(),
            plan: plan_text,
            first: first_text,
            now,
        };
        self.write(move |tx, place| journal::create(tx, place, &fence, &new))
            .await
            .map_err(|failure| self.store_error(failure))?;
        Ok(Record {
            seq: 1,
            at: now,
            event: first.clone(),
        })
    }

    async fn append(
        &self,
        fence: Option<&Fence>,
        id: &UpgradeId,
        write: Append<'_>,
    ) -> Result<Vec<Record>, StoreError> {
        let fence = fence.cloned();
        let events: Result<Vec<String>, Failure> = write.events.iter().map(codec::encode).collect();
        let new = NewRecords {
            id: id.clone(),
            expected: write.expected,
            events: events.map_err(|failure| self.store_error(failure))?,
            only_requests: write
                .events
                .iter()
                .all(|event| matches!(event, Event::Requested { .. })),
            phase: write.phase,
            promotion: write.promotion.cloned(),
            now: write.now,
        };
        self.write(move |tx, place| journal::append(tx, place, fence.as_ref(), &new))
            .await
            .map_err(|failure| self.store_error(failure))?;
        Ok((write.expected + 1..)
            .zip(write.events)
            .map(|(seq, event)| Record {
                seq,
                at: write.now,
                event: event.clone(),
            })
            .collect())
    }

    async fn records(&self, id: &UpgradeId, after: u64) -> Result<Vec<Record>, StoreError> {
        let id = id.clone();
        self.read(move |tx, place| journal::records(tx, place.environment, &id, after))
            .await
    }

    async fn plan(&self, id: &UpgradeId) -> Result<Option<Plan>, StoreError> {
        let id = id.clone();
        self.read(move |tx, place| journal::plan(tx, place.environment, &id))
            .await
    }

    async fn upgrades(&self, most: u32) -> Result<Vec<UpgradeHead>, StoreError> {
        self.read(move |tx, place| journal::heads(tx, place.environment, most))
            .await
    }

    async fn stable(&self) -> Result<Option<Stable>, StoreError> {
        let newest = self
            .read(|tx, place| promotion::stables(tx, place.environment, 1))
            .await?;
        Ok(newest.into_iter().next())
    }

    async fn succeeded(&self) -> Result<Vec<Stable>, StoreError> {
        self.read(|tx, place| promotion::stables(tx, place.environment, u32::MAX))
            .await
    }
}
