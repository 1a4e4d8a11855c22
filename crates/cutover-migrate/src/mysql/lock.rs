//! One migrator at a time: a named lock of the server, polled, which ends with its session.

use std::time::Duration;

use cutover_model::{Digest, Fence, Span};
use mysql_async::Row;
use mysql_async::prelude::Queryable as _;
use tokio::time::Instant;

use super::{MysqlSession, failure, texts};
use crate::failure::{Blocker, Failure};
use crate::lock::{LockError, held};

const POLL: Duration = Duration::from_millis(100);

/// How many generations back a session of a replaced controller is looked for.
const OLDER: u64 = 64;

fn store(fence: &Fence) -> String {
    let store = Digest::of(fence.store.as_str().as_bytes());
    store.as_str().get(..12).unwrap_or_default().to_owned()
}

/// What a session of a migrator is called, so that the next one knows whose it is.
pub(super) fn session_name(fence: &Fence) -> String {
    format!("cutover/{}/{}", store(fence), fence.generation)
}

impl MysqlSession {
    /// Takes the lock for as long as this session lives. A session of an older generation of the same store is ended:
    /// its controller was replaced, and what it does must not go on beside its successor.
    pub(crate) async fn lock(&mut self, what: &str, fence: &Fence, wait: Span) -> Result<(), LockError> {
        let end = Instant::now() + wait.as_duration();
        // Names of locks belong to the server, and have at most 64 characters.
        let database = Digest::of(self.url.database().as_bytes());
        let name = format!("cutover/{}", database.as_str().get(..32).unwrap_or_default());
        loop {
            if self.ask(&format!("SELECT GET_LOCK('{name}', 0)")).await? == Some(1) {
                // A second lock says whose the first one is.
                let own = self.own_lock(fence, fence.generation.0);
                self.ask(&format!("SELECT GET_LOCK('{own}', 0)")).await?;
                return Ok(());
            }
            let holder = self.ask(&format!("SELECT IS_USED_LOCK('{name}')")).await?;
            if let Some(holder) = holder {
                self.end_older(fence, holder).await?;
            }
            if Instant::now() >= end {
                let holder = match holder {
                    Some(holder) => Some(self.session_of(holder).await?),
                    None => None,
                };
                return Err(LockError::Held(held(what, wait, holder)));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn ask(&mut self, sql: &str) -> Result<Option<u64>, Failure> {
        let answer: Option<Option<u64>> = self
            .session
            .query_first(sql)
            .await
            .map_err(|error| failure(&error, sql))?;
        Ok(answer.flatten())
    }

    /// Of this database: a store may migrate two on one server at the same time.
    fn own_lock(&self, fence: &Fence, generation: u64) -> String {
        let database = Digest::of(self.url.database().as_bytes());
        let database = database.as_str().get(..12).unwrap_or_default();
        format!("cutover/{}/{generation}/{database}", store(fence))
    }

    async fn session_of(&mut self, id: u64) -> Result<Blocker, Failure> {
        let sql = format!(
            "SELECT user, DATE_FORMAT(NOW() - INTERVAL time SECOND, '%H:%i'), command
             FROM information_schema.processlist WHERE id = {id}"
        );
        let row: Option<Row> = self
            .session
            .query_first(&sql)
            .await
            .map_err(|error| failure(&error, &sql))?;
        let mut row = row.map(texts).unwrap_or_default().into_iter();
        let mut next = || row.next().flatten();
        Ok(Blocker {
            pid: id.to_string(),
            application: next().unwrap_or_default(),
            since: next(),
            doing: next().map(|command| command.to_lowercase()),
            query: None,
        })
    }

    async fn end_older(&mut self, fence: &Fence, holder: u64) -> Result<(), Failure> {
        let newest = fence.generation.0;
        for generation in newest.saturating_sub(OLDER)..newest {
            let name = self.own_lock(fence, generation);
            if self.ask(&format!("SELECT IS_USED_LOCK('{name}')")).await? != Some(holder) {
                continue;
            }
            tracing::info!(holder, "ending the session of a replaced controller");
            // Without the right to it, the lock is waited for as for anybody's.
            if let Err(error) = self.session.query_drop(format!("KILL CONNECTION {holder}")).await {
                tracing::warn!(holder, %error, "cannot end it");
            }
            break;
        }
        Ok(())
    }
}
