//! First attempts by the odds that their requests were drawn with.
//!
//! A slow request may end long after the share has changed. What it says depends on the share that it was drawn with, so
//! the source counts by that. What was seen of each count is kept, and only what is new is bet on.

use serde::{Deserialize, Serialize};

use crate::histogram::compact;
use crate::{Histogram, Reading};

/// First attempts of one revision's requests that were drawn between the same two revisions with the same chances.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DrawnAt {
    /// Which odds: unique in one run of the source, and the same number for both revisions.
    pub odds: u64,
    /// The candidate's parts of `of`.
    pub candidate: u32,
    /// The parts of both.
    pub of: u32,
    /// Those that failed.
    pub errors: u64,
    /// How long they took, those included whose client gave up before there was any answer: it had waited so long.
    #[serde(with = "compact")]
    pub latency: Histogram,
}

impl DrawnAt {
    fn share(&self) -> f64 {
        f64::from(self.candidate) / f64::from(self.of.max(1))
    }
}

/// From which time on an answer is slow, in microseconds; both are the greatest time of a bucket, so that the slow ones
/// are counted and not estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Limits {
    /// One of stable.
    pub(crate) stable: u64,
    /// One of the candidate.
    pub(crate) candidate: u64,
}

/// What is new since the last reading, at one share: failed and slow ones of the candidate, and of stable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct News {
    pub(crate) share: f64,
    pub(crate) failed: (u64, u64),
    pub(crate) slow: (u64, u64),
}

/// What was seen already.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Seen {
    epoch: u64,
    odds: Vec<SeenOdds>,
}

/// Failed and slow ones: of the candidate, and of stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SeenOdds {
    odds: u64,
    failed: (u64, u64),
    slow: (u64, u64),
}

impl Seen {
    /// All that a reading tells; none where its source does not count by odds, or started again between its two halves.
    pub(crate) fn of(reading: &Reading, limits: Option<Limits>) -> Option<(Self, Vec<f64>)> {
        let stable = reading.stable.as_ref()?;
        let (ours, theirs) = (reading.candidate.odds.as_ref()?, stable.odds.as_ref()?);
        if reading.candidate.epoch != stable.epoch {
            return None;
        }
        let slow = |at: &DrawnAt, limit: u64| limits.map_or(0, |_| at.latency.above(limit));
        let limits = limits.unwrap_or_default();
        // Only between these two: stable may have been drawn against another one before.
        let pairs = ours.iter().filter_map(|our| {
            let their = theirs.iter().find(|their| their.odds == our.odds)?;
            let seen = SeenOdds {
                odds: our.odds,
                failed: (our.errors, their.errors),
                slow: (slow(our, limits.candidate), slow(their, limits.stable)),
            };
            Some((seen, our.share()))
        });
        let (odds, shares) = pairs.unzip();
        let epoch = stable.epoch;
        Some((Self { epoch, odds }, shares))
    }

    /// What is in this and was not in `earlier`. Of a source that started again all is new.
    pub(crate) fn since(&self, earlier: &Self, shares: &[f64]) -> Vec<News> {
        let fresh = SeenOdds::default();
        let both = self.odds.iter().zip(shares);
        both.map(|(now, share)| {
            let known = earlier.odds.iter().find(|known| known.odds == now.odds);
            let before = known.filter(|_| earlier.epoch == self.epoch).unwrap_or(&fresh);
            let more = |now: (u64, u64), before: (u64, u64)| {
                (now.0.saturating_sub(before.0), now.1.saturating_sub(before.1))
            };
            News {
                share: *share,
                failed: more(now.failed, before.failed),
                slow: more(now.slow, before.slow),
            }
        })
        .collect()
    }
}
