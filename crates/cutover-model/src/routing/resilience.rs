//! What is done about instances that fail, and how much each is given.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Span;

/// Probes that the proxy makes itself. Names and defaults are HAProxy's `check inter 2s rise 2 fall 3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ActiveHealth {
    /// The path to get; default `/`. A status from 200 to 399 passes.
    pub path: String,
    /// Between two probes; default 2s.
    pub interval: Span,
    /// Between two probes while two revisions share the requests, and while an instance is in doubt; default 250ms.
    pub fast_interval: Span,
    /// For one answer; default 1s.
    pub timeout: Span,
    /// Successes in a row until it gets requests again; default 2.
    #[schemars(range(min = 1))]
    pub rise: u32,
    /// Failures in a row until it gets none; default 3.
    #[schemars(range(min = 1))]
    pub fall: u32,
}

impl Default for ActiveHealth {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            interval: Span::from_secs(2),
            fast_interval: Span::from_millis(250),
            timeout: Span::from_secs(1),
            rise: 2,
            fall: 3,
        }
    }
}

/// When an instance is left out for what its answers say. The terms are Envoy's; of a small set one may be left out
/// whatever the percentage, and one always stays.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OutlierDetection {
    /// Answers with a 5xx status, or none at all, in a row; default 5. 0 turns it off. Refused connections do not count:
    /// whoever refuses them is left out at once, until it accepts them again.
    pub consecutive_5xx: u32,
    /// How long it is left out at first; default 30s. It grows by as much with every further time, and shrinks again for
    /// each such time that it behaves.
    pub base_ejection_time: Span,
    /// How long at most; default 300s.
    pub max_ejection_time: Span,
    /// How many of a revision's instances may be left out, in per cent, rounded down; default 50. From two instances on
    /// it is at least one, and never all. 0 turns it off.
    #[schemars(range(max = 100))]
    pub max_ejection_percent: u8,
}

impl Default for OutlierDetection {
    fn default() -> Self {
        Self {
            consecutive_5xx: 5,
            base_ejection_time: Span::from_secs(30),
            max_ejection_time: Span::from_secs(300),
            max_ejection_percent: 50,
        }
    }
}

/// What is sent again. What was never sent always goes elsewhere, and costs nothing of the budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Retries {
    /// How often a request is sent again; default 2.
    #[schemars(range(max = 10))]
    pub attempts: u32,
    /// For the answer to one attempt of a request that may be repeated; default none but `timeouts.answer`, which is
    /// for all attempts together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<Span>,
    /// For which reasons, of requests that may be repeated: idempotent ones whose body, if any, is within 64 KiB;
    /// default reset.
    pub retry_on: Vec<RetryOn>,
    /// Retries in per cent of the requests of the last ten seconds; default 20.
    #[schemars(range(max = 100))]
    pub budget_percent: u8,
    /// Retries a second that are always allowed; default 10.
    pub min_per_second: u32,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 2,
            per_try_timeout: None,
            retry_on: vec![RetryOn::Reset],
            budget_percent: 20,
            min_per_second: 10,
        }
    }
}

/// A reason to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RetryOn {
    /// The connection broke before an answer came.
    Reset,
    /// The time of `perTryTimeout` was over.
    Timeout,
    /// The answer's status was 502, 503 or 504, or would have been for the time that was over.
    GatewayError,
    /// The answer's status was 5xx, or would have been for the time that was over.
    #[serde(rename = "5xx")]
    ServerError,
}

/// How much one revision is given at once, over all workers. What is more waits, and what waits too long or is too much
/// gets a 503. Switched protocols and event streams do not count once they are open.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Circuit {
    /// Open requests of one revision; default 1024 for each of its instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u32>,
    /// Requests that wait for one of these to end; default 1024.
    pub max_pending: u32,
    /// For how long; default 10s.
    pub pending_timeout: Span,
}

impl Default for Circuit {
    fn default() -> Self {
        Self {
            max_requests: None,
            max_pending: 1024,
            pending_timeout: Span::from_secs(10),
        }
    }
}

/// How long is waited for what.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timeouts {
    /// To connect to an instance; default 2s.
    pub connect: Span,
    /// From the last byte of the request until the answer's head, all attempts together; default 60s.
    pub answer: Span,
    /// Between two bytes of a body, in either direction; default 60s. Event streams may be silent, and switched protocols
    /// have no limit.
    pub idle: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Span::from_secs(2),
            answer: Span::from_secs(60),
            idle: Span::from_secs(60),
        }
    }
}

/// How long what is open by design may stay on an instance that gets no new requests. It is ended then, so that its client
/// comes back and meets another instance. What is not given here has until `drainDeadline`, like every other request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Drain {
    /// Connections that have changed their protocol: WebSockets. They are cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_sockets: Option<Span>,
    /// Event streams. Each ends in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_streams: Option<Span>,
}
