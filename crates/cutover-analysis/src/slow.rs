//! The sequential test on slow answers.
//!
//! An answer is slow or it is not: of stable, when it takes longer than its quantile was when the upgrade's analysis
//! began; of the candidate, when it takes longer than so many times that. If the candidate takes at most so many times as
//! long as stable, a slow answer is no likelier of it than of stable, whatever happens to both; so the bets of
//! [`Evidence`] are fair or unfavourable, and bounded by the same inequality. Both times are frozen: a bound that moved
//! with what is seen would follow the candidate.

use cutover_model::SlowAnswers;
use serde::{Deserialize, Serialize};

use crate::Histogram;
use crate::odds::Limits;
use crate::sequential::Evidence;
use crate::strata::Strata;

/// So much of what there is goes on slow answers. Of a version that is slow there are many; of errors each one counts.
const STAKE: f64 = 0.25;

/// Below so many answers beyond the quantile it would be the time of a single one.
const BEYOND: f64 = 1.0;

/// The bets on slow answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Slow {
    /// What is slow.
    pub(crate) limits: Limits,
    /// The bets.
    pub(crate) evidence: Evidence,
    /// The same by route.
    #[serde(skip_serializing_if = "Strata::is_empty")]
    pub(crate) strata: Strata,
    /// ln of what was put on failures, for each unit of their evidence, and of what was put on slow answers.
    log_stakes: (f64, f64),
}

impl Slow {
    /// With what stable's times were so far; none where they were too few, `least` or fewer than the quantile asks for.
    /// `failures` is ln E of the bets on failures.
    pub(crate) fn freeze(
        asked: &SlowAnswers,
        stable: &Histogram,
        least: u64,
        failures: f64,
        routes: &[String],
    ) -> Option<Self> {
        let enough = (BEYOND / (1.0 - asked.quantile).max(1e-6)).ceil() as u64;
        if stable.count() < least.max(enough) {
            return None;
        }
        let usual = stable.quantile(asked.quantile)?;
        let increase = asked.min_increase.as_millis().saturating_mul(1_000);
        let most = ((usual as f64 * asked.max_ratio.max(1.0)) as u64).max(usual.saturating_add(increase));
        Some(Self {
            limits: Limits {
                stable: usual,
                candidate: Histogram::upper_bound(Histogram::index(most)),
            },
            evidence: Evidence::default(),
            strata: Strata::begin(routes, &Evidence::default()),
            // What the bets on failures have come to by now is what there is to be put on either.
            log_stakes: ((1.0 - STAKE).ln(), STAKE.ln() + failures),
        })
    }

    /// What the bets on failures come to, given their ln E, and those on slow answers, as they are put.
    pub(crate) fn shares(&self, failures: f64) -> [f64; 2] {
        let slow = self.strata.log_e(&self.evidence);
        [self.log_stakes.0 + failures, self.log_stakes.1 + slow]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_model::Span;

    fn times(us: u64, count: usize) -> Histogram {
        let mut histogram = Histogram::default();
        for _ in 0..count {
            histogram.record(us);
        }
        histogram
    }

    fn freeze(stable: &Histogram, max_ratio: f64, min_increase: Span) -> Option<Limits> {
        let asked = SlowAnswers {
            max_ratio,
            min_increase,
            ..SlowAnswers::default()
        };
        Slow::freeze(&asked, stable, 30, 0.0, &[]).map(|slow| slow.limits)
    }

    #[test]
    fn what_is_slow() {
        for (us, count, ratio, increase, limits) in [
            // Bounds of buckets: 60 ms lies in the one from 57,344 to 61,439 µs, and 1.5 times its end in the next but one.
            (60_000, 100, 1.5, 10, Some((61_439, 94_207))),
            (60_000, 100, 1.0, 0, Some((61_439, 61_439))),
            // A millisecond more is nothing that anybody notices.
            (400, 100, 1.5, 10, Some((415, 10_751))),
            (400, 100, 1.5, 0, Some((415, 639))),
            // Of 99 answers the greatest is the p99.
            (60_000, 99, 1.5, 10, None),
            (0, 0, 1.5, 10, None),
        ] {
            let found = freeze(&times(us, count), ratio, Span::from_millis(increase));
            let found = found.map(|limits| (limits.stable, limits.candidate));
            assert_eq!(found, limits, "{count} of {us} µs, {ratio} times, {increase} ms");
        }
    }

    #[test]
    fn slow_ones_are_counted_exactly() {
        let limits = freeze(&times(60_000, 100), 1.5, Span::ZERO).unwrap();
        let at = |us| times(us, 1).above(limits.candidate);
        assert_eq!((at(limits.candidate), at(limits.candidate + 1)), (0, 1));
    }
}
