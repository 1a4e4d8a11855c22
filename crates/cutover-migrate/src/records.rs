//! What is on record in a database: the same in each, whatever it is written in.
//!
//! Where there are transactions, several of these are one; where there are none, each is whole by itself, and that is why a
//! row and the log of what came of it are one call.

use cutover_model::{Digest, MigrationId, Span, Timestamp};
use cutover_sql::Dialect;

use crate::failure::Failure;
use crate::fence::Meta;
use crate::history::{self, HistoryRow, LogEntry, Step, StepKey};
use crate::job;
use crate::session::SqlSession;

/// The history of a database, to be read and written by the session that holds it.
pub(crate) trait Records {
    /// Its place exists.
    async fn ensure(&mut self) -> Result<(), Failure>;

    /// Whose it is; held for the rest of the transaction where there is one.
    async fn meta(&mut self, dialect: Dialect) -> Result<Option<Meta>, Failure>;

    /// The same, and the row of one file.
    async fn meta_and_one(
        &mut self,
        dialect: Dialect,
        id: &MigrationId,
    ) -> Result<(Option<Meta>, Option<HistoryRow>), Failure>;

    async fn write_meta(&mut self, meta: &Meta) -> Result<(), Failure>;

    /// All rows, in order.
    async fn all(&mut self) -> Result<Vec<HistoryRow>, Failure>;

    /// The row of one file.
    async fn one(&mut self, id: &MigrationId) -> Result<Option<HistoryRow>, Failure>;

    /// Whether nothing was ever applied.
    async fn is_empty(&mut self) -> Result<bool, Failure>;

    async fn put(&mut self, row: &HistoryRow) -> Result<(), Failure>;

    /// A row, and the entry in the log that says what came of it.
    async fn put_and_log(&mut self, row: &HistoryRow, entry: &LogEntry) -> Result<(), Failure>;

    /// The same, and what is recorded of the file's statements is forgotten.
    async fn replace_and_log(&mut self, row: &HistoryRow, entry: &LogEntry) -> Result<(), Failure>;

    /// The file was never applied, as far as the history knows.
    async fn remove(&mut self, id: &MigrationId) -> Result<(), Failure>;

    /// The same, and why.
    async fn remove_and_log(&mut self, id: &MigrationId, entry: &LogEntry) -> Result<(), Failure>;

    /// A row that takes the place of one with another name, and why.
    async fn rename_and_log(
        &mut self,
        former: &MigrationId,
        row: &HistoryRow,
        entry: &LogEntry,
    ) -> Result<(), Failure>;

    /// Removes the rows of other texts of one that is repeatable: only the text that ran last counts.
    async fn remove_former(&mut self, id: &MigrationId) -> Result<(), Failure>;

    /// An entry in the log alone.
    async fn log(&mut self, entry: &LogEntry) -> Result<(), Failure>;

    /// The statements of a file that are on record, each way in order.
    async fn steps(&mut self, id: &MigrationId, dialect: Dialect) -> Result<Vec<Step>, Failure>;

    /// Records a statement as begun, or as finished with how long it ran; `before`: what the database looked like then.
    async fn put_step(
        &mut self,
        key: StepKey<'_>,
        checksum: &Digest,
        now: Timestamp,
        took: Option<Span>,
        before: Option<&str>,
    ) -> Result<(), Failure>;

    /// The statement certainly did not happen.
    async fn forget_step(&mut self, key: StepKey<'_>) -> Result<(), Failure>;
}

impl<S: SqlSession> Records for S {
    async fn ensure(&mut self) -> Result<(), Failure> {
        history::ensure(self).await
    }

    async fn meta(&mut self, dialect: Dialect) -> Result<Option<Meta>, Failure> {
        history::meta(self, job::for_update(dialect)).await
    }

    async fn meta_and_one(
        &mut self,
        dialect: Dialect,
        id: &MigrationId,
    ) -> Result<(Option<Meta>, Option<HistoryRow>), Failure> {
        history::meta_and_one(self, job::for_update(dialect), id).await
    }

    async fn write_meta(&mut self, meta: &Meta) -> Result<(), Failure> {
        history::write_meta(self, meta).await
    }

    async fn all(&mut self) -> Result<Vec<HistoryRow>, Failure> {
        history::all(self).await
    }

    async fn one(&mut self, id: &MigrationId) -> Result<Option<HistoryRow>, Failure> {
        history::one(self, id).await
    }

    async fn is_empty(&mut self) -> Result<bool, Failure> {
        history::is_empty(self).await
    }

    async fn put(&mut self, row: &HistoryRow) -> Result<(), Failure> {
        history::put(self, row).await
    }

    async fn put_and_log(&mut self, row: &HistoryRow, entry: &LogEntry) -> Result<(), Failure> {
        history::put_and_log(self, row, entry).await
    }

    async fn replace_and_log(&mut self, row: &HistoryRow, entry: &LogEntry) -> Result<(), Failure> {
        history::remove(self, &row.id).await?;
        history::put_and_log(self, row, entry).await
    }

    async fn remove(&mut self, id: &MigrationId) -> Result<(), Failure> {
        history::remove(self, id).await
    }

    async fn remove_and_log(&mut self, id: &MigrationId, entry: &LogEntry) -> Result<(), Failure> {
        history::remove(self, id).await?;
        history::log(self, entry).await
    }

    async fn rename_and_log(
        &mut self,
        former: &MigrationId,
        row: &HistoryRow,
        entry: &LogEntry,
    ) -> Result<(), Failure> {
        history::remove(self, former).await?;
        history::put_and_log(self, row, entry).await
    }

    async fn remove_former(&mut self, id: &MigrationId) -> Result<(), Failure> {
        history::remove_former(self, id).await
    }

    async fn log(&mut self, entry: &LogEntry) -> Result<(), Failure> {
        history::log(self, entry).await
    }

    async fn steps(&mut self, id: &MigrationId, dialect: Dialect) -> Result<Vec<Step>, Failure> {
        history::steps(self, id, dialect).await
    }

    async fn put_step(
        &mut self,
        key: StepKey<'_>,
        checksum: &Digest,
        now: Timestamp,
        took: Option<Span>,
        before: Option<&str>,
    ) -> Result<(), Failure> {
        history::put_step(self, key, checksum, now, took).await?;
        match before {
            Some(shape) => history::put_shape(self, key, shape).await,
            None => Ok(()),
        }
    }

    async fn forget_step(&mut self, key: StepKey<'_>) -> Result<(), Failure> {
        history::forget_step(self, key).await
    }
}
