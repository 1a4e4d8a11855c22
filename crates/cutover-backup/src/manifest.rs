//! What is known of a backup: the JSON file beside its data.

use std::collections::BTreeMap;
use std::fmt;

use cutover_model::{DatabaseName, Generation, StoreId, Timestamp, UpgradeId};
use serde::{Deserialize, Serialize};

/// The format of manifests that this version writes; it reads every older one.
pub const FORMAT: u32 = 1;

/// Which database a backup is of, and so what its data file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// A whole SQLite database.
    Sqlite,
    /// A dump in PostgreSQL's custom format.
    Postgres,
    /// A dump of MySQL or MariaDB: statements.
    Mysql,
}

impl Engine {
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "dump",
            Self::Mysql => "sql",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL or MariaDB",
        })
    }
}

/// What is known of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// See [`FORMAT`].
    pub format: u32,
    /// Its name: unique in its folder, sorted by time within a database.
    pub id: String,
    /// The database's name in the application.
    pub database: DatabaseName,
    /// Which kind of database.
    pub engine: Engine,
    /// Product and version of the server that it is from.
    pub server: String,
    /// Where it is from, without a password.
    pub source: String,
    /// The data file's name, beside the manifest.
    pub file: String,
    /// When it was begun.
    pub created_at: Timestamp,
    /// The data file's size.
    pub bytes: u64,
    /// The data file's SHA-256, in hexadecimal.
    pub sha256: String,
    /// The upgrade that it was made for; none when a person asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<UpgradeId>,
    /// The store of the controller that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreId>,
    /// That controller's generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// The version of cutover.
    pub tool: String,
    /// Rows per table, counted in the snapshot that was copied (SQLite).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rows: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_back_and_a_later_ones_more_keys_do_not_hurt() {
        let text = r#"{"format":1,"id":"main-20261120T171613Z","database":"main","engine":"sqlite",
            "server":"SQLite 3.51.0","source":"sqlite:app.db","file":"main-20261120T171613Z.sqlite",
            "createdAt":"2026-11-20T17:16:13Z","bytes":8192,"sha256":"ab","upgrade":"0193","tool":"0.1.0",
            "rows":{"users":2},"addedLater":true}"#;
        let manifest: Manifest = serde_json::from_str(text).unwrap();
        assert_eq!(manifest.rows["users"], 2);
        assert_eq!(manifest.upgrade, Some(UpgradeId::new("0193")));
        let again = serde_json::to_string(&manifest).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&again).unwrap(), manifest);
    }
}
