//! Running copies, as a target reports them.

use serde::{Deserialize, Serialize};

use crate::{InstanceId, RevisionId, Timestamp};

/// How an instance is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InstanceState {
    /// Started; its probes have not passed yet.
    Starting,
    /// Its readiness probe passes.
    Ready,
    /// It was ready, and its readiness probe fails now.
    NotReady,
    /// It ended, or its liveness probe failed, and it will be started again (after a back-off).
    Crashed {
        /// What was seen: `exited with status 1`, with the last line of its log when there is one.
        reason: String,
    },
    /// It was asked to end.
    Stopping,
}

/// One running copy of a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// Its identity; survives restarts by the target.
    pub id: InstanceId,
    /// What it is a copy of.
    pub revision: RevisionId,
    /// `host:port` where it serves; none for a worker.
    pub address: Option<String>,
    /// How it is.
    pub state: InstanceState,
    /// Since when it is so.
    pub since: Timestamp,
    /// Why its probes do not pass, as seen last; none where nothing was seen yet, and none of one that is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unready: Option<String>,
    /// How many times the target started it again.
    pub restarts: u32,
}

impl Instance {
    /// Whether requests may be sent there.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state == InstanceState::Ready
    }
}
