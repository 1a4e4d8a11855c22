//! Which database does it: opens a session of the right kind and runs the common work on it.
//!
//! SQLite works on a thread of its own, because its calls block; the common code is the same.

use cutover_db::{DatabaseUrl, DbError};
use cutover_model::{DatabaseState, Diagnostic, Fence, MigrationId, Timestamp, Version};
use cutover_ports::{MigrationReport, PortError};
use cutover_sql::Dialect;
use tokio::runtime::Handle;

use crate::failure::{Failure, plain};
use crate::fence::{self, Meta};
use crate::job::{self, Job};
use crate::postgres::{LockError, PostgresSession};
use crate::session::Session;
use crate::sqlite::{ObserveError, SqliteSession};
use crate::{HistoryRow, LockPolicy, history};

/// What a database says of itself.
pub(crate) struct Observed {
    pub(crate) state: DatabaseState,
    pub(crate) history: Vec<HistoryRow>,
}

fn db_error(what: &str, error: &DbError) -> PortError {
    let diagnostic = error.diagnostic().note("database", what);
    if error.is_transient() {
        PortError::transient(diagnostic)
    } else {
        PortError::refused(diagnostic)
    }
}

/// Runs blocking work, and answers as if its thread had failed when it panicked.
async fn blocking<T: Send + 'static>(
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

/// Reads state and history; creates nothing.
pub(crate) async fn observe(what: &str, url: &DatabaseUrl) -> Result<Observed, PortError> {
    let (mut state, history, meta) = match url {
        DatabaseUrl::Postgres(url) => {
            let mut session = PostgresSession::open(url, None)
                .await
                .map_err(|error| db_error(what, &error))?;
            // Nothing is written, so a broken connection leaves nothing unknown.
            session.observe().await.map_err(|failure| PortError {
                certainty: cutover_ports::Certainty::DefinitelyNot,
                ..plain(what, failure)
            })?
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
    };
    if let Some(meta) = &meta {
        fence::readable(what, meta)?;
    }
    state.applied = history.iter().map(HistoryRow::applied).collect();
    state.retired_below = meta.and_then(|meta| meta.retired_below);
    Ok(Observed { state, history })
}

/// Runs one file, under the migrators' lock.
pub(crate) async fn run(url: &DatabaseUrl, job: Job) -> Result<MigrationReport, PortError> {
    match url {
        DatabaseUrl::Postgres(url) => {
            let mut session = locked(url, &job.what, &job.fence, &job.policy).await?;
            job::run(&mut session, &job).await
        }
        DatabaseUrl::Sqlite(url) => {
            let (path, what, handle) = (url.path.clone(), job.what.clone(), Handle::current());
            blocking(&what, move || {
                let mut session = SqliteSession::open(&path).map_err(|error| db_error(&job.what, &error))?;
                handle.block_on(job::run(&mut session, &job))
            })
            .await
        }
    }
}

async fn locked(
    url: &cutover_db::PostgresUrl,
    what: &str,
    fence: &Fence,
    policy: &LockPolicy,
) -> Result<PostgresSession, PortError> {
    let mut session = PostgresSession::open(url, Some(fence))
        .await
        .map_err(|error| db_error(what, &error))?;
    session
        .lock(what, fence, policy.wait_for_migrator)
        .await
        .map_err(|error| match error {
            LockError::Failure(failure) => plain(what, failure),
            LockError::Held(error) => error,
        })?;
    Ok(session)
}

/// A change of the bookkeeping alone.
#[derive(Debug, Clone)]
pub(crate) enum Note {
    RetireBelow(Version),
    Reopen(MigrationId, Timestamp),
    /// Takes the database over from whatever store it belonged to.
    Adopt,
}

pub(crate) struct Writer<'a> {
    pub(crate) what: String,
    pub(crate) url: &'a DatabaseUrl,
    pub(crate) fence: &'a Fence,
    pub(crate) policy: &'a LockPolicy,
}

/// Changes the bookkeeping in one fenced transaction.
pub(crate) async fn note(writer: Writer<'_>, note: Note) -> Result<(), PortError> {
    let dialect = writer.url.dialect();
    let (what, fence, policy) = (writer.what, writer.fence.clone(), writer.policy.clone());
    match writer.url {
        DatabaseUrl::Postgres(url) => {
            let mut session = locked(url, &what, &fence, &policy).await?;
            patiently(&mut session, dialect, &what, &fence, &policy, &note).await
        }
        DatabaseUrl::Sqlite(url) => {
            let (path, handle) = (url.path.clone(), Handle::current());
            blocking(&what.clone(), move || {
                let mut session = SqliteSession::open(&path).map_err(|error| db_error(&what, &error))?;
                let work = patiently(&mut session, dialect, &what, &fence, &policy, &note);
                handle.block_on(work)
            })
            .await
        }
    }
}

async fn patiently<S: Session>(
    session: &mut S,
    dialect: Dialect,
    what: &str,
    fence: &Fence,
    policy: &LockPolicy,
    note: &Note,
) -> Result<(), PortError> {
    let mut attempt = 1;
    loop {
        let timeout = policy.timeout(attempt);
        let failure = match write(session, dialect, what, fence, timeout, note).await {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        session.rollback().await;
        if !matches!(failure, Failure::Locked { .. }) || attempt >= policy.tries {
            return Err(plain(what, failure));
        }
        tokio::time::sleep(policy.pause(attempt)).await;
        attempt += 1;
    }
}

async fn write<S: Session>(
    session: &mut S,
    dialect: Dialect,
    what: &str,
    fence: &Fence,
    timeout: std::time::Duration,
    note: &Note,
) -> Result<(), Failure> {
    session.begin(timeout).await?;
    history::ensure(session).await?;
    match note {
        Note::Adopt => adopt(session, dialect, what, fence).await?,
        Note::RetireBelow(version) => {
            let meta = job::claim(session, dialect, what, fence).await?;
            if meta.retired_below.as_ref().is_none_or(|old| old < version) {
                let retired_below = Some(version.clone());
                history::write_meta(
                    session,
                    &Meta {
                        retired_below,
                        ..meta
                    },
                )
                .await?;
            }
        }
        Note::Reopen(id, now) => {
            job::claim(session, dialect, what, fence).await?;
            let rows = history::all(session).await?;
            if let Some(row) = rows.into_iter().find(|row| row.id == *id && row.complete) {
                history::remove(session, id).await?;
                let row = HistoryRow {
                    complete: false,
                    reopened_at: Some(*now),
                    ..row
                };
                history::put(session, &row).await?;
            }
        }
    }
    session.commit().await
}

async fn adopt<S: Session>(
    session: &mut S,
    dialect: Dialect,
    what: &str,
    fence: &Fence,
) -> Result<(), Failure> {
    let found = history::meta(session, job::for_update(dialect)).await?;
    if let Some(meta) = &found {
        fence::readable(what, meta)?;
    }
    let meta = Meta {
        format: fence::FORMAT,
        store: fence.store.clone(),
        generation: fence.generation,
        retired_below: found.and_then(|meta| meta.retired_below),
    };
    history::write_meta(session, &meta).await
}
