//! How a database stands after it was migrated: what is pending, what is half-built, and whether it is well.

mod references;

use std::collections::BTreeSet;

use cutover_model::{DatabaseName, Diagnostic, MigrationId, MigrationPhase};
use cutover_ports::PortError;
use cutover_sql::Dialect;

use crate::MigrateDatabases;
use crate::databases::what;
use crate::failure::Failure;
use crate::session::SqlSession;

/// PostgreSQL stops writing at 2 billion; there is time to act at three quarters of it.
const OLD_TRANSACTIONS: i64 = 1_500_000_000;

impl MigrateDatabases {
    /// What is to be looked at after migrating: files that are not applied (where all are expected to be), constraints that are not
    /// validated or are violated, indexes that are invalid, a database that is not well. Where rows have to be read for it, only
    /// those of tables that the files name which ran; none given: of all tables. Reads only.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn examine(
        &self,
        database: &DatabaseName,
        expects_all: bool,
        ran: Option<&[MigrationId]>,
    ) -> Result<Vec<Diagnostic>, PortError> {
        let observed = self.look(database).await?;
        let known = self.find(database)?;
        let mut out = Vec::new();
        let applied: BTreeSet<&MigrationId> = observed
            .history
            .iter()
            .filter(|row| row.complete)
            .map(|row| &row.id)
            .collect();
        for file in &known.files {
            let migration = &file.migration;
            if expects_all && migration.phase != MigrationPhase::Contract && !applied.contains(&migration.id)
            {
                out.push(
                    Diagnostic::warning(
                        "migrate.behind",
                        format!("{} is not applied to {}", migration.id, what(database)),
                    )
                    .help("cutover migrate up"),
                );
            }
        }
        let texts = ran.map(|ran| {
            let files = known.files.iter().filter(|file| ran.contains(&file.migration.id));
            let statements = files.flat_map(|file| &file.up.statements);
            statements.map(|one| one.text.clone()).collect::<Vec<_>>()
        });
        out.extend(crate::scratch::health(&what(database), &known.url, texts.as_deref()).await?);
        Ok(out)
    }
}

pub(crate) async fn look<S: SqlSession>(
    session: &mut S,
    dialect: Dialect,
    what: &str,
    texts: Option<&[String]>,
) -> Result<Vec<Diagnostic>, Failure> {
    match dialect {
        Dialect::Sqlite => sqlite(session, what).await,
        Dialect::Postgres => postgres(session, what).await,
        // Its indexes and constraints have no state of being invalid.
        Dialect::Mysql | Dialect::MariaDb => references::look(session, texts).await,
        Dialect::MongoDb => Ok(Vec::new()),
    }
}

fn first(row: &[Option<String>]) -> &str {
    row.first().and_then(Option::as_deref).unwrap_or_default()
}

async fn postgres<S: SqlSession>(session: &mut S, what: &str) -> Result<Vec<Diagnostic>, Failure> {
    let mut out = Vec::new();
    let sql = "SELECT quote_ident(k.conname), k.conrelid::regclass::text FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
        WHERE NOT k.convalidated AND k.conrelid <> 0 AND n.nspname !~ '^pg_' ORDER BY 2, 1";
    for row in session.rows_as_written(sql).await? {
        let table = row.get(1).and_then(Option::as_deref).unwrap_or_default();
        out.push(
            Diagnostic::warning(
                "migrate.not-validated",
                format!(
                    "constraint {} of {table} holds for new rows only: the old ones were never looked at",
                    first(&row)
                ),
            )
            .note(
                "write",
                format!("ALTER TABLE {table} VALIDATE CONSTRAINT {}", first(&row)),
            )
            .help("cutover migrate new validate_constraint --release VERSION"),
        );
    }
    let sql = "SELECT x.indexrelid::regclass::text, x.indrelid::regclass::text FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE NOT (x.indisvalid AND x.indisready) AND n.nspname !~ '^pg_' AND c.relkind = 'i'
            AND NOT EXISTS (SELECT 1 FROM pg_stat_progress_create_index p WHERE p.index_relid = x.indexrelid) ORDER BY 1";
    for row in session.rows_as_written(sql).await? {
        let table = row.get(1).and_then(Option::as_deref).unwrap_or_default();
        out.push(
            Diagnostic::warning(
                "migrate.invalid-index",
                format!(
                    "index {} of {table} is invalid: it costs writes and serves no query",
                    first(&row)
                ),
            )
            .note("write", format!("REINDEX INDEX CONCURRENTLY {}", first(&row)))
            .help("cutover migrate new rebuild_index --release VERSION"),
        );
    }
    let sql = "SELECT age(datfrozenxid)::text, pg_is_in_recovery()::text, current_setting('default_transaction_read_only')
        FROM pg_database WHERE datname = current_database()";
    for row in session.rows_as_written(sql).await? {
        let at = |at: usize| row.get(at).and_then(Option::as_deref).unwrap_or_default();
        if at(0).parse::<i64>().is_ok_and(|age| age > OLD_TRANSACTIONS) {
            out.push(unwell(
                what,
                "its oldest transactions are about to run out of numbers: VACUUM FREEZE",
            ));
        }
        if at(1) == "true" {
            out.push(unwell(what, "it is a replica and cannot be written"));
        }
        if at(2) == "on" {
            out.push(unwell(what, "its transactions are read-only"));
        }
    }
    Ok(out)
}

async fn sqlite<S: SqlSession>(session: &mut S, what: &str) -> Result<Vec<Diagnostic>, Failure> {
    let mut out = Vec::new();
    // Without a number of lines: as an argument it is read as the name of a table.
    for row in session
        .rows_as_written("SELECT * FROM pragma_quick_check")
        .await?
    {
        if first(&row) != "ok" {
            out.push(unwell(what, first(&row)));
        }
    }
    let sql =
        "SELECT \"table\", \"parent\", CAST(count(*) AS text) FROM pragma_foreign_key_check GROUP BY 1, 2";
    // A foreign key to what is no key is an error of its own, which the application lives with already.
    for row in session.rows_as_written(sql).await.unwrap_or_default() {
        let at = |at: usize| row.get(at).and_then(Option::as_deref).unwrap_or_default();
        out.push(
            Diagnostic::warning(
                "migrate.violated",
                format!(
                    "{} rows of {} point to rows of {} that are not there",
                    at(2),
                    at(0),
                    at(1)
                ),
            )
            .help("cutover migrate new repair_references --release VERSION"),
        );
    }
    Ok(out)
}

fn unwell(what: &str, said: &str) -> Diagnostic {
    Diagnostic::warning("migrate.unwell", format!("{what}: {said}")).help("cutover status")
}
