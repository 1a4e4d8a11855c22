//! PostgreSQL: a small pool that replaces connections that broke.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls};
use tokio_util::task::TaskTracker;

use super::{DatabaseError, Row, Value};

const CONNECTIONS: usize = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct Postgres {
    config: Box<Config>,
    idle: Mutex<Vec<Client>>,
    slots: Semaphore,
    /// One task a connection moves its bytes; it ends when its client is dropped.
    connections: TaskTracker,
}

impl Postgres {
    pub(crate) fn new(mut config: Box<Config>) -> Self {
        config.connect_timeout(CONNECT_TIMEOUT).application_name("shop");
        Self {
            config,
            idle: Mutex::default(),
            slots: Semaphore::new(CONNECTIONS),
            connections: TaskTracker::new(),
        }
    }

    pub(crate) async fn run(&self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, DatabaseError> {
        let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
        let client = match self.reuse() {
            Some(client) => client,
            None => self.connect().await?,
        };
        // Types are given, so one round trip is enough and no statement is kept that a migration could outdate.
        let typed: Vec<(&(dyn ToSql + Sync), Type)> = values.iter().map(Value::typed).collect();
        let rows = client.query_typed(sql, &typed).await?;
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(client);
        rows.iter()
            .map(row)
            .collect::<Result<_, _>>()
            .map_err(DatabaseError::from)
    }

    fn reuse(&self) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|client| !client.is_closed())
    }

    async fn connect(&self) -> Result<Client, DatabaseError> {
        let (client, connection) = self.config.connect(NoTls).await?;
        self.connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a connection to PostgreSQL broke"
                );
            }
        });
        Ok(client)
    }
}

fn row(row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    let name = (2..row.len())
        .map(|column| row.try_get(column))
        .collect::<Result<_, _>>()?;
    Ok(Row {
        id: row.try_get(0)?,
        email: row.try_get(1)?,
        name,
    })
}

impl Value {
    fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Number(number) => (number, Type::INT8),
            Self::Text(text) => (text, Type::TEXT),
        }
    }
}
