//! Copies of requests for the candidate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Copies requests to the candidate and throws its answers away. A copy never slows the original: what does not fit is
/// dropped and counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Mirror {
    /// Of how many requests, in per cent; default 100.
    #[schemars(range(min = 1, max = 100))]
    pub percentage: u8,
    /// Methods that are copied; default GET, HEAD and OPTIONS. POST may be added where a second one does no harm.
    pub methods: Vec<String>,
    /// A longer body is not copied, and of a longer answer no more is read, in bytes; default 1 MiB.
    pub max_body: u64,
    /// Copies that wait or are under way at the same time; default 100. More are dropped and counted.
    #[schemars(range(min = 1))]
    pub queue: u32,
    /// Whether `Authorization` and cookies go along; default false.
    pub credentials: bool,
    /// Whether status and body of both answers are compared and counted; default false.
    pub compare: bool,
}

impl Default for Mirror {
    fn default() -> Self {
        Self {
            percentage: 100,
            methods: ["GET", "HEAD", "OPTIONS"].map(str::to_owned).to_vec(),
            max_body: 1024 * 1024,
            queue: 100,
            credentials: false,
            compare: false,
        }
    }
}
