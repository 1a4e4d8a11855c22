//! A database, empty, with files that are changed as a test goes, and commands beside Cutover's own.

use std::sync::Arc;

use cutover_db::DatabaseUrl;
use cutover_migrate::{LockPolicy, MigrateDatabases, MigrationFile, Reach, from_files};
use cutover_migrate_mongodb::MongoDb;
use cutover_model::{DatabaseName, Diagnostic, Fence, Generation, Span, StoreId, Timestamp, Version};
use cutover_ports::{Clock, CommandDriver as _, CommandPlace, MigrateOptions, MigrationReport, PortError};
use cutover_spec::StoredFile;
use cutover_sql::Dialect;
use cutover_testkit::MongoStandIn;
use serde_json::Value;

pub(crate) type Files<'a> = &'a [(&'a str, &'a str)];

#[derive(Debug)]
pub(crate) struct TestClock;

#[async_trait::async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }
    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.as_duration()).await;
    }
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

/// Few and short tries, so that a test of a turn that is never had is quick.
pub(crate) fn impatient() -> LockPolicy {
    LockPolicy {
        tries: 2,
        first_pause: Span::from_millis(10),
        last_pause: Span::from_millis(20),
        wait_for_migrator: Span::from_millis(400),
        ..LockPolicy::default()
    }
}

pub(crate) fn read(files: Files<'_>) -> Result<Vec<MigrationFile>, Vec<Diagnostic>> {
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| StoredFile {
            name: (*name).to_owned(),
            text: (*text).to_owned(),
        })
        .collect();
    from_files(&main_db(), &files, Dialect::MongoDb)
}

pub(crate) fn databases_at(
    url: &str,
    files: Files<'_>,
    policy: LockPolicy,
    clock: Arc<dyn Clock>,
) -> MigrateDatabases {
    let url: DatabaseUrl = url.parse().unwrap();
    MigrateDatabases::new(clock, policy)
        .with_mongodb(Arc::new(MongoDb))
        .with(main_db(), url, read(files).unwrap())
}

pub(crate) struct Bed {
    pub(crate) server: MongoStandIn,
}

pub(crate) fn bed() -> Option<Bed> {
    let server = MongoStandIn::start().unwrap()?;
    Some(Bed { server })
}

impl Bed {
    pub(crate) fn url(&self) -> String {
        self.server.url("shop")
    }

    pub(crate) fn databases(&self, files: Files<'_>) -> MigrateDatabases {
        databases_at(&self.url(), files, impatient(), Arc::new(TestClock))
    }

    pub(crate) fn patient(&self, files: Files<'_>) -> MigrateDatabases {
        databases_at(&self.url(), files, LockPolicy::default(), Arc::new(TestClock))
    }

    pub(crate) async fn up(&self, files: Files<'_>) -> Result<Vec<MigrationReport>, PortError> {
        up(&self.databases(files), 1).await
    }

    pub(crate) async fn down(
        &self,
        files: Files<'_>,
        reach: Reach,
    ) -> Result<Vec<MigrationReport>, PortError> {
        let mut done = Vec::new();
        let databases = self.databases(files);
        databases
            .migrate_down(&fence(1), &main_db(), reach, &options(), &mut done)
            .await?;
        Ok(done)
    }

    /// A command beside Cutover's own.
    pub(crate) async fn run(&self, command: &str) -> Value {
        let session = MongoDb.open(&self.url()).await.unwrap();
        let answered = session.run(CommandPlace::Own, command).await.unwrap();
        serde_json::from_str(&answered).unwrap()
    }

    pub(crate) async fn count(&self, collection: &str, query: &str) -> i64 {
        let answered = self
            .run(&format!("{{\"count\": \"{collection}\", \"query\": {query}}}"))
            .await;
        answered["n"].as_i64().unwrap()
    }

    pub(crate) async fn document(&self, collection: &str, query: &str) -> Value {
        let answered = self
            .run(&format!("{{\"find\": \"{collection}\", \"filter\": {query}}}"))
            .await;
        answered["cursor"]["firstBatch"][0].clone()
    }

    pub(crate) async fn collections(&self) -> Vec<String> {
        let answered = self.run("{\"listCollections\": 1}").await;
        let all = answered["cursor"]["firstBatch"].as_array().unwrap().iter();
        let mut names: Vec<_> = all.map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }
}

pub(crate) async fn up(
    databases: &MigrateDatabases,
    generation: u64,
) -> Result<Vec<MigrationReport>, PortError> {
    let mut done = Vec::new();
    databases
        .migrate_up(
            &fence(generation),
            &main_db(),
            Reach::All,
            true,
            &options(),
            &mut done,
        )
        .await?;
    Ok(done)
}

pub(crate) fn note<'a>(diagnostic: &'a Diagnostic, key: &str) -> &'a str {
    let found = diagnostic.notes.iter().find(|(found, _)| found == key);
    found.map_or("", |(_, value)| value)
}
