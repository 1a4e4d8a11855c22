//! The port: databases by name, each with its URL and the files that are known of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use cutover_db::DatabaseUrl;
use cutover_model::{
    DatabaseName, DatabaseState, Diagnostic, Fence, Migration, MigrationId, MigrationPhase, SchemaRevision,
    Timestamp, Version,
};
use cutover_ports::{Clock, CommandDriver, Databases, MigrateOptions, MigrationReport, PortError};
use cutover_sql::Dialect;
use tokio::sync::watch;

use crate::adapter::{self, Observed, Ran};
use crate::job::Job;
use crate::mongodb::Driver;
use crate::note::{Note, Pen};
use crate::placeholders::Values;
use crate::stop::Stop;
use crate::{Direction, Faulty, LockPolicy, MigrationFile, check, runner, sessions};

/// The databases of an application, and how they are migrated.
#[derive(Clone)]
pub struct MigrateDatabases {
    pub(crate) known: BTreeMap<DatabaseName, Known>,
    clock: Arc<dyn Clock>,
    policy: LockPolicy,
    pub(crate) driver: Driver,
    stopper: watch::Sender<bool>,
}

#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) url: DatabaseUrl,
    pub(crate) files: Vec<Arc<MigrationFile>>,
    /// Those of the release that counts which cannot be run: a fault of another release's is told by its own.
    pub(crate) faulty: Vec<Faulty>,
    /// What is wrong with that release's folder and with no migration alone.
    pub(crate) wrong: Vec<Diagnostic>,
    pub(crate) values: Values,
    /// How long its locks are tried and its statements run, where it has settings of its own.
    pub(crate) policy: Option<LockPolicy>,
    /// Who migrates it instead of files.
    pub(crate) tool: Option<Arc<runner::Tool>>,
}

impl fmt::Debug for MigrateDatabases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.known.iter().map(|(name, known)| (name, &known.url)))
            .finish()
    }
}

impl MigrateDatabases {
    /// None yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, policy: LockPolicy) -> Self {
        Self {
            known: BTreeMap::new(),
            clock,
            policy,
            driver: None,
            stopper: watch::Sender::new(false),
        }
    }

    /// With what speaks to MongoDB: without it, its databases are refused.
    #[must_use]
    pub fn with_mongodb(mut self, driver: Arc<dyn CommandDriver>) -> Self {
        self.driver = Some(driver);
        self
    }

    /// Adds a database with the files of a release. Called again for another release of the same database, it adds
    /// those files that were not known by their content.
    #[must_use]
    pub fn with(mut self, name: DatabaseName, url: DatabaseUrl, files: Vec<MigrationFile>) -> Self {
        let known = self.known.entry(name).or_insert_with(|| Known {
            url: url.clone(),
            files: Vec::new(),
            faulty: Vec::new(),
            wrong: Vec::new(),
            values: Values::default(),
            policy: None,
            tool: None,
        });
        known.url = url;
        known.tool = None;
        let key = |file: &MigrationFile| (file.migration.id.clone(), file.migration.checksum.clone());
        let mut seen: BTreeSet<_> = known.files.iter().map(|file| key(file)).collect();
        for file in files {
            if seen.insert(key(&file)) {
                known.files.push(Arc::new(file));
            }
        }
        known.files.sort_by(|a, b| a.migration.id.cmp(&b.migration.id));
        self
    }

    /// Adds a database as [`Self::with`] does, with the files of the release that counts: of a file that runs again when it
    /// changes, the text that another release has is forgotten, and of any other the name that it has there.
    #[must_use]
    pub fn with_chosen(mut self, name: DatabaseName, url: DatabaseUrl, files: Vec<MigrationFile>) -> Self {
        if let Some(known) = self.known.get_mut(&name) {
            let again = |id: &MigrationId| {
                let mut all = files.iter().map(|file| &file.migration.id);
                all.any(|new| new.is_repeatable() && new.base() == id.base())
            };
            let numbers: BTreeMap<u64, &MigrationId> = files
                .iter()
                .map(|file| &file.migration.id)
                .filter(|id| !id.is_repeatable())
                .map(|id| (id.number, id))
                .collect();
            let kept = |old: &MigrationId| match numbers.get(&old.number) {
                Some(new) => old == *new,
                None => !old.is_repeatable() || !again(old),
            };
            known.files.retain(|old| kept(&old.migration.id));
        }
        self.with(name, url, files)
    }

    /// Gives a database that was added the files of the release that counts which cannot be run, and what is wrong with none of them
    /// alone: `status` tells of the files, nothing runs them, and what would need them to be sound refuses.
    #[must_use]
    pub fn with_faulty(mut self, name: &DatabaseName, faulty: Vec<Faulty>, wrong: Vec<Diagnostic>) -> Self {
        if let Some(known) = self.known.get_mut(name) {
            known.faulty = faulty;
            known.wrong = wrong;
        }
        self
    }

    /// Ends what runs, and what runs later, early: a statement is cancelled in its database, and nothing more is begun.
    /// Whoever waits for the work is told how far it came.
    pub fn stop(&self) {
        self.stopper.send_replace(true);
    }

    /// Gives a database that was added the values of the `${name}` in its files. They are put in when a statement or a
    /// query runs, and are in no checksum, history or message.
    #[must_use]
    pub fn with_placeholders(mut self, name: &DatabaseName, values: BTreeMap<String, String>) -> Self {
        if let Some(known) = self.known.get_mut(name) {
            known.values = Values::new(values, known.url.dialect());
        }
        self
    }

    /// Gives a database that was added how long its locks are tried and its statements run, in place of what holds for all.
    #[must_use]
    pub fn with_policy(mut self, name: &DatabaseName, policy: LockPolicy) -> Self {
        if let Some(known) = self.known.get_mut(name) {
            known.policy = Some(policy);
        }
        self
    }

    fn policy(&self, database: &DatabaseName) -> &LockPolicy {
        let own = self.known.get(database).and_then(|known| known.policy.as_ref());
        own.unwrap_or(&self.policy)
    }

    /// Takes a database over from the store that it belongs to: what `--adopt` asks for.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn adopt(&self, fence: &Fence, database: &DatabaseName) -> Result<(), PortError> {
        self.note(fence, database, Note::Adopt).await
    }

    pub(crate) fn find(&self, database: &DatabaseName) -> Result<&Known, PortError> {
        self.known.get(database).ok_or_else(|| {
            PortError::refused(
                Diagnostic::error("db.unknown", format!("there is no database `{database}`"))
                    .help("cutover check"),
            )
        })
    }

    pub(crate) async fn look(&self, database: &DatabaseName) -> Result<Observed, PortError> {
        adapter::observe(&what(database), &self.find(database)?.url, &self.driver).await
    }

    pub(crate) async fn note(
        &self,
        fence: &Fence,
        database: &DatabaseName,
        note: Note,
    ) -> Result<(), PortError> {
        let url = &self.find(database)?.url;
        adapter::note(url, &self.driver, self.pen(fence, database, url), note).await
    }

    fn pen(&self, fence: &Fence, database: &DatabaseName, url: &DatabaseUrl) -> Pen {
        Pen {
            what: what(database),
            dialect: url.dialect(),
            fence: fence.clone(),
            policy: self.policy(database).clone(),
            stop: Stop::by(&self.stopper),
        }
    }

    pub(crate) fn stop_by(&self) -> Stop {
        Stop::by(&self.stopper)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Runs files in order; stops at the first that fails.
    pub(crate) async fn run(
        &self,
        database: &DatabaseName,
        files: &[Arc<MigrationFile>],
        run: &Run<'_>,
    ) -> Result<Ran, PortError> {
        let known = self.find(database)?;
        let backfills: Arc<[Arc<MigrationFile>]> = known
            .files
            .iter()
            .filter(|file| file.migration.phase == MigrationPhase::Backfill)
            .cloned()
            .collect();
        let syncs: Arc<[cutover_sql::Sync]> = known
            .files
            .iter()
            .flat_map(|file| &file.syncs)
            .chain(known.faulty.iter().flat_map(|file| &file.syncs))
            .cloned()
            .collect();
        let jobs = files
            .iter()
            .map(|file| Job {
                what: what(database),
                dialect: known.url.dialect(),
                fence: run.fence.clone(),
                policy: self.policy(database).clone(),
                clock: Arc::clone(&self.clock),
                stop: Stop::by(&self.stopper),
                file: Arc::clone(file),
                values: known.values.clone(),
                backfills: Arc::clone(&backfills),
                syncs: Arc::clone(&syncs),
                options: run.options.clone(),
                direction: run.direction,
                retire: run.retire,
            })
            .collect();
        Ok(adapter::run(&known.url, &self.driver, jobs).await)
    }
}

/// How files are run.
pub(crate) struct Run<'a> {
    pub(crate) fence: &'a Fence,
    pub(crate) options: &'a MigrateOptions,
    pub(crate) direction: Direction,
    /// Whether `retired_below` is raised before each contract.
    pub(crate) retire: bool,
}

pub(crate) fn what(database: &DatabaseName) -> String {
    format!("database {database}")
}

#[async_trait::async_trait]
impl Databases for MigrateDatabases {
    async fn observe(&self, database: &DatabaseName) -> Result<DatabaseState, PortError> {
        Ok(self.look(database).await?.state)
    }

    async fn up(
        &self,
        fence: &Fence,
        migration: &Migration,
        options: &MigrateOptions,
    ) -> Result<MigrationReport, PortError> {
        let known = self.find(&migration.database)?;
        if migration.runner.is_some()
            && let Some(tool) = known.tool.clone()
        {
            return self.tool_up(fence, &migration.database, &tool, options).await;
        }
        let is_planned = |file: &&Arc<MigrationFile>| {
            file.migration.id == migration.id && file.migration.checksum == migration.checksum
        };
        let Some(file) = known.files.iter().find(is_planned) else {
            return Err(PortError::refused(
                Diagnostic::error(
                    "migrate.file-missing",
                    format!(
                        "the file of {} that was planned (checksum {}) is not there",
                        migration.id,
                        migration.checksum.short()
                    ),
                )
                .help("cutover plan VERSION"),
            ));
        };
        let file = Arc::clone(file);
        let run = Run {
            fence,
            options,
            direction: Direction::Up,
            retire: false,
        };
        let (mut done, failed) = self.run(&migration.database, &[file], &run).await?;
        match (done.pop(), failed) {
            (Some(report), None) => Ok(report),
            (_, Some(error)) => Err(error),
            (None, None) => Err(PortError::refused(
                Diagnostic::error("db.failed", format!("{} was not run", migration.id))
                    .help("cutover status"),
            )),
        }
    }

    async fn retire_below(
        &self,
        fence: &Fence,
        database: &DatabaseName,
        version: &Version,
    ) -> Result<(), PortError> {
        self.note(fence, database, Note::RetireBelow(version.clone()))
            .await
    }

    async fn recycle(&self, fence: &Fence, database: &DatabaseName) -> Result<u64, PortError> {
        let url = &self.find(database)?.url;
        adapter::recycle(url, &self.pen(fence, database, url)).await
    }

    async fn reopen(&self, fence: &Fence, migration: &Migration) -> Result<(), PortError> {
        let note = Note::Reopen(migration.id.clone(), self.clock.now(), "a way back".to_owned());
        self.note(fence, &migration.database, note).await
    }

    async fn revision(&self, database: &DatabaseName) -> Result<Option<SchemaRevision>, PortError> {
        self.where_it_is(database).await
    }

    async fn downgrade(
        &self,
        fence: &Fence,
        migration: &Migration,
        to: &SchemaRevision,
        options: &MigrateOptions,
    ) -> Result<MigrationReport, PortError> {
        self.tool_down(fence, migration, to, options).await
    }

    async fn look_over(&self, database: &DatabaseName, applied: &[MigrationId]) -> Vec<Diagnostic> {
        // SQLite has looked through it while each file ran, and to read all of it once more could keep writers waiting.
        if self
            .find(database)
            .is_ok_and(|known| known.url.dialect() == Dialect::Sqlite)
        {
            return Vec::new();
        }
        let found = self.examine(database, false, Some(applied)).await;
        found.unwrap_or_else(|error| vec![*error.diagnostic])
    }

    async fn check(&self, database: &DatabaseName) -> Vec<Diagnostic> {
        if self.tool(database).is_some() {
            let reached = self.look(database).await.map(drop);
            let asked = self.where_it_is(database).await.map(drop);
            let found = reached.err().or_else(|| asked.err());
            return found.map(|error| *error.diagnostic).into_iter().collect();
        }
        match (self.look(database).await, self.find(database)) {
            (Ok(observed), Ok(known)) => {
                let mut found = check::findings(&known.files, &observed.history, known.url.dialect());
                let pending: Vec<_> = known
                    .files
                    .iter()
                    .filter(|file| {
                        file.migration.phase != MigrationPhase::Contract
                            && !observed.state.has(&file.migration.id)
                    })
                    .cloned()
                    .collect();
                if !pending.is_empty() {
                    let longest = self.policy(database).long_transaction;
                    found.extend(sessions::look(&what(database), &known.url, longest, &pending).await);
                }
                found
            }
            (Err(error), _) | (_, Err(error)) => vec![*error.diagnostic],
        }
    }
}
