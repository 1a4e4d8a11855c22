//! SQLite: one writer at a time, by the file's own lock.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cutover_db::{SqliteMode, disk_full, is_busy, open_sqlite, sqlite_message};
use cutover_model::DatabaseState;
use cutover_sql::Dialect;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, ErrorCode, params_from_iter};
use tokio::time::Instant;

use crate::failure::{Blocker, Failure};
use crate::history::Recorded;
use crate::session::{IndexState, SqlSession, TextRow};
use crate::stop::Stop;

/// After so many of its own steps SQLite is asked whether it may go on: some hundred times a second and more.
const STEPS: i32 = 10_000;

/// Between two interruptions: one that comes between two statements is lost.
const INTERRUPT: Duration = Duration::from_millis(50);

/// Without this word nothing makes a foreign key.
const REFERENCES: &[u8] = b"references";

pub(crate) struct SqliteSession {
    connection: Connection,
    path: PathBuf,
    limit: Option<Duration>,
    stop: Stop,
    ensured: bool,
    /// The state of the file in which it had no foreign key, as far as others change it.
    refers_to_nothing: Option<i64>,
    /// Whether that was asked in the open transaction.
    asked_in_this: bool,
}

impl SqliteSession {
    /// Opens the file, and makes it when it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, cutover_db::DbError> {
        let connection = open_sqlite(path, SqliteMode::Write)?;
        let session = Self {
            connection,
            path: path.to_owned(),
            limit: None,
            stop: Stop::never(),
            ensured: false,
            refers_to_nothing: None,
            asked_in_this: false,
        };
        // Tables are rebuilt by migrations (SQLite's own procedure, lang_altertable.html §7): with foreign keys on, a
        // DROP TABLE would delete what points to it. What is left pointing nowhere is counted instead.
        drop(session.connection.pragma_update(None, "foreign_keys", false));
        Ok(session)
    }

    /// What may end its statements early.
    pub(crate) fn stop_by(&mut self, stop: &Stop) {
        self.stop = stop.clone();
    }

    /// Interrupts, from another thread, whatever runs once it is to end early: its calls block.
    pub(crate) fn interrupting(&self) -> impl Future<Output = ()> + Send + 'static {
        let (handle, stop) = (self.connection.get_interrupt_handle(), self.stop.clone());
        async move {
            stop.wanted().await;
            loop {
                handle.interrupt();
                tokio::time::sleep(INTERRUPT).await;
            }
        }
    }

    /// A database of its own that is gone with the session.
    pub(crate) fn in_memory() -> Result<Self, Failure> {
        let connection = Connection::open_in_memory().map_err(|error| Failure::Statement {
            said: sqlite_message(&error),
            offset: None,
        })?;
        // As in a session that migrates.
        drop(connection.pragma_update(None, "foreign_keys", false));
        Ok(Self {
            connection,
            path: PathBuf::from(":memory:"),
            limit: None,
            stop: Stop::never(),
            ensured: false,
            refers_to_nothing: None,
            asked_in_this: false,
        })
    }

    /// Reads without leaving a trace; a database that does not exist has no history.
    pub(crate) async fn observe(path: &Path) -> Result<Recorded, ObserveError> {
        let server = format!("SQLite {}", rusqlite::version());
        let mut state = DatabaseState {
            server,
            size: Some(0),
            ..DatabaseState::default()
        };
        if !path.exists() {
            return Ok(Recorded::nothing(state));
        }
        let connection = open_sqlite(path, SqliteMode::Read).map_err(ObserveError::Db)?;
        let mut session = Self {
            connection,
            path: path.to_owned(),
            limit: None,
            stop: Stop::never(),
            ensured: false,
            refers_to_nothing: None,
            asked_in_this: false,
        };
        let wait = Duration::from_secs(5);
        drop(session.connection.busy_timeout(wait));
        session.run("BEGIN").map_err(ObserveError::Failure)?;
        let size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        let size = session.count(size).await.map_err(ObserveError::Failure)?;
        state.size = u64::try_from(size).ok();
        let has = |session: &Self, table: &str| {
            let sql = format!("SELECT count(*) FROM main.sqlite_master WHERE name = '{table}'");
            let found = session.single(&sql).map_err(|error| session.failure(&error));
            found
                .map(|count| count.is_some_and(|count| count > 0))
                .map_err(ObserveError::Failure)
        };
        if !has(&session, "cutover_history")? {
            return Ok(Recorded::nothing(state));
        }
        let has_log = has(&session, "cutover_log")?;
        Recorded::read(&mut session, Dialect::Sqlite, state, has_log)
            .await
            .map_err(ObserveError::Failure)
    }

    fn run(&self, sql: &str) -> Result<(), Failure> {
        self.connection
            .execute_batch(sql)
            .map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &Error) -> Failure {
        let said = sqlite_message(error);
        if is_busy(error) {
            return Failure::Locked {
                said,
                blockers: holders(&self.path),
            };
        }
        if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) {
            return Failure::Stopped(said);
        }
        if matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
        ) {
            return Failure::Denied(said, Some(format!("chmod u+w {}", self.path.display())));
        }
        if disk_full(error) {
            return Failure::DiskFull(said);
        }
        let offset = match error {
            Error::SqlInputError { offset, .. } => usize::try_from(*offset).ok(),
            _ => None,
        };
        Failure::Statement { said, offset }
    }

    fn query(&self, sql: &str, params: &[Option<String>]) -> Result<Vec<TextRow>, Error> {
        // The history's few statements run again for every file.
        let mut statement = self.connection.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(params))?;
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            out.push(
                (0..columns)
                    .map(|column| row.get::<_, Option<String>>(column))
                    .collect::<Result<_, _>>()?,
            );
        }
        Ok(out)
    }

    /// Does something that may take no longer than a statement may.
    fn within_its_time<T>(&mut self, work: impl FnOnce(&Self) -> Result<T, Failure>) -> Result<T, Failure> {
        let Some(limit) = self.limit else {
            return work(self);
        };
        let end = Instant::now() + limit;
        let watched = self
            .connection
            .progress_handler(STEPS, Some(move || Instant::now() > end));
        watched.map_err(|error| self.failure(&error))?;
        let done = work(self);
        drop(self.connection.progress_handler(0, None::<fn() -> bool>));
        done.map_err(|failure| {
            if Instant::now() > end {
                failure.out_of_time(limit, Vec::new())
            } else {
                failure
            }
        })
    }

    fn run_any(&self, sql: &str) -> Result<u64, Error> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(self.connection.changes())
    }

    /// Whether there are foreign keys: to count what points nowhere looks at every table, before and after each file.
    fn has_references(&mut self) -> Result<bool, Failure> {
        // Within a transaction nobody else changes the file.
        if self.asked_in_this && self.refers_to_nothing.is_some() {
            return Ok(false);
        }
        self.asked_in_this = true;
        let version = self.number("PRAGMA data_version")?;
        if version.is_some() && version == self.refers_to_nothing {
            return Ok(false);
        }
        let sql =
            "SELECT EXISTS (SELECT 1 FROM main.sqlite_master WHERE instr(lower(sql), 'references') > 0)";
        let found = self.number(sql)? != Some(0);
        self.refers_to_nothing = version.filter(|_| !found);
        Ok(found)
    }

    fn number(&self, sql: &str) -> Result<Option<i64>, Failure> {
        let asked = self.connection.prepare_cached(sql);
        let asked = asked.and_then(|mut statement| statement.query_row([], |row| row.get(0)));
        asked.map_err(|error| self.failure(&error))
    }

    fn single(&self, query: &str) -> Result<Option<i64>, Error> {
        let mut statement = self.connection.prepare(query)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        let value = match rows.next()? {
            Some(row) if columns == 1 => match row.get_ref(0)? {
                ValueRef::Integer(value) => Some(value),
                _ => None,
            },
            _ => None,
        };
        Ok(if rows.next()?.is_some() { None } else { value })
    }
}

/// Why a database could not be observed.
pub(crate) enum ObserveError {
    Db(cutover_db::DbError),
    Failure(Failure),
}

impl SqlSession for SqliteSession {
    fn prefix(&self) -> &'static str {
        "main."
    }

    fn tables_end(&self) -> &'static str {
        // One tree each instead of two: every file's commit writes fewer pages.
        " WITHOUT ROWID"
    }

    fn ensured(&mut self) -> &mut bool {
        &mut self.ensured
    }

    fn limit(&mut self, most: Option<Duration>) {
        self.limit = most;
    }

    async fn begin(&mut self, lock_timeout: Duration) -> Result<(), Failure> {
        self.connection
            .busy_timeout(lock_timeout)
            .map_err(|error| self.failure(&error))?;
        self.asked_in_this = false;
        self.run("BEGIN IMMEDIATE")
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        self.run("COMMIT")
    }

    async fn rollback(&mut self) {
        // The tables that had foreign keys may be back.
        self.refers_to_nothing = None;
        if !self.connection.is_autocommit() {
            drop(self.connection.execute_batch("ROLLBACK"));
        }
    }

    async fn execute(&mut self, statement: &str) -> Result<u64, Failure> {
        self.stop.check()?;
        let names_keys = |text: &[u8]| {
            let mut words = text.windows(REFERENCES.len());
            words.any(|word| word.eq_ignore_ascii_case(REFERENCES))
        };
        if self.refers_to_nothing.is_some() && names_keys(statement.as_bytes()) {
            self.refers_to_nothing = None;
        }
        self.within_its_time(|own| own.run_any(statement).map_err(|error| own.failure(&error)))
    }

    async fn rows(&mut self, sql: &str, params: &[Option<String>]) -> Result<Vec<TextRow>, Failure> {
        self.query(sql, params).map_err(|error| self.failure(&error))
    }

    async fn rows_as_written(&mut self, sql: &str) -> Result<Vec<TextRow>, Failure> {
        self.within_its_time(|own| own.query(sql, &[]).map_err(|error| own.failure(&error)))
    }

    async fn count(&mut self, query: &str) -> Result<i64, Failure> {
        let found = self.within_its_time(|own| own.single(query).map_err(|error| own.failure(&error)));
        found?.ok_or_else(crate::session::not_one_number)
    }

    async fn broken_references(&mut self) -> Result<Option<u64>, Failure> {
        if !self.has_references()? {
            return Ok(Some(0));
        }
        let rows = self.single("SELECT count(*) FROM pragma_foreign_key_check");
        match rows.map_err(|error| self.failure(&error)) {
            Ok(rows) => Ok(rows.and_then(|rows| u64::try_from(rows).ok())),
            // A foreign key to columns that are no key is an error of its own ("foreign key mismatch"), which the
            // application lives with already.
            Err(Failure::Statement { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    async fn index(&mut self, _name: &str) -> Result<IndexState, Failure> {
        // SQLite builds its indexes whole or not at all.
        Ok(IndexState::Missing)
    }

    async fn shape(&mut self) -> Result<Option<String>, Failure> {
        // What runs in a transaction is never in doubt here.
        Ok(None)
    }
}

/// Who holds locks on the file, as the kernel tells: SQLite does not know.
fn holders(path: &Path) -> Vec<Blocker> {
    let shared_memory = {
        let mut name = path.as_os_str().to_owned();
        name.push("-shm");
        PathBuf::from(name)
    };
    let inodes: Vec<String> = [path, &shared_memory]
        .iter()
        .filter_map(|file| std::fs::metadata(file).ok())
        .map(|file| format!(":{}", file.ino()))
        .collect();
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let mut pids: Vec<&str> = locks
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.contains(&"WRITE"))
        .filter(|words| {
            words
                .get(5)
                .is_some_and(|file| inodes.iter().any(|inode| file.ends_with(inode.as_str())))
        })
        .filter_map(|words| words.get(4).copied())
        .filter(|pid| pid.parse::<u32>().is_ok())
        .collect();
    pids.sort_unstable();
    pids.dedup();
    pids.into_iter()
        .map(|pid| Blocker {
            pid: pid.to_owned(),
            application: std::fs::read_to_string(format!("/proc/{pid}/comm"))
                .map(|name| name.trim().to_owned())
                .unwrap_or_default(),
            ..Blocker::default()
        })
        .collect()
}
