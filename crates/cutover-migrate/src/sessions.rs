//! What the other sessions of a database mean for files that are about to run: looked at before, only told, never needed.

use std::collections::BTreeSet;
use std::sync::Arc;

use cutover_db::DatabaseUrl;
use cutover_model::{Diagnostic, MigrationId, Span};
use cutover_sql::ddl::{Alter, Ddl, Name};
use cutover_sql::{Dialect, read};

use crate::MigrationFile;
use crate::failure::Blocker;
use crate::mysql::MysqlSession;
use crate::postgres::PostgresSession;

/// A table whose rows get another shape, and the file that does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reshaped {
    by: MigrationId,
    pub(crate) table: Name,
}

/// The tables that exist before these files and whose rows have other columns, or columns of other types, after them. Pure.
pub(crate) fn reshaped(dialect: Dialect, files: &[Arc<MigrationFile>]) -> Vec<Reshaped> {
    let mut made = BTreeSet::new();
    let mut out: Vec<Reshaped> = Vec::new();
    for file in files {
        for statement in &file.up.statements {
            match read(dialect, &statement.text) {
                Ddl::CreateTable(table) => made.extend(table.name),
                Ddl::AlterTable(altered)
                    if altered.actions.iter().any(|action| changes_shape(&action.what))
                        && !made.contains(&altered.table)
                        && out.iter().all(|one| one.table != altered.table) =>
                {
                    out.push(Reshaped {
                        by: file.migration.id.clone(),
                        table: altered.table,
                    });
                }
                _ => {}
            }
        }
    }
    out
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
            for one in reshaped(Dialect::Postgres, files) {
                if let Some(reader) = session.reader_of_all_columns(&one.table.name).await {
                    out.push(cached_plan(what, &one, &reader));
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
        // Its file's lock tells who writes, and not for how long.
        DatabaseUrl::Sqlite(_) => Vec::new(),
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

fn cached_plan(what: &str, one: &Reshaped, reader: &Blocker) -> Diagnostic {
    Diagnostic::warning(
        "migrate.cached-plan",
        format!(
            "{} changes the columns of {} on {what}, which a session reads with `*`: {reader}",
            one.by, one.table
        ),
    )
    .note(
        "why",
        "where that is a prepared statement, it fails from then on: cached plan must not change result type",
    )
    .note(
        "next",
        "name the columns, or have the client not keep prepared statements",
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
        let files: Vec<_> = files.into_iter().map(Arc::new).collect();
        let found: Vec<String> = reshaped(Dialect::Postgres, &files)
            .iter()
            .map(|one| one.table.to_string())
            .collect();
        assert_eq!(found, ["app.users", "items"]);
    }
}
