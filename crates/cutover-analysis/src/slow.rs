//! The sequential test on slow answers, and both tests as one.
//!
//! An answer is slow or it is not: of stable, when it takes longer than its quantile was when the upgrade's analysis
//! began; of the candidate, when it takes longer than so many times that. If the candidate takes at most so many times as
//! long as stable, a slow answer is no likelier of it than of stable, whatever happens to both; so the bets of
//! [`Evidence`] are fair or unfavourable, and bounded by the same inequality. Both times are frozen: a bound that moved
//! with what is seen would follow the candidate.
//!
//! Both tests share one α. What a gambler puts on either is fixed when the bets on slow answers begin, and never moved
//! between them: their sum starts with 1 and is a martingale as each of them is.

use cutover_model::SlowAnswers;
use serde::{Deserialize, Serialize};

use crate::odds::Limits;
use crate::sequential::Evidence;
use crate::{Histogram, words};

/// So much of what there is goes on slow answers. Of a version that is slow there are many; of errors each one counts.
const STAKE: f64 = 0.25;

/// Below so many answers beyond the quantile it would be the time of a single one.
const BEYOND: f64 = 1.0;

/// The bets on slow answers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Slow {
    /// What is slow.
    pub(crate) limits: Limits,
    /// The bets.
    pub(crate) evidence: Evidence,
    /// ln of what was put on failures, for each unit of their evidence, and of what was put on slow answers.
    log_stakes: (f64, f64),
}

impl Slow {
    /// With what stable's times were so far; none where they were too few, `least` or fewer than the quantile asks for.
    pub(crate) fn freeze(
        asked: &SlowAnswers,
        stable: &Histogram,
        least: u64,
        failures: &Evidence,
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
            // What the bets on failures have come to by now is what there is to be put on either.
            log_stakes: ((1.0 - STAKE).ln(), STAKE.ln() + failures.log_e()),
        })
    }
}

/// All that is held against the candidate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    /// Its failures.
    pub(crate) failures: &'a Evidence,
    /// Its slow answers; none while nobody knows what is slow, or asks.
    pub(crate) slow: Option<&'a Slow>,
}

impl Case<'_> {
    /// ln E.
    pub(crate) fn log_e(&self) -> f64 {
        let failures = self.failures.log_e();
        let Some(slow) = self.slow else {
            return failures;
        };
        let (a, b) = (
            slow.log_stakes.0 + failures,
            slow.log_stakes.1 + slow.evidence.log_e(),
        );
        let top = a.max(b);
        top + ((a - top).exp() + (b - top).exp()).ln()
    }

    /// Whether the candidate is worse, at a chance of at most `alpha` to say so ever of one that is not.
    pub(crate) fn is_worse(&self, alpha: f64) -> bool {
        self.log_e() >= -alpha.clamp(f64::MIN_POSITIVE, 1.0).ln()
    }

    /// As people say it.
    pub(crate) fn words(&self, alpha: f64) -> String {
        let (candidate, stable) = self.failures.failures();
        let mut counts = format!(
            "the candidate failed {}, stable {}",
            words::times(candidate),
            words::times(stable)
        );
        if let Some(slow) = self.slow {
            let (candidate, stable) = slow.evidence.failures();
            counts.push_str(&format!(
                ", and took over {} {}, stable over {} {}",
                words::time(slow.limits.candidate),
                words::times(candidate),
                words::time(slow.limits.stable),
                words::times(stable)
            ));
        }
        if self.is_worse(alpha) {
            format!(
                "{counts}; the chance of that, were they equally good, is below 1 in {}",
                words::one_in(self.log_e())
            )
        } else {
            format!("{counts}, as equally good versions may")
        }
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
        Slow::freeze(&asked, stable, 30, &Evidence::default()).map(|slow| slow.limits)
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

    #[test]
    fn nothing_is_lost_or_won_when_the_bets_on_slow_answers_begin() {
        for failures in [
            Evidence::default(),
            Evidence::default().with(2, 0, 0.05),
            Evidence::default().with(0, 50, 0.05),
        ] {
            let alone = Case {
                failures: &failures,
                slow: None,
            };
            let slow = Slow::freeze(&SlowAnswers::default(), &times(900, 200), 30, &failures).unwrap();
            let both = Case {
                failures: &failures,
                slow: Some(&slow),
            };
            assert!((alone.log_e() - both.log_e()).abs() < 1e-9);
        }
    }

    #[test]
    fn the_sentence() {
        let begun = Slow::freeze(
            &SlowAnswers::default(),
            &times(60_000, 200),
            30,
            &Evidence::default(),
        );
        let mut slow = begun.unwrap();
        let failures = Evidence::default().with(0, 1, 0.1);
        for (candidate, stable, text) in [
            (
                0,
                3,
                "the candidate failed never, stable once, and took over 94 ms never, stable over 61 ms 3 times, as equally good versions may",
            ),
            (
                9,
                0,
                "the candidate failed never, stable once, and took over 94 ms 9 times, stable over 61 ms 3 times; the chance of that, were they equally good, is below 1 in 70,000",
            ),
        ] {
            slow.evidence = slow.evidence.with(candidate, stable, 0.1);
            let case = Case {
                failures: &failures,
                slow: Some(&slow),
            };
            assert_eq!(case.words(0.001), text);
        }
    }

    /// 5,000 releases that are exactly as slow as is allowed and fail as often as stable, each looked at after every one of
    /// 300 failures and slow answers, with a share that climbs and now and then falls.
    #[test]
    fn false_alarms_stay_below_alpha_in_all() {
        let mut state = 0x2545_F491_4F6C_DD1Du64;
        let mut throw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let begun = Slow::freeze(
            &SlowAnswers::default(),
            &times(900, 200),
            30,
            &Evidence::default(),
        );
        let (alpha, runs) = (0.01, 5_000);
        let mut alarms = 0;
        for _ in 0..runs {
            let (mut failures, mut slow) = (Evidence::default(), begun.unwrap());
            for event in 0..300 {
                let share = [0.1, 0.25, 0.05, 0.5, 0.75][event / 60];
                let candidate = u64::from(throw() < share);
                let of = if throw() < 0.3 {
                    &mut failures
                } else {
                    &mut slow.evidence
                };
                *of = of.with(candidate, 1 - candidate, share);
                let case = Case {
                    failures: &failures,
                    slow: Some(&slow),
                };
                if case.is_worse(alpha) {
                    alarms += 1;
                    break;
                }
            }
        }
        // The bound is on the chance; three standard deviations above it would still be consistent with it.
        let bound = alpha * f64::from(runs) + 3.0 * (alpha * f64::from(runs)).sqrt();
        assert!(f64::from(alarms) <= bound, "{alarms} of {runs}");
        assert!(alarms > 0, "it is a test at all");
    }

    /// What the stake on slow answers costs: one failure more, or none.
    #[test]
    fn failures_that_are_needed_beside_slow_answers() {
        let slow = Slow::freeze(
            &SlowAnswers::default(),
            &times(900, 200),
            30,
            &Evidence::default(),
        );
        for (share, needed) in [
            (0.01, [2u64, 3, 3, 4, 4, 5, 7]),
            (0.05, [3, 4, 5, 6, 7, 9, 13]),
            (0.10, [4, 5, 6, 8, 10, 13, 20]),
            (0.25, [6, 9, 10, 13, 18, 25, 42]),
            (0.50, [12, 17, 20, 28, 38, 56, 102]),
        ] {
            for (y, expected) in [0u64, 1, 2, 5, 10, 20, 50].into_iter().zip(needed) {
                let is_worse = |x: &u64| {
                    let failures = Evidence::default().with(*x, y, share);
                    let case = Case {
                        failures: &failures,
                        slow: slow.as_ref(),
                    };
                    case.is_worse(0.001)
                };
                assert_eq!(
                    (0..).find(is_worse),
                    Some(expected),
                    "share {share}, {y} of stable"
                );
            }
        }
    }
}
