//! What both revisions counted in the same stretch of time.

use crate::Counters;

/// Half of at least so many requests failing is failing hard.
const HARD_REQUESTS: u64 = 10;

/// What both revisions counted in the same stretch of time.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Sample {
    /// The candidate.
    pub(crate) candidate: Counters,
    /// What it is compared with; none on a first deployment.
    pub(crate) stable: Option<Counters>,
}

impl Sample {
    /// Whether the candidate fails hard: every second of at least ten requests, and not because both do (a shared
    /// outage is no reason to hurry away from the candidate).
    pub(crate) fn fails_hard(&self) -> bool {
        let candidate = &self.candidate;
        candidate.requests >= HARD_REQUESTS
            && candidate.errors.saturating_mul(2) >= candidate.requests
            && !self.is_shared()
    }

    /// Stable, if it fails itself in more than half of `max` per cent of its requests, on at least `least` of them (and on
    /// enough to say so).
    pub(crate) fn stable_fails_too(&self, max: f64, least: u64) -> Option<&Counters> {
        let stable = self.stable.as_ref()?;
        let enough = stable.requests >= least.max(HARD_REQUESTS);
        (enough && stable.error_rate()? * 100.0 > max / 2.0).then_some(stable)
    }

    /// Whether stable fails at least half as often as the candidate, on enough requests to say so.
    pub(crate) fn is_shared(&self) -> bool {
        let rate = self.candidate.error_rate().unwrap_or(0.0);
        self.stable.as_ref().is_some_and(|stable| {
            stable.requests >= HARD_REQUESTS
                && stable.error_rate().is_some_and(|s| s > 0.0 && s >= rate / 2.0)
        })
    }
}
