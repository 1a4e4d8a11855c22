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
    /// Per database, its migrations in order.
    pub migrations: BTreeMap<DatabaseName, Vec<Migration>>,
    /// The migration files, by database.
    pub files: BTreeMap<DatabaseName, Vec<StoredFile>>,
    /// The changelog's text.
    pub changelog: Option<String>,
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
