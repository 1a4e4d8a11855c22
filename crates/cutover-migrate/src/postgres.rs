//! PostgreSQL: transactional DDL, an advisory lock for migrators, and names for whoever is in the way.

mod blockers;
mod lock;
mod role;

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use cutover_db::{DbError, PgSession, PostgresUrl, describe};
use cutover_model::{DatabaseState, Fence};
use cutover_sql::{Dialect, changes_role, copied, copies_into, forgets_prepared, subject_table};
use futures::SinkExt as _;
use tokio_postgres::error::{DbError as ServerError, ErrorPosition, SqlState};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{SimpleQueryMessage, Statement};

use crate::failure::Failure;
use crate::history::Recorded;
use crate::rights;
use crate::session::{IndexState, Query, SqlSession, TextRow, not_one_number, uncommitted};
use crate::stop::Stop;

use blockers::Watcher;
use role::Roles;

pub(crate) struct PostgresSession {
    session: PgSession,
    url: PostgresUrl,
    /// The schema that the session began in, quoted, with a dot.
    prefix: String,
    pid: String,
    lock_timeout: Duration,
    limit: Option<Duration>,
    watcher: Watcher,
    stop: Stop,
    ensured: bool,
    roles: Roles,
    /// What begins the transaction, until it is sent: with what comes next.
    opening: Option<String>,
    /// The history's own statements that each file needs, by their text: they are read once a session. Only in one that writes, which
    /// is direct: behind a pooler the next one may be another's.
    prepared: Option<HashMap<String, Statement>>,
}

impl PostgresSession {
    pub(crate) async fn open(url: &PostgresUrl, fence: Option<&Fence>) -> Result<Self, DbError> {
        let name = fence.map_or_else(|| "cutover".to_owned(), lock::session_name);
        let session = PgSession::connect(url, &name).await?;
        if fence.is_some() {
            session.must_be_direct(url).await?;
        }
        let failed = |error: tokio_postgres::Error| DbError::Failed {
            what: url.to_string(),
            cause: describe(&error),
        };
        if fence.is_some() {
            // So that the server notices soon when this process is gone, and ends what it ran (PostgreSQL 14 and newer, where
            // its platform can).
            let check = "SELECT set_config(name, '1000', false) FROM pg_settings
                WHERE name = 'client_connection_check_interval'";
            drop(session.batch_execute(check).await);
        }
        // A role's default time-out is for the application's queries, not for DDL.
        let settings = "SET statement_timeout = 0; SET standard_conforming_strings = on";
        let (set, asked) = tokio::join!(
            biased;
            session.batch_execute(settings),
            session.query_typed("SELECT quote_ident(current_schema()), pg_backend_pid()::text", &[]),
        );
        set.map_err(failed)?;
        let row = asked.map_err(failed)?.pop().ok_or_else(|| DbError::Failed {
            what: url.to_string(),
            cause: "no answer to the first query".to_owned(),
        })?;
        let schema: Option<String> = row.get(0);
        let Some(schema) = schema else {
            return Err(DbError::Failed {
                what: url.to_string(),
                cause: "no schema of the search path exists".to_owned(),
            });
        };
        Ok(Self {
            session,
            url: url.clone(),
            prefix: format!("{schema}."),
            pid: row.get(1),
            lock_timeout: Duration::ZERO,
            limit: None,
            watcher: Watcher::default(),
            stop: Stop::never(),
            ensured: false,
            roles: Roles::default(),
            opening: None,
            prepared: fence.map(|_| HashMap::new()),
        })
    }

    /// What may end its statements early.
    pub(crate) fn stop_by(&mut self, stop: &Stop) {
        self.stop = stop.clone();
    }

    /// Reads without leaving a trace.
    pub(crate) async fn observe(&mut self) -> Result<Recorded, Failure> {
        // One snapshot for everything that is read.
        self.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await?;
        let sql = "SELECT split_part(current_setting('server_version'), ' ', 1),
                pg_database_size(current_database())::text,
                (to_regclass(?1 || 'cutover_history') IS NOT NULL)::text,
                (to_regclass(?1 || 'cutover_log') IS NOT NULL)::text";
        let prefix = Some(self.prefix.clone());
        let rows = self.rows(sql, &[prefix]).await?;
        let mut row = rows.into_iter().next().unwrap_or_default().into_iter();
        let mut next = || row.next().flatten().unwrap_or_default();
        let mut state = DatabaseState {
            server: format!("PostgreSQL {}", next()),
            ..DatabaseState::default()
        };
        state.size = next().parse().ok();
        if next() != "true" {
            return Ok(Recorded::nothing(state));
        }
        let has_log = next() == "true";
        Recorded::read(self, Dialect::Postgres, state, has_log).await
    }

    async fn batch(&self, sql: &str) -> Result<(), Failure> {
        self.session
            .batch_execute(sql)
            .await
            .map_err(|error| self.failed(&error, sql))
    }

    fn failed(&self, error: &tokio_postgres::Error, sql: &str) -> Failure {
        match failure(error, sql) {
            Failure::Denied(said, _) => {
                let user = self.url.user().unwrap_or("CURRENT_USER");
                let grant = rights::postgres(&said, sql, user);
                Failure::Denied(said, grant)
            }
            other => other,
        }
    }

    async fn ask(&self, sql: &str, params: &[Option<String>]) -> Result<Vec<TextRow>, Failure> {
        let answer = if let Some(statement) = self.prepared.as_ref().and_then(|all| all.get(sql)) {
            let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param as _).collect();
            self.session.query(statement, &params).await
        } else {
            let params: Vec<(&(dyn ToSql + Sync), Type)> = params
                .iter()
                .map(|param| (param as &(dyn ToSql + Sync), Type::TEXT))
                .collect();
            self.session.query_typed(&numbered(sql), &params).await
        };
        let rows = answer.map_err(|error| self.own_failed(&error, sql))?;
        Ok(rows
            .iter()
            .map(|row| (0..row.len()).map(|column| row.get(column)).collect())
            .collect())
    }

    fn own_failed(&self, error: &tokio_postgres::Error, sql: &str) -> Failure {
        match self.failed(error, sql) {
            // A place within the history's own statement helps nobody.
            Failure::Statement { said, .. } => Failure::Statement { said, offset: None },
            other => other,
        }
    }

    /// Begins what is to begin.
    async fn opened(&mut self) -> Result<(), Failure> {
        match self.opening.take() {
            Some(sql) => self.batch(&sql).await,
            None => Ok(()),
        }
    }

    /// What goes before two of the history's statements: the begin of their transaction, and the way back to the connection's
    /// role. Statements that the server has not read yet are read first.
    async fn before_own(&mut self, queries: [&Query; 2]) -> Result<String, Failure> {
        let is_new = |query: &&Query| {
            let prepared = self.prepared.as_ref();
            prepared.is_some_and(|all| !all.contains_key(&query.sql))
        };
        let new: Vec<&Query> = queries.into_iter().filter(is_new).collect();
        if !new.is_empty() {
            self.opened().await?;
            self.in_own_role().await?;
        }
        for query in new {
            let types = vec![Type::TEXT; query.params.len()];
            let statement = self.session.prepare_typed(&numbered(&query.sql), &types).await;
            let statement = statement.map_err(|error| self.own_failed(&error, &query.sql))?;
            if let Some(all) = &mut self.prepared {
                all.insert(query.sql.clone(), statement);
            }
        }
        let before = [self.opening.take(), self.roles.before_own().map(str::to_owned)];
        Ok(before.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }

    async fn batch_if_any(&self, sql: &str) -> Result<(), Failure> {
        if sql.is_empty() {
            return Ok(());
        }
        self.batch(sql).await
    }

    /// The session is in the role of the connection, whatever a file has taken on.
    async fn in_own_role(&mut self) -> Result<(), Failure> {
        match self.roles.before_own() {
            Some(sql) => self.batch(sql).await,
            None => Ok(()),
        }
    }

    /// What cannot be cancelled is waited for; the next statement is not begun.
    async fn cancel(&self) {
        drop(self.session.cancel(&self.url).await);
    }

    /// Sends the data that a file brings for a `COPY … FROM STDIN`.
    async fn copy(&mut self, command: &str, data: &str) -> Result<u64, Failure> {
        // The driver loses its connection when the server refuses a COPY before it takes data (rust-postgres #789). What may well be in
        // the way, a lock above all, is met by a statement that wants the same and does nothing.
        if let Some(table) = copies_into(command) {
            let like = format!("EXPLAIN INSERT INTO {table} DEFAULT VALUES");
            let run = async |session: &PgSession| session.simple_query(&like).await;
            self.watched(command, run).await.map_err(without_place)?;
        }
        let run = async |session: &PgSession| {
            let sink = session.copy_in(command).await?;
            tokio::pin!(sink);
            sink.send(Bytes::copy_from_slice(data.as_bytes())).await?;
            sink.finish().await
        };
        self.watched(command, run).await
    }

    async fn simple(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Failure> {
        let run = async |session: &PgSession| session.simple_query(sql).await;
        self.watched(sql, run).await
    }

    /// Runs one statement; when it takes longer than a lock may, looks who is in the way; when it is to end early, or has run for as
    /// long as it may, has the server cancel it, and waits for what comes of that.
    async fn watched<T>(
        &mut self,
        sql: &str,
        run: impl AsyncFnOnce(&PgSession) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Failure> {
        self.stop.check()?;
        let run = run(&self.session);
        tokio::pin!(run);
        let mut blockers = Vec::new();
        let mut watch = self.stop.over(self.limit);
        // Before the server gives up: afterwards nobody blocks this session any more.
        let mut wait = self.lock_timeout.mul_f32(0.6).max(Duration::from_millis(20));
        let answer = loop {
            tokio::select! {
                answer = &mut run => break answer,
                () = tokio::time::sleep(wait) => {
                    let found = self.watcher.blocking(&self.url, &self.pid).await;
                    if !found.is_empty() {
                        blockers = found;
                    }
                    wait = self.lock_timeout.max(Duration::from_secs(1));
                }
                () = watch.due() => self.cancel().await,
            }
        };
        let failed = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => self.failed(&error, sql),
        };
        let Failure::Locked { said, .. } = failed else {
            return Err(watch.told(failed, blockers));
        };
        if blockers.is_empty()
            && let Some(table) = subject_table(Dialect::Postgres, sql)
        {
            blockers = self.watcher.holding(&self.url, &self.pid, &table).await;
        }
        Err(Failure::Locked { said, blockers })
    }
}

/// The history's statements have `?1` where this server has `$1`.
fn numbered(sql: &str) -> String {
    sql.replace('?', "$")
}

fn failure(error: &tokio_postgres::Error, sql: &str) -> Failure {
    let said = describe(error);
    let Some(db) = error.as_db_error() else {
        return Failure::Lost(said);
    };
    match db.code() {
        code if *code == SqlState::LOCK_NOT_AVAILABLE || *code == SqlState::T_R_DEADLOCK_DETECTED => {
            Failure::Locked {
                said,
                blockers: Vec::new(),
            }
        }
        code if *code == SqlState::ACTIVE_SQL_TRANSACTION
            || *code == SqlState::INVALID_TRANSACTION_TERMINATION =>
        {
            Failure::Forbidden(said)
        }
        code if *code == SqlState::DISK_FULL => Failure::DiskFull(said),
        code if *code == SqlState::INSUFFICIENT_PRIVILEGE => Failure::Denied(said, None),
        code if *code == SqlState::QUERY_CANCELED => Failure::Stopped(said),
        // The server is going down or ended this session: nobody knows more than for a broken connection.
        code if *code == SqlState::ADMIN_SHUTDOWN
            || *code == SqlState::CRASH_SHUTDOWN
            || code.code().starts_with("08") =>
        {
            Failure::Lost(said)
        }
        _ => Failure::Statement {
            said,
            offset: position(db, sql),
        },
    }
}

/// A place within a statement that stands in no file helps nobody.
fn without_place(failure: Failure) -> Failure {
    match failure {
        Failure::Statement { said, .. } => Failure::Statement { said, offset: None },
        other => other,
    }
}

/// The server counts characters from 1.
fn position(error: &ServerError, sql: &str) -> Option<usize> {
    match error.position()? {
        ErrorPosition::Original(at) => {
            let at = usize::try_from(*at).ok()?.checked_sub(1)?;
            Some(sql.char_indices().nth(at).map_or(sql.len(), |(offset, _)| offset))
        }
        ErrorPosition::Internal { .. } => None,
    }
}

impl SqlSession for PostgresSession {
    fn prefix(&self) -> &str {
        &self.prefix
    }

    fn ensured(&mut self) -> &mut bool {
        &mut self.ensured
    }

    fn limit(&mut self, most: Option<Duration>) {
        self.limit = most;
    }

    async fn begin(&mut self, lock_timeout: Duration) -> Result<(), Failure> {
        self.lock_timeout = lock_timeout;
        let millis = lock_timeout.as_millis();
        self.roles.begun();
        self.opening = Some(format!("SET lock_timeout = {millis}; BEGIN"));
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        self.opened().await?;
        self.batch("COMMIT").await?;
        self.roles.committed();
        Ok(())
    }

    async fn rollback(&mut self) {
        // Outside of a transaction this is a warning of the server, nothing else.
        if self.opening.take().is_none() {
            drop(self.session.batch_execute("ROLLBACK").await);
        }
        self.roles.rolled_back();
    }

    async fn another_file(&mut self) -> Result<(), Failure> {
        match self.roles.before_another_file() {
            Some(sql) => self.batch(sql).await,
            None => Ok(()),
        }
    }

    async fn execute(&mut self, statement: &str) -> Result<u64, Failure> {
        self.opened().await?;
        if let Some(sql) = self.roles.before_theirs() {
            self.batch(&sql).await?;
        }
        if let Some((command, data)) = copied(Dialect::Postgres, statement) {
            return Box::pin(self.copy(command, data)).await;
        }
        let messages = self.simple(statement).await?;
        if let Some(change) = changes_role(Dialect::Postgres, statement) {
            self.roles.heard(statement, change);
        }
        if let Some(all) = &mut self.prepared
            && forgets_prepared(Dialect::Postgres, statement)
        {
            all.clear();
        }
        let counted = messages.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
            _ => None,
        });
        Ok(counted.unwrap_or(0))
    }

    async fn rows(&mut self, sql: &str, params: &[Option<String>]) -> Result<Vec<TextRow>, Failure> {
        self.opened().await?;
        self.in_own_role().await?;
        self.ask(sql, params).await
    }

    async fn both(&mut self, first: &Query, second: &Query) -> Result<(Vec<TextRow>, Vec<TextRow>), Failure> {
        let before = self.before_own([first, second]).await?;
        // In this order: the driver sends what was polled first. When one fails, so do those after it, and it is the first that
        // says why.
        let (before, first, second) = tokio::join!(
            biased;
            self.batch_if_any(&before),
            self.ask(&first.sql, &first.params),
            self.ask(&second.sql, &second.params),
        );
        before?;
        Ok((first?, second?))
    }

    async fn both_and_commit(&mut self, first: &Query, second: &Query) -> Result<(), Failure> {
        let before = self.before_own([first, second]).await?;
        // The same order; a transaction in which something failed is rolled back by this commit, too.
        let (before, first, second, committed) = tokio::join!(
            biased;
            self.batch_if_any(&before),
            self.ask(&first.sql, &first.params),
            self.ask(&second.sql, &second.params),
            self.batch("COMMIT"),
        );
        before?;
        first?;
        second?;
        committed.map_err(uncommitted)?;
        self.roles.committed();
        Ok(())
    }

    async fn rows_as_written(&mut self, sql: &str) -> Result<Vec<TextRow>, Failure> {
        self.opened().await?;
        let messages = self.simple(sql).await?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows
            .map(|row| (0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
            .collect())
    }

    async fn count(&mut self, query: &str) -> Result<i64, Failure> {
        self.opened().await?;
        let messages = self.simple(query).await?;
        let mut rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        match (rows.next(), rows.next()) {
            (Some(row), None) if row.len() == 1 => row
                .get(0)
                .and_then(|text| text.parse().ok())
                .ok_or_else(not_one_number),
            _ => Err(not_one_number()),
        }
    }

    async fn broken_references(&mut self) -> Result<Option<u64>, Failure> {
        // The server watches over them all the time.
        Ok(None)
    }

    async fn index(&mut self, name: &str) -> Result<IndexState, Failure> {
        let sql = "SELECT indisvalid::text FROM pg_index WHERE indexrelid = to_regclass(?1)";
        let rows = self.rows(sql, &[Some(name.to_owned())]).await?;
        let valid = rows.first().and_then(|row| row.first()).cloned().flatten();
        Ok(match valid.as_deref() {
            None => IndexState::Missing,
            Some("true") => IndexState::Valid,
            Some(_) => IndexState::Invalid,
        })
    }

    async fn shape(&mut self) -> Result<Option<String>, Failure> {
        // What runs in a transaction is never in doubt here.
        Ok(None)
    }
}
