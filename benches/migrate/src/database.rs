//! Databases to migrate, each fresh.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use cutover_testkit::PostgresServer;
use tokio_postgres::NoTls;

use crate::tool::Kind;

/// Where databases come from.
#[derive(Clone, Copy)]
pub(crate) enum Server {
    Postgres(&'static PostgresServer),
    Sqlite,
}

/// One of them.
pub(crate) enum Database {
    Postgres(String),
    Sqlite(PathBuf),
}

impl Server {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Postgres(_) => "PostgreSQL",
            Self::Sqlite => "SQLite",
        }
    }

    /// An empty database; an SQLite file lies in the folder.
    pub(crate) fn fresh(self, folder: &Path) -> Result<Database> {
        match self {
            Self::Postgres(server) => Ok(Database::Postgres(runtime()?.block_on(server.create_database()))),
            Self::Sqlite => {
                let path = folder.join("app.db");
                if path.exists() {
                    std::fs::remove_file(&path)?;
                }
                Ok(Database::Sqlite(path))
            }
        }
    }
}

impl Database {
    /// Its URL in a tool's own words.
    pub(crate) fn url(&self, kind: Kind) -> String {
        match (self, kind) {
            (Self::Postgres(url), Kind::Cutover) => url.clone(),
            (Self::Postgres(url), Kind::Dbmate) => format!("{url}?sslmode=disable"),
            (Self::Postgres(url), Kind::Alembic) => url.replacen("postgres://", "postgresql+psycopg2://", 1),
            (Self::Sqlite(path), Kind::Cutover) => format!("sqlite:{}", path.display()),
            // As durable as the others, which leave SQLite at its own default. Its driver's is NORMAL, with which the loss of
            // power can damage the file (https://sqlite.org/pragma.html#pragma_synchronous).
            (Self::Sqlite(path), Kind::Dbmate) => format!("sqlite:{}?_synchronous=FULL", path.display()),
            (Self::Sqlite(path), Kind::Alembic) => format!("sqlite:///{}", path.display()),
        }
    }

    /// Where Cutover keeps what it knows of it.
    pub(crate) fn state(&self, folder: &Path) -> PathBuf {
        // Short, because sockets lie in it.
        let name = match self {
            Self::Postgres(url) => url.rsplit('/').next().map(OsStr::new),
            Self::Sqlite(path) => path.parent().and_then(Path::file_name),
        };
        folder.join("state").join(name.unwrap_or_default())
    }

    pub(crate) fn run(&self, sql: &str) -> Result<()> {
        match self {
            Self::Sqlite(path) => Ok(rusqlite::Connection::open(path)?.execute_batch(sql)?),
            Self::Postgres(url) => runtime()?.block_on(async {
                let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
                let driver = tokio::spawn(connection);
                client.batch_execute(sql).await?;
                drop(client);
                driver.await??;
                Ok(())
            }),
        }
    }

    /// How many of the tables that the files make are there.
    pub(crate) fn tables(&self) -> Result<usize> {
        let count: i64 = match self {
            Self::Sqlite(path) => rusqlite::Connection::open(path)?.query_row(
                "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name LIKE 'bench@_%' ESCAPE '@'",
                [],
                |row| row.get(0),
            )?,
            Self::Postgres(url) => runtime()?.block_on(async {
                let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
                // Ends with the client.
                drop(tokio::spawn(connection));
                let sql = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'bench@_%' ESCAPE '@'";
                anyhow::Ok(client.query_one(sql, &[]).await?.get(0))
            })?,
        };
        usize::try_from(count).context("a count is not negative")
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}
