//! SQLite: several processes of different versions share one file.
//!
//! WAL lets readers go on while one process writes; `busy_timeout` makes writers wait for each other. `synchronous`
//! stays at SQLite's default, FULL, so an acknowledged write is on disk. The file is never created here.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, types::ToSqlOutput};
use tokio::sync::Semaphore;

use super::{DatabaseError, Row, Value};

const CONNECTIONS: usize = 4;

/// Longer than any migration of the shop holds the write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Sqlite {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    slots: Arc<Semaphore>,
}

impl Sqlite {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Arc::default(),
            slots: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    pub(crate) async fn run(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, DatabaseError> {
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let (path, idle) = (self.path.clone(), Arc::clone(&self.idle));
        // The closure owns the connection and the slot: when the client goes away, the statement still ends in order.
        tokio::task::spawn_blocking(move || {
            let reused = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let answer = reused.map_or_else(|| open(&path), Ok).and_then(|connection| {
                let rows = query(&connection, sql, &values)?;
                idle.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(connection);
                Ok(rows)
            });
            drop(slot);
            answer.map_err(|source| DatabaseError::Sqlite { path, source })
        })
        .await?
    }
}

fn open(path: &std::path::Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    Ok(connection)
}

fn query(connection: &Connection, sql: &str, values: &[Value]) -> rusqlite::Result<Vec<Row>> {
    let mut statement = connection.prepare_cached(sql)?;
    let columns = statement.column_count();
    statement
        .query_map(rusqlite::params_from_iter(values), |row| {
            let name = (2..columns)
                .map(|column| row.get(column))
                .collect::<Result<_, _>>()?;
            Ok(Row {
                id: row.get(0)?,
                email: row.get(1)?,
                name,
            })
        })?
        .collect()
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Number(number) => number.to_sql(),
            Self::Text(text) => text.to_sql(),
        }
    }
}
