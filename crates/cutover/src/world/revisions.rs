//! What revisions are made of, from stored releases.

use std::path::{Path, PathBuf};

use cutover_model::{Diagnostic, RevisionId, Slot, Track};
use cutover_ports::{PortError, RevisionSpec, Revisions};
use cutover_spec::Release;

use crate::lookup::Lookup;

/// The revisions of some releases. Secrets are resolved here, each time anew, and never kept.
pub(crate) struct StoredRevisions {
    folder: PathBuf,
    releases: Vec<Release>,
}

impl StoredRevisions {
    pub(crate) fn new(folder: &Path, releases: &[&Release]) -> Self {
        Self {
            folder: folder.to_owned(),
            releases: releases.iter().map(|release| (*release).clone()).collect(),
        }
    }
}

#[async_trait::async_trait]
impl Revisions for StoredRevisions {
    async fn spec(
        &self,
        revision: &RevisionId,
        track: Track,
        slot: Option<Slot>,
    ) -> Result<RevisionSpec, PortError> {
        let name = &revision.service;
        let release = self
            .releases
            .iter()
            .find(|release| release.revisions.get(name) == Some(revision));
        let found = release.and_then(|release| Some((release, release.application.services.get(name)?)));
        let Some((release, service)) = found else {
            return Err(PortError::refused(
                Diagnostic::error("release.not-stored", format!("no stored release has {revision}"))
                    .help("cutover history"),
            ));
        };
        let lookup = Lookup::new(&self.folder, &release.application);
        let environment = lookup
            .environment(&service.environment)
            .map_err(PortError::refused)?;
        Ok(RevisionSpec {
            revision: revision.clone(),
            target: service.target.clone(),
            environment,
            health: service.health.clone(),
            track,
            slot,
        })
    }
}
