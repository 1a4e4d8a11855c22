//! How much room a disk has.

use std::io;
use std::path::Path;

use nix::sys::statvfs::statvfs;

/// What this user may still write to the disk of a folder, in bytes. A folder that does not exist yet is on the disk of
/// the nearest one above it.
///
/// # Errors
/// If there is no such folder, or the system does not say.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let there = folder
        .ancestors()
        .find(|folder| folder.is_dir())
        .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let disk = statvfs(there)?;
    Ok(disk.blocks_available() * disk.fragment_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_has_room() {
        assert!(free_bytes(Path::new("/tmp/not/there/yet")).unwrap() > 0);
        assert!(free_bytes(Path::new("nowhere")).is_err());
    }
}
