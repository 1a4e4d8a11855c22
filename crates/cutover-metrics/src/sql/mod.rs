//! A query of a database, in a transaction that only reads.

mod mysql;
mod postgres;
mod sqlite;

use std::time::Duration;

use cutover_db::DatabaseUrl;
use cutover_model::{DatabaseName, Diagnostic};
use cutover_ports::PortError;
use serde_json::{Map, Number, Value};

use crate::failed;

/// More rows are no measurement.
const MAX_ROWS: usize = 1_000;

/// What the server shows of who asks.
const NAME: &str = "cutover-analysis";

pub(crate) async fn ask(
    database: &DatabaseName,
    url: &DatabaseUrl,
    query: &str,
    timeout: Duration,
) -> Result<Value, PortError> {
    let whom = format!("the database `{database}`");
    let rows = async {
        match url {
            DatabaseUrl::Postgres(url) => postgres::rows(url, query, timeout).await,
            DatabaseUrl::Mysql(url) => mysql::rows(url, query).await,
            DatabaseUrl::Sqlite(url) => sqlite::rows(&url.path, query, timeout).await,
            DatabaseUrl::Mongo(_) => Err(Failure::Said("MongoDB has no SQL".to_owned())),
        }
    };
    match tokio::time::timeout(timeout, rows).await {
        Ok(Ok(rows)) => Ok(Value::Array(rows)),
        Ok(Err(Failure::Said(what))) => Err(failed(&whom, &what)),
        Ok(Err(Failure::Unreachable(diagnostic))) => Err(PortError::transient(*diagnostic)),
        Err(_) => Err(failed(&whom, "no answer in time")),
    }
}

/// Why there are no rows.
enum Failure {
    Unreachable(Box<Diagnostic>),
    Said(String),
}

impl From<cutover_db::DbError> for Failure {
    fn from(error: cutover_db::DbError) -> Self {
        Self::Unreachable(Box::new(error.diagnostic()))
    }
}

fn too_many() -> Failure {
    Failure::Said(format!("the result has more than {MAX_ROWS} rows"))
}

/// A row by its columns' names; of two of one name the last counts.
fn row(columns: impl Iterator<Item = (String, Value)>) -> Value {
    Value::Object(columns.collect::<Map<_, _>>())
}

/// What is no finite number is null.
fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// A number that a database gives as text, exactly where it is an integer.
fn number_of(text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(whole) => Value::from(whole),
        Err(_) => text.parse().map_or(Value::Null, number),
    }
}
