//! What files produce, seen on a database of its own that is gone afterwards.
//!
//! PostgreSQL: another database on the same server, so that a file that names a schema changes nothing that is in use;
//! the role needs `CREATEDB`. MySQL and MariaDB: another database on the same server, too. SQLite: in memory.

mod mysql;
mod postgres;

use std::time::Duration;

use cutover_db::DatabaseUrl;
use cutover_model::Diagnostic;
use cutover_ports::PortError;
use cutover_sql::Dialect;
use cutover_sql::catalog::Catalog;

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
pub(crate) async fn health(
    what: &str,
    url: &DatabaseUrl,
    texts: Option<&[String]>,
) -> Result<Vec<Diagnostic>, PortError> {
    match url {
        DatabaseUrl::Postgres(url) => {
            let mut session = PostgresSession::open(url, None)
                .await
                .map_err(|error| db_error(what, &error))?;
            crate::health::look(&mut session, Dialect::Postgres, what, texts)
                .await
                .map_err(|failure| plain(what, failure))
        }
        DatabaseUrl::Mysql(url) => mysql::health(what, url, texts).await,
        DatabaseUrl::Mongo(_) => Ok(Vec::new()),
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
                    .block_on(crate::health::look(&mut session, Dialect::Sqlite, &what, None))
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
        DatabaseUrl::Postgres(url) => postgres::produced(what, url, &parts).await,
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
        for statement in &part.statements {
            one(what, session, part, statement).await?;
        }
    }
    Ok(())
}

async fn one<S: SqlSession>(
    what: &str,
    session: &mut S,
    part: &Part,
    statement: &str,
) -> Result<(), PortError> {
    let mut filling = Filling {
        session,
        values: &part.values,
    };
    let ran = filling.execute(statement).await;
    ran.map(drop).map_err(|failure| match failure {
        Failure::Statement { said, .. } | Failure::Forbidden(said) | Failure::Denied(said, _) => refuse(
            format!("{} fails on an empty database beside {what}: {said}", part.name),
            "cutover migrate validate",
        ),
        other => plain(what, other),
    })
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
