//! SQLite: a copy by its own backup interface, proved by reading it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use cutover_db::{SqliteMode, is_busy, open_sqlite, sqlite_message};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, Error, OpenFlags};

use crate::error::BackupError;

/// How long a lock of the application is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn server() -> String {
    format!("SQLite {}", rusqlite::version())
}

/// The size of a database; 0 when it does not exist yet.
pub(crate) fn size(path: &Path) -> u64 {
    ["", "-wal"]
        .iter()
        .map(|suffix| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            std::fs::metadata(name).map_or(0, |file| file.len())
        })
        .sum()
}

/// Copies a database as it is at one moment, and counts its rows at that moment.
///
/// All pages in one step within one read transaction: a copy in several steps begins anew at every write of the
/// application, and under load would never end. Writers of a WAL database go on meanwhile.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<BTreeMap<String, u64>, BackupError> {
    let failed = |error: Error| copy_error(from, &error);
    // What does not exist yet is empty.
    let source = if from.exists() {
        open_sqlite(from, SqliteMode::Read)?
    } else {
        Connection::open_in_memory().map_err(failed)?
    };
    source.busy_timeout(PATIENCE).map_err(failed)?;
    source.execute_batch("BEGIN").map_err(failed)?;
    let rows = count_rows(&source).map_err(failed)?;
    let mut target = Connection::open(to).map_err(failed)?;
    step(&source, &mut target).map_err(failed)?;
    target.close().map_err(|(_, error)| failed(error))?;
    Ok(rows)
}

fn copy_error(what: &Path, error: &Error) -> BackupError {
    let what = what.display().to_string();
    let cause = sqlite_message(error);
    if is_busy(error) {
        BackupError::InUse { what, cause }
    } else {
        BackupError::Copy { what, cause }
    }
}

fn step(source: &Connection, target: &mut Connection) -> Result<(), Error> {
    let backup = Backup::new(source, target)?;
    match backup.step(-1)? {
        StepResult::Done => Ok(()),
        StepResult::Busy | StepResult::Locked => Err(Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            None,
        )),
        other => Err(Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR),
            Some(format!("the copy ended with {other:?}")),
        )),
    }
}

fn count_rows(connection: &Connection) -> Result<BTreeMap<String, u64>, Error> {
    // Virtual tables need extensions that may not be here; what they hold is in tables of their own.
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
        AND sql NOT LIKE 'CREATE VIRTUAL%'";
    let mut statement = connection.prepare(sql)?;
    let names: Vec<String> = statement
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    names
        .into_iter()
        .map(|name| {
            let sql = format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\""));
            let count: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
            Ok((name, u64::try_from(count).unwrap_or(0)))
        })
        .collect()
}

/// Opens a backup so that nothing is written beside it, not even for a database in WAL mode.
fn open_backup(path: &Path) -> Result<Connection, Error> {
    let mut uri = String::from("file:");
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'%' | b'?' | b'#' => uri.push_str(&format!("%{byte:02x}")),
            _ if byte.is_ascii() => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags)
}

/// Every page is whole, and every table has the rows that it had.
pub(crate) fn verify(path: &Path, rows: &BTreeMap<String, u64>) -> Result<(), BackupError> {
    let damaged = |error: Error| BackupError::Damaged {
        path: path.display().to_string(),
        cause: sqlite_message(&error),
    };
    verify_connection(&open_backup(path).map_err(damaged)?, path, rows)
}

fn verify_connection(
    connection: &Connection,
    path: &Path,
    rows: &BTreeMap<String, u64>,
) -> Result<(), BackupError> {
    let damaged = |cause: String| BackupError::Damaged {
        path: path.display().to_string(),
        cause,
    };
    let said: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| damaged(sqlite_message(&error)))?;
    if said != "ok" {
        return Err(damaged(said));
    }
    let found = count_rows(connection).map_err(|error| damaged(sqlite_message(&error)))?;
    if found != *rows {
        return Err(damaged(format!(
            "it has {} tables with {} rows, not {} with {}",
            found.len(),
            found.values().sum::<u64>(),
            rows.len(),
            rows.values().sum::<u64>()
        )));
    }
    Ok(())
}

/// Puts a backup in a database's place, in one transaction of that database, so that whoever has it open sees the one
/// or the other.
pub(crate) fn restore(from: &Path, to: &Path, rows: &BTreeMap<String, u64>) -> Result<(), BackupError> {
    let failed = |error: Error| copy_error(to, &error);
    let source = open_backup(from).map_err(failed)?;
    let mut target = open_sqlite(to, SqliteMode::Write)?;
    target.busy_timeout(PATIENCE).map_err(failed)?;
    step(&source, &mut target).map_err(failed)?;
    verify_connection(&target, to, rows)
}
