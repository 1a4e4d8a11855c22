//! What a router counts for one revision.

use serde::{Deserialize, Serialize};

/// Answer times in log-linear buckets: 16 to an octave of microseconds, so at most 6.25 % wide.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram(pub Vec<u64>);

/// Cumulative counts of one revision since its router started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Which run of the source counted: another number means it started again from zero.
    pub epoch: u64,
    /// Requests that the split assigned to the revision and whose first attempt has ended.
    pub requests: u64,
    /// Those whose first attempt failed: a 5xx answer, a time-out, a broken or refused connection. A retry that saved
    /// the request does not take it back.
    pub errors: u64,
    /// Sum of answer times in microseconds.
    pub total_us: u64,
    /// Distribution of answer times.
    pub latency: Histogram,
}
