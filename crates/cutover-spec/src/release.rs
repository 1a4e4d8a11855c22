//! A release as it is stored: spec, configuration and migration files, immutable, by digest.

use std::collections::BTreeMap;

use cutover_model::{DatabaseName, Digest, Migration, ReleaseId, RevisionId, ServiceName, Version};
use serde::{Deserialize, Serialize};

use crate::Application;

/// An immutable version of the application: everything that an upgrade, a restart or a rollback needs of it, so that
/// none of them ever reads today's files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// The digest of everything else in it.
    pub id: ReleaseId,
    /// Its version.
    pub version: Version,
    /// The spec with the environment's overlay applied and `{version}` put in; secrets are still references.
    pub application: Application,
    /// The revision of each service. Equal to the one of another release when artifact and configuration are.
    pub revisions: BTreeMap<ServiceName, RevisionId>,
    /// What each service's revision is made of: artifact and configuration, without version, replicas and router.
    /// Equal contents keep their revision from release to release.
    #[serde(default)]
    pub contents: BTreeMap<ServiceName, Digest>,
    /// What each service runs, as its files were: before any of it is started again, they are compared. A release that was
    /// stored before this was written down has none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: BTreeMap<ServiceName, Artifact>,
    /// Per database, its migrations in order.
    pub migrations: BTreeMap<DatabaseName, Vec<Migration>>,
    /// The migration files, by database.
    pub files: BTreeMap<DatabaseName, Vec<StoredFile>>,
    /// The changelog's text.
    pub changelog: Option<String>,
}

/// What a service runs: not stored itself, but known by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// The digest of all of it.
    pub digest: Digest,
    /// Per word of the command, what it names: bytes of a file, or the word itself.
    pub words: Vec<Digest>,
    /// The folders of the release that the command names: relative ones begin where `cutover.yaml` is.
    pub folders: Vec<ReleaseFolder>,
}

/// A folder that counts with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseFolder {
    /// Where it is.
    pub path: String,
    /// The digest of what is in it.
    pub digest: Digest,
    /// Paths in it that do not count: migrations, which are stored themselves, and what the program writes.
    pub without: Vec<String>,
}

/// A file that was stored with a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredFile {
    /// Its name without folders.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Release {
    /// The release with its id computed from its content.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.id = ReleaseId(Digest::of(b""));
        self.id = ReleaseId(Digest::of_value(&self));
        self
    }
}
