//! What the world should look like: instances and shares of traffic.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{RevisionId, ServiceName, Track, Weight};

/// How much of a revision is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DesiredRevision {
    /// Which of the two it is.
    pub track: Track,
    /// How many instances.
    pub replicas: u32,
    /// Its share of the service's requests; none when the service has no router.
    pub weight: Option<Weight>,
}

/// The wanted state of all services: the content of a hold. Revisions that are not named are to be gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Desired(pub BTreeMap<RevisionId, DesiredRevision>);

impl Desired {
    /// What is wanted of a revision; nothing when it is not named.
    #[must_use]
    pub fn replicas(&self, revision: &RevisionId) -> u32 {
        self.0.get(revision).map_or(0, |want| want.replicas)
    }

    /// The share of a revision; none when it is not named.
    #[must_use]
    pub fn weight(&self, revision: &RevisionId) -> Weight {
        self.0
            .get(revision)
            .and_then(|want| want.weight)
            .unwrap_or(Weight::NONE)
    }

    /// The revisions of one service.
    pub fn of<'a>(
        &'a self,
        service: &'a ServiceName,
    ) -> impl Iterator<Item = (&'a RevisionId, &'a DesiredRevision)> {
        self.0.iter().filter(move |(id, _)| id.service == *service)
    }

    /// This state with one revision changed.
    #[must_use]
    pub fn with(mut self, revision: &RevisionId, want: DesiredRevision) -> Self {
        self.0.insert(revision.clone(), want);
        self
    }

    /// This state without one revision.
    #[must_use]
    pub fn without(mut self, revision: &RevisionId) -> Self {
        self.0.remove(revision);
        self
    }
}
