//! Whether more fails than before since some moment after all requests went over.
//!
//! Nothing is drawn any more, so there is only what was before to compare with: its failure rate, by its upper bound, is
//! frozen when the candidate has all requests, and so many times that is as good. The candidate may be worse from its first
//! request on, or begin to be after an hour. So the bets of a sequential test (Wald's, mixed over alternatives) begin anew
//! with each measurement, each with a part of the stake that was fixed beforehand, `1 / ((j + 1)(j + 2))` for the j-th; what
//! has not begun is kept. The sum of all is a martingale with mean 1 for a candidate that fails at the bound, and less for
//! a better one: the chance that it *ever* reaches 1/α is at most α, however long one looks.
//!
//! After Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection" (2022); with a
//! fixed prior over the moment of the change as in Shiryaev's.

use serde::{Deserialize, Serialize};

use crate::Counters;
use crate::bounds::at_most;
use crate::strata::{log_mean, log_sum};
use crate::words;

/// The chance of failing a candidate that is as good, in all.
const ALPHA: f64 = 1e-3;
/// The alternatives that are bet on, with equal stakes, as multiples of what is as good.
const GRID: [f64; 7] = [1.5, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0];
/// Nobody fails more often than this as an alternative: a single good answer must not end a bet.
const MOST: f64 = 0.9;

/// The bets.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rise {
    /// Up to this share of failed requests the candidate is as good.
    rate: f64,
    /// ln of what all bets that have begun come to, per alternative of the [`GRID`]; nothing where none has.
    log_wealth: Option<[f64; 7]>,
    /// How many have begun.
    begun: u32,
    /// Whether the next requests belong to a new one.
    due: bool,
    /// Requests and failed ones so far.
    counted: (u64, u64),
}

impl Rise {
    /// Up to `ratio` times what was before is as good, and up to `least` in any case (both as shares).
    pub(crate) fn since((errors, requests): (u64, u64), ratio: f64, least: f64) -> Self {
        Self {
            rate: (at_most(errors, requests) * ratio).max(least),
            due: true,
            ..Self::default()
        }
    }

    /// A measurement begins.
    pub(crate) fn begin(&mut self) {
        self.due = true;
    }

    /// Takes in what was counted of the candidate since the last look.
    pub(crate) fn add(&mut self, since: &Counters) {
        let (requests, failed) = (since.requests, since.errors);
        if requests == 0 {
            return;
        }
        self.counted = (self.counted.0 + requests, self.counted.1 + failed);
        // Where half of all fail nothing is much worse.
        if self.rate >= MOST / GRID[0] {
            return;
        }
        if std::mem::take(&mut self.due) {
            let number = f64::from(self.begun);
            let stake = -((number + 1.0) * (number + 2.0)).ln();
            self.begun = self.begun.saturating_add(1);
            self.log_wealth = Some(match self.log_wealth {
                None => [stake; 7],
                Some(wealth) => wealth.map(|log| log_sum(&[log, stake])),
            });
        }
        let good = requests.saturating_sub(failed) as f64;
        if let Some(wealth) = &mut self.log_wealth {
            for (log, times) in wealth.iter_mut().zip(GRID) {
                let other = (self.rate * times).min(MOST);
                *log += failed as f64 * (other / self.rate).ln()
                    + good * ((-other).ln_1p() - (-self.rate).ln_1p());
            }
        }
    }

    /// ln E: what has begun, and what is kept.
    fn log_e(&self) -> f64 {
        let kept = -(f64::from(self.begun) + 1.0).ln();
        self.log_wealth
            .map_or(0.0, |wealth| log_sum(&[log_mean(&wealth), kept]))
    }

    /// In words, if the candidate is worse than before.
    pub(crate) fn words(&self) -> Option<String> {
        let log_e = self.log_e();
        let (requests, failed) = self.counted;
        (log_e >= -ALPHA.ln()).then(|| {
            format!(
                "errors {} ({failed} of {requests}) since it has all requests; up to {} is as before, and the chance to see this of that is below 1 in {}",
                words::percent(failed as f64 / requests.max(1) as f64),
                words::percent(self.rate),
                words::one_in(log_e)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One request in a thousand failed before, and half as many again is as good.
    fn rise() -> Rise {
        Rise::since((50, 50_000), 1.5, 0.0)
    }

    fn look(rise: &mut Rise, requests: u64, errors: u64) {
        rise.add(&Counters {
            requests,
            errors,
            ..Counters::default()
        });
    }

    #[test]
    fn one_that_is_worse_from_the_start_is_found_and_one_that_becomes_so_later_too() {
        // Ten requests a second, 30 seconds a measurement; 2 % fail.
        for (good, most) in [(0u64, 20), (120, 40)] {
            let mut rise = rise();
            for measurement in 0..good {
                rise.begin();
                look(&mut rise, 300, u64::from(measurement % 4 == 0));
            }
            assert_eq!(rise.words(), None, "after {good}");
            let mut seconds = 0;
            while rise.words().is_none() {
                if seconds % 30 == 0 {
                    rise.begin();
                }
                look(&mut rise, 10, u64::from(seconds % 5 == 0));
                seconds += 1;
                assert!(seconds < 400, "{rise:?}");
            }
            assert!(seconds <= most * 5, "{seconds} after {good}");
        }
    }

    #[test]
    fn a_small_rise_that_no_measurement_shows_is_found_in_all() {
        let mut rise = rise();
        let mut measurements = 0;
        while rise.words().is_none() {
            rise.begin();
            // Four times as many: 1.2 in 300 requests.
            look(&mut rise, 300, 1 + u64::from(measurements % 5 == 0));
            measurements += 1;
            assert!(measurements < 120, "{rise:?}");
        }
        assert!(measurements > 10, "{measurements}");
        assert_eq!(
            rise.words().unwrap().split_once(" (").unwrap().0,
            "errors 0.4 %",
            "{rise:?}"
        );
    }

    #[test]
    fn what_is_allowed_is_never_found() {
        let mut floor = Rise::since((0, 100_000), 1.5, 0.05);
        for _ in 0..500 {
            floor.begin();
            look(&mut floor, 100, 4);
        }
        assert_eq!(floor.words(), None);
        let mut failing = Rise::since((600, 1_000), 1.5, 0.0);
        look(&mut failing, 1_000, 1_000);
        assert_eq!(failing.words(), None);
    }

    /// 2,000 candidates exactly at the bound, each looked at every second of an hour and a half.
    #[test]
    fn false_alarms_stay_below_alpha() {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let mut throw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let mut alarms = 0;
        for _ in 0..2_000 {
            let mut rise = Rise::since((0, 1), 0.0, 0.01);
            // Looks of 30 requests, so that it does not take long.
            for second in 0..500 {
                if second % 30 == 0 {
                    rise.begin();
                }
                let failed = (0..30).filter(|_| throw() < 0.01).count();
                look(&mut rise, 30, failed as u64);
            }
            alarms += u32::from(rise.log_e() >= -ALPHA.ln());
        }
        // Two are expected at most, and six more are explained by chance.
        assert!(alarms <= 8, "{alarms}");
    }
}
