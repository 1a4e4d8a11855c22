//! What is measured while a release takes traffic.

use cutover_analysis::Counters;
use cutover_model::{RevisionId, TrafficCounts};

use crate::PortError;

/// Cumulative counters of a revision; the engine takes differences.
#[async_trait::async_trait]
pub trait MetricSource: Send + Sync {
    /// Since the source started. A revision that it does not know has counted nothing.
    async fn counters(&self, revision: &RevisionId) -> Result<Counters, PortError>;

    /// Requests of all revisions since the source started, as the journal keeps them.
    async fn totals(&self) -> Result<TrafficCounts, PortError>;
}
