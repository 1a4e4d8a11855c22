//! PostgreSQL.

use std::time::Duration;

use cutover_db::{PgSession, PostgresUrl, describe};
use serde_json::Value;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

use super::{Failure, MAX_ROWS, NAME, number_of, row, too_many};

pub(super) async fn rows(url: &PostgresUrl, query: &str, timeout: Duration) -> Result<Vec<Value>, Failure> {
    let session = PgSession::connect(url, NAME).await?;
    let said = |error: tokio_postgres::Error| Failure::Said(describe(&error));
    let limit = timeout.as_millis().max(1);
    let begin = format!("BEGIN READ ONLY; SET LOCAL statement_timeout = {limit}");
    session.batch_execute(&begin).await.map_err(said)?;
    // Only one statement can be prepared: none that ends the transaction can follow the query.
    let prepared = session.prepare(query).await.map_err(said)?;
    let kinds: Vec<Type> = prepared
        .columns()
        .iter()
        .map(|column| column.type_().clone())
        .collect();
    let mut rows = Vec::new();
    for message in session.simple_query(query).await.map_err(said)? {
        let SimpleQueryMessage::Row(found) = message else {
            continue;
        };
        if rows.len() >= MAX_ROWS {
            return Err(too_many());
        }
        let columns = found.columns().iter().enumerate().map(|(at, column)| {
            let value = found
                .get(at)
                .map_or(Value::Null, |text| value(kinds.get(at), text));
            (column.name().to_owned(), value)
        });
        rows.push(row(columns));
    }
    Ok(rows)
}

fn value(kind: Option<&Type>, text: &str) -> Value {
    match kind {
        Some(&(Type::INT2 | Type::INT4 | Type::INT8 | Type::OID)) => number_of(text),
        Some(&(Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC)) => number_of(text),
        Some(&Type::BOOL) => Value::Bool(text == "t"),
        Some(&(Type::JSON | Type::JSONB)) => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
        }
        _ => Value::String(text.to_owned()),
    }
}
