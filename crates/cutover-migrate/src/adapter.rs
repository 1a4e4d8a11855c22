//! Which database does it: opens a session of the right kind and runs the common work on it.
//!
//! SQLite works on a thread of its own, because its calls block; the common code is the same.

use cutover_db::{DatabaseUrl, DbError};
use cutover_model::{DatabaseState, Diagnostic, Fence};
use cutover_ports::{MigrationReport, PortError};
use tokio::runtime::Handle;

use crate::failure::{Failure, plain};
use crate::history::{HistoryRow, LogEntry, Recorded};
use crate::job::Job;
use crate::lock::LockError;
use crate::mongodb::{self, Driver, MongoSession};
use crate::mysql::MysqlSession;
use crate::note::{self, Note, Pen};
use crate::postgres::PostgresSession;
use crate::session::{Session, SqlSession};
use crate::sqlite::{ObserveError, SqliteSession};
use crate::stop::{self, Stop};
use crate::{LockPolicy, fence, history, together};

/// What a database says of itself.
pub(crate) struct Observed {
    pub(crate) state: DatabaseState,
    pub(crate) history: Vec<HistoryRow>,
    pub(crate) has_log: bool,
}

pub(crate) fn db_error(what: &str, error: &DbError) -> PortError {
    let diagnostic = error.diagnostic().note("database", what);
    if error.is_transient() {
        PortError::transient(diagnostic)
    } else {
        PortError::refused(diagnostic)
    }
}

/// Runs blocking work, and answers as if its thread had failed when it panicked.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, PortError> + Send + 'static,
) -> Result<T, PortError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(PortError::unknown(
            Diagnostic::error("db.failed", format!("the work on {what} ended early: {error}"))
                .help("cutover status"),
        )),
    }
}

/// Nothing was written, so a broken connection leaves nothing unknown.
fn nothing(what: &str, failure: Failure) -> PortError {
    PortError {
        certainty: cutover_ports::Certainty::DefinitelyNot,
        ..plain(what, failure)
    }
}

/// Reads state and history; creates nothing.
pub(crate) async fn observe(what: &str, url: &DatabaseUrl, driver: &Driver) -> Result<Observed, PortError> {
    let recorded = match url {
        DatabaseUrl::Postgres(url) => {
            let mut session = PostgresSession::open(url, None)
                .await
                .map_err(|error| db_error(what, &error))?;
            session
                .observe()
                .await
                .map_err(|failure| nothing(what, failure))?
        }
        DatabaseUrl::Mysql(url) => {
            let mut session = MysqlSession::open(url, None)
                .await
                .map_err(|error| db_error(what, &error))?;
            session
                .observe()
                .await
                .map_err(|failure| nothing(what, failure))?
        }
        DatabaseUrl::Sqlite(url) => {
            let (path, name, handle) = (url.path.clone(), what.to_owned(), Handle::current());
            blocking(what, move || {
                handle
                    .block_on(SqliteSession::observe(&path))
                    .map_err(|error| match error {
                        ObserveError::Db(error) => db_error(&name, &error),
                        ObserveError::Failure(failure) => plain(&name, failure),
                    })
            })
            .await?
        }
        DatabaseUrl::Mongo(url) => {
            let mut session = MongoSession::open(what, url, driver).await?;
            session
                .observe()
                .await
                .map_err(|failure| nothing(what, failure))?
        }
    };
    let Recorded {
        mut state,
        meta,
        history,
        has_log,
    } = recorded;
    if let Some(meta) = &meta {
        fence::readable(what, meta)?;
    }
    state.applied = history.iter().map(HistoryRow::applied).collect();
    state.owner = meta.as_ref().map(|meta| meta.store.clone());
    state.retired_below = meta.and_then(|meta| meta.retired_below);
    Ok(Observed {
        state,
        history,
        has_log,
    })
}

/// What of several files was run, and what stopped it.
pub(crate) type Ran = (Vec<MigrationReport>, Option<PortError>);

/// Something that is read in one session, whatever the SQL database.
pub(crate) trait Reading: Send + 'static {
    /// What comes of it.
    type Read: Send + 'static;

    /// Reads it.
    async fn read<S: SqlSession>(self, session: &mut S) -> Result<Self::Read, Failure>;
}

/// Opens a session for it.
pub(crate) async fn read<R: Reading>(
    what: &str,
    url: &DatabaseUrl,
    reading: R,
) -> Result<R::Read, PortError> {
    match url {
        DatabaseUrl::Postgres(url) => {
            let mut session = PostgresSession::open(url, None)
                .await
                .map_err(|error| db_error(what, &error))?;
            let found = reading.read(&mut session).await;
            found.map_err(|failure| plain(what, failure))
        }
        DatabaseUrl::Mysql(url) => {
            let mut session = MysqlSession::open(url, None)
                .await
                .map_err(|error| db_error(what, &error))?;
            let found = reading.read(&mut session).await;
            found.map_err(|failure| plain(what, failure))
        }
        DatabaseUrl::Sqlite(url) => {
            let (path, name, handle) = (url.path.clone(), what.to_owned(), Handle::current());
            blocking(what, move || {
                let mut session = SqliteSession::open(&path).map_err(|error| db_error(&name, &error))?;
                let found = handle.block_on(reading.read(&mut session));
                found.map_err(|failure| plain(&name, failure))
            })
            .await
        }
        DatabaseUrl::Mongo(_) => Err(PortError::refused(
            Diagnostic::error(
                "db.unsupported",
                format!("{what} has no tables to read this from"),
            )
            .help("cutover migrate status"),
        )),
    }
}

/// All that was done to a database that has a log, oldest first.
pub(crate) async fn log(what: &str, url: &DatabaseUrl, driver: &Driver) -> Result<Vec<LogEntry>, PortError> {
    let DatabaseUrl::Mongo(own) = url else {
        return read(what, url, Log).await;
    };
    let mut session = MongoSession::open(what, own, driver).await?;
    session.entries().await.map_err(|failure| plain(what, failure))
}

struct Log;

impl Reading for Log {
    type Read = Vec<LogEntry>;

    async fn read<S: SqlSession>(self, session: &mut S) -> Result<Self::Read, Failure> {
        history::entries(session).await
    }
}

/// Runs files in order, under the migrators' lock and in one session; stops at the first that fails.
pub(crate) async fn run(url: &DatabaseUrl, driver: &Driver, jobs: Vec<Job>) -> Ran {
    let Some(first) = jobs.first() else {
        return (Vec::new(), None);
    };
    let what = first.what.clone();
    match url {
        DatabaseUrl::Postgres(url) => {
            match locked(url, &what, &first.fence, &first.policy, &first.stop).await {
                Ok(mut session) => one_by_one(&mut session, &jobs).await,
                Err(error) => (Vec::new(), Some(error)),
            }
        }
        DatabaseUrl::Mysql(url) => {
            match locked_mysql(url, &what, &first.fence, &first.policy, &first.stop).await {
                Ok(mut session) => one_by_one(&mut session, &jobs).await,
                Err(error) => (Vec::new(), Some(error)),
            }
        }
        DatabaseUrl::Sqlite(url) => {
            let (path, handle) = (url.path.clone(), Handle::current());
            let (name, stop) = (what.clone(), first.stop.clone());
            let all = blocking(&what, move || {
                let mut session = SqliteSession::open(&path).map_err(|error| db_error(&name, &error))?;
                session.stop_by(&stop);
                let interrupting = handle.spawn(session.interrupting());
                let done = handle.block_on(together::run(&mut session, &jobs));
                interrupting.abort();
                Ok(done)
            });
            all.await.unwrap_or_else(|error| (Vec::new(), Some(error)))
        }
        DatabaseUrl::Mongo(url) => {
            let wait = first.policy.wait_for_migrator;
            match mongodb::locked(url, driver, &what, &first.fence, wait, &first.stop).await {
                Ok(mut session) => {
                    let ran = one_by_one(&mut session, &jobs).await;
                    session.unlock().await;
                    ran
                }
                Err(error) => (Vec::new(), Some(error)),
            }
        }
    }
}

async fn one_by_one<S: Session>(session: &mut S, jobs: &[Job]) -> Ran {
    let mut done = Vec::with_capacity(jobs.len());
    for job in jobs {
        match next(session, job).await {
            Ok(report) => done.push(report),
            Err(error) => return (done, Some(error)),
        }
    }
    (done, None)
}

/// Runs the next file by itself.
pub(crate) async fn next<S: Session>(session: &mut S, job: &Job) -> Result<MigrationReport, PortError> {
    if job.stop.check().is_err() {
        return Err(stop::not_begun(&job.what));
    }
    if job.retire
        && let Some(version) = &job.file.migration.retires
    {
        let pen = Pen {
            what: job.what.clone(),
            dialect: job.dialect,
            fence: job.fence.clone(),
            policy: job.policy.clone(),
            stop: job.stop.clone(),
        };
        note::write(session, &pen, &Note::RetireBelow(version.clone())).await?;
    }
    session.file(job).await
}

async fn locked(
    url: &cutover_db::PostgresUrl,
    what: &str,
    fence: &Fence,
    policy: &LockPolicy,
    stop: &Stop,
) -> Result<PostgresSession, PortError> {
    let mut session = PostgresSession::open(url, Some(fence))
        .await
        .map_err(|error| db_error(what, &error))?;
    session.stop_by(stop);
    let turn = tokio::select! {
        turn = session.lock(what, fence, policy.wait_for_migrator) => turn,
        () = stop.wanted() => return Err(stop::not_begun(what)),
    };
    turn.map_err(|error| no_turn(what, error))?;
    Ok(session)
}

async fn locked_mysql(
    url: &cutover_db::MysqlUrl,
    what: &str,
    fence: &Fence,
    policy: &LockPolicy,
    stop: &Stop,
) -> Result<MysqlSession, PortError> {
    let mut session = MysqlSession::open(url, Some(fence))
        .await
        .map_err(|error| db_error(what, &error))?;
    session.stop_by(stop);
    let turn = tokio::select! {
        turn = session.lock(what, fence, policy.wait_for_migrator) => turn,
        () = stop.wanted() => return Err(stop::not_begun(what)),
    };
    turn.map_err(|error| no_turn(what, error))?;
    Ok(session)
}

fn no_turn(what: &str, error: LockError) -> PortError {
    match error {
        LockError::Failure(failure) => plain(what, failure),
        LockError::Held(error) => error,
    }
}

/// Changes the bookkeeping.
pub(crate) async fn note(url: &DatabaseUrl, driver: &Driver, pen: Pen, note: Note) -> Result<(), PortError> {
    match url {
        DatabaseUrl::Postgres(url) => {
            let mut session = locked(url, &pen.what, &pen.fence, &pen.policy, &pen.stop).await?;
            note::write(&mut session, &pen, &note).await
        }
        DatabaseUrl::Mysql(url) => {
            let mut session = locked_mysql(url, &pen.what, &pen.fence, &pen.policy, &pen.stop).await?;
            note::write(&mut session, &pen, &note).await
        }
        DatabaseUrl::Sqlite(url) => {
            let (path, what, handle) = (url.path.clone(), pen.what.clone(), Handle::current());
            blocking(&what, move || {
                let mut session = SqliteSession::open(&path).map_err(|error| db_error(&pen.what, &error))?;
                handle.block_on(note::write(&mut session, &pen, &note))
            })
            .await
        }
        DatabaseUrl::Mongo(url) => {
            let wait = pen.policy.wait_for_migrator;
            let mut session = mongodb::locked(url, driver, &pen.what, &pen.fence, wait, &pen.stop).await?;
            let written = note::write(&mut session, &pen, &note).await;
            session.unlock().await;
            written
        }
    }
}

/// Ends what other sessions have prepared, where that outlives a change of a table's columns: on PostgreSQL only. Says how many
/// sessions it were.
pub(crate) async fn recycle(url: &DatabaseUrl, pen: &Pen) -> Result<u64, PortError> {
    let DatabaseUrl::Postgres(url) = url else {
        return Ok(0);
    };
    let mut session = locked(url, &pen.what, &pen.fence, &pen.policy, &pen.stop).await?;
    let ended = session.end_idle().await;
    ended.map_err(|failure| plain(&pen.what, failure))
}
