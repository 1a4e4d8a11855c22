//! The folder of backups: names, modes, and files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use cutover_model::{DatabaseName, Diagnostic, Timestamp};
use cutover_os::OpenTo;
use cutover_ports::PortError;
use sha2::{Digest as _, Sha256};

use crate::error::BackupError;
use crate::{Engine, FORMAT, Manifest};

/// The backups of a folder.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Listing {
    /// Those that can be read, the newest first.
    pub backups: Vec<Manifest>,
    /// What is wrong with the others.
    pub problems: Vec<Diagnostic>,
}

#[derive(Debug, Clone)]
pub(crate) struct BackupFolder {
    path: PathBuf,
}

const PARTIAL: &str = ".partial";

impl BackupFolder {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn data(&self, manifest: &Manifest) -> PathBuf {
        self.path.join(&manifest.file)
    }

    /// Makes the folder, for its owner alone. One that exists stays as it is, since it may hold other things too: the
    /// files of a backup are private by themselves.
    pub(crate) fn prepare(&self) -> Result<(), BackupError> {
        let refuse = |error: std::io::Error| BackupError::folder(&self.path, &error);
        cutover_os::make_private_folder(&self.path).map_err(refuse)?;
        match cutover_os::open_to(&self.path).map_err(refuse)? {
            OpenTo::Nobody | OpenTo::Readers => Ok(()),
            OpenTo::Writers => Err(BackupError::Folder {
                path: self.path.display().to_string(),
                cause: "others may write to it, and so replace a backup (chmod go-w)".to_owned(),
            }),
        }
    }

    /// A name that no backup of the database has yet.
    pub(crate) fn new_id(&self, database: &DatabaseName, now: Timestamp) -> String {
        let stamp = now.strftime("%Y%m%dT%H%M%SZ");
        let base = format!("{database}-{stamp}");
        let is_taken = |id: &str| {
            [Engine::Sqlite.extension(), Engine::Postgres.extension(), "json"]
                .iter()
                .any(|extension| self.path.join(format!("{id}.{extension}")).exists())
        };
        let mut id = base.clone();
        let mut number = 1;
        while is_taken(&id) {
            number += 1;
            id = format!("{base}-{number}");
        }
        id
    }

    /// An empty file, for its owner alone, that becomes `name` only by [`Self::finish`].
    pub(crate) fn begin(&self, name: &str) -> Result<PathBuf, BackupError> {
        let path = self.path.join(format!("{name}{PARTIAL}"));
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| BackupError::folder(&path, &error))?;
        Ok(path)
    }

    /// The file gets its name, once its content is on the disk.
    pub(crate) fn finish(&self, partial: &Path, name: &str) -> Result<(), BackupError> {
        let path = self.path.join(name);
        let done = || -> std::io::Result<()> {
            File::open(partial)?.sync_all()?;
            cutover_os::rename_synced(partial, &path)
        };
        done().map_err(|error| BackupError::folder(&path, &error))
    }

    pub(crate) fn write_manifest(&self, manifest: &Manifest) -> Result<(), BackupError> {
        let path = self.path.join(format!("{}.json", manifest.id));
        let write = || -> std::io::Result<()> {
            let mut text = serde_json::to_vec_pretty(manifest)?;
            text.push(b'\n');
            cutover_os::write_whole(&path, &text)
        };
        write().map_err(|error| BackupError::folder(&path, &error))
    }

    /// All backups, or those of one database. A folder that does not exist has none.
    pub(crate) fn list(&self, database: Option<&DatabaseName>) -> Result<Listing, BackupError> {
        let mut listing = Listing::default();
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(listing),
            Err(error) => return Err(BackupError::folder(&self.path, &error)),
        };
        for entry in entries {
            let path = entry
                .map_err(|error| BackupError::folder(&self.path, &error))?
                .path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read(&path) {
                Ok(manifest) if database.is_none_or(|name| manifest.database == *name) => {
                    listing.backups.push(manifest);
                }
                Ok(_) => {}
                Err(error) => listing.problems.push(*PortError::from(error).diagnostic),
            }
        }
        let key = |manifest: &Manifest| (manifest.created_at, manifest.id.clone());
        listing.backups.sort_by_key(key);
        listing.backups.reverse();
        Ok(listing)
    }

    pub(crate) fn find(&self, id: &str) -> Result<Manifest, BackupError> {
        // An id is a name, never a path.
        if id.contains('/') || id.starts_with('.') {
            return Err(BackupError::Missing(id.to_owned()));
        }
        let path = self.path.join(format!("{id}.json"));
        if !path.exists() {
            return Err(BackupError::Missing(id.to_owned()));
        }
        read(&path)
    }

    /// The manifest goes first: what has none is no backup.
    pub(crate) fn remove(&self, manifest: &Manifest) -> Result<(), BackupError> {
        for name in [format!("{}.json", manifest.id), manifest.file.clone()] {
            let path = self.path.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(BackupError::folder(&path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes what an interrupted backup of this database left.
    pub(crate) fn tidy(&self, database: &DatabaseName) -> Result<(), BackupError> {
        let refuse = |error: std::io::Error| BackupError::folder(&self.path, &error);
        let prefix = format!("{database}-");
        for entry in fs::read_dir(&self.path).map_err(refuse)? {
            let entry = entry.map_err(refuse)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // `main-2026…` is of `main`, `main-copy-2026…` is not.
            let is_own = name
                .strip_prefix(&prefix)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            let is_data = [Engine::Sqlite, Engine::Postgres].iter().any(|engine| {
                name.strip_suffix(&format!(".{}", engine.extension()))
                    .is_some_and(|id| !self.path.join(format!("{id}.json")).exists())
            });
            if is_own && (name.contains(PARTIAL) || name.ends_with(".json.new") || is_data) {
                fs::remove_file(entry.path()).map_err(refuse)?;
            }
        }
        Ok(())
    }

    /// Size and SHA-256 of the data are what the manifest says.
    pub(crate) fn verify_checksum(&self, manifest: &Manifest) -> Result<(), BackupError> {
        let path = self.data(manifest);
        let damaged = |cause: String| BackupError::Damaged {
            path: path.display().to_string(),
            cause,
        };
        if !path.exists() {
            return Err(damaged("its data file is gone".to_owned()));
        }
        let (bytes, sha256) = checksum(&path)?;
        if bytes != manifest.bytes {
            return Err(damaged(format!("it has {bytes} bytes, not {}", manifest.bytes)));
        }
        if sha256 != manifest.sha256 {
            return Err(damaged("its checksum is another one".to_owned()));
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Manifest, BackupError> {
    let damaged = |cause: String| BackupError::Damaged {
        path: path.display().to_string(),
        cause,
    };
    let text = fs::read_to_string(path).map_err(|error| BackupError::folder(path, &error))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    let format = value.get("format").and_then(serde_json::Value::as_u64);
    if let Some(format) = format.and_then(|format| u32::try_from(format).ok())
        && format > FORMAT
    {
        return Err(BackupError::NewerFormat {
            path: path.display().to_string(),
            format,
        });
    }
    let manifest: Manifest = serde_json::from_value(value).map_err(|error| damaged(error.to_string()))?;
    if manifest.file.contains('/') {
        return Err(damaged("its data file is in another folder".to_owned()));
    }
    Ok(manifest)
}

/// Size and SHA-256 of a file, read piece by piece.
pub(crate) fn checksum(path: &Path) -> Result<(u64, String), BackupError> {
    let refuse = |error: std::io::Error| BackupError::folder(path, &error);
    let mut file = File::open(path).map_err(refuse)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0u64;
    loop {
        let read = file.read(&mut buffer).map_err(refuse)?;
        if read == 0 {
            break;
        }
        bytes += u64::try_from(read).unwrap_or(0);
        hash.update(&buffer[..read]);
    }
    let digest = hash.finalize();
    let hex = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((bytes, hex))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_that_was_there_stays_open_but_not_to_writers() {
        let top = tempfile::tempdir().unwrap();
        let mode = |bits| fs::set_permissions(top.path(), fs::Permissions::from_mode(bits)).unwrap();
        let folder = BackupFolder::new(top.path().to_owned());
        mode(0o755);
        folder.prepare().unwrap();
        assert_eq!(top.path().metadata().unwrap().permissions().mode() & 0o777, 0o755);
        mode(0o777);
        assert!(matches!(folder.prepare(), Err(BackupError::Folder { .. })));
    }

    #[test]
    fn a_link_in_the_way_is_not_followed() {
        let top = tempfile::tempdir().unwrap();
        let other = top.path().join("other");
        fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, top.path().join("main-1.sqlite.partial")).unwrap();
        BackupFolder::new(top.path().to_owned())
            .begin("main-1.sqlite")
            .unwrap_err();
        assert_eq!(fs::read(&other).unwrap(), b"precious");
    }
}
