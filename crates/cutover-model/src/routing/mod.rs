//! How one service's requests are routed: the settings of a route that are the same for all its revisions.
//!
//! Values with the defaults of the file; what they do is the proxy's. One file a theme.

mod access;
mod mirror;
mod protocol;
mod resilience;
mod selection;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use access::{AccessLog, AnswerFields};
pub use mirror::Mirror;
pub use protocol::{Certificate, Tls, UpstreamProtocol};
pub use resilience::{ActiveHealth, Circuit, Drain, OutlierDetection, Retries, RetryOn, Timeouts};
pub use selection::{Balance, BalanceBy, RequestMatch, RouteRule, SplitMode, Sticky, Stratum, TextMatch};

/// How one service's requests are routed. Everything has a default, and the default of all is an empty map.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RoutePolicy {
    /// How the weights are turned into choices.
    #[serde(skip_serializing_if = "is_default")]
    pub split: SplitMode,
    /// Requests that go to one side whatever the weights are; the first rule that matches decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RouteRule>,
    /// Requests that an analysis also looks at for themselves; the first that a request matches counts it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub strata: Vec<Stratum>,
    /// Keeps a client with the revision it was first given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// How an instance is chosen within a revision.
    #[serde(skip_serializing_if = "is_default")]
    pub balance: Balance,
    /// Copies requests to the candidate and throws its answers away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// Probes that the proxy makes itself, besides those of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<ActiveHealth>,
    /// When an instance is left out for what its answers say.
    #[serde(skip_serializing_if = "is_default")]
    pub outlier_detection: OutlierDetection,
    /// What is tried again.
    #[serde(skip_serializing_if = "is_default")]
    pub retries: Retries,
    /// How much one revision is given at once.
    #[serde(skip_serializing_if = "is_default")]
    pub circuit: Circuit,
    /// How long is waited for what.
    #[serde(skip_serializing_if = "is_default")]
    pub timeouts: Timeouts,
    /// How long WebSockets and event streams may stay on an instance that leaves.
    #[serde(skip_serializing_if = "is_default")]
    pub drain: Drain,
    /// TLS towards clients; without it the listener speaks plain HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// What is spoken with the instances.
    #[serde(skip_serializing_if = "is_default")]
    pub upstream: UpstreamProtocol,
    /// Networks whose PROXY protocol header is expected and believed, `10.0.0.0/8`. Nobody else's is read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proxy_protocol: Vec<String>,
    /// Fields that are added to answers.
    #[serde(skip_serializing_if = "is_default")]
    pub answer_fields: AnswerFields,
    /// A line of JSON for some of the requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log: Option<AccessLog>,
}

impl RoutePolicy {
    /// Whether nothing was asked for.
    #[must_use]
    pub fn is_default(&self) -> bool {
        is_default(self)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
