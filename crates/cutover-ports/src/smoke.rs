//! Smoke tests.

use cutover_model::Smoke;

/// Why a smoke test failed: one sentence with what came and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmokeFailure(pub String);

/// Sends one request to one instance.
#[async_trait::async_trait]
pub trait SmokeTester: Send + Sync {
    /// Runs one test against `host:port`.
    async fn run(&self, address: &str, test: &Smoke) -> Result<(), SmokeFailure>;
}
