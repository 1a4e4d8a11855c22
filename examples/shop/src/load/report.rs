//! The account of a load, as people and programs read it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The account of a load. Times are milliseconds since it started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// How long the load has been sending and waiting.
    pub elapsed_ms: u64,
    /// Requests that left, or tried to.
    pub sent: u64,
    /// Answered with 2xx.
    pub ok: u64,
    /// Answered with anything else.
    pub error_answers: u64,
    /// Not answered: no connection, cut, or too late.
    pub failed: u64,
    /// Sent and neither answered nor given up yet.
    pub outstanding: u64,
    /// Turns that were skipped because too many requests were outstanding. Not in `sent`.
    pub overloaded: u64,
    /// Answers by the version that gave them, from the header `X-Backend-Version`.
    pub by_version: BTreeMap<String, VersionCounts>,
    /// Error answers that no version signed: whoever stands before the shop gave them.
    pub unsigned_error_answers: u64,
    /// How the failed requests failed.
    pub failed_by_reason: BTreeMap<FailureReason, u64>,
    /// The first failed requests, in order of time.
    pub failures: Vec<Trouble>,
    /// The first error answers, in order of time.
    pub errors: Vec<Trouble>,
    /// Requests that create or change a user.
    pub writes_sent: u64,
    /// Writes that were answered with 2xx.
    pub writes_acknowledged: u64,
    /// Writes that were not: they may have happened or not.
    pub writes_in_doubt: u64,
    /// Answers to reads that were not what had been acknowledged before the read began.
    pub wrong_reads: u64,
    /// Acknowledged writes with a wrong value at the end; nothing until they were verified.
    pub lost_writes: Option<u64>,
    /// The first lost writes.
    pub lost: Vec<LostWrite>,
    /// From the moment a request was due to the end of its answer.
    pub latency: Quantiles,
    /// What became of the requests that were due in each second.
    pub timeline: Vec<Second>,
}

impl LoadReport {
    /// Requests that clients lost, except the error answers that `candidate` itself gave: not answered at all, or
    /// answered with an error by someone else.
    pub fn failed_apart_from(&self, candidate: &str) -> u64 {
        let own = self
            .by_version
            .get(candidate)
            .map_or(0, |counts| counts.error_answers);
        self.failed + self.error_answers - own
    }

    /// Requests that `version` answered, well or with an error.
    pub fn answered_by(&self, version: &str) -> u64 {
        self.by_version
            .get(version)
            .map_or(0, |counts| counts.ok + counts.error_answers)
    }
}

/// What one version answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VersionCounts {
    /// 2xx.
    pub ok: u64,
    /// Anything else.
    pub error_answers: u64,
    /// From due to answered.
    pub latency: Quantiles,
}

/// Milliseconds that a share of the requests did not exceed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Half of them.
    pub p50_ms: f64,
    /// Nine in ten.
    pub p90_ms: f64,
    /// 99 in a hundred.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

/// One second of the load, by when requests were due.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Requests that left.
    pub sent: u64,
    /// Answered with 2xx.
    pub ok: u64,
    /// Answered with anything else.
    pub error_answers: u64,
    /// Not answered.
    pub failed: u64,
    /// Answers by version.
    pub by_version: BTreeMap<String, u64>,
}

/// A request that failed or was answered with an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    /// When it was due.
    pub at_ms: u64,
    /// Method and path.
    pub request: String,
    /// What happened: the failure, or the answer's status.
    pub reason: String,
    /// Who answered, if someone did and signed.
    pub version: Option<String>,
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// No connection came about.
    Connect,
    /// The other side closed a kept connection as the request was about to leave; not a byte of it was read there.
    NotSent,
    /// The connection ended before the answer was complete.
    Cut,
    /// No complete answer in time.
    Timeout,
    /// A 2xx answer that is not what was asked for.
    Unreadable,
}

/// An acknowledged write that was not there at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostWrite {
    /// Whose.
    pub user: i64,
    /// What was acknowledged last.
    pub acknowledged: String,
    /// A later write that was not acknowledged, and would also have been right.
    pub in_doubt: Option<String>,
    /// What was there; nothing when the user was gone.
    pub found: Option<String>,
}
