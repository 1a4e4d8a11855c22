//! One migrator at a time: a session-level advisory lock, polled.
//!
//! It is never waited for in the server: a session that waits for an advisory lock holds a snapshot, and
//! `CREATE INDEX CONCURRENTLY` waits for every older snapshot: a deadlock between two migrators.

use std::time::Duration;

use cutover_model::{Digest, Fence, Span};
use tokio::time::Instant;
use tokio_postgres::types::Type;

use super::{PostgresSession, blockers, failure};
use crate::failure::{Blocker, Failure};
use crate::lock::{LockError, held};
use crate::session::SqlSession as _;

/// "cutover" in ASCII: the same in every version, and unlikely to be an application's own.
const KEY: &str = "27995165641041266";

const POLL: Duration = Duration::from_millis(100);

/// What a session of a migrator is called in `pg_stat_activity`, so that the next one knows whose it is.
pub(super) fn session_name(fence: &Fence) -> String {
    format!("{}{}", name_prefix(fence), fence.generation)
}

fn name_prefix(fence: &Fence) -> String {
    let store = Digest::of(fence.store.as_str().as_bytes());
    let store = store.as_str().get(..12).unwrap_or_default();
    format!("cutover/{store}/")
}

impl PostgresSession {
    /// Takes the lock for as long as this session lives. A session of an older generation of the same store is ended:
    /// its controller was replaced, and what it does must not go on beside its successor.
    pub(crate) async fn lock(&mut self, what: &str, fence: &Fence, wait: Span) -> Result<(), LockError> {
        let end = Instant::now() + wait.as_duration();
        let sql = format!("SELECT pg_try_advisory_lock({KEY})::text");
        loop {
            let rows = self.rows(&sql, &[]).await?;
            let got = rows.first().and_then(|row| row.first()).cloned().flatten();
            if got.as_deref() == Some("true") {
                return Ok(());
            }
            let holder = self.holder().await?;
            if let Some(holder) = &holder {
                self.end_older(fence, holder).await?;
            }
            if Instant::now() >= end {
                return Err(LockError::Held(held(what, wait, holder)));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn holder(&mut self) -> Result<Option<Blocker>, Failure> {
        let sql = format!(
            "SELECT {} FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
             WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND (l.classid::bigint << 32 | l.objid::bigint) = {KEY} LIMIT 1",
            blockers::COLUMNS
        );
        let rows = self
            .session
            .query_typed(&sql, &[])
            .await
            .map_err(|error| failure(&error, &sql))?;
        Ok(rows.first().map(blockers::blocker))
    }

    async fn end_older(&mut self, fence: &Fence, holder: &Blocker) -> Result<(), Failure> {
        let generation = holder
            .application
            .strip_prefix(&name_prefix(fence))
            .and_then(|generation| generation.parse::<u64>().ok());
        if generation.is_none_or(|generation| generation >= fence.generation.0) {
            return Ok(());
        }
        tracing::info!(pid = holder.pid, "ending the session of a replaced controller");
        let sql = "SELECT pg_terminate_backend($1::text::integer)";
        let ended = self.session.query_typed(sql, &[(&holder.pid, Type::TEXT)]).await;
        // Without the right to it, the lock is waited for as for anybody's.
        if let Err(error) = ended {
            tracing::warn!(pid = holder.pid, %error, "cannot end it");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_name() {
        let number = b"cutover".iter().fold(0i64, |n, b| n << 8 | i64::from(*b));
        assert_eq!(KEY, number.to_string());
    }
}
