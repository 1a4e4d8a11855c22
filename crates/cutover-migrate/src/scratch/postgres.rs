//! PostgreSQL: another database on the same server, so that a file that names a schema changes nothing that is in use.

use cutover_db::PostgresUrl;
use cutover_ports::PortError;
use cutover_sql::catalog::Catalog;
use cutover_sql::ddl::{Ddl, Kind};
use cutover_sql::{Dialect, quoted, read as read_statement};

use super::{Part, WAIT, one, read, refuse};
use crate::adapter::db_error;
use crate::failure::{Failure, plain};
use crate::postgres::PostgresSession;
use crate::session::SqlSession;

/// What the parts, one after the other, make of an empty database.
pub(super) async fn produced(what: &str, url: &PostgresUrl, parts: &[Part]) -> Result<Catalog, PortError> {
    let mut beside = PostgresSession::open(url, None)
        .await
        .map_err(|error| db_error(what, &error))?;
    // The lock time-out of a session stays as its last transaction had it.
    settle(&mut beside)
        .await
        .map_err(|failure| plain(what, failure))?;
    let about = "SELECT 'cutover_scratch_' || pg_backend_pid() || '_' || (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
            current_setting('search_path'), current_schema(), current_setting('server_version_num')::int >= 130000";
    let row = beside
        .rows_as_written(about)
        .await
        .map_err(|failure| plain(what, failure))?
        .pop()
        .unwrap_or_default();
    let mut row = row.into_iter().map(Option::unwrap_or_default);
    let mut next = || row.next().unwrap_or_default();
    let (name, path, schema, force) = (next(), next(), next(), next() == "t");
    let sql = "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'";
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
    let found = scratch(
        what,
        &url.with_database(&name),
        &path,
        schema,
        extensions.into_iter().flatten().flatten(),
        parts,
    )
    .await;
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

/// What is there before the files run, since the database that they are for has it, by whomever: a file that makes it itself
/// makes it here, too.
struct Given {
    schemas: Vec<String>,
    extensions: Vec<String>,
}

impl Given {
    /// Whether a statement makes what is there: then room is made for it, or, where something stands on that already, there is
    /// nothing left to do.
    async fn has<S: SqlSession>(&mut self, session: &mut S, statement: &str) -> bool {
        let Ddl::Create {
            kind,
            name: Some(name),
            ..
        } = read_statement(Dialect::Postgres, statement)
        else {
            return false;
        };
        let all = match kind {
            Kind::Schema => &mut self.schemas,
            Kind::Extension => &mut self.extensions,
            _ => return false,
        };
        let Some(at) = all.iter().position(|own| *own == name.name) else {
            return false;
        };
        all.remove(at);
        let drop = format!("DROP {} {}", kind.word().to_uppercase(), quoted(&name.name));
        session.execute(&drop).await.is_err()
    }
}

async fn scratch(
    what: &str,
    url: &PostgresUrl,
    path: &str,
    schema: String,
    extensions: impl Iterator<Item = String>,
    parts: &[Part],
) -> Result<Catalog, PortError> {
    let mut session = PostgresSession::open(url, None)
        .await
        .map_err(|error| db_error(what, &error))?;
    let prepared = async {
        settle(&mut session).await?;
        session
            .execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(&schema)))
            .await?;
        session.execute(&format!("SET search_path = {path}")).await
    };
    prepared.await.map_err(|failure| plain(what, failure))?;
    let mut given = Given {
        schemas: vec!["public".to_owned()],
        extensions: Vec::new(),
    };
    if schema != "public" {
        given.schemas.push(schema);
    }
    for extension in extensions {
        let sql = format!("CREATE EXTENSION IF NOT EXISTS {}", quoted(&extension));
        // Who may not make one finds out by the statement that needs it.
        if session.execute(&sql).await.is_ok() {
            given.extensions.push(extension);
        }
    }
    for part in parts {
        for statement in &part.statements {
            let has = match part.values.fill(statement) {
                Ok(text) => given.has(&mut session, &text).await,
                Err(_) => false,
            };
            if !has {
                one(what, &mut session, part, statement).await?;
            }
        }
    }
    let mut found = read(&mut session, Dialect::Postgres)
        .await
        .map_err(|failure| plain(what, failure))?;
    // What no file makes is the server's, and not the files'.
    let theirs = |name: &str| {
        given
            .extensions
            .iter()
            .any(|own| quoted(own) == name || own == name)
    };
    found
        .others
        .retain(|name, _| name.kind != "extension" || !theirs(&name.name));
    Ok(found)
}
