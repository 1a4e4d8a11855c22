//! All that the sequential test holds against a candidate, as one number.
//!
//! Failures, slow answers and history share one α, and so do all requests and single routes: what a gambler puts on each
//! is fixed when its bets begin and never moved between them, so their sum starts with 1 and is a martingale as each is.

use crate::history::History;
use crate::sequential::Evidence;
use crate::slow::Slow;
use crate::strata::{Strata, log_sum};
use crate::words;

/// All that is held against the candidate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    /// Its failures.
    pub(crate) failures: &'a Evidence,
    /// The same by route.
    pub(crate) strata: &'a Strata,
    /// Its slow answers; none while nobody knows what is slow, or asks.
    pub(crate) slow: Option<&'a Slow>,
    /// Its failures against stable's before the shift; none while nobody knows, or asks.
    pub(crate) history: Option<&'a History>,
}

impl Case<'_> {
    /// ln E.
    pub(crate) fn log_e(&self) -> f64 {
        let present = self.present();
        self.history
            .map_or(present, |history| log_sum(&history.shares(present)))
    }

    /// ln E of what is compared with stable in the same time.
    fn present(&self) -> f64 {
        let failures = self.strata.log_e(self.failures);
        self.slow.map_or(failures, |slow| log_sum(&slow.shares(failures)))
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
        counts.push_str(&self.strata.words(self.failures));
        if let Some(slow) = self.slow {
            let (candidate, stable) = slow.evidence.failures();
            counts.push_str(&format!(
                ", and took over {} {}, stable over {} {}",
                words::time(slow.limits.candidate),
                words::times(candidate),
                words::time(slow.limits.stable),
                words::times(stable)
            ));
            counts.push_str(&slow.strata.words(&slow.evidence));
        }
        if !self.is_worse(alpha) {
            return format!("{counts}, as equally good versions may");
        }
        if let Some(words) = self.history.and_then(|history| history.words(self.present())) {
            counts.push_str(&words);
        }
        format!(
            "{counts}; the chance of that, were they equally good, is below 1 in {}",
            words::one_in(self.log_e())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Histogram;
    use cutover_model::SlowAnswers;

    /// The bets on slow answers where stable has answered 200 times in so long.
    fn begun(us: u64, failures: f64) -> Option<Slow> {
        let mut times = Histogram::default();
        for _ in 0..200 {
            times.record(us);
        }
        Slow::freeze(&SlowAnswers::default(), &times, 30, failures, &[])
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
                strata: &Strata::default(),
                history: None,
            };
            let slow = begun(900, failures.log_e()).unwrap();
            let both = Case {
                failures: &failures,
                slow: Some(&slow),
                strata: &Strata::default(),
                history: None,
            };
            assert!((alone.log_e() - both.log_e()).abs() < 1e-9);
        }
    }

    #[test]
    fn the_sentence() {
        let begun = begun(60_000, 0.0);
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
                strata: &Strata::default(),
                history: None,
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
        let begun = begun(900, 0.0);
        let (alpha, runs) = (0.01, 5_000);
        let mut alarms = 0;
        for _ in 0..runs {
            let (mut failures, mut slow) = (Evidence::default(), begun.clone().unwrap());
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
                    strata: &Strata::default(),
                    history: None,
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
        let slow = begun(900, 0.0);
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
                        strata: &Strata::default(),
                        history: None,
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
