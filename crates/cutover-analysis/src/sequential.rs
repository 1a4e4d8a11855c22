//! A test that may be looked at after every request.
//!
//! The split between stable and candidate is ours: a request goes to the candidate with the known chance ρ. If both
//! are equally good, a *failed* request fell on the candidate with that same chance, whatever the failure rate is and
//! however it drifts. If the candidate fails δ times as often, the chance is ρδ / (1 − ρ + ρδ). A gambler who starts
//! with 1 and bets at each failure on "δ times as often" against fair odds has, after `x` failures of the candidate and
//! `y` of stable, exp(x·ln δ − (x + y)·ln(1 − ρ + ρδ)). [`Evidence`] is the mean over a grid of δ: a non-negative
//! martingale with mean 1 when the candidate is no worse, so the chance that it *ever* reaches 1/α is at most α
//! (Ville's inequality). No correction for looking often is needed, and a failure that both share moves nothing.
//!
//! After Ramdas, Grünwald, Vovk and Shafer, "Game-theoretic statistics and safe anytime-valid inference" (2023).

use serde::{Deserialize, Serialize};

use crate::strata::log_mean;

/// How many times as often the candidate fails: the alternatives that are bet on, with equal stakes.
const GRID: [f64; 8] = [1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1000.0];

/// The evidence so far that the candidate fails more often than stable.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Evidence {
    /// The logarithm of the wealth, per alternative of the [`GRID`].
    log_wealth: [f64; 8],
    /// Failures of the candidate that were bet on.
    candidate: u64,
    /// Failures of stable that were bet on.
    stable: u64,
}

impl Evidence {
    /// Adds failures that were seen since the last look: of the candidate, of stable, while the candidate's share of
    /// the requests at their assignment was `share` (0 to 1). A share that is no number adds nothing.
    pub(crate) fn with(mut self, candidate: u64, stable: u64, share: f64) -> Self {
        // Without a share by the split nothing follows from a failure: it was not drawn.
        if share.is_nan() || share <= 0.0 {
            return self;
        }
        let share = share.min(1.0);
        self.candidate = self.candidate.saturating_add(candidate);
        self.stable = self.stable.saturating_add(stable);
        let (x, all) = (candidate as f64, candidate as f64 + stable as f64);
        for (wealth, delta) in self.log_wealth.iter_mut().zip(GRID) {
            *wealth += x * delta.ln() - all * (share * (delta - 1.0)).ln_1p();
        }
        self
    }

    /// Failures so far: of the candidate, and of stable.
    pub(crate) const fn failures(&self) -> (u64, u64) {
        (self.candidate, self.stable)
    }

    /// ln E: the logarithm of the mean wealth.
    pub(crate) fn log_e(&self) -> f64 {
        log_mean(&self.log_wealth)
    }

    /// Whether the candidate is worse by its failures alone, at a chance of at most `alpha` to say so ever of one that is not.
    #[cfg(test)]
    pub(crate) fn is_worse(&self, alpha: f64) -> bool {
        self.log_e() >= -alpha.clamp(f64::MIN_POSITIVE, 1.0).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn evidence(x: u64, y: u64, share: f64) -> Evidence {
        Evidence::default().with(x, y, share)
    }

    #[test]
    fn reference_values() {
        for (x, y, share, log_e) in [
            (3, 0, 0.05, 7.5076),
            (4, 0, 0.05, 10.3629),
            (2, 0, 0.01, 7.2678),
            (5, 20, 0.05, 2.277),
            (10, 20, 0.05, 10.0766),
            (10, 10, 0.5, -2.048),
            (20, 10, 0.5, 0.5084),
            (0, 50, 0.05, -3.0294),
        ] {
            let found = evidence(x, y, share).log_e();
            assert!(
                (found - log_e).abs() < 6e-5,
                "({x}, {y}, {share}): {found}, not {log_e}"
            );
        }
    }

    #[test]
    fn failures_of_the_candidate_that_are_needed() {
        let stable = [0u64, 1, 2, 5, 10, 20, 50];
        for (share, alpha, needed) in [
            (0.01, 1e-3, [2u64, 3, 3, 3, 4, 5, 6]),
            (0.05, 1e-3, [3, 4, 5, 6, 7, 9, 13]),
            (0.10, 1e-3, [4, 5, 6, 8, 9, 12, 20]),
            (0.25, 1e-3, [6, 8, 10, 13, 17, 24, 42]),
            (0.50, 1e-3, [12, 17, 20, 27, 38, 56, 101]),
            (0.05, 1e-2, [2, 3, 4, 5, 6, 7, 11]),
            (0.05, 1e-4, [4, 5, 5, 7, 8, 10, 15]),
        ] {
            for (y, expected) in stable.into_iter().zip(needed) {
                let found = (0..).find(|x| evidence(*x, y, share).is_worse(alpha)).unwrap();
                assert_eq!(
                    found, expected,
                    "share {share}, α {alpha}, {y} failures of stable"
                );
            }
        }
    }

    /// Marsaglia's xorshift64: enough for a simulation, and the same on every machine.
    struct Dice(u64);

    impl Dice {
        fn throw(&mut self) -> f64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as f64 / (1u64 << 53) as f64
        }
    }

    /// 5,000 releases as good as stable, each looked at after every one of 300 failures, with a share that climbs.
    #[test]
    fn false_alarms_stay_below_alpha() {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        let alpha = 0.01;
        let runs = 5_000;
        let mut alarms = 0;
        for _ in 0..runs {
            let mut evidence = Evidence::default();
            for failure in 0..300 {
                let share = [0.1, 0.25, 0.5, 0.75][failure / 75];
                let candidate = u64::from(dice.throw() < share);
                evidence = evidence.with(candidate, 1 - candidate, share);
                if evidence.is_worse(alpha) {
                    alarms += 1;
                    break;
                }
            }
        }
        // The bound is on the chance; three standard deviations above it would still be consistent with it.
        let bound = alpha * f64::from(runs) + 3.0 * (alpha * f64::from(runs)).sqrt();
        assert!(f64::from(alarms) <= bound, "{alarms} of {runs}");
        // And it is a test at all: the bound is not kept by never alarming.
        assert!(alarms > 0);
    }

    #[test]
    fn a_candidate_that_is_worse_is_found() {
        let mut dice = Dice(42);
        for _ in 0..200 {
            let mut evidence = Evidence::default();
            // It fails ten times as often, at a share of 10 %: a failure is its own with the chance 1 / 1.9.
            let found = (0..400).any(|_| {
                let candidate = u64::from(dice.throw() < 1.0 / 1.9);
                evidence = evidence.with(candidate, 1 - candidate, 0.1);
                evidence.is_worse(0.001)
            });
            assert!(found);
        }
    }

    proptest! {
        #[test]
        fn it_is_always_a_number(
            looks in prop::collection::vec((0u64..1_000_000, 0u64..1_000_000, prop::num::f64::ANY), 0..20),
        ) {
            let mut evidence = Evidence::default();
            for (x, y, share) in looks { evidence = evidence.with(x, y, share); }
            prop_assert!(evidence.log_e().is_finite());
        }

        #[test]
        fn more_failures_of_the_candidate_never_weigh_less_and_of_stable_never_more(
            x in 0u64..500, y in 0u64..500, share in 0.001f64..0.999,
        ) {
            let here = evidence(x, y, share).log_e();
            prop_assert!(evidence(x + 1, y, share).log_e() >= here);
            prop_assert!(evidence(x, y + 1, share).log_e() <= here);
            // A greater share explains more of the candidate's failures.
            prop_assert!(evidence(x, y, (share * 1.1).min(1.0)).log_e() <= here + 1e-9);
        }

        #[test]
        fn the_order_and_the_lumps_of_looks_do_not_matter(
            x in 0u64..100, y in 0u64..100, share in 0.001f64..0.999,
        ) {
            let once = evidence(x, y, share).log_e();
            let lumps = evidence(x / 2, y, share).with(x - x / 2, 0, share).log_e();
            prop_assert!((once - lumps).abs() < 1e-6);
        }
    }
}
