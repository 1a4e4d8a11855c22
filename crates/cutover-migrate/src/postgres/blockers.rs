//! Who is in the way of a session that waits for a lock.

use cutover_db::{PgSession, PostgresUrl};
use cutover_sql::{Dialect, outline};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::failure::Blocker;

/// How much of a query is shown.
const QUERY_LENGTH: usize = 120;

/// The columns that [`blocker`] reads.
pub(super) const COLUMNS: &str = "a.pid::text, a.application_name, to_char(coalesce(a.xact_start, \
     a.query_start), 'HH24:MI'), a.state, a.wait_event_type, a.query";

/// The sessions that block this one now. Only told, never needed: when they cannot be asked for, there are none.
pub(super) async fn of(url: &PostgresUrl, pid: &str) -> Vec<Blocker> {
    let Ok(session) = PgSession::connect(url, "cutover: who blocks").await else {
        return Vec::new();
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM pg_stat_activity a
         WHERE a.pid = ANY (pg_blocking_pids($1::text::integer)) ORDER BY a.xact_start LIMIT 5"
    );
    let rows = session.query_typed(&sql, &[(&pid, Type::TEXT)]).await;
    rows.unwrap_or_default().iter().map(blocker).collect()
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
