//! The last table on disk: what a proxy comes back with when it was killed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cutover_model::{Fence, RouteTable};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The format that this version writes and reads.
const FORMAT: u32 = 1;

/// The file's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SavedTable {
    format: u32,
    pub(crate) serial: u64,
    pub(crate) fence: Option<Fence>,
    pub(crate) table: RouteTable,
}

/// Why what was kept could not be read.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file is there but cannot be read.
    #[error("cannot read {path}, which a proxy has kept")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is damaged or was written by hand.
    #[error("{path}, which a proxy has kept, is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where it breaks off.
        source: serde_json::Error,
    },
    /// A newer version wrote it.
    #[error("{path} has format {found}, which this version does not read")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

impl SavedTable {
    pub(crate) fn new(serial: u64, fence: Option<Fence>, table: RouteTable) -> Self {
        Self {
            format: FORMAT,
            serial,
            fence,
            table,
        }
    }

    pub(crate) fn path(state_dir: &Path) -> PathBuf {
        state_dir.join("proxy-table.json")
    }

    pub(crate) fn load(path: &Path) -> Result<Option<Self>, LoadError> {
        load(path, FORMAT)
    }

    /// On disk in full or not at all.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        cutover_os::write_whole(path, &serde_json::to_vec_pretty(self)?)
    }
}

/// Does what writes a file, where it may take its time.
pub(crate) async fn keep(
    path: &Path,
    write: impl FnOnce(&Path) -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let own = path.to_owned();
    let written = tokio::task::spawn_blocking(move || write(&own)).await;
    written.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Reads a file of this format; nothing if there is none.
pub(crate) fn load<T: DeserializeOwned>(path: &Path, format: u32) -> Result<Option<T>, LoadError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            let path = path.to_owned();
            return Err(LoadError::Read { path, source });
        }
    };
    let damaged = |source| LoadError::Damaged {
        path: path.to_owned(),
        source,
    };
    let FormatOnly { format: found } = serde_json::from_slice(&text).map_err(damaged)?;
    if found != format {
        let path = path.to_owned();
        return Err(LoadError::Newer { path, found });
    }
    serde_json::from_slice(&text).map(Some).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_model::{Generation, StoreId};

    #[test]
    fn reads_back_what_was_saved_and_refuses_what_it_does_not_know() {
        let folder = tempfile::tempdir().unwrap();
        let path = SavedTable::path(folder.path());
        assert_eq!(SavedTable::load(&path).unwrap(), None);
        let fence = Fence {
            store: StoreId::new("s"),
            generation: Generation(3),
        };
        let saved = SavedTable::new(9, Some(fence), RouteTable::default());
        saved.save(&path).unwrap();
        assert_eq!(SavedTable::load(&path).unwrap(), Some(saved));
        fs::write(&path, r#"{"format": 2, "unheard": "of"}"#).unwrap();
        assert!(matches!(
            SavedTable::load(&path),
            Err(LoadError::Newer { found: 2, .. })
        ));
        fs::write(&path, "{").unwrap();
        assert!(matches!(SavedTable::load(&path), Err(LoadError::Damaged { .. })));
    }

    #[test]
    fn a_table_of_format_1_stays_readable() {
        let folder = tempfile::tempdir().unwrap();
        let path = SavedTable::path(folder.path());
        let text = r#"{"format":1,"serial":4,"fence":{"store":"s","generation":2},"table":{"services":[{"service":"api",
            "listen":"127.0.0.1:8080","revisions":[{"revision":"api@1.0.0#aaaaaa","track":"stable","weight":10000,
            "endpoints":[{"instance":"a","address":"127.0.0.1:20000"}]}]}]}}"#;
        fs::write(&path, text).unwrap();
        let saved = SavedTable::load(&path).unwrap().unwrap();
        assert_eq!((saved.serial, saved.table.services.len()), (4, 1));
    }
}
