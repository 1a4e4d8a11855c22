//! What a target knows of the instances that it runs, for metrics.

use std::collections::BTreeMap;

use cutover_model::{InstanceId, RevisionId};

use crate::PortError;

/// What one instance uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// CPU seconds since it started. Less than before when it was started again.
    pub cpu_seconds: f64,
    /// Memory that is its own and in use now, in bytes.
    pub memory_bytes: u64,
}

/// Where the log of each instance ends, in bytes.
pub type LogEnds = BTreeMap<InstanceId, u64>;

/// What instances use and write.
#[async_trait::async_trait]
pub trait InstanceMetrics: Send + Sync {
    /// What the revision's instances use that run now.
    async fn usage(&self, revision: &RevisionId) -> Result<BTreeMap<InstanceId, Usage>, PortError>;

    /// Where the logs of the revision's instances end now.
    async fn log_ends(&self, revision: &RevisionId) -> Result<LogEnds, PortError>;

    /// Gives each whole line to `line` that the revision's instances wrote after `from`, and all lines of instances that are
    /// not in it; answers how far it came.
    async fn log_lines(
        &self,
        revision: &RevisionId,
        from: &LogEnds,
        line: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<LogEnds, PortError>;
}
