//! Connections to SQLite files.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::DbError;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqliteMode {
    /// Nothing is written, and a missing file is an error.
    Read,
    /// A missing file is made.
    Write,
}

/// Opens an SQLite file and reads its head, so that a damaged one is noticed here.
///
/// # Errors
/// When the file cannot be opened or is no database.
pub fn open_sqlite(path: &Path, mode: SqliteMode) -> Result<Connection, DbError> {
    let what = format!("sqlite:{}", path.display());
    // A reader of a WAL database must be able to make its shared-memory file, hence never READ_ONLY.
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if mode == SqliteMode::Write {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, flags)?;
        if mode == SqliteMode::Read {
            connection.pragma_update(None, "query_only", true)?;
        }
        Ok(connection)
    };
    let connection = open().map_err(|error| DbError::Unreachable {
        what: what.clone(),
        cause: sqlite_message(&error),
    })?;
    match connection.query_row("PRAGMA schema_version", [], |row| row.get::<_, i64>(0)) {
        Ok(_) => Ok(connection),
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
            ) =>
        {
            Err(DbError::Damaged {
                what,
                cause: sqlite_message(&error),
            })
        }
        // Somebody holds it for a moment: the work itself waits for that.
        Err(error) if is_busy(&error) => Ok(connection),
        Err(error) => Err(DbError::Unreachable {
            what,
            cause: sqlite_message(&error),
        }),
    }
}

/// Whether somebody else holds the file: the same may work later.
#[must_use]
pub fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Whether there was no room left.
#[must_use]
pub fn disk_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// What SQLite says, in one line and without the statement.
#[must_use]
pub fn sqlite_message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } | rusqlite::Error::SqliteFailure(_, Some(msg)) => {
            msg.clone()
        }
        rusqlite::Error::SqliteFailure(code, None) => code.to_string(),
        other => other.to_string(),
    }
}
