//! The demo's database: a new SQLite file, or a PostgreSQL database that must be empty and is left empty.

use std::path::Path;

use cutover_db::{DatabaseUrl, DbError, PgSession, PostgresUrl};
use cutover_model::Diagnostic;

use super::files::Kind;
use crate::failure::Failure;

/// What is in the database that is neither PostgreSQL's own nor an extension's: tables, views, sequences and functions.
/// Everything that [`EMPTY`] takes away must be found here.
const FOUND: &str = "
    SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    UNION ALL
    SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    ORDER BY 1";

/// Takes away what the demo made. The database was empty before, so everything in it is the demo's.
const EMPTY: &str = "
    DO $$ DECLARE one record; BEGIN
        FOR one IN SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' LOOP
            EXECUTE format('DROP TABLE IF EXISTS %I.%I CASCADE', one.nspname, one.relname);
        END LOOP;
        FOR one IN SELECT p.oid::regprocedure AS signature FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
            AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e') LOOP
            EXECUTE format('DROP FUNCTION IF EXISTS %s CASCADE', one.signature);
        END LOOP;
    END $$";

/// The demo's database.
pub(super) struct DemoDatabase {
    pub(super) kind: Kind,
    /// Never printed: it may hold a password.
    pub(super) url: String,
    postgres: Option<Box<PostgresUrl>>,
}

impl DemoDatabase {
    /// A file in the demo's folder, or the database that was given.
    pub(super) async fn open(given: Option<&str>, folder: &Path) -> Result<Self, Failure> {
        let Some(given) = given else {
            let url = format!("sqlite:{}", folder.join("shop.db").display());
            return Ok(Self {
                kind: Kind::Sqlite,
                url,
                postgres: None,
            });
        };
        match given.parse().map_err(|error: DbError| error.diagnostic())? {
            DatabaseUrl::Sqlite(_) | DatabaseUrl::Mysql(_) | DatabaseUrl::Mongo(_) => Err(Failure::new(
                "demo.database",
                "without --database the demo uses SQLite in a folder of its own; --database is for PostgreSQL",
                "cutover demo",
            )),
            DatabaseUrl::Postgres(url) => {
                must_be_empty(&url).await?;
                Ok(Self {
                    kind: Kind::Postgres,
                    url: given.to_owned(),
                    postgres: Some(url),
                })
            }
        }
    }

    /// What it is, for people.
    pub(super) const fn words(&self) -> &'static str {
        match self.kind {
            Kind::Sqlite => "SQLite",
            Kind::Postgres => "PostgreSQL",
        }
    }

    /// Leaves nothing behind in a database that was given.
    pub(super) async fn clean(&self) -> Result<(), Failure> {
        let Some(url) = &self.postgres else { return Ok(()) };
        let session = PgSession::connect(url, "cutover demo")
            .await
            .map_err(|error| error.diagnostic())?;
        session.batch_execute(EMPTY).await.map_err(|error| {
            let message = format!(
                "the demo's tables could not be taken away: {}",
                cutover_db::describe(&error)
            );
            Diagnostic::error("demo.database", message).help("cutover demo --keep")
        })?;
        Ok(())
    }
}

async fn must_be_empty(url: &PostgresUrl) -> Result<(), Failure> {
    let session = PgSession::connect(url, "cutover demo")
        .await
        .map_err(|error| error.diagnostic())?;
    let found = session.query(FOUND, &[]).await.map_err(|error| {
        let message = format!("cannot look into {url}: {}", cutover_db::describe(&error));
        Diagnostic::error("demo.database", message).help("cutover demo")
    })?;
    if found.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = found.iter().take(5).map(|row| row.get(0)).collect();
    Err(Diagnostic::error(
        "demo.not-empty",
        format!("{url} is not empty, and the demo keeps off what is yours"),
    )
    .note("holds", names.join(", "))
    .help("createdb cutover_demo")
    .into())
}
