//! What goes into an analysis, and what comes out.

use cutover_model::{Span, Timestamp, Verdict};
use serde_json::Value;

use crate::Counters;

/// What was read: both revisions' cumulative counters, as their source keeps them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// The candidate's.
    pub candidate: Counters,
    /// Stable's; none when there is nothing to compare with.
    pub stable: Option<Counters>,
    /// The candidate's share of the requests by the split that is in force, 0 to 1.
    pub candidate_share: f64,
    /// What providers answered, or why not: for each query of the template in order, when [`crate::queries_due`] says so.
    pub answers: Vec<Result<Value, String>>,
}

/// How long an analysis goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A step that waits for `count` measurements: ends with any verdict.
    Inline,
    /// A guard beside other steps: measures on and on, and ends only with `Failed` or `Error`.
    Background,
}

/// What an analysis says after a reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// The verdict; none: go on. It is final, but for `Error`: with that the release is held, and asked about again.
    pub verdict: Option<Verdict>,
    /// One sentence with numbers.
    pub because: String,
    /// Requests on the candidate since the analysis began.
    pub requests: u64,
    /// Failed ones among them.
    pub errors: u64,
    /// Whether this reading ended a measurement, or the analysis: worth a line in the journal. In between, the state
    /// may be kept in memory only.
    pub measured: bool,
    /// When to read again; none after a verdict that is final. Reading earlier or later does no harm.
    pub next: Option<Timestamp>,
    /// About how many more requests the measurement needs, when that is what it waits for.
    pub needed: Option<u64>,
    /// When the measurement under way counts as inconclusive if these do not come; none after a verdict.
    pub until: Option<Timestamp>,
    /// Whether the candidate fails hard: at least half of at least ten requests, and stable does not.
    pub hard: bool,
}

impl Assessment {
    /// Whether the candidate fails hard: then stable takes what it can at once (invariant I3).
    #[must_use]
    pub const fn is_hard_failure(&self) -> bool {
        self.hard
    }
}

/// Between two looks at the counters. The verdict on a candidate that fails hard waits no longer than this; thresholds
/// are judged at the template's interval.
pub const LOOK: Span = Span::from_secs(1);
