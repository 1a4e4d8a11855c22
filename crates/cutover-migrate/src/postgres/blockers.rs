//! Who is in the way of a session that waits for a lock.

use std::time::Duration;

use cutover_db::{PgSession, PostgresUrl};
use cutover_model::Span;
use cutover_sql::{Dialect, outline};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::PostgresSession;
use crate::failure::{Blocker, Failure};

/// How much of a query is shown.
const QUERY_LENGTH: usize = 120;

/// The columns that [`blocker`] reads.
pub(super) const COLUMNS: &str = "a.pid::text, a.application_name, to_char(coalesce(a.xact_start, \
     a.query_start), 'HH24:MI'), a.state, a.wait_event_type, a.query";

/// How long it may take a session to end that was idle.
const SESSION_ENDS_WITHIN: Duration = Duration::from_secs(1);

/// A second session that asks who is in the way of the first, which cannot ask while it waits. Only told, never needed:
/// when the server gives no second session, nobody is named.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    session: Option<PgSession>,
}

impl Watcher {
    /// The sessions that block this one now.
    pub(super) async fn blocking(&mut self, url: &PostgresUrl, pid: &str) -> Vec<Blocker> {
        let condition = "a.pid = ANY (pg_blocking_pids($1::text::integer))";
        self.ask(url, condition, &[pid]).await
    }

    /// The sessions that hold a lock on a table: for a wait that was over before it could be looked at.
    pub(super) async fn holding(&mut self, url: &PostgresUrl, pid: &str, table: &str) -> Vec<Blocker> {
        let condition = "a.pid <> $1::text::integer AND a.pid IN (SELECT l.pid FROM pg_locks l WHERE l.granted
            AND l.relation = to_regclass($2) AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
        self.ask(url, condition, &[pid, table]).await
    }

    async fn ask(&mut self, url: &PostgresUrl, condition: &str, params: &[&str]) -> Vec<Blocker> {
        if self.session.is_none() {
            self.session = PgSession::connect(url, "cutover: who blocks").await.ok();
        }
        let Some(session) = &self.session else {
            return Vec::new();
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM pg_stat_activity a WHERE {condition} ORDER BY a.xact_start LIMIT 5"
        );
        let params: Vec<(&(dyn ToSql + Sync), Type)> = params
            .iter()
            .map(|param| (param as &(dyn ToSql + Sync), Type::TEXT))
            .collect();
        let rows = session.query_typed(&sql, &params).await;
        rows.unwrap_or_default().iter().map(blocker).collect()
    }
}

impl PostgresSession {
    /// Transactions of others that are open for longer than this, the oldest first.
    pub(crate) async fn open_transactions(&mut self, longer_than: Span) -> Vec<Blocker> {
        let condition = "a.xact_start < now() - $1::text::bigint * interval '1 ms'";
        self.others(condition, &longer_than.as_millis().to_string()).await
    }

    /// A session whose last query reads all columns of a table by `*`.
    pub(crate) async fn reader_of_all_columns(&mut self, table: &str) -> Option<Blocker> {
        // Within a pattern, other names would need quoting.
        if !table
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return None;
        }
        let condition = r"a.query ~* '(\mselect\s+|,\s*)(\w+\.)?\*' AND a.query ~* ('\m' || $1 || '\M')";
        self.others(condition, table).await.into_iter().next()
    }

    /// Ends the idle sessions of others that this user may end, and returns when they are gone; says how many.
    pub(crate) async fn end_idle(&mut self) -> Result<u64, Failure> {
        // Who may end whose sessions: pg_terminate_backend would fail for all of them because of one.
        const IDLE: &str = "a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.state = 'idle'
            AND a.application_name NOT LIKE 'cutover%'
            AND (pg_has_role(a.usesysid, 'MEMBER') OR pg_has_role('pg_signal_backend', 'MEMBER'))
            AND (NOT r.rolsuper OR pg_has_role(a.usesysid, 'MEMBER'))";
        let sql = format!(
            "SELECT a.pid::text, pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid WHERE {IDLE}"
        );
        let rows = self.session.query_typed(&sql, &[]).await;
        let rows = rows.map_err(|error| super::failure(&error, &sql))?;
        let ended: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let gone =
            "SELECT count(*)::text FROM pg_stat_activity WHERE pid::text = ANY (string_to_array($1, ','))";
        let pids = ended.join(",");
        // Each needs a moment to notice; one that does not is busy ending.
        for _ in 0..SESSION_ENDS_WITHIN.as_millis() / 10 {
            let left = self.session.query_typed(gone, &[(&pids, Type::TEXT)]).await;
            let left = left.map_err(|error| super::failure(&error, gone))?;
            if left.first().is_none_or(|row| row.get::<_, String>(0) == "0") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(ended.len() as u64)
    }

    async fn others(&mut self, condition: &str, param: &str) -> Vec<Blocker> {
        let sql = format!(
            "SELECT {COLUMNS} FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
                AND a.application_name NOT LIKE 'cutover%' AND {condition} ORDER BY a.xact_start, a.pid LIMIT 5"
        );
        let rows = self.session.query_typed(&sql, &[(&param, Type::TEXT)]).await;
        rows.unwrap_or_default().iter().map(blocker).collect()
    }
}

pub(super) fn blocker(row: &Row) -> Blocker {
    let state: Option<String> = row.get(3);
    let wait: Option<String> = row.get(4);
    let query: Option<String> = row.get(5);
    Blocker {
        pid: row.get(0),
        application: row.get::<_, Option<String>>(1).unwrap_or_default(),
        since: row.get(2),
        doing: match (state.as_deref(), wait.as_deref()) {
            (Some("idle in transaction"), _) | (_, Some("Client")) => Some("waiting on client".to_owned()),
            (_, Some("Lock")) => Some("waiting for a lock itself".to_owned()),
            (state, _) => state.map(str::to_owned),
        },
        query: query
            .filter(|query| !query.is_empty())
            .map(|query| outline(Dialect::Postgres, &query, QUERY_LENGTH)),
    }
}
