//! What was seen of the world.

use std::collections::BTreeMap;

use cutover_model::{Instance, InstanceId, RevisionId, RouteTable, Timestamp};
use serde::{Deserialize, Serialize};

/// Instances and routes as they are, read after the last outcome was journalled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observation {
    /// When the reading began.
    pub at: Timestamp,
    /// All instances of the application in this environment.
    pub instances: Vec<Instance>,
    /// What the router serves.
    pub table: RouteTable,
    /// Open requests by instance; instances without any may be missing.
    pub in_flight: BTreeMap<InstanceId, u64>,
}

impl Observation {
    /// The instances of a revision.
    pub fn of<'a>(&'a self, revision: &'a RevisionId) -> impl Iterator<Item = &'a Instance> {
        self.instances
            .iter()
            .filter(move |instance| instance.revision == *revision)
    }

    /// How many instances of a revision are ready.
    #[must_use]
    pub fn ready(&self, revision: &RevisionId) -> u32 {
        u32::try_from(self.of(revision).filter(|instance| instance.is_ready()).count()).unwrap_or(u32::MAX)
    }

    /// How many instances of a revision exist, in whatever state.
    #[must_use]
    pub fn count(&self, revision: &RevisionId) -> u32 {
        u32::try_from(self.of(revision).count()).unwrap_or(u32::MAX)
    }

    /// Open requests on an instance.
    #[must_use]
    pub fn open(&self, instance: &InstanceId) -> u64 {
        self.in_flight.get(instance).copied().unwrap_or(0)
    }
}
