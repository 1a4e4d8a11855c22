//! Checks before anything is touched.

use cutover_model::{Diagnostic, Plan};

/// One check and what it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at: `free disk for the backup`.
    pub name: String,
    /// What is wrong; none when it is fine.
    pub problem: Option<Diagnostic>,
}

/// The checks that only the edge can make: disk, programs, ports, windows. They change nothing.
#[async_trait::async_trait]
pub trait Checks: Send + Sync {
    /// All of them, for this plan.
    async fn run(&self, plan: &Plan) -> Vec<Check>;
}
