//! Whether a backup fits, asked before it is begun.

use std::path::Path;

use cutover_model::Bytes;

use crate::error::BackupError;

/// What a backup of so many bytes may need: a copy is never smaller than its source, a dump rarely bigger.
pub(crate) const fn needed(source: u64) -> u64 {
    source + source / 10 + 1024 * 1024
}

/// Refuses when the folder's disk has less left than is needed.
pub(crate) fn ensure(folder: &Path, needed: u64) -> Result<(), BackupError> {
    let available = cutover_os::free_bytes(folder).map_err(|error| BackupError::folder(folder, &error))?;
    compare(folder, needed, available)
}

fn compare(folder: &Path, needed: u64, available: u64) -> Result<(), BackupError> {
    if needed <= available {
        return Ok(());
    }
    Err(BackupError::DiskFull {
        path: folder.display().to_string(),
        needed: Bytes(needed).to_string(),
        available: Bytes(available).to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_numbers_are_told() {
        let folder = Path::new("/backups");
        assert!(compare(folder, 10, 10).is_ok());
        let error = compare(folder, 2_140_000_000, 999).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/backups needs 2.1 GB and its disk has 999 B left"
        );
    }

    #[test]
    fn a_real_disk_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ensure(folder.path(), 1).is_ok());
        assert!(matches!(
            ensure(folder.path(), u64::MAX),
            Err(BackupError::DiskFull { .. })
        ));
    }
}
