//! The two databases the shop can use, behind one function that runs one statement.
//!
//! Both run the same SQL: their dialects agree on everything the shop says, down to the `$1` placeholders (which
//! SQLite numbers in order of appearance, so each statement names them in order).

mod postgres;
mod sqlite;

use std::time::Duration;

use crate::config::DatabaseUrl;

/// How long a health check waits for the database before it counts as not answering.
const PING_DEADLINE: Duration = Duration::from_secs(2);

/// A pool of connections, opened when they are needed: a shop that starts before its database is not ready, not dead.
pub(crate) enum Database {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

/// A statement's argument.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Number(i64),
    Text(Option<String>),
}

/// A row of `users` as every statement returns it: `id, email`, then the columns of the name.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) email: Option<String>,
    pub(crate) name: Vec<Option<String>>,
}

/// Why a statement was not done, or may not have been.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    #[error("SQLite, file {}", path.display())]
    Sqlite {
        path: std::path::PathBuf,
        source: rusqlite::Error,
    },
    #[error("PostgreSQL")]
    Postgres(#[from] tokio_postgres::Error),
    #[error("the database did not answer within {} s", PING_DEADLINE.as_secs())]
    Silent,
    #[error("the statement was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl Database {
    pub(crate) fn new(url: &DatabaseUrl) -> Self {
        match url {
            DatabaseUrl::Sqlite(path) => Self::Sqlite(sqlite::Sqlite::new(path.clone())),
            DatabaseUrl::Postgres(config) => Self::Postgres(postgres::Postgres::new(config.clone())),
        }
    }

    /// What kind it is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    /// Runs one statement, each a transaction of its own, and returns its rows.
    pub(crate) async fn run(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, DatabaseError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.run(sql, values).await,
            Self::Postgres(postgres) => postgres.run(sql, &values).await,
        }
    }

    /// Whether the database answers at all, whatever its schema.
    pub(crate) async fn ping(&self) -> Result<(), DatabaseError> {
        let sql = match self {
            // Reads the file; a bare SELECT 1 would not.
            Self::Sqlite(_) => "SELECT count(*), NULL FROM sqlite_master",
            Self::Postgres(_) => "SELECT CAST(1 AS BIGINT), CAST(NULL AS TEXT)",
        };
        let ping = self.run(sql, Vec::new());
        match tokio::time::timeout(PING_DEADLINE, ping).await {
            Ok(answer) => answer.map(drop),
            Err(_) => Err(DatabaseError::Silent),
        }
    }
}
