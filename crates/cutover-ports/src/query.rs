//! What others measure.

use cutover_model::{Provider, RevisionId, Timestamp};
use serde_json::Value;

use crate::PortError;

/// Who is asked, and about what.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Who is asked.
    pub provider: &'a Provider,
    /// The revision that is judged.
    pub candidate: &'a RevisionId,
    /// What it is compared with.
    pub stable: Option<&'a RevisionId>,
    /// When the measurement began: what is counted is counted from then on.
    pub since: Timestamp,
}

/// Asks metrics providers.
#[async_trait::async_trait]
pub trait QuerySource: Send + Sync {
    /// The result of one query. Missing points are null.
    ///
    /// # Errors
    /// When the provider cannot be asked or answers something else: never the release's fault.
    async fn ask(&self, question: &Question<'_>) -> Result<Value, PortError>;
}
