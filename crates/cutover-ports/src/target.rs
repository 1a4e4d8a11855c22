//! Where instances run.

use std::collections::BTreeMap;
use std::fmt;

use cutover_model::{Fence, Instance, InstanceId, RevisionId, Slot, Track};
use cutover_spec::{Health, Target as TargetSpec};
use serde::{Deserialize, Serialize};

use crate::PortError;

/// Everything a target needs to start an instance of a revision, now and again after a crash: the *stored*
/// configuration (invariant I7).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionSpec {
    /// The revision.
    pub revision: RevisionId,
    /// Where and how.
    pub target: TargetSpec,
    /// Environment variables with secrets resolved: never logged, kept only in files of mode 0600.
    pub environment: BTreeMap<String, String>,
    /// How health is seen.
    pub health: Health,
    /// Which of the two it is when it is started: TRACK and APP_ENVIRONMENT.
    pub track: Track,
    /// Its place in blue-green: APP_ENVIRONMENT then.
    pub slot: Option<Slot>,
}

/// Without the values of the environment: what is printed for debugging ends in logs.
impl fmt::Debug for RevisionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.environment.keys().collect();
        f.debug_struct("RevisionSpec")
            .field("revision", &self.revision)
            .field("target", &self.target)
            .field("environment", &names)
            .field("health", &self.health)
            .field("track", &self.track)
            .field("slot", &self.slot)
            .finish()
    }
}

/// Where instances run. The target itself restarts what crashes, with the revision's stored configuration.
#[async_trait::async_trait]
pub trait Target: Send + Sync {
    /// All instances of the application in this environment, of all revisions, in no particular order.
    async fn observe(&self) -> Result<Vec<Instance>, PortError>;

    /// At least `replicas` instances of the revision exist (in whatever state). Never removes one. Idempotent.
    async fn ensure(&self, fence: &Fence, spec: &RevisionSpec, replicas: u32) -> Result<(), PortError>;

    /// The instance is gone: asked to end, then made to after its grace, and not started again. Gone already is `Ok`.
    async fn remove(&self, fence: &Fence, instance: &InstanceId) -> Result<(), PortError>;
}

/// What revisions are made of, from stored releases, with secrets resolved by the process that acts.
#[async_trait::async_trait]
pub trait Revisions: Send + Sync {
    /// What is needed to start instances of the revision.
    async fn spec(
        &self,
        revision: &RevisionId,
        track: Track,
        slot: Option<Slot>,
    ) -> Result<RevisionSpec, PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_for_debugging_has_no_secret() {
        let text = r#"{"revision":"api@1.0.0#aa","target":{"process":{"command":["x"]}},
            "environment":{"TOKEN":"hunter2"},"health":{},"track":"stable","slot":null}"#;
        let spec: RevisionSpec = serde_json::from_str(text).unwrap();
        let shown = format!("{spec:?}");
        assert!(shown.contains("TOKEN") && !shown.contains("hunter2"), "{shown}");
    }
}
