//! What the other sessions of a database mean for files that are about to run: looked at before, only told, never needed.

use std::collections::BTreeSet;
use std::sync::Arc;

use cutover_db::DatabaseUrl;
use cutover_model::{Diagnostic, MigrationId, Span};
use cutover_sql::ddl::{Alter, Ddl, Name};
use cutover_sql::{Dialect, Statement, read};

use crate::failure::Blocker;
use crate::mysql::MysqlSession;
use crate::postgres::PostgresSession;
use crate::{MigrationFile, Script};

/// The tables that are there before a file and whose rows have other columns, or columns of other types, after it. Pure.
pub(crate) fn reshaped(dialect: Dialect, script: &Script) -> BTreeSet<Name> {
    // Most files alter nothing, and all of a release are looked at each time: those are not read.
    let is_alter = |statement: &&Statement| statement.text.to_ascii_lowercase().contains("alter");
    if !script.statements.iter().any(|statement| is_alter(&statement)) {
        return BTreeSet::new();
    }
    let mut made = BTreeSet::new();
    let mut out = BTreeSet::new();
    for statement in &script.statements {
        match read(dialect, &statement.text) {
            Ddl::CreateTable(table) => made.extend(table.name),
            Ddl::AlterTable(altered) if altered.actions.iter().any(|action| changes_shape(&action.what)) => {
                out.insert(altered.table);
            }
            _ => {}
        }
    }
    &out - &made
}

fn made(files: &[Arc<MigrationFile>]) -> BTreeSet<Name> {
    let statements = files.iter().flat_map(|file| &file.up.statements);
    statements
        .filter_map(|statement| match read(Dialect::Postgres, &statement.text) {
            Ddl::CreateTable(table) => table.name,
            _ => None,
        })
        .collect()
}

const fn changes_shape(action: &Alter) -> bool {
    matches!(
        action,
        Alter::AddColumn { .. }
            | Alter::DropColumn { .. }
            | Alter::RenameColumn { .. }
            | Alter::SetType { .. }
            | Alter::Modify { .. }
    )
}

/// Warnings of what is in the way of these files. Where the database cannot be asked, or shows this user nobody's sessions,
/// there are none.
pub(crate) async fn look(
    what: &str,
    url: &DatabaseUrl,
    longer_than: Span,
    files: &[Arc<MigrationFile>],
) -> Vec<Diagnostic> {
    match url {
        DatabaseUrl::Postgres(url) => {
            let Ok(mut session) = PostgresSession::open(url, None).await else {
                return Vec::new();
            };
            let open = session.open_transactions(longer_than).await;
            let mut out: Vec<Diagnostic> = open
                .iter()
                .map(|blocker| {
                    let end = format!("SELECT pg_terminate_backend({})", blocker.pid);
                    long_transaction(what, blocker, end)
                })
                .collect();
            // Files in order, each once: what one of them makes, nobody reads yet.
            let mut looked_at: BTreeSet<Name> = made(files);
            for file in files {
                for table in reshaped(Dialect::Postgres, &file.up) {
                    if looked_at.insert(table.clone())
                        && let Some(reader) = session.reader_of_all_columns(&table.name).await
                    {
                        out.push(cached_plan(what, &file.migration.id, &table, &reader));
                    }
                }
            }
            out
        }
        DatabaseUrl::Mysql(url) => {
            let Ok(mut session) = MysqlSession::open(url, None).await else {
                return Vec::new();
            };
            let open = session.open_transactions(longer_than).await;
            open.iter()
                .map(|blocker| long_transaction(what, blocker, format!("KILL {}", blocker.pid)))
                .collect()
        }
        // SQLite's file lock tells who writes, and not for how long; MongoDB's commands wait for nobody's transaction for long.
        DatabaseUrl::Sqlite(_) | DatabaseUrl::Mongo(_) => Vec::new(),
    }
}

fn long_transaction(what: &str, blocker: &Blocker, end: String) -> Diagnostic {
    Diagnostic::warning(
        "migrate.long-transaction",
        format!("a transaction on {what} is open for long: {blocker}"),
    )
    .note("why", "a change of a table that it has used waits for it")
    .note("end", end)
    .help("cutover migrate validate")
}

fn cached_plan(what: &str, by: &MigrationId, table: &Name, reader: &Blocker) -> Diagnostic {
    Diagnostic::warning(
        "migrate.cached-plan",
        format!("{by} changes the columns of {table} on {what}, which a session reads with `*`: {reader}",),
    )
    .note(
        "why",
        "where that is a prepared statement, it fails from then on: cached plan must not change result type",
    )
    .note(
        "next",
        "name the columns, have the client not keep prepared statements, or set recycleConnections",
    )
    .help("cutover migrate validate")
}

#[cfg(test)]
mod tests {
    use cutover_model::DatabaseName;
    use cutover_spec::StoredFile;

    use super::*;

    #[test]
    fn tables_with_other_rows_afterwards() {
        let text = "-- cutover: phase=expand
CREATE TABLE fresh (id int);
ALTER TABLE fresh ADD COLUMN a int;
ALTER TABLE app.users ADD COLUMN a int;
ALTER TABLE app.users DROP COLUMN b;
ALTER TABLE orders ADD CONSTRAINT c CHECK (a > 0);
ALTER TABLE items ALTER COLUMN a TYPE bigint;";
        let files = [("001_a.up.sql", text), ("001_a.down.sql", "")].map(|(name, text)| StoredFile {
            name: name.to_owned(),
            text: text.to_owned(),
        });
        let database: DatabaseName = "main".parse().unwrap();
        let files = crate::from_files(&database, &files, Dialect::Postgres).unwrap();
        let found: Vec<String> = reshaped(Dialect::Postgres, &files[0].up)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, ["items", "app.users"]);
        assert!(files[0].migration.reshapes);
    }
}
