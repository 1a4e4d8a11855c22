//! A real database, empty, with files that are changed as a test goes, and a connection beside Cutover's own.

use std::sync::Arc;
use std::time::Duration;

use cutover_db::DatabaseUrl;
use cutover_migrate::{LockPolicy, MigrateDatabases, MigrationFile, Reach, from_files};
use cutover_model::{DatabaseName, Fence, Generation, Migration, Span, StoreId, Timestamp, Version};
use cutover_ports::{Clock, Databases, MigrateOptions, MigrationReport, PortError};
use cutover_spec::StoredFile;
use cutover_testkit::connect_mariadb;
use mysql_async::prelude::Queryable as _;
use rusqlite::Connection;
use tokio_postgres::NoTls;

#[derive(Debug)]
struct TestClock;

#[async_trait::async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }
    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.as_duration()).await;
    }
}

pub(crate) struct Bed {
    pub(crate) url: String,
    _folder: tempfile::TempDir,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    MariaDb,
}

pub(crate) async fn bed(kind: Kind) -> Option<Bed> {
    let folder = tempfile::tempdir().unwrap();
    let url = match kind {
        Kind::Sqlite => format!("sqlite:{}", folder.path().join("app.db").display()),
        Kind::Postgres => cutover_testkit::postgres_database().await?,
        Kind::MariaDb => cutover_testkit::mariadb_database().await?,
    };
    Some(Bed { url, _folder: folder })
}

pub(crate) fn main_db() -> DatabaseName {
    "main".parse().unwrap()
}

pub(crate) fn fence(generation: u64) -> Fence {
    Fence {
        store: StoreId::new("store-of-the-test"),
        generation: Generation(generation),
    }
}

pub(crate) fn options() -> MigrateOptions {
    MigrateOptions {
        release: Version::new(1, 1, 0),
        upgrade: None,
        by: "tester".to_owned(),
    }
}

/// Applies all that is pending, but contracts: what was applied, and what ended it early.
pub(crate) async fn up_all(databases: &MigrateDatabases) -> (Vec<MigrationReport>, Result<(), PortError>) {
    let mut done = Vec::new();
    let ended = databases
        .migrate_up(&fence(1), &main_db(), Reach::All, false, &options(), &mut done)
        .await;
    (done, ended)
}

/// Few and short tries, so that a test of a lock that is never had is quick.
pub(crate) fn impatient() -> LockPolicy {
    LockPolicy {
        tries: 3,
        first_timeout: Span::from_millis(100),
        last_timeout: Span::from_millis(150),
        first_pause: Span::from_millis(10),
        last_pause: Span::from_millis(20),
        wait_for_migrator: Span::from_millis(300),
        ..LockPolicy::default()
    }
}

impl Bed {
    pub(crate) fn kind(&self) -> Kind {
        match self.url.split_once(':') {
            Some(("sqlite", _)) => Kind::Sqlite,
            Some(("mariadb", _)) => Kind::MariaDb,
            _ => Kind::Postgres,
        }
    }

    /// Of a database that exists elsewhere, or nowhere.
    pub(crate) fn at(url: String) -> Self {
        Self {
            url,
            _folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn files(&self, files: &[(&str, &str)]) -> Vec<MigrationFile> {
        self.try_files(files).unwrap()
    }

    pub(crate) fn try_files(
        &self,
        files: &[(&str, &str)],
    ) -> Result<Vec<MigrationFile>, Vec<cutover_model::Diagnostic>> {
        let url: DatabaseUrl = self.url.parse().unwrap();
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| StoredFile {
                name: (*name).to_owned(),
                text: self.spelt(text),
            })
            .collect();
        from_files(&main_db(), &files, url.dialect())
    }

    pub(crate) fn databases(&self, files: &[(&str, &str)]) -> MigrateDatabases {
        self.databases_with(files, impatient())
    }

    /// With the default policy.
    pub(crate) fn patient(&self, files: &[(&str, &str)]) -> MigrateDatabases {
        self.databases_with(files, LockPolicy::default())
    }

    /// Names every transaction that is open, however short.
    pub(crate) fn suspicious(&self, files: &[(&str, &str)]) -> MigrateDatabases {
        let policy = LockPolicy {
            long_transaction: Span::ZERO,
            ..LockPolicy::default()
        };
        self.databases_with(files, policy)
    }

    /// Ends a statement that runs for so long.
    pub(crate) fn within(&self, limit: Span, files: &[(&str, &str)]) -> MigrateDatabases {
        let policy = LockPolicy {
            statement_timeout: Some(limit),
            ..LockPolicy::default()
        };
        self.databases_with(files, policy)
    }

    pub(crate) fn databases_with(&self, files: &[(&str, &str)], policy: LockPolicy) -> MigrateDatabases {
        MigrateDatabases::new(Arc::new(TestClock), policy).with(
            main_db(),
            self.url.parse().unwrap(),
            self.files(files),
        )
    }

    /// Applies one of the files, by its place, as the engine does.
    pub(crate) async fn up(
        &self,
        files: &[(&str, &str)],
        at: usize,
        generation: u64,
    ) -> Result<MigrationReport, PortError> {
        let migration: Migration = self.files(files)[at].migration.clone();
        self.databases(files)
            .up(&fence(generation), &migration, &options())
            .await
    }

    /// The same with the default policy: what is to succeed in the end must do so on a slow machine too.
    pub(crate) async fn up_patiently(
        &self,
        files: &[(&str, &str)],
        at: usize,
        generation: u64,
    ) -> Result<MigrationReport, PortError> {
        let migration: Migration = self.files(files)[at].migration.clone();
        self.databases_with(files, LockPolicy::default())
            .up(&fence(generation), &migration, &options())
            .await
    }

    /// What every database of the contract runs, in the words of this one.
    fn spelt(&self, text: &str) -> String {
        if self.url.starts_with("mariadb:") {
            text.replace(
                "first_name || ' ' || last_name",
                "concat(first_name, ' ', last_name)",
            )
        } else {
            text.to_owned()
        }
    }

    /// One number, asked beside Cutover.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.try_number(sql).await.unwrap()
    }

    pub(crate) async fn try_number(&self, sql: &str) -> Result<i64, String> {
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            let connection = Connection::open(path).unwrap();
            return connection
                .query_row(sql, [], |row| row.get(0))
                .map_err(|error| error.to_string());
        }
        if self.url.starts_with("mariadb:") {
            let mut connection = connect_mariadb(&self.url).await?;
            let row: Result<Option<i64>, _> = connection.query_first(sql).await;
            return row
                .map_err(|error| error.to_string())?
                .ok_or_else(|| "no row".to_owned());
        }
        let client = self.client().await;
        let row = client.query_one(sql, &[]).await;
        row.map(|row| row.get(0)).map_err(|error| error.to_string())
    }

    /// One text, asked beside Cutover.
    pub(crate) async fn text(&self, sql: &str) -> String {
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            let connection = Connection::open(path).unwrap();
            return connection.query_row(sql, [], |row| row.get(0)).unwrap();
        }
        if self.url.starts_with("mariadb:") {
            let mut connection = connect_mariadb(&self.url).await.unwrap();
            return connection.query_first(sql).await.unwrap().unwrap();
        }
        self.client().await.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Triggers and functions that a sync left behind.
    pub(crate) async fn leftovers(&self) -> i64 {
        let sql = if self.url.starts_with("sqlite:") {
            "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"
        } else if self.url.starts_with("mariadb:") {
            "SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
        } else {
            "SELECT (SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal)
                + (SELECT count(*) FROM pg_proc WHERE proname LIKE 'cutover_%')"
        };
        self.number(sql).await
    }

    pub(crate) async fn run(&self, sql: &str) {
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            let connection = Connection::open(path).unwrap();
            connection.busy_timeout(Duration::from_secs(5)).unwrap();
            connection.execute_batch(sql).unwrap();
        } else if self.url.starts_with("mariadb:") {
            let mut connection = connect_mariadb(&self.url).await.unwrap();
            connection.query_drop(sql).await.unwrap();
        } else {
            self.client().await.batch_execute(sql).await.unwrap();
        }
    }

    pub(crate) async fn client(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        // Ends with the client.
        drop(tokio::spawn(connection));
        client
    }

    pub(crate) async fn has_table(&self, name: &str) -> bool {
        let table = format!("SELECT count(*) FROM {name}");
        self.try_number(&table).await.is_ok()
    }
}
