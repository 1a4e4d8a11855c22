//! SQLite.

use std::path::Path;
use std::time::Duration;

use cutover_db::{SqliteMode, open_sqlite, sqlite_message};
use rusqlite::types::ValueRef;
use serde_json::Value;

use super::{Failure, MAX_ROWS, number, row, too_many};

pub(super) async fn rows(path: &Path, query: &str, timeout: Duration) -> Result<Vec<Value>, Failure> {
    let connection = open_sqlite(path, SqliteMode::Read)?;
    // Whoever waits no longer drops this, and the query ends.
    let _interrupt = Interrupt(connection.get_interrupt_handle());
    let query = query.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let said = |error: rusqlite::Error| Failure::Said(sqlite_message(&error));
        connection.busy_timeout(timeout).map_err(said)?;
        let mut prepared = connection.prepare(&query).map_err(said)?;
        if !prepared.readonly() {
            return Err(Failure::Said("the query does not only read".to_owned()));
        }
        let names: Vec<String> = prepared.column_names().map(str::to_owned).collect();
        let mut found = prepared.query([]).map_err(said)?;
        let mut rows = Vec::new();
        while let Some(one) = found.next().map_err(said)? {
            if rows.len() >= MAX_ROWS {
                return Err(too_many());
            }
            let columns = names.iter().enumerate().map(|(at, name)| {
                let value = one.get_ref(at).map_or(Value::Null, value);
                (name.clone(), value)
            });
            rows.push(row(columns));
        }
        Ok(rows)
    });
    read.await
        .unwrap_or_else(|_| Err(Failure::Said("the query was broken off".to_owned())))
}

struct Interrupt(rusqlite::InterruptHandle);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

fn value(of: ValueRef<'_>) -> Value {
    match of {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(whole) => Value::from(whole),
        ValueRef::Real(real) => number(real),
        ValueRef::Text(text) | ValueRef::Blob(text) => {
            Value::String(String::from_utf8_lossy(text).into_owned())
        }
    }
}
