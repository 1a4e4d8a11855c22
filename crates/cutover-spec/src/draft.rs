//! A release in the making: what the edge read from the machine, made into the stored value.

use std::collections::BTreeMap;

use cutover_model::{DatabaseName, Digest, Migration, ReleaseId, RevisionId, ServiceName, Version};
use serde::Serialize;

use crate::{Application, Artifact, Health, Release, Service, StoredFile, Target};

/// What the edge found out about one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceParts {
    /// What is run: the program, and the release's folder where the command names one.
    pub artifact: Artifact,
    /// The digest of its configuration as resolved, keyed (HMAC) so that secrets cannot be guessed from it.
    pub config: Digest,
    /// Asks for new instances although nothing changed; any text that was not used before.
    pub restart: Option<String>,
}

/// Everything that a release is made from.
#[derive(Debug, Clone)]
pub struct ReleaseDraft<'a> {
    /// The application in its environment, `{version}` not yet put in.
    pub application: &'a Application,
    /// The version it becomes.
    pub version: &'a Version,
    /// The release that is stable now: its revisions are kept where nothing changed.
    pub previous: Option<&'a Release>,
    /// Per service, its artifact and configuration.
    pub parts: BTreeMap<ServiceName, ServiceParts>,
    /// Per database, its migrations in order.
    pub migrations: BTreeMap<DatabaseName, Vec<Migration>>,
    /// Per database, the files they were read from.
    pub files: BTreeMap<DatabaseName, Vec<StoredFile>>,
    /// The changelog's text.
    pub changelog: Option<String>,
}

/// Why a draft cannot be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnfinishedDraft {
    /// An artifact is missing.
    #[error("the artifact of service `{0}` is not known")]
    NoParts(ServiceName),
    /// The overlays were not chosen from.
    #[error("the environment was not chosen yet")]
    NoEnvironment,
}

/// What a revision is made of. In the target `{version}` is not put in: a path that merely names the version is no
/// change, the bytes behind it are. In the environment it is: the instance sees that value, so it is configuration.
/// (A program that behaves by its version alone says so with a variable that holds `{version}`.) Replicas and router are not part of it: they change around running instances. Neither are
/// dependencies, compatibility and smoke tests, which no instance ever sees.
#[derive(Serialize)]
struct Contents<'a> {
    artifact: &'a Digest,
    config: &'a Digest,
    target: &'a Target,
    environment: &'a BTreeMap<String, String>,
    databases: &'a [DatabaseName],
    health: &'a Health,
}

impl ReleaseDraft<'_> {
    /// The release, with an id from its content.
    ///
    /// A service whose contents are those of the previous release keeps its revision, and with it the target and
    /// environment as they were put in then, so that one revision never means two commands.
    ///
    /// # Errors
    /// When the environment was not chosen or a service's parts are missing.
    pub fn seal(self) -> Result<Release, UnfinishedDraft> {
        if !self.application.environments.is_empty() {
            return Err(UnfinishedDraft::NoEnvironment);
        }
        let mut application = self.application.at_version(self.version);
        let mut revisions = BTreeMap::new();
        let mut contents = BTreeMap::new();
        let mut artifacts = BTreeMap::new();
        for (name, service) in &self.application.services {
            let parts = self
                .parts
                .get(name)
                .ok_or_else(|| UnfinishedDraft::NoParts(name.clone()))?;
            let content = content(service, &application.services[name].environment, parts);
            let kept = self
                .previous
                .filter(|previous| parts.restart.is_none() && previous.contents.get(name) == Some(&content));
            let kept = kept.and_then(|previous| {
                let revision = previous.revisions.get(name)?;
                Some((revision, previous.application.services.get(name)?))
            });
            let mut artifact = Some(parts.artifact.clone());
            let revision = match kept {
                Some((revision, as_it_runs)) => {
                    if let Some(service) = application.services.get_mut(name) {
                        service.target = as_it_runs.target.clone();
                        service.environment = as_it_runs.environment.clone();
                    }
                    artifact = self
                        .previous
                        .and_then(|previous| previous.artifacts.get(name).cloned());
                    revision.clone()
                }
                None => RevisionId {
                    service: name.clone(),
                    version: self.version.clone(),
                    mark: Digest::of_value(&(&content, &parts.restart)).short().to_owned(),
                },
            };
            revisions.insert(name.clone(), revision);
            contents.insert(name.clone(), content);
            artifacts.extend(artifact.map(|artifact| (name.clone(), artifact)));
        }
        Ok(Release {
            id: ReleaseId(Digest::of(b"")),
            version: self.version.clone(),
            application,
            revisions,
            contents,
            artifacts,
            migrations: self.migrations,
            files: self.files,
            changelog: self.changelog,
        }
        .sealed())
    }
}

fn content(service: &Service, environment: &BTreeMap<String, String>, parts: &ServiceParts) -> Digest {
    Digest::of_value(&Contents {
        artifact: &parts.artifact.digest,
        config: &parts.config,
        target: &service.target,
        environment,
        databases: &service.databases,
        health: &service.health,
    })
}
