//! First attempts by the odds that their requests were drawn with.
//!
//! A slow request may end long after the share has changed. What it says depends on the share that it was drawn with, so
//! the source counts by that. What was seen of each count is kept, and only what is new is bet on.

use serde::{Deserialize, Serialize};

use crate::histogram::compact;
use crate::strata::Strata;
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
    /// The same by the strata that the source was told to count by; each of the above is in one of them. Empty where it
    /// was told of none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub strata: Vec<DrawnIn>,
}

/// Those among them that belong to one stratum.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DrawnIn {
    /// Its name as configured; none for all that belong to no other.
    pub name: String,
    /// Those that failed.
    pub errors: u64,
    /// How long they took.
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

/// What is new since the last reading, at one share.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct News {
    pub(crate) share: f64,
    pub(crate) all: Bad,
    /// By the place of their stratum.
    pub(crate) strata: Vec<Bad>,
}

/// Failed and slow ones: of the candidate, and of stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Bad {
    pub(crate) failed: (u64, u64),
    pub(crate) slow: (u64, u64),
}

impl Bad {
    fn since(self, before: Self) -> Self {
        let more = |now: (u64, u64), before: (u64, u64)| {
            (now.0.saturating_sub(before.0), now.1.saturating_sub(before.1))
        };
        Self {
            failed: more(self.failed, before.failed),
            slow: more(self.slow, before.slow),
        }
    }
}

/// What was seen already.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Seen {
    epoch: u64,
    odds: Vec<SeenOdds>,
}

/// What was seen of one pair of shares.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SeenOdds {
    odds: u64,
    failed: (u64, u64),
    slow: (u64, u64),
    /// The same by the place of their stratum.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    strata: Vec<Bad>,
}

impl SeenOdds {
    const fn all(&self) -> Bad {
        Bad {
            failed: self.failed,
            slow: self.slow,
        }
    }
}

impl Seen {
    /// All that a reading tells; none where its source does not count by odds, or started again between its two halves.
    pub(crate) fn of(reading: &Reading, limits: Option<Limits>, strata: &Strata) -> Option<(Self, Vec<f64>)> {
        let stable = reading.stable.as_ref()?;
        let (ours, theirs) = (reading.candidate.odds.as_ref()?, stable.odds.as_ref()?);
        if reading.candidate.epoch != stable.epoch {
            return None;
        }
        let slow = |times: &Histogram, limit: u64| limits.map_or(0, |_| times.above(limit));
        let limit = limits.unwrap_or_default();
        // Only between these two: stable may have been drawn against another one before.
        let pairs = ours.iter().filter_map(|our| {
            let their = theirs.iter().find(|their| their.odds == our.odds)?;
            let mut by_place = vec![Bad::default(); strata.len()];
            if !strata.is_empty() {
                for one in &our.strata {
                    let place = &mut by_place[strata.place(&one.name)];
                    place.failed.0 += one.errors;
                    place.slow.0 += slow(&one.latency, limit.candidate);
                }
                for one in &their.strata {
                    let place = &mut by_place[strata.place(&one.name)];
                    place.failed.1 += one.errors;
                    place.slow.1 += slow(&one.latency, limit.stable);
                }
            }
            let seen = SeenOdds {
                odds: our.odds,
                failed: (our.errors, their.errors),
                slow: (
                    slow(&our.latency, limit.candidate),
                    slow(&their.latency, limit.stable),
                ),
                strata: by_place,
            };
            Some((seen, our.share()))
        });
        let (odds, shares) = pairs.unzip();
        let epoch = stable.epoch;
        Some((Self { epoch, odds }, shares))
    }

    /// Whether `earlier` has seen nothing of any of these shares.
    pub(crate) fn is_new_to(&self, earlier: &Self) -> bool {
        let known = |now: &SeenOdds| earlier.odds.iter().any(|known| known.odds == now.odds);
        earlier.epoch != self.epoch || !self.odds.iter().any(known)
    }

    /// What is in this and was not in `earlier`. Of a source that started again all is new.
    pub(crate) fn since(&self, earlier: &Self, shares: &[f64]) -> Vec<News> {
        let fresh = SeenOdds::default();
        let both = self.odds.iter().zip(shares);
        both.map(|(now, share)| {
            let known = earlier.odds.iter().find(|known| known.odds == now.odds);
            let before = known.filter(|_| earlier.epoch == self.epoch).unwrap_or(&fresh);
            let by_place = now.strata.iter().enumerate();
            News {
                share: *share,
                all: now.all().since(before.all()),
                strata: by_place
                    .map(|(place, bad)| bad.since(before.strata.get(place).copied().unwrap_or_default()))
                    .collect(),
            }
        })
        .collect()
    }
}

/// The names of the strata that a reading counts by; none where its source was told of none.
pub(crate) fn strata_of(reading: &Reading) -> Option<Vec<String>> {
    let odds = reading.candidate.odds.as_ref()?;
    // The latest ones, for they are of the table that is in force.
    let told = odds.iter().rev().find(|at| !at.strata.is_empty())?;
    let named = told.strata.iter().filter(|one| !one.name.is_empty());
    Some(named.map(|one| one.name.clone()).collect())
}
