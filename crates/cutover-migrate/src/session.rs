//! What a database must be able to do for migrations to run on it.

use std::time::Duration;

use crate::failure::Failure;

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

/// A session with a database that is held for one migration.
pub(crate) trait Session {
    /// What stands before the history's tables, so that a file that changes the search path does not hide them.
    fn prefix(&self) -> &str;

    /// Whether the history's tables are known to exist: set once a transaction that ensured them is committed.
    fn ensured(&mut self) -> &mut bool;

    /// Begins a transaction in which each statement waits so long for a lock, and so do those after it that run outside
    /// of one; zero is without end.
    async fn begin(&mut self, lock_timeout: Duration) -> Result<(), Failure>;

    /// Commits. `Lost` means that it is not known whether it did.
    async fn commit(&mut self) -> Result<(), Failure>;

    /// Ends the transaction, if there is one, without a trace.
    async fn rollback(&mut self);

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

/// A verify query that is none.
pub(crate) fn not_one_number() -> Failure {
    Failure::Statement {
        said: "it returns one row with one whole number, or it is no verify query".to_owned(),
        offset: None,
    }
}
