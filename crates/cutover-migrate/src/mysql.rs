//! MySQL and MariaDB: each statement of DDL is a transaction of its own, so a file that holds one is run statement by
//! statement; a named lock for migrators; and names for whoever is in the way.

mod dialect;
mod lock;
mod shape;

use std::time::Duration;

use cutover_db::{DbError, MySession, MysqlUrl, describe_mysql};
use cutover_model::{DatabaseState, Fence, Span};
use cutover_sql::{Dialect, Elsewhere, elsewhere, sets_session, ticked};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Error, Params, Row, Value};

use crate::failure::{Blocker, Failure};
use crate::history::Recorded;
use crate::rights;
use crate::session::{IndexState, SqlSession, TextRow, not_one_number};
use crate::stop::{Stop, Watch};

/// Reading is tried again so often, each time after a longer pause: tables are made within moments.
const OBSERVE_TRIES: u32 = 10;
const OBSERVE_PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct MysqlSession {
    session: MySession,
    url: MysqlUrl,
    /// The database's name, quoted, with a dot.
    prefix: String,
    /// Who this is by the server's own account, of a session that writes.
    account: String,
    limit: Option<Duration>,
    stop: Stop,
    ensured: bool,
    /// How long it waits for locks now, where no statement of a file may have said otherwise since.
    lock_wait: Option<u64>,
    /// The server's other databases, of a session that must leave them alone.
    others: Option<Vec<String>>,
}

impl MysqlSession {
    pub(crate) async fn open(url: &MysqlUrl, fence: Option<&Fence>) -> Result<Self, DbError> {
        let name = fence.map_or_else(|| "cutover".to_owned(), lock::session_name);
        let mut session = MySession::connect(url, &name).await?;
        let account = match fence {
            Some(_) => session.query_first("SELECT CURRENT_USER()").await,
            None => Ok(None),
        };
        if fence.is_some() {
            // A server's own time-out is for the application's queries, not for DDL. What a server does not know it refuses:
            // MariaDB has the first, MySQL the second.
            for own in ["max_statement_time", "max_execution_time"] {
                drop(session.query_drop(format!("SET SESSION {own} = 0")).await);
            }
        }
        let account: Option<String> = account.map_err(|error| DbError::Failed {
            what: url.to_string(),
            cause: describe_mysql(&error),
        })?;
        Ok(Self {
            account: account.unwrap_or_default(),
            session,
            url: url.clone(),
            prefix: format!("{}.", ticked(url.database())),
            limit: None,
            stop: Stop::never(),
            ensured: false,
            lock_wait: None,
            others: None,
        })
    }

    /// From now on its statements may not reach into the server's other databases, and those that concern the whole
    /// server are passed over.
    pub(crate) fn confine(&mut self, others: Vec<String>) {
        self.others = Some(others);
    }

    /// Whether a statement is run: one that reaches elsewhere is not.
    fn may_run(&self, statement: &str) -> Result<bool, Failure> {
        let Some(others) = &self.others else {
            return Ok(true);
        };
        match elsewhere(statement, others) {
            None => Ok(true),
            Some(Elsewhere::Server) => Ok(false),
            Some(Elsewhere::Database(name)) => Err(Failure::Statement {
                said: format!("it names the database {name}, which would be changed"),
                offset: None,
            }),
        }
    }

    /// What may end its statements early.
    pub(crate) fn stop_by(&mut self, stop: &Stop) {
        self.stop = stop.clone();
    }

    /// Reads without leaving a trace.
    pub(crate) async fn observe(&mut self) -> Result<Recorded, Failure> {
        let mut tries = 1;
        loop {
            let seen = self.observe_once().await;
            // Who makes the history's tables meanwhile makes a snapshot from before useless.
            if tries >= OBSERVE_TRIES || !matches!(seen, Err(Failure::Locked { .. })) {
                return seen;
            }
            self.rollback().await;
            tokio::time::sleep(OBSERVE_PAUSE * tries).await;
            tries += 1;
        }
    }

    async fn observe_once(&mut self) -> Result<Recorded, Failure> {
        // One snapshot for everything that is read.
        self.plain("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            .await?;
        self.plain("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            .await?;
        let database = Some(self.url.database().to_owned());
        let size =
            "SELECT VERSION(), CAST(SUM(data_length + index_length) AS CHAR) FROM information_schema.tables
            WHERE table_schema = ?1";
        let rows = self.rows(size, std::slice::from_ref(&database)).await?;
        let mut row = rows.into_iter().next().unwrap_or_default().into_iter();
        let version = row.next().flatten().unwrap_or_default();
        let size = row.next().flatten();
        let state = DatabaseState {
            server: server_name(&version),
            size: Some(size.and_then(|size| size.parse().ok()).unwrap_or(0)),
            ..DatabaseState::default()
        };
        let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = ?1
            AND table_name IN ('cutover_history', 'cutover_log')";
        let rows = self.rows(tables, &[database]).await?;
        let has = |name: &str| rows.iter().flatten().flatten().any(|found| found == name);
        let recorded = if has("cutover_history") {
            Recorded::read(self, Dialect::MariaDb, state, has("cutover_log")).await?
        } else {
            Recorded::nothing(state)
        };
        self.rollback().await;
        Ok(recorded)
    }

    async fn plain(&mut self, sql: &str) -> Result<(), Failure> {
        let done = self.session.query_drop(sql).await;
        done.map_err(|error| self.failed(&error, sql))
    }

    fn failed(&self, error: &Error, sql: &str) -> Failure {
        match failure(error, sql) {
            Failure::Denied(said, _) => {
                let grant = rights::mysql(&said, self.url.database(), &self.account);
                Failure::Denied(said, grant)
            }
            other => other,
        }
    }

    /// All rows of a query.
    async fn ask_as_written(&mut self, sql: &str) -> Result<Vec<TextRow>, Failure> {
        self.stop.check()?;
        let id = self.session.id();
        let mut watch = self.stop.over(self.limit);
        let run = self.session.query::<Row, _>(sql);
        let rows = cancelled_by(&mut watch, &self.url, id, run).await;
        rows.map(|rows| rows.into_iter().map(texts).collect())
            .map_err(|error| watch.told(self.failed(&error, sql), Vec::new()))
    }

    /// Names who is in the way, where the server lets itself be asked.
    async fn with_blockers(&mut self, failed: Failure) -> Failure {
        let Failure::Locked { said, .. } = failed else {
            return failed;
        };
        let blockers = self.open_transactions(Span::ZERO).await;
        Failure::Locked { said, blockers }
    }

    /// Sessions with a transaction that is open for so long: who waits for a table's lock waits for one of them.
    pub(crate) async fn open_transactions(&mut self, longer_than: Span) -> Vec<Blocker> {
        let seconds = longer_than.as_millis() / 1000;
        let sql = format!(
            "SELECT CAST(p.id AS CHAR), p.user, DATE_FORMAT(t.trx_started, '%H:%i'), p.command, p.info
            FROM information_schema.innodb_trx t JOIN information_schema.processlist p
                ON p.id = t.trx_mysql_thread_id
            WHERE p.id <> CONNECTION_ID() AND t.trx_started <= NOW() - INTERVAL {seconds} SECOND
            ORDER BY t.trx_started LIMIT 5"
        );
        let rows: Vec<Row> = self.session.query(sql).await.unwrap_or_default();
        rows.into_iter()
            .map(|row| {
                let mut row = texts(row).into_iter();
                let mut next = || row.next().flatten();
                Blocker {
                    pid: next().unwrap_or_default(),
                    application: next().unwrap_or_default(),
                    since: next(),
                    doing: next().map(|command| {
                        if command == "Sleep" {
                            "waiting on client".to_owned()
                        } else {
                            command.to_lowercase()
                        }
                    }),
                    query: next().map(|query| dialect::outlined(&query)),
                }
            })
            .collect()
    }
}

/// Waits for a query, and has the server cancel it when it is to end early, or has run for as long as it may: how it ends then is
/// what counts. The servers' own time-outs would not do: MySQL's is for `SELECT` alone.
async fn cancelled_by<T>(
    watch: &mut Watch<'_>,
    url: &MysqlUrl,
    id: u32,
    run: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::pin!(run);
    loop {
        tokio::select! {
            answer = &mut run => return answer,
            () = watch.due() => {
                // What cannot be cancelled is waited for; the next statement is not begun.
                if let Ok(mut beside) = MySession::connect(url, "cutover: stop").await {
                    drop(beside.query_drop(format!("KILL QUERY {id}")).await);
                }
            }
        }
    }
}

/// `11.4.2-MariaDB-log` → `MariaDB 11.4.2`.
fn server_name(version: &str) -> String {
    let number = version.split(['-', '+']).next().unwrap_or_default();
    let product = if version.to_lowercase().contains("mariadb") {
        "MariaDB"
    } else {
        "MySQL"
    };
    format!("{product} {number}")
}

fn texts(row: Row) -> TextRow {
    row.unwrap()
        .into_iter()
        .map(|value| match value {
            Value::NULL => None,
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Value::Int(number) => Some(number.to_string()),
            Value::UInt(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Double(number) => Some(number.to_string()),
            other => Some(other.as_sql(true)),
        })
        .collect()
}

fn failure(error: &Error, sql: &str) -> Failure {
    let said = describe_mysql(error);
    let Error::Server(server) = error else {
        return Failure::Lost(said);
    };
    match server.code {
        // Lock wait timeout, deadlock, a table that was made or changed since the transaction's snapshot.
        1205 | 1213 | 1412 => Failure::Locked {
            said,
            blockers: Vec::new(),
        },
        // No room for a file, for a table, for a temporary one.
        1021 | 1114 | 1037 | 1041 => Failure::DiskFull(said),
        // For a database, a table, a column, a routine; a right of the whole server; triggers beside a binary log.
        1044 | 1142 | 1143 | 1227 | 1370 | 1419 => Failure::Denied(said, None),
        // The statement was killed, and the session lives.
        1317 => Failure::Stopped(said),
        // Shutdown, a killed connection: nobody knows more than for a broken connection.
        1053 | 1079 | 1152 | 1184 | 1927 => Failure::Lost(said),
        _ => {
            let offset = dialect::place(&server.message, sql);
            Failure::Statement { said, offset }
        }
    }
}

/// Whether a statement may change what the session waits for: by itself, or by a routine that it calls.
fn may_set(statement: &str) -> bool {
    let word = statement.trim_start().get(..4).unwrap_or_default();
    sets_session(Dialect::MariaDb, statement) || word.eq_ignore_ascii_case("call")
}

/// The server counts whole seconds, and at least one.
fn seconds(timeout: Duration) -> u64 {
    if timeout.is_zero() {
        return 31_536_000;
    }
    timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0)
}

impl SqlSession for MysqlSession {
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
        let seconds = seconds(lock_timeout);
        if self.lock_wait != Some(seconds) {
            self.plain(&format!(
                "SET SESSION lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}"
            ))
            .await?;
            self.lock_wait = Some(seconds);
        }
        if !self.ensured {
            // Making a table would commit the transaction that is to begin.
            for table in dialect::TABLES {
                let sql = table.replace("{t}", &self.prefix);
                self.plain(&sql).await?;
            }
            self.ensured = true;
        }
        self.plain("START TRANSACTION").await
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        self.plain("COMMIT").await
    }

    async fn rollback(&mut self) {
        drop(self.session.query_drop("ROLLBACK").await);
    }

    async fn execute(&mut self, statement: &str) -> Result<u64, Failure> {
        self.stop.check()?;
        if !self.may_run(statement)? {
            return Ok(0);
        }
        if may_set(statement) {
            self.lock_wait = None;
        }
        let (id, stop) = (self.session.id(), self.stop.clone());
        let run = async {
            let result = self.session.query_iter(statement).await?;
            let rows = result.affected_rows();
            result.drop_result().await?;
            Ok::<_, Error>(rows)
        };
        let mut watch = stop.over(self.limit);
        match cancelled_by(&mut watch, &self.url, id, run).await {
            Ok(rows) => Ok(rows),
            Err(error) => {
                let failed = watch.told(self.failed(&error, statement), Vec::new());
                Err(self.with_blockers(failed).await)
            }
        }
    }

    async fn rows(&mut self, sql: &str, params: &[Option<String>]) -> Result<Vec<TextRow>, Failure> {
        let sql = dialect::translated(sql);
        let params = if params.is_empty() {
            Params::Empty
        } else {
            Params::Positional(params.iter().map(|param| Value::from(param.as_deref())).collect())
        };
        let rows: Result<Vec<Row>, Error> = self.session.exec(sql.as_str(), params).await;
        rows.map(|rows| rows.into_iter().map(texts).collect())
            .map_err(|error| match self.failed(&error, &sql) {
                // A place within the history's own statement helps nobody.
                Failure::Statement { said, .. } => Failure::Statement { said, offset: None },
                other => other,
            })
    }

    async fn rows_as_written(&mut self, sql: &str) -> Result<Vec<TextRow>, Failure> {
        self.ask_as_written(sql).await
    }

    async fn count(&mut self, query: &str) -> Result<i64, Failure> {
        let mut rows = self.ask_as_written(query).await?.into_iter();
        match (rows.next(), rows.next()) {
            (Some(row), None) if row.len() == 1 => row
                .first()
                .cloned()
                .flatten()
                .and_then(|text| text.parse().ok())
                .ok_or_else(not_one_number),
            _ => Err(not_one_number()),
        }
    }

    async fn broken_references(&mut self) -> Result<Option<u64>, Failure> {
        // The server watches over them, unless a file switches that off for itself.
        Ok(None)
    }

    async fn index(&mut self, _name: &str) -> Result<IndexState, Failure> {
        // A statement of DDL happens whole or not at all, also in a crash (MySQL 8, MariaDB 10.6).
        Ok(IndexState::Missing)
    }

    async fn shape(&mut self) -> Result<Option<String>, Failure> {
        let database = self.url.database().to_owned();
        self.shape_of(&database).await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_apart() {
        assert_eq!(server_name("10.11.19-MariaDB-0+deb12u1"), "MariaDB 10.11.19");
        assert_eq!(server_name("8.0.36"), "MySQL 8.0.36");
    }

    #[test]
    fn time_outs_are_whole_seconds() {
        assert_eq!(seconds(Duration::from_millis(100)), 1);
        assert_eq!(seconds(Duration::from_millis(2_001)), 3);
        assert_eq!(seconds(Duration::ZERO), 31_536_000);
    }
}
