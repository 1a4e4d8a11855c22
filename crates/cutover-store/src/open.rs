//! Opening the file: folder, permissions, settings.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use cutover_model::StoreId;
use rusqlite::{Connection, OpenFlags};

use crate::failure::{Failure, diagnose_io};
use crate::format;

/// How long a write waits for another process's. Each takes milliseconds; longer means that something hangs.
const BUSY: Duration = Duration::from_secs(5);

/// Opens the file, makes it when it is missing, and brings it to the current format.
pub(crate) fn open(path: &Path, new_id: impl FnOnce() -> StoreId) -> Result<(Connection, StoreId), Failure> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let at_folder = |doing: &'static str| move |error| Failure::refused(diagnose_io(folder, doing, &error));
    let at_file = |error| Failure::refused(diagnose_io(path, "open", &error));

    make_folder(folder).map_err(at_folder("make the state folder"))?;
    // Two processes that open a new file at once: SQLite's busy handler does not cover the change to WAL mode, so they
    // take turns. The kernel gives the lock back when its holder dies.
    let turn = File::open(folder).map_err(at_folder("open the state folder"))?;
    turn.lock().map_err(at_folder("lock the state folder"))?;

    let new = make_file(path).map_err(at_file)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Whose file it is comes before the first write to it, and the change to WAL mode is one.
    let id = format::prepare(&mut connection, new_id)?;
    make_private(path).map_err(at_file)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    if new {
        // Else the file itself could be missing after a power cut, with all that was answered as kept.
        turn.sync_all().map_err(at_folder("sync the state folder"))?;
    }
    Ok((connection, id))
}

/// Folders that are made are private; one that exists keeps its permissions, the file has its own.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes the file before SQLite would, because that asks the umask only; its WAL gets the file's permissions. Answers
/// whether it is new.
fn make_file(path: &Path) -> io::Result<bool> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file that came here as a copy may be open to others. Another user's is theirs to change.
fn make_private(path: &Path) -> io::Result<()> {
    let mode = path.metadata()?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    match std::fs::set_permissions(path, PermissionsExt::from_mode(mode & 0o700)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other,
    }
}
