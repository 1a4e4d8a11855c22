//! What must hold of the columns of a sync, looked at in the transaction that changes them.
//!
//! A trigger that names a column which is gone makes every write of every version fail; a new column with a default
//! makes an insert of the old version look like one of the new one. Both are found here, before the commit.

use cutover_model::Diagnostic;
use cutover_ports::PortError;
use cutover_sql::ddl::{Alter, Ddl};
use cutover_sql::{Dialect, Sync, TableName, read};

use crate::Direction;
use crate::failure::Failure;
use crate::job::Job;
use crate::session::SqlSession;

/// A column as the catalogue has it.
struct Column {
    name: String,
    required: bool,
    has_default: bool,
}

/// Before the commit of a file of this set.
pub(crate) async fn check<S: SqlSession>(session: &mut S, job: &Job) -> Result<(), Failure> {
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
            return Err(left_open(job, sync, gone));
        }
        if job.direction == Direction::Up && job.file.syncs.contains(sync) {
            fits(job, sync, &columns)?;
        }
    }
    Ok(())
}

/// Before a statement that commits by itself: triggers are made only for columns that they fit, and a column that a sync
/// needs does not go before its triggers.
pub(crate) async fn before<S: SqlSession>(
    session: &mut S,
    job: &Job,
    statement: &str,
) -> Result<(), Failure> {
    if !job.dialect.is_mysql() || job.syncs.is_empty() {
        return Ok(());
    }
    match read(job.dialect, statement) {
        Ddl::AlterTable(altered) => {
            let gone = |name: &String| {
                altered.actions.iter().any(|action| match &action.what {
                    Alter::DropColumn { name: gone, .. } | Alter::RenameColumn { from: gone, .. } => {
                        gone == name
                    }
                    Alter::Modify { old, column, .. } => old == name && column.name != *old,
                    _ => false,
                })
            };
            for sync in job
                .syncs
                .iter()
                .filter(|sync| sync.table.name == altered.table.name)
            {
                if let Some(gone) = sync.old.iter().chain(&sync.new).find(|name| gone(name))
                    && is_on(session, job.dialect, sync).await?
                {
                    return Err(left_open(job, sync, gone));
                }
            }
        }
        _ if job.direction == Direction::Up => {
            for sync in &job.file.syncs {
                if sync.begin(job.dialect).iter().any(|own| own == statement) {
                    fits(job, sync, &columns(session, job.dialect, &sync.table).await?)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn left_open(job: &Job, sync: &Sync, gone: &str) -> Failure {
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
    refuse("migrate.sync-open", said, &label)
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
        let why = match job.dialect {
            Dialect::Postgres | Dialect::MongoDb => continue,
            Dialect::Sqlite => "SQLite refuses the new version's inserts before a trigger runs",
            Dialect::Mysql | Dialect::MariaDb => {
                "the new version's inserts would fail between the end of the triggers and that of the column"
            }
        };
        if sync.old.contains(&column.name) && column.required && !column.has_default {
            let said = format!(
                "{}.{} is NOT NULL without a default: {why}",
                sync.table.sql(),
                column.name
            );
            let label = match job.dialect {
                Dialect::Sqlite => "rebuild the table with a default for it, in a file before",
                _ => "give it a default, in a file before",
            };
            return Err(refuse("migrate.sync-invalid", said, label));
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

async fn is_on<S: SqlSession>(session: &mut S, dialect: Dialect, sync: &Sync) -> Result<bool, Failure> {
    let name = Some(sync.marker(dialect));
    let rows = match dialect {
        Dialect::Mysql | Dialect::MariaDb => {
            let sql = "SELECT 'on' FROM information_schema.triggers
                WHERE trigger_name = ?1 AND event_object_table = ?2 AND trigger_schema = COALESCE(?3, DATABASE())";
            let params = [name, Some(sync.table.name.clone()), sync.table.schema.clone()];
            session.rows(sql, &params).await?
        }
        Dialect::Postgres => {
            let sql = "SELECT 'on' FROM pg_trigger WHERE tgname = ?1 AND tgrelid = to_regclass(?2)";
            session.rows(sql, &[name, Some(sync.table.sql())]).await?
        }
        Dialect::Sqlite => {
            let sql = "SELECT 'on' FROM sqlite_master WHERE type = 'trigger' AND name = ?1";
            session.rows(sql, &[name]).await?
        }
        Dialect::MongoDb => Vec::new(),
    };
    Ok(!rows.is_empty())
}

async fn columns<S: SqlSession>(
    session: &mut S,
    dialect: Dialect,
    table: &TableName,
) -> Result<Vec<Column>, Failure> {
    let rows = match dialect {
        Dialect::Mysql | Dialect::MariaDb => {
            let sql = "SELECT column_name, IF(is_nullable = 'NO', 'true', 'false'),
                IF(column_default IS NULL OR column_default = 'NULL', 'false', 'true')
                FROM information_schema.columns WHERE table_name = ?1 AND table_schema = COALESCE(?2, DATABASE())";
            let params = [Some(table.name.clone()), table.schema.clone()];
            session.rows(sql, &params).await?
        }
        Dialect::Postgres => {
            let sql = "SELECT attname::text, attnotnull::text, atthasdef::text FROM pg_attribute
                WHERE attrelid = to_regclass(?1) AND attnum > 0 AND NOT attisdropped";
            session.rows(sql, &[Some(table.sql())]).await?
        }
        Dialect::Sqlite => {
            let sql = "SELECT name, CASE WHEN \"notnull\" = 1 AND pk = 0 THEN 'true' ELSE 'false' END,
                CASE WHEN dflt_value IS NULL THEN 'false' ELSE 'true' END FROM pragma_table_info(?1)";
            session.rows(sql, &[Some(table.name.clone())]).await?
        }
        Dialect::MongoDb => Vec::new(),
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
