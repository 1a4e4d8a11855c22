//! What can go wrong with the file, in words for people.

use std::path::Path;

use cutover_model::Diagnostic;
use cutover_ports::{LeaseError, StoreError};
use rusqlite::ErrorCode;

/// Why something inside the store failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// SQLite says so.
    Sqlite(rusqlite::Error),
    /// We say so.
    Store(StoreError),
    /// We say so, of a lease.
    Lease(LeaseError),
}

impl Failure {
    pub(crate) fn refused(diagnostic: Diagnostic) -> Self {
        Self::Store(StoreError::Failed(Box::new(diagnostic)))
    }

    /// In the port's words. `path` is the file's.
    pub(crate) fn into_store_error(self, path: &Path) -> StoreError {
        match self {
            Self::Sqlite(error) => StoreError::Failed(Box::new(diagnose(path, &error))),
            Self::Store(StoreError::Failed(diagnostic)) => {
                let known = diagnostic.notes.iter().any(|(key, _)| key == "state");
                let is_store = diagnostic.code.starts_with("store.");
                let mut diagnostic = diagnostic;
                if is_store && !known {
                    *diagnostic = diagnostic.note("state", path.display().to_string());
                }
                if diagnostic.code == "store.damaged" && diagnostic.help.is_none() {
                    *diagnostic = diagnostic.help(check_command(path));
                }
                StoreError::Failed(diagnostic)
            }
            Self::Store(error) | Self::Lease(LeaseError::Store(error)) => error,
            Self::Lease(error) => StoreError::Failed(Box::new(
                Diagnostic::error("lease.refused", error.to_string()).help("cutover status"),
            )),
        }
    }

    pub(crate) fn into_lease_error(self, path: &Path) -> LeaseError {
        match self {
            Self::Lease(error) => error,
            other => LeaseError::Store(other.into_store_error(path)),
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<LeaseError> for Failure {
    fn from(error: LeaseError) -> Self {
        Self::Lease(error)
    }
}

fn check_command(path: &Path) -> String {
    format!("sqlite3 '{}' 'PRAGMA integrity_check'", path.display())
}

/// An error of the operating system while the file or its folder was made ready.
pub(crate) fn diagnose_io(path: &Path, doing: &str, error: &std::io::Error) -> Diagnostic {
    use std::io::ErrorKind;
    let shown = path.display();
    let (code, help) = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ("store.disk-full", format!("df -h '{shown}'")),
        ErrorKind::ReadOnlyFilesystem => ("store.read-only", format!("ls -ld '{shown}'")),
        _ => ("store.cannot-open", format!("ls -ld '{shown}'")),
    };
    Diagnostic::error(code, format!("cannot {doing} {shown}: {error}")).help(help)
}

/// Whether it is the shared index of the write-ahead log that could not grow.
fn no_room(error: &rusqlite::Error) -> bool {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    matches!(
        extended,
        Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE | rusqlite::ffi::SQLITE_IOERR_SHMMAP)
    )
}

/// SQLite's codes as causes. Nothing of what was being written was kept, whichever it is: a transaction that fails is
/// rolled back, by this process or by the next one that opens the file.
fn diagnose(path: &Path, error: &rusqlite::Error) -> Diagnostic {
    let shown = path.display();
    let folder = path.parent().unwrap_or(path).display();
    let error_with = |code: &str, message: &str, help: String| {
        Diagnostic::error(code, message)
            .note("state", shown.to_string())
            .note("cause", error.to_string())
            .help(help)
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => error_with(
            "store.disk-full",
            "there is no space left for the state; nothing of it was written",
            format!("df -h '{folder}'"),
        ),
        // The log's index grows when the file is opened. SQLite says no more of it, and a full disk is why.
        Some(ErrorCode::SystemIoFailure) if no_room(error) => error_with(
            "store.disk-full",
            "there is no space left for the state; nothing of it was written",
            format!("df -h '{folder}'"),
        ),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => error_with(
            "store.damaged",
            "the state file is damaged, or is no state file",
            check_command(path),
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => error_with(
            "store.read-only",
            "the state file cannot be written",
            format!("ls -l '{shown}'"),
        ),
        Some(ErrorCode::CannotOpen) => error_with(
            "store.cannot-open",
            "the state file cannot be opened",
            format!("ls -ld '{folder}' '{shown}'"),
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => error_with(
            "store.locked",
            "another process keeps the state file locked",
            format!("fuser -v '{shown}'"),
        ),
        Some(ErrorCode::SystemIoFailure) => error_with(
            "store.io",
            "the disk failed under the state file",
            "dmesg --level=err".to_owned(),
        ),
        _ => error_with(
            "store.failed",
            "the state file could not be used",
            check_command(path),
        ),
    }
}
