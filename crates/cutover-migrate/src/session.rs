//! What a database must be able to do for migrations to run on it: [`Session`], whatever it is spoken to in, and
//! [`SqlSession`], from which all of that follows where it is SQL.

use std::time::Duration;

use cutover_ports::{MigrationReport, PortError};

use crate::failure::{Failure, plain};
use crate::job::{self, Job};
use crate::placeholders::Filling;
use crate::records::Records;
use crate::{HistoryRow, LogEntry, concurrent, history, triggers};

/// A row of texts: the history's statements cast everything to text, so that one statement serves every database.
pub(crate) type TextRow = Vec<Option<String>>;

/// A statement of the history's own.
pub(crate) struct Query {
    pub(crate) sql: String,
    pub(crate) params: Vec<Option<String>>,
}

/// How an index stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IndexState {
    Missing,
    Valid,
    /// Left over by a build that was interrupted.
    Invalid,
}

/// A statement that may have run: it is on record as begun, and not as finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// Whether the database looks other than before it was begun, where that was recorded.
    pub(crate) changed: bool,
}

/// What is done with a statement outside of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    Run,
    /// This in its place, which does only what is missing.
    Instead(String),
    /// It has happened already.
    Done,
}

/// A session with a database that is held for one migration.
pub(crate) trait Session: Records {
    /// Runs a file.
    async fn file(&mut self, job: &Job) -> Result<MigrationReport, PortError>;

    /// Whether the history is known to have a place: set once what made it is committed.
    fn ensured(&mut self) -> &mut bool;

    /// Begins what [`Self::commit`] ends: a transaction where there are such, and otherwise the proof that this session still is
    /// the one that may write.
    async fn begin(&mut self, lock_timeout: Duration) -> Result<(), Failure>;

    /// Commits. `Lost` means that it is not known whether it did.
    async fn commit(&mut self) -> Result<(), Failure>;

    /// The last of a transaction: a row and the entry in the log that says what came of it, and the commit, which is
    /// [`Failure::Uncommitted`] where it alone fails. `is_new`: nothing is on record of the file.
    async fn put_log_and_commit(
        &mut self,
        row: &HistoryRow,
        entry: &LogEntry,
        is_new: bool,
    ) -> Result<(), Failure>;

    /// Ends the transaction, if there is one, without a trace.
    async fn rollback(&mut self);

    /// Runs one statement of a file, and answers the number of rows that the database counted.
    async fn execute(&mut self, statement: &str) -> Result<u64, Failure>;

    /// The single number that a verify query returns.
    async fn count(&mut self, query: &str) -> Result<i64, Failure>;

    /// A digest of all that such a statement can change besides rows, where it commits by itself; none elsewhere.
    async fn shape(&mut self, statement: &str) -> Result<Option<String>, Failure>;

    /// Before a statement: nothing that the file declares is in its way.
    async fn ready(&mut self, job: &Job, statement: &str) -> Result<(), Failure>;

    /// What to do with a statement that is about to run outside of a transaction. Asked once more when it failed, it takes away
    /// what the statement left half-done.
    async fn next(&mut self, job: &Job, statement: &str, doubt: Option<Doubt>) -> Result<Next, Failure>;
}

impl<S: SqlSession> Session for S {
    async fn file(&mut self, job: &Job) -> Result<MigrationReport, PortError> {
        self.limit(job.limit());
        let fresh = self.another_file().await;
        fresh.map_err(|failure| plain(&job.what, failure))?;
        let mut filling = Filling {
            session: self,
            values: &job.values,
        };
        job::run(&mut filling, job).await
    }

    fn ensured(&mut self) -> &mut bool {
        SqlSession::ensured(self)
    }

    async fn begin(&mut self, lock_timeout: Duration) -> Result<(), Failure> {
        SqlSession::begin(self, lock_timeout).await
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        SqlSession::commit(self).await
    }

    async fn put_log_and_commit(
        &mut self,
        row: &HistoryRow,
        entry: &LogEntry,
        is_new: bool,
    ) -> Result<(), Failure> {
        history::put_log_and_commit(self, row, entry, is_new).await
    }

    async fn rollback(&mut self) {
        SqlSession::rollback(self).await;
    }

    async fn execute(&mut self, statement: &str) -> Result<u64, Failure> {
        SqlSession::execute(self, statement).await
    }

    async fn count(&mut self, query: &str) -> Result<i64, Failure> {
        SqlSession::count(self, query).await
    }

    async fn shape(&mut self, _statement: &str) -> Result<Option<String>, Failure> {
        SqlSession::shape(self).await
    }

    async fn ready(&mut self, job: &Job, statement: &str) -> Result<(), Failure> {
        triggers::before(self, job, statement).await
    }

    async fn next(&mut self, job: &Job, statement: &str, doubt: Option<Doubt>) -> Result<Next, Failure> {
        let changed = doubt.is_some_and(|doubt| doubt.changed);
        let done = changed || concurrent::happened(self, job, statement, doubt.is_some()).await?;
        Ok(if done { Next::Done } else { Next::Run })
    }
}

/// The same, spoken to in SQL.
pub(crate) trait SqlSession {
    /// What stands before the history's tables, so that a file that changes the search path does not hide them.
    fn prefix(&self) -> &str;

    /// What ends the statements that make the history's tables.
    fn tables_end(&self) -> &'static str {
        ""
    }

    /// Whether the history's tables are known to exist: set once a transaction that ensured them is committed.
    fn ensured(&mut self) -> &mut bool;

    /// How long each statement and query of a file may run from now on.
    fn limit(&mut self, most: Option<Duration>);

    /// Begins a transaction in which each statement waits so long for a lock, and so do those after it that run outside
    /// of one; zero is without end.
    async fn begin(&mut self, lock_timeout: Duration) -> Result<(), Failure>;

    /// Commits. `Lost` means that it is not known whether it did.
    async fn commit(&mut self) -> Result<(), Failure>;

    /// Ends the transaction, if there is one, without a trace.
    async fn rollback(&mut self);

    /// Before the first statement of a file: what another one said of the session holds no longer, where that would get in the way
    /// of the history.
    async fn another_file(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Runs one statement of a file, in the open transaction or outside, and answers the number of rows that the
    /// database counted.
    async fn execute(&mut self, statement: &str) -> Result<u64, Failure>;

    /// A statement of the history's own.
    async fn rows(&mut self, sql: &str, params: &[Option<String>]) -> Result<Vec<TextRow>, Failure>;

    /// Two statements of the history's own, the second of which does not depend on what the first answers; sent together
    /// where the database can.
    async fn both(&mut self, first: &Query, second: &Query) -> Result<(Vec<TextRow>, Vec<TextRow>), Failure> {
        let rows = self.rows(&first.sql, &first.params).await?;
        Ok((rows, self.rows(&second.sql, &second.params).await?))
    }

    /// The same, and the commit of the transaction.
    async fn both_and_commit(&mut self, first: &Query, second: &Query) -> Result<(), Failure> {
        self.both(first, second).await?;
        self.commit().await.map_err(uncommitted)
    }

    /// A query without parameters, of a file's own tables: a `?` in it is an operator.
    async fn rows_as_written(&mut self, sql: &str) -> Result<Vec<TextRow>, Failure>;

    /// The single number that a verify query returns.
    async fn count(&mut self, query: &str) -> Result<i64, Failure>;

    /// Rows whose foreign key points nowhere, where the database does not watch over them while a file runs; none where
    /// it does, or cannot tell.
    async fn broken_references(&mut self) -> Result<Option<u64>, Failure>;

    /// How an index stands.
    async fn index(&mut self, name: &str) -> Result<IndexState, Failure>;

    /// A digest of all that DDL can change, where a statement of DDL commits by itself; none elsewhere.
    async fn shape(&mut self) -> Result<Option<String>, Failure>;
}

/// What a commit that failed says.
pub(crate) fn uncommitted(failure: Failure) -> Failure {
    match failure {
        Failure::Statement { said, .. } => Failure::Uncommitted(said),
        other => other,
    }
}

/// A verify query that is none.
pub(crate) fn not_one_number() -> Failure {
    Failure::Statement {
        said: "it returns one row with one whole number, or it is no verify query".to_owned(),
        offset: None,
    }
}
