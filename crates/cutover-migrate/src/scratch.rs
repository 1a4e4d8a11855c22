//! What files produce, seen on a database of its own that is gone afterwards.
//!
//! PostgreSQL: another database on the same server, so that a file that names a schema changes nothing that is in use;
//! the role needs `CREATEDB`. MySQL and MariaDB: another database on the same server, too. SQLite: in memory.

mod mysql;

use std::time::Duration;

use cutover_db::{DatabaseUrl, PostgresUrl};
use cutover_model::Diagnostic;
use cutover_ports::PortError;
use cutover_sql::catalog::Catalog;
use cutover_sql::{Dialect, quoted};

use crate::adapter::{blocking, db_error};
use crate::failure::{Failure, plain};
use crate::introspect;
use crate::placeholders::{Filling, Values};
use crate::postgres::PostgresSession;
use crate::session::SqlSession;
use crate::sqlite::SqliteSession;

/// Statements as written, the file that they are of, and what stands in place of its placeholders.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) statements: Vec<String>,
    pub(crate) values: Values,
}

/// On a scratch database nobody is in the way.
const WAIT: Duration = Duration::from_secs(60);

/// What the database holds now.
pub(crate) async fn live(what: &str, url: &DatabaseUrl) -> Result<Catalog, PortError> {
    match url {
        DatabaseUrl::Postgres(url) => {
            let mut session = PostgresSession::open(url, None)
                .await
                .map_err(|error| db_error(what, &error))?;
            read(&mut session, Dialect::Postgres)
                .await
                .map_err(|failure| plain(what, failure))
        }
        DatabaseUrl::Mysql(url) => mysql::live(what, url).await,
        DatabaseUrl::Mongo(_) => Err(unread(what)),
        DatabaseUrl::Sqlite(url) if !url.path.exists() => Ok(Catalog::default()),
        DatabaseUrl::Sqlite(url) => {
            let (path, what, handle) = (
                url.path.clone(),
                what.to_owned(),
                tokio::runtime::Handle::current(),
            );
            blocking(&what.clone(), move || {
                let mut session = SqliteSession::open(&path).map_err(|error| db_error(&what, &error))?;
                handle
                    .block_on(introspect::catalog(&mut session, Dialect::Sqlite))
                    .map_err(|failure| plain(&what, failure))
            })
            .await
        }
    }
}

/// What its health is.
pub(crate) async fn health(what: &str, url: &DatabaseUrl) -> Result<Vec<Diagnostic>, PortError> {
    match url {
        DatabaseUrl::Postgres(url) => {
            let mut session = PostgresSession::open(url, None)
                .await
                .map_err(|error| db_error(what, &error))?;
            crate::health::look(&mut session, Dialect::Postgres, what)
                .await
                .map_err(|failure| plain(what, failure))
        }
        // Its indexes and constraints have no state of being invalid.
        DatabaseUrl::Mysql(_) | DatabaseUrl::Mongo(_) => Ok(Vec::new()),
        DatabaseUrl::Sqlite(url) if !url.path.exists() => Ok(Vec::new()),
        DatabaseUrl::Sqlite(url) => {
            let (path, what, handle) = (
                url.path.clone(),
                what.to_owned(),
                tokio::runtime::Handle::current(),
            );
            blocking(&what.clone(), move || {
                let mut session = SqliteSession::open(&path).map_err(|error| db_error(&what, &error))?;
                handle
                    .block_on(crate::health::look(&mut session, Dialect::Sqlite, &what))
                    .map_err(|failure| plain(&what, failure))
            })
            .await
        }
    }
}

/// Within one transaction that changes nothing.
async fn read<S: SqlSession>(session: &mut S, dialect: Dialect) -> Result<Catalog, Failure> {
    session.begin(WAIT).await?;
    let found = introspect::catalog(session, dialect).await;
    session.rollback().await;
    found
}

/// What the parts, one after the other, make of an empty database of this kind.
pub(crate) async fn produced(what: &str, url: &DatabaseUrl, parts: Vec<Part>) -> Result<Catalog, PortError> {
    match url {
        DatabaseUrl::Postgres(url) => on_postgres(what, url, &parts).await,
        DatabaseUrl::Mysql(url) => mysql::produced(what, url, &parts).await,
        DatabaseUrl::Mongo(_) => Err(unread(what)),
        DatabaseUrl::Sqlite(_) => {
            let (what, handle) = (what.to_owned(), tokio::runtime::Handle::current());
            blocking(&what.clone(), move || {
                let mut session = SqliteSession::in_memory().map_err(|failure| plain(&what, failure))?;
                handle.block_on(async {
                    run(&what, &mut session, &parts).await?;
                    introspect::catalog(&mut session, Dialect::Sqlite)
                        .await
                        .map_err(|failure| plain(&what, failure))
                })
            })
            .await
        }
    }
}

async fn run<S: SqlSession>(what: &str, session: &mut S, parts: &[Part]) -> Result<(), PortError> {
    for part in parts {
        let mut filling = Filling {
            session: &mut *session,
            values: &part.values,
        };
        for statement in &part.statements {
            filling
                .execute(statement)
                .await
                .map_err(|failure| match failure {
                    Failure::Statement { said, .. } | Failure::Forbidden(said) | Failure::Denied(said, _) => {
                        refuse(
                            format!("{} fails on an empty database beside {what}: {said}", part.name),
                            "cutover migrate validate",
                        )
                    }
                    other => plain(what, other),
                })?;
        }
    }
    Ok(())
}

/// Never an empty schema in place of one that is not there to be read.
fn unread(what: &str) -> PortError {
    refuse(
        format!("{what} is MongoDB, whose collections have no schema that could be compared or written"),
        "cutover migrate status",
    )
}

fn refuse(message: String, help: &str) -> PortError {
    PortError::refused(Diagnostic::error("migrate.scratch", message).help(help))
}

async fn on_postgres(what: &str, url: &PostgresUrl, parts: &[Part]) -> Result<Catalog, PortError> {
    let mut beside = PostgresSession::open(url, None)
        .await
        .map_err(|error| db_error(what, &error))?;
    // The lock time-out of a session stays as its last transaction had it.
    settle(&mut beside)
        .await
        .map_err(|failure| plain(what, failure))?;
    let about = "SELECT 'cutover_scratch_' || pg_backend_pid() || '_' || (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
            current_setting('search_path'), quote_ident(current_schema()), current_setting('server_version_num')::int >= 130000";
    let row = beside
        .rows_as_written(about)
        .await
        .map_err(|failure| plain(what, failure))?
        .pop()
        .unwrap_or_default();
    let mut row = row.into_iter().map(Option::unwrap_or_default);
    let mut next = || row.next().unwrap_or_default();
    let (name, path, schema, force) = (next(), next(), next(), next() == "t");
    let sql = "SELECT quote_ident(extname) FROM pg_extension WHERE extname <> 'plpgsql'";
    let extensions = beside
        .rows_as_written(sql)
        .await
        .map_err(|failure| plain(what, failure))?;
    let create = format!("CREATE DATABASE {}", quoted(&name));
    beside.execute(&create).await.map_err(|failure| match failure {
        Failure::Statement { said, .. } | Failure::Denied(said, _) => refuse(
            format!("{what} gives no database to try the migrations on: {said}"),
            "psql -c 'ALTER ROLE \"the role of the URL\" CREATEDB'",
        ),
        other => plain(what, other),
    })?;
    let found = scratch(what, &url.with_database(&name), &path, &schema, extensions, parts).await;
    let force = if force { " WITH (FORCE)" } else { "" };
    if let Err(failure) = beside
        .execute(&format!("DROP DATABASE {}{force}", quoted(&name)))
        .await
    {
        tracing::warn!(database = %name, ?failure, "the scratch database stays");
    }
    found
}

async fn settle<S: SqlSession>(session: &mut S) -> Result<(), Failure> {
    session.begin(WAIT).await?;
    session.commit().await
}

async fn scratch(
    what: &str,
    url: &PostgresUrl,
    path: &str,
    schema: &str,
    extensions: Vec<Vec<Option<String>>>,
    parts: &[Part],
) -> Result<Catalog, PortError> {
    let mut session = PostgresSession::open(url, None)
        .await
        .map_err(|error| db_error(what, &error))?;
    let prepared = async {
        settle(&mut session).await?;
        session
            .execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}"))
            .await?;
        session.execute(&format!("SET search_path = {path}")).await
    };
    prepared.await.map_err(|failure| plain(what, failure))?;
    for extension in extensions.into_iter().flatten().flatten() {
        // Who may not make one finds out by the statement that needs it.
        drop(
            session
                .execute(&format!("CREATE EXTENSION IF NOT EXISTS {extension}"))
                .await,
        );
    }
    run(what, &mut session, parts).await?;
    read(&mut session, Dialect::Postgres)
        .await
        .map_err(|failure| plain(what, failure))
}
