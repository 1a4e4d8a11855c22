//! The state on disk: a change is in memory only after it is on disk, and on disk whole or not at all.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

use crate::saved::{FORMAT, Saved};

/// Why the supervisor's state could not be read.
#[derive(Debug, Error)]
pub enum StateError {
    /// The file cannot be read.
    #[error("cannot read the supervisor's state")]
    Read(#[source] io::Error),
    /// The file is not what a supervisor writes. The parser's own message could quote a secret, so only the place
    /// is kept.
    #[error("{}:{line}:{column} is not a supervisor's state", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// An older program must not write over what a newer one wrote.
    #[error(
        "{} was written by a newer version of Cutover (format {format}, this one reads {FORMAT})",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
}

/// Reads the state; `None` if there is none yet.
pub(crate) fn load(path: &Path) -> Result<Option<Saved>, StateError> {
    #[derive(serde::Deserialize)]
    struct Head {
        format: u32,
    }
    let bytes = match fs_err::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StateError::Read(error)),
    };
    let damaged = |error: serde_json::Error| StateError::Damaged {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
    };
    let Head { format } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if format > FORMAT {
        return Err(StateError::Newer {
            path: path.to_owned(),
            format,
        });
    }
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

fn store(path: &Path, saved: &Saved) -> io::Result<()> {
    let bytes = serde_json::to_vec_pretty(saved).map_err(io::Error::other)?;
    cutover_os::write_whole(path, &bytes)
}

/// The state in memory and on disk.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    saved: Mutex<Arc<Saved>>,
    /// One writer at a time, in the order of the changes.
    writer: tokio::sync::Mutex<()>,
}

impl StateFile {
    pub(crate) fn new(path: PathBuf, saved: Saved) -> Self {
        Self {
            path,
            saved: Mutex::new(Arc::new(saved)),
            writer: tokio::sync::Mutex::new(()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The state as it is on disk.
    pub(crate) fn get(&self) -> Arc<Saved> {
        Arc::clone(&self.saved.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a change durable, then visible. On an error nothing has changed.
    pub(crate) async fn change<T>(&self, change: impl FnOnce(&mut Saved) -> T) -> io::Result<T> {
        let _turn = self.writer.lock().await;
        let mut next = Saved::clone(&self.get());
        let result = change(&mut next);
        let next = Arc::new(next);
        let (path, written) = (self.path.clone(), Arc::clone(&next));
        tokio::task::spawn_blocking(move || store(&path, &written))
            .await
            .map_err(io::Error::other)??;
        *self.saved.lock().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn a_change_is_on_disk_before_it_is_seen_and_a_failed_one_is_neither() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/state.json");
        assert!(load(&path).unwrap().is_none());
        let state = StateFile::new(path.clone(), Saved::new("m".to_owned()));
        assert!(state.change(|s| s.last_port = 1).await.is_err());
        assert_eq!(state.get().last_port, 0);
        fs_err::create_dir(folder.path().join("sub")).unwrap();
        state.change(|s| s.last_port = 2).await.unwrap();
        assert_eq!(load(&path).unwrap().unwrap().last_port, 2);
        let mode = fs_err::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_newer_or_damaged_state_is_refused_without_quoting_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        fs_err::write(&path, r#"{"format":2,"anything":[]}"#).unwrap();
        assert!(matches!(load(&path), Err(StateError::Newer { format: 2, .. })));
        fs_err::write(&path, r#"{"format":1,"marker":{"x":"hunter2"}}"#).unwrap();
        let error = load(&path).unwrap_err();
        assert!(matches!(error, StateError::Damaged { line: 1, .. }));
        assert!(!error.to_string().contains("hunter2"));
    }
}
