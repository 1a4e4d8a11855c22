//! What both revisions counted in the same stretch of time.

use serde::{Deserialize, Serialize};

use crate::Counters;

/// Half of at least so many requests failing is failing hard.
pub(crate) const HARD_REQUESTS: u64 = 10;

/// So many requests of stable, or up to twice as many, are what it did lately.
const LATELY: u64 = 30;

/// What stable did lately, whatever measurement that was in: (requests, failed ones).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Lately {
    former: (u64, u64),
    latest: (u64, u64),
}

impl Lately {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn add(&mut self, since: &Counters) {
        self.latest.0 += since.requests;
        self.latest.1 += since.errors;
        if self.latest.0 >= LATELY {
            self.former = std::mem::take(&mut self.latest);
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            requests: self.former.0 + self.latest.0,
            errors: self.former.1 + self.latest.1,
            ..Counters::default()
        }
    }
}

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
        self.stable
            .as_ref()
            .filter(|stable| fails_too(stable, max, least))
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

/// Whether stable fails in more than half of `max` per cent of its requests, on at least `least` of them (and on enough to say so).
pub(crate) fn fails_too(stable: &Counters, max: f64, least: u64) -> bool {
    let rate = stable.error_rate().unwrap_or(0.0);
    stable.requests >= least.max(HARD_REQUESTS) && rate * 100.0 > max / 2.0
}
