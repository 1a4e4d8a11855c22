//! What others measure.

use cutover_model::Provider;
use serde_json::Value;

use crate::PortError;

/// Asks metrics providers.
#[async_trait::async_trait]
pub trait QuerySource: Send + Sync {
    /// The result of one query. Missing points are null.
    ///
    /// # Errors
    /// When the provider cannot be asked or answers something else: never the release's fault.
    async fn ask(&self, provider: &Provider) -> Result<Value, PortError>;
}
