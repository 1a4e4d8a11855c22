//! Folders and files that are their owner's alone.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use nix::unistd::geteuid;

/// Makes a folder, and those above it that are missing, for this user alone. One that exists must be this user's; it
/// keeps its permissions.
///
/// # Errors
/// If it cannot be made, or belongs to another user: who could change what lies in it, or put links there.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let owner = fs::metadata(folder)?.uid();
    if owner == geteuid().as_raw() {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("it belongs to another user (uid {owner})"),
        ))
    }
}

/// As [`make_private_folder`], and closes one that exists to others. Only for folders that nobody else has a use for.
///
/// # Errors
/// As [`make_private_folder`].
pub fn close_folder(folder: &Path) -> io::Result<()> {
    make_private_folder(folder)?;
    let mode = fs::metadata(folder)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(folder, Permissions::from_mode(mode & 0o700))?;
    }
    Ok(())
}

/// What others than its owner may do with a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenTo {
    /// Nothing: only the owner enters it.
    Nobody,
    /// Others may look into it, or make files, but not touch those of the owner.
    Readers,
    /// Others may replace the owner's files.
    Writers,
}

/// What others than its owner may do with a folder.
///
/// # Errors
/// If it cannot be looked at.
pub fn open_to(folder: &Path) -> io::Result<OpenTo> {
    const STICKY: u32 = 0o1000;
    let mode = fs::metadata(folder)?.permissions().mode();
    Ok(if mode & 0o022 != 0 && mode & STICKY == 0 {
        OpenTo::Writers
    } else if mode & 0o077 != 0 {
        OpenTo::Readers
    } else {
        OpenTo::Nobody
    })
}

/// Writes a file for its owner alone, on the disk whole or not at all: beside it, synced, renamed, and the folder synced
/// too. A crash or a full disk leaves the old one. One writer a file at a time.
///
/// # Errors
/// If any of that fails.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    rename_synced(beside, path)
}

/// Gives a file, which is on the disk already, another name in its folder, on the disk when this returns.
///
/// # Errors
/// If it cannot be renamed or the folder not be synced.
pub fn rename_synced(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn folders_are_made_private_and_closed_only_when_asked() {
        let top = tempfile::tempdir().unwrap();
        let new = top.path().join("a/b");
        make_private_folder(&new).unwrap();
        assert_eq!((mode(&new), mode(&top.path().join("a"))), (0o700, 0o700));
        let shared = top.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, Permissions::from_mode(0o755)).unwrap();
        make_private_folder(&shared).unwrap();
        assert_eq!(open_to(&shared).unwrap(), OpenTo::Readers);
        assert_eq!(mode(&shared), 0o755);
        close_folder(&shared).unwrap();
        assert_eq!(open_to(&shared).unwrap(), OpenTo::Nobody);
        fs::set_permissions(&shared, Permissions::from_mode(0o770)).unwrap();
        assert_eq!(open_to(&shared).unwrap(), OpenTo::Writers);
        fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(open_to(&shared).unwrap(), OpenTo::Readers);
    }

    #[test]
    fn a_file_is_replaced_whole_and_a_link_in_the_way_is_not_followed() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("state.json");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(mode(&path), 0o600);
        let other = top.path().join("other");
        fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, top.path().join("state.json.new")).unwrap();
        write_whole(&path, b"three").unwrap_err();
        assert_eq!(fs::read(&other).unwrap(), b"precious");
        assert!(write_whole(&top.path().join("none/x"), b"").is_err());
    }
}
