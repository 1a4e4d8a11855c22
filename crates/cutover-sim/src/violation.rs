//! What must never happen, and that it did.

use std::fmt;

/// What the simulator watches: the design's invariants, and three that recovery rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// No weight before instances are ready and the router acknowledged them.
    I1,
    /// Nothing is scaled down before weight 0 is acknowledged and nothing is in flight.
    I2,
    /// On abort stable can carry everything first, unless the candidate fails hard.
    I3,
    /// An abort with nothing in flight changes nothing.
    I4,
    /// Weights and replicas are monotone; neither side is alone by rounding.
    I5,
    /// Every pair of revisions that serves together is declared compatible.
    I6,
    /// An instance runs with the stored configuration of its own revision.
    I7,
    /// What waits says what it waits for.
    I8,
    /// No write of an older generation.
    I9,
    /// No way back from the intent of the first contract on.
    I10,
    /// No contract while a version that it retires runs, and none is started afterwards.
    I11,
    /// All on new, all on old, or stuck with instructions.
    I12,
    /// The state in memory is the fold of the journal.
    Fold,
    /// A migration is applied once.
    Once,
    /// An upgrade that nobody holds up comes to its end.
    Progress,
}

impl Invariant {
    /// I1 to I12, in order.
    pub const NUMBERED: [Self; 12] = [
        Self::I1,
        Self::I2,
        Self::I3,
        Self::I4,
        Self::I5,
        Self::I6,
        Self::I7,
        Self::I8,
        Self::I9,
        Self::I10,
        Self::I11,
        Self::I12,
    ];
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A run in which something happened that must not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}: {invariant} at {at_ms} ms: {what}")]
pub struct Violation {
    /// Replays the run.
    pub seed: u64,
    /// What was violated.
    pub invariant: Invariant,
    /// When, in milliseconds of the run's true time.
    pub at_ms: u64,
    /// How.
    pub what: String,
    /// Everything that happened before, a line each; only when it was asked for.
    pub story: Vec<String>,
}
