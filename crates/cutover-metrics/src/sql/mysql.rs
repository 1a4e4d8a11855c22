//! MySQL and MariaDB.

use cutover_db::{MySession, MysqlUrl, describe_mysql};
use futures::TryStreamExt as _;
use mysql_async::consts::ColumnType;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Column, Row};
use serde_json::Value;

use super::{Failure, MAX_ROWS, NAME, number, number_of, row, too_many};

/// Whoever waits no longer drops the session, and the server ends the query when it sees that nobody listens.
pub(super) async fn rows(url: &MysqlUrl, query: &str) -> Result<Vec<Value>, Failure> {
    let mut session = MySession::connect(url, NAME).await?;
    let said = |error: mysql_async::Error| Failure::Said(describe_mysql(&error));
    session
        .query_drop("START TRANSACTION READ ONLY")
        .await
        .map_err(said)?;
    let prepared = session.prep(query).await.map_err(said)?;
    // A change of the schema ends the transaction and is made: what gives no rows is not even tried.
    if prepared.columns().is_empty() {
        return Err(Failure::Said("the query gives no rows".to_owned()));
    }
    let mut found = session
        .exec_stream::<Row, _, _>(&prepared, ())
        .await
        .map_err(said)?;
    let mut rows = Vec::new();
    while let Some(one) = found.try_next().await.map_err(said)? {
        if rows.len() >= MAX_ROWS {
            return Err(too_many());
        }
        let columns = one.columns();
        let named = columns.iter().zip(one.unwrap());
        rows.push(row(named.map(|(column, of)| {
            (column.name_str().into_owned(), value(column, of))
        })));
    }
    Ok(rows)
}

fn value(column: &Column, of: mysql_async::Value) -> Value {
    match of {
        mysql_async::Value::NULL => Value::Null,
        mysql_async::Value::Int(whole) => Value::from(whole),
        mysql_async::Value::UInt(whole) => Value::from(whole),
        mysql_async::Value::Float(real) => number(f64::from(real)),
        mysql_async::Value::Double(real) => number(real),
        mysql_async::Value::Bytes(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            match column.column_type() {
                ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => number_of(&text),
                _ => Value::String(text.into_owned()),
            }
        }
        // Dates and times, as they are written in SQL but for the quotes.
        time => Value::String(time.as_sql(true).trim_matches('\'').to_owned()),
    }
}
