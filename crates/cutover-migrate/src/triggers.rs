//! What must hold of the columns of a sync, looked at in the transaction that changes them.
//!
//! A trigger that names a column which is gone makes every write of every version fail; a new column with a default
//! makes an insert of the old version look like one of the new one. Both are found here, before the commit.

use cutover_model::Diagnostic;
use cutover_ports::PortError;
use cutover_sql::{Dialect, Sync, TableName};

use crate::Direction;
use crate::failure::Failure;
use crate::job::Job;
use crate::session::Session;

/// A column as the catalogue has it.
struct Column {
    name: String,
    required: bool,
    has_default: bool,
}

/// Before the commit of a file of this set.
pub(crate) async fn check<S: Session>(session: &mut S, job: &Job) -> Result<(), Failure> {
    for sync in job.syncs.iter() {
        if !is_on(session, job.dialect, sync).await? {
            continue;
        }
        let columns = columns(session, job.dialect, &sync.table).await?;
        let gone = sync
            .old
            .iter()
            .chain(&sync.new)
            .find(|name| columns.iter().all(|column| column.name != **name));
        if let Some(gone) = gone {
            let said = format!(
                "{} takes {gone} from {} and leaves the triggers of its sync",
                job.file.migration.id,
                sync.table.sql()
            );
            let label = format!(
                "-- cutover: end-sync table={} new={}",
                sync.table.sql().replace('"', ""),
                sync.new.join(",")
            );
            return Err(refuse("migrate.sync-open", said, &label));
        }
        if job.direction == Direction::Up && job.file.syncs.contains(sync) {
            fits(job, sync, &columns)?;
        }
    }
    Ok(())
}

fn fits(job: &Job, sync: &Sync, columns: &[Column]) -> Result<(), Failure> {
    for column in columns {
        let is_new = sync.new.contains(&column.name);
        if is_new && (column.required || column.has_default) {
            let what = if column.required {
                "is NOT NULL"
            } else {
                "has a default"
            };
            let said = format!(
                "{}.{} {what}: a row that the old version inserts would look like one of the new version",
                sync.table.sql(),
                column.name
            );
            return Err(refuse(
                "migrate.sync-invalid",
                said,
                "add it nullable and without a default",
            ));
        }
        if job.dialect == Dialect::Sqlite
            && sync.old.contains(&column.name)
            && column.required
            && !column.has_default
        {
            let said = format!(
                "{}.{} is NOT NULL without a default: SQLite refuses the new version's inserts before a trigger runs",
                sync.table.sql(),
                column.name
            );
            return Err(refuse(
                "migrate.sync-invalid",
                said,
                "rebuild the table with a default for it, in a file before",
            ));
        }
    }
    Ok(())
}

fn refuse(code: &str, said: String, label: &str) -> Failure {
    PortError::refused(
        Diagnostic::error(code, said)
            .note("write", label)
            .help("cutover migrate validate"),
    )
    .into()
}

async fn is_on<S: Session>(session: &mut S, dialect: Dialect, sync: &Sync) -> Result<bool, Failure> {
    let name = Some(sync.marker());
    let rows = match dialect {
        Dialect::Postgres | Dialect::Mysql | Dialect::MariaDb => {
            let sql = "SELECT 'on' FROM pg_trigger WHERE tgname = ?1 AND tgrelid = to_regclass(?2)";
            session.rows(sql, &[name, Some(sync.table.sql())]).await?
        }
        Dialect::Sqlite => {
            let sql = "SELECT 'on' FROM sqlite_master WHERE type = 'trigger' AND name = ?1";
            session.rows(sql, &[name]).await?
        }
    };
    Ok(!rows.is_empty())
}

async fn columns<S: Session>(
    session: &mut S,
    dialect: Dialect,
    table: &TableName,
) -> Result<Vec<Column>, Failure> {
    let rows = match dialect {
        Dialect::Postgres | Dialect::Mysql | Dialect::MariaDb => {
            let sql = "SELECT attname::text, attnotnull::text, atthasdef::text FROM pg_attribute
                WHERE attrelid = to_regclass(?1) AND attnum > 0 AND NOT attisdropped";
            session.rows(sql, &[Some(table.sql())]).await?
        }
        Dialect::Sqlite => {
            let sql = "SELECT name, CASE WHEN \"notnull\" = 1 AND pk = 0 THEN 'true' ELSE 'false' END,
                CASE WHEN dflt_value IS NULL THEN 'false' ELSE 'true' END FROM pragma_table_info(?1)";
            session.rows(sql, &[Some(table.name.clone())]).await?
        }
    };
    let is = |text: Option<&Option<String>>| text.is_some_and(|text| text.as_deref() == Some("true"));
    Ok(rows
        .iter()
        .map(|row| Column {
            name: row.first().cloned().flatten().unwrap_or_default(),
            required: is(row.get(1)),
            has_default: is(row.get(2)),
        })
        .collect())
}
