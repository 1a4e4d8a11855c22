//! What the supervisor must not forget.

use std::collections::{BTreeMap, BTreeSet};

use cutover_model::{Fence, InstanceId, RevisionId, Timestamp};
use cutover_os::ProcessIdentity;
use cutover_ports::RevisionSpec;
use serde::{Deserialize, Serialize};

use crate::SidecarSpec;

/// Raised when an older supervisor could not live with what is written.
pub(crate) const FORMAT: u32 = 1;

/// The whole state: small, written at once. An instance exists from its record to the record's removal; whatever
/// happens to its process in between, it is started again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Saved {
    pub(crate) format: u32,
    /// Tells our children from those of other state folders.
    pub(crate) marker: String,
    /// The store that may write here, and the newest generation that did.
    #[serde(default)]
    pub(crate) fence: Option<Fence>,
    /// The port that was given out last.
    #[serde(default)]
    pub(crate) last_port: u16,
    /// Configuration of every revision that has an instance.
    #[serde(default)]
    pub(crate) revisions: BTreeMap<RevisionId, RevisionSpec>,
    #[serde(default)]
    pub(crate) instances: BTreeMap<InstanceId, SavedInstance>,
    #[serde(default)]
    pub(crate) sidecars: BTreeMap<String, SavedSidecar>,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SavedInstance {
    pub(crate) revision: RevisionId,
    /// Reserved for it until it is removed.
    pub(crate) port: Option<u16>,
    /// Its latest process; none before the first start.
    #[serde(default)]
    pub(crate) process: Option<ProcessIdentity>,
    /// Since when it is ready; an adopted instance goes on being ready until a probe says otherwise.
    #[serde(default)]
    pub(crate) ready_since: Option<Timestamp>,
    #[serde(default)]
    pub(crate) restarts: u32,
    /// It was asked to end and is not started again.
    #[serde(default)]
    pub(crate) stopping: bool,
}

/// One sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SavedSidecar {
    pub(crate) spec: SidecarSpec,
    #[serde(default)]
    pub(crate) process: Option<ProcessIdentity>,
    #[serde(default)]
    pub(crate) restarts: u32,
}

impl Saved {
    pub(crate) fn new(marker: String) -> Self {
        Self {
            format: FORMAT,
            marker,
            fence: None,
            last_port: 0,
            revisions: BTreeMap::new(),
            instances: BTreeMap::new(),
            sidecars: BTreeMap::new(),
        }
    }

    /// Whether there is anything to keep running.
    pub(crate) fn is_idle(&self) -> bool {
        self.instances.is_empty() && self.sidecars.is_empty()
    }

    pub(crate) fn reserved_ports(&self) -> BTreeSet<u16> {
        self.instances
            .values()
            .filter_map(|instance| instance.port)
            .collect()
    }

    /// How many instances of the revision are wanted.
    pub(crate) fn wanted(&self, revision: &RevisionId) -> usize {
        self.instances
            .values()
            .filter(|instance| instance.revision == *revision && !instance.stopping)
            .count()
    }

    /// Removes an instance, and its revision's configuration with the last of them.
    pub(crate) fn forget(&mut self, id: &InstanceId) {
        if let Some(gone) = self.instances.remove(id)
            && !self
                .instances
                .values()
                .any(|other| other.revision == gone.revision)
        {
            self.revisions.remove(&gone.revision);
        }
    }

    /// The mark that the children of this state bear in their environment.
    pub(crate) fn mark(&self, name: &str) -> String {
        format!("{}/{name}", self.marker)
    }
}

/// The name of a sidecar in its mark, apart from all instance ids, which hold no `:`.
pub(crate) fn sidecar_mark(name: &str) -> String {
    format!("sidecar:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_state_without_newer_fields_is_read() {
        let text = r#"{"format":1,"marker":"m","later":1,
            "instances":{"api-1":{"revision":"api@1.0.0#aa","port":20000}},
            "sidecars":{"proxy":{"spec":{"name":"proxy","command":["x"],"listen":[],"stopGrace":"5s"}}}}"#;
        let mut saved: Saved = serde_json::from_str(text).unwrap();
        assert_eq!(saved.reserved_ports(), BTreeSet::from([20_000]));
        assert_eq!(saved.wanted(&"api@1.0.0#aa".parse().unwrap()), 1);
        let again: Saved = serde_json::from_str(&serde_json::to_string(&saved).unwrap()).unwrap();
        assert_eq!(again.instances, saved.instances);
        saved.forget(&InstanceId::new("api-1"));
        assert!(saved.instances.is_empty() && !saved.is_idle());
    }
}
