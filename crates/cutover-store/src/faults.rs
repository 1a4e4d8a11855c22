//! Tests with a disk that is full, read-only or locked: faults that only the store's own connection can be given.

use std::time::Duration;

use cutover_model::{Command, Event, Fence, Span, StoreId, Timestamp, UpgradePhase};
use cutover_ports::{Append, Holder, LeaseError, Store, StoreError};
use rusqlite::Connection;

use crate::SqliteStore;
use crate::failure::Failure;

struct Faulty {
    _folder: tempfile::TempDir,
    store: SqliteStore,
    fence: Fence,
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn holder() -> Holder {
    Holder {
        host: "one".into(),
        boot: "b".into(),
        pid: 1,
        started: 1,
    }
}

fn id() -> cutover_model::UpgradeId {
    cutover_model::UpgradeId::new("u1")
}

impl Faulty {
    /// A store with an upgrade of one record.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let store = SqliteStore::open(&path, "production".parse().unwrap(), || StoreId::new("s")).unwrap();
        let lease = store
            .acquire(&holder(), now(), Span::from_secs(30), &|_| false)
            .await
            .unwrap();
        // The journal does not look into events or plans: an upgrade is made as its row.
        store.with_connection(|connection| {
            connection
                .execute_batch(
                    "INSERT INTO upgrades VALUES
                     (1, 'u1', 'production', NULL, '1.1.0', 'Running', 1, 0, '{}', '2027-01-15T08:00:00Z', '2027-01-15T08:00:00Z')",
                )
                .unwrap();
        });
        let faulty = Self {
            _folder: folder,
            store,
            fence: lease.fence,
        };
        faulty.append(0, 1).await.unwrap();
        faulty
    }

    async fn append(&self, expected: u64, count: usize) -> Result<usize, StoreError> {
        let event = Event::Requested {
            command: Command::Pause,
            by: "anna".into(),
            why: Some("x".repeat(3_000)),
        };
        let events = vec![event; count];
        let write = Append {
            expected,
            events: &events,
            phase: UpgradePhase::Running,
            promotion: None,
            now: Span::from_secs(expected).after(now()),
        };
        let records = self.store.append(Some(&self.fence), &id(), write).await?;
        Ok(records.len())
    }

    async fn seqs(&self) -> Vec<u64> {
        let records = self.store.records(&id(), 0).await.unwrap();
        records.iter().map(|record| record.seq).collect()
    }

    fn pragma(&self, sql: &str) {
        self.store
            .with_connection(|connection| connection.execute_batch(sql))
            .unwrap();
    }
}

fn diagnostic<T: std::fmt::Debug>(result: Result<T, StoreError>) -> cutover_model::Diagnostic {
    match result {
        Err(StoreError::Failed(diagnostic)) => *diagnostic,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn when_the_disk_is_full_nothing_is_half_written_and_it_goes_on_afterwards() {
    let faulty = Faulty::new().await;
    let pages: i64 = faulty.store.with_connection(|connection| {
        connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap()
    });
    faulty.pragma(&format!("PRAGMA max_page_count = {}", pages + 3));
    // The first of these records would still fit.
    let full = diagnostic(faulty.append(1, 50).await);
    assert_eq!(full.code, "store.disk-full");
    assert!(full.help.unwrap().starts_with("df -h "));
    assert_eq!(faulty.seqs().await, [1]);
    let head = faulty.store.upgrades(1).await.unwrap().remove(0);
    assert_eq!(head.updated_at, now(), "the row of the upgrade is as it was");

    faulty.pragma("PRAGMA max_page_count = 100000");
    assert_eq!(faulty.append(1, 50).await.unwrap(), 50);
    assert_eq!(faulty.seqs().await.len(), 51);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_said_and_can_be_read() {
    let faulty = Faulty::new().await;
    faulty.pragma("PRAGMA query_only = ON");
    let said = diagnostic(faulty.append(1, 1).await);
    assert_eq!(said.code, "store.read-only");
    assert!(said.help.is_some());
    assert_eq!(faulty.seqs().await, [1]);
    let lease = faulty.store.renew(&faulty.fence, now(), Span::from_secs(1)).await;
    assert!(matches!(lease, Err(LeaseError::Store(StoreError::Failed(_)))));
}

#[tokio::test]
async fn a_file_that_stays_locked_is_said_and_can_be_read() {
    let faulty = Faulty::new().await;
    faulty.store.with_connection(|connection| {
        connection.busy_timeout(Duration::from_millis(20)).unwrap();
    });
    let other = Connection::open(faulty.store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let said = diagnostic(faulty.append(1, 1).await);
    assert_eq!(said.code, "store.locked");
    assert!(said.help.is_some());
    assert_eq!(faulty.seqs().await, [1]);
    other.execute_batch("ROLLBACK").unwrap();
    faulty.append(1, 1).await.unwrap();
}

#[tokio::test]
async fn a_damaged_page_is_said() {
    let faulty = Faulty::new().await;
    faulty.append(1, 20).await.unwrap();
    faulty.pragma("PRAGMA wal_checkpoint(TRUNCATE)");
    let path = faulty.store.path().to_owned();
    let mut bytes = std::fs::read(&path).unwrap();
    // All but the header's page, which says that it is a database of ours.
    bytes[4_096..].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    let read = match SqliteStore::open(&path, "production".parse().unwrap(), || StoreId::new("s")) {
        Ok(store) => store.records(&id(), 0).await.map(|records| records.len()),
        Err(error) => Err(error),
    };
    let said = diagnostic(read);
    assert_eq!(said.code, "store.damaged");
    assert!(said.help.unwrap().contains("integrity_check"));
}

#[tokio::test]
async fn a_transaction_that_panics_leaves_the_store_usable() {
    let faulty = Faulty::new().await;
    let store = faulty.store.clone();
    let task = tokio::spawn(async move { store.panic_while_writing().await });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(faulty.seqs().await, [1]);
    faulty.append(1, 1).await.unwrap();
}

impl SqliteStore {
    async fn panic_while_writing(&self) -> Result<(), Failure> {
        self.write(|tx, _| {
            tx.execute_batch("INSERT INTO records VALUES (1, 2, 'now', '{}')")?;
            panic!("a bug")
        })
        .await
    }
}
