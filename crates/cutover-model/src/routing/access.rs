//! What is told of requests: to their clients, and to a log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Fields that are added to answers. Without them, what an instance itself says is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AnswerFields {
    /// `X-Backend-Version`, the version that answered; default false.
    pub backend_version: bool,
    /// `X-Served-By`, the instance that answered; default false.
    pub served_by: bool,
}

/// A line of JSON for some of the requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessLog {
    /// The file; it is appended to, and opened again when it was moved away.
    pub path: String,
    /// Of how many requests, in per cent; default 100. Errors (5xx, and what the proxy refused) always are.
    #[serde(default = "all")]
    #[schemars(range(max = 100))]
    pub percentage: u8,
}

const fn all() -> u8 {
    100
}
