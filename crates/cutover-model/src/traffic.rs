//! What a router has counted, as the journal keeps it.

use serde::{Deserialize, Serialize};

use crate::RevisionId;

/// Counters since the router was started: what an upgrade did is the difference of two of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficCounts {
    /// Another one after each start of the router, when it counts from nothing.
    pub epoch: u64,
    /// By revision.
    pub revisions: Vec<RevisionCounts>,
    /// Requests that no revision could be given, and that failed.
    pub unanswered: u64,
}

/// What was counted of one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionCounts {
    /// The revision.
    pub revision: RevisionId,
    /// Requests that were given to it.
    pub requests: u64,
    /// Failed ones among them.
    pub failed: u64,
}

impl TrafficCounts {
    /// What was counted of a revision; nothing of one that is not known.
    #[must_use]
    pub fn of(&self, revision: &RevisionId) -> (u64, u64) {
        let found = self.revisions.iter().find(|one| one.revision == *revision);
        found.map_or((0, 0), |one| (one.requests, one.failed))
    }
}
