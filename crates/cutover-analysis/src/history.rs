//! The candidate against what stable was before the shift, for services that few people ask anything.
//!
//! The comparison with stable in the same time has to learn stable's failure rate from the few failures that there are;
//! here it is known from before. The bets are at each request of the candidate, "it fails so many times as often as stable
//! ever did", and fair or unfavourable as long as the candidate fails at most [`AS_GOOD`] times as often as stable's rate
//! was, by its upper bound. That is no longer a comparison that what both share cannot move. So a stretch of time counts only
//! when stable did not fail more often in it than it used to, nor in the stretch after it: long enough for stable to have shown what the candidate
//! showed, had it been shared. A rate that drifts slowly, less than [`AS_GOOD`] times, is as good; one that drifts further is
//! told from a bad candidate by stable alone. The stated chance of a false alarm is therefore measured and not proved
//! (`cargo xtask bench analysis`).
//!
//! The bets are those of Wald's sequential test, mixed over alternatives as in [`crate::sequential`].

use serde::{Deserialize, Serialize};

use crate::binomial::at_least;
use crate::bounds::at_most;
use crate::strata::log_mean;
use crate::words;
use crate::{Counters, Drawn};

/// So many times as often as stable did before is as good: the past is another time.
const AS_GOOD: f64 = 2.0;
/// The alternatives that are bet on, with equal stakes, as multiples of stable's rate.
const GRID: [f64; 7] = [4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// Nobody fails more often than this as an alternative: a single good answer must not end a bet.
const MOST: f64 = 0.9;
/// So much of what there is goes on history.
const STAKE: f64 = 0.2;
/// Of fewer requests of stable there is no rate.
const FEWEST: u64 = 1_000;
/// A stretch is over when stable would have failed so many times, were it as bad as the candidate was: that it shows
/// nothing of it in two stretches has a chance below 1 in 500.
const WOULD_SHOW: u64 = 5;
/// A stretch in which the candidate did not fail is over after so many requests of stable.
const QUIET: u64 = 200;
/// Stable fails more often than it used to when chance explains it with less than this.
const ELEVATED: f64 = 0.05;

/// The bets against history.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct History {
    /// Up to this share of failed requests the candidate is as good.
    rate: f64,
    /// The logarithm of the wealth, per alternative of the [`GRID`].
    log_wealth: [f64; 7],
    /// ln of what was left on everything else, for each unit of it, and of what was put on history.
    log_stakes: (f64, f64),
    /// The stretch before the one under way: it counts when that is over.
    last: Stretch,
    /// The one under way.
    open: Stretch,
    /// Drawn requests of the candidate that count, and failed ones.
    counted: (u64, u64),
}

/// Drawn requests and failed ones in some time.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Stretch {
    candidate: (u64, u64),
    stable: (u64, u64),
}

impl Stretch {
    /// How many requests of stable show that what the candidate did is not shared; none if it did nothing.
    fn needed(&self) -> Option<u64> {
        let (requests, failed) = self.candidate;
        (WOULD_SHOW * requests).checked_div(failed)
    }
}

impl History {
    /// With all that stable has counted; none where that is too little. `log_e` is what there is to be divided.
    pub(crate) fn begin(stable: &Counters, log_e: f64) -> Option<Self> {
        if stable.requests < FEWEST {
            return None;
        }
        let rate = at_most(stable.errors, stable.requests) * AS_GOOD;
        (rate < MOST / AS_GOOD).then(|| Self {
            rate,
            log_stakes: ((1.0 - STAKE).ln(), STAKE.ln() + log_e),
            ..Self::default()
        })
    }

    /// Takes in what was drawn since the last look.
    pub(crate) fn add(&mut self, candidate: Drawn, stable: Drawn) {
        let sum = |to: &mut (u64, u64), more: Drawn| {
            *to = (to.0 + more.requests, to.1 + more.errors.min(more.requests));
        };
        sum(&mut self.open.candidate, candidate);
        sum(&mut self.open.stable, stable);
        let (requests, failed) = self.open.stable;
        if at_least(failed, requests, self.rate) < ELEVATED {
            // It is shared, whatever it is: then history tells nothing of this time, nor of the time just before it.
            (self.last, self.open) = Default::default();
        } else if requests >= self.open.needed().max(self.last.needed()).unwrap_or(QUIET) {
            self.bet();
            self.last = std::mem::take(&mut self.open);
        }
    }

    fn bet(&mut self) {
        let (requests, failed) = self.last.candidate;
        self.counted = (self.counted.0 + requests, self.counted.1 + failed);
        let good = (requests - failed) as f64;
        for (wealth, times) in self.log_wealth.iter_mut().zip(GRID) {
            let other = (self.rate / AS_GOOD * times).min(MOST);
            *wealth +=
                failed as f64 * (other / self.rate).ln() + good * ((-other).ln_1p() - (-self.rate).ln_1p());
        }
    }

    /// ln E of history.
    fn log_e(&self) -> f64 {
        log_mean(&self.log_wealth)
    }

    /// What everything else together comes to, and history, as they are put.
    pub(crate) fn shares(&self, others: f64) -> [f64; 2] {
        [self.log_stakes.0 + others, self.log_stakes.1 + self.log_e()]
    }

    /// In words, if it says more than all else together.
    pub(crate) fn words(&self, others: f64) -> Option<String> {
        let [others, own] = self.shares(others);
        let (requests, failed) = self.counted;
        (own > others).then(|| {
            format!(
                ", {failed} of {requests} where stable failed in at most {} before the shift",
                words::percent(self.rate / AS_GOOD)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stable failed once in a thousand requests.
    fn history() -> History {
        let stable = Counters {
            requests: 20_000,
            errors: 20,
            ..Counters::default()
        };
        History::begin(&stable, 0.0).unwrap()
    }

    fn drawn(requests: u64, errors: u64) -> Drawn {
        Drawn { requests, errors }
    }

    #[test]
    fn too_little_is_no_history() {
        let counted = |requests, errors| Counters {
            requests,
            errors,
            ..Counters::default()
        };
        assert!(History::begin(&counted(999, 0), 0.0).is_none());
        assert!(
            History::begin(&counted(5_000, 2_500), 0.0).is_none(),
            "nothing is worse than that"
        );
        let known = History::begin(&counted(100_000, 100), 0.0).unwrap();
        assert!((0.002..0.0025).contains(&known.rate), "{}", known.rate);
    }

    #[test]
    fn a_candidate_that_fails_where_stable_does_not_is_found_after_stable_could_have_shown_it() {
        let mut history = history();
        history.add(drawn(10, 1), drawn(90, 0));
        assert!(history.log_e() <= 0.0, "nothing of it counts yet");
        let mut looks = 0;
        while history.log_e() < 8.5 {
            history.add(drawn(10, 1), drawn(90, 0));
            looks += 1;
            assert!(looks < 20, "{history:?}");
        }
        assert!(looks >= 3, "stable had to have its time: {looks}");
    }

    #[test]
    fn what_stable_shares_does_not_count() {
        let mut history = history();
        for _ in 0..100 {
            history.add(drawn(1, 0), drawn(9, 0));
        }
        // The candidate is hit first, by chance; then both.
        history.add(drawn(5, 4), drawn(5, 0));
        for _ in 0..60 {
            history.add(drawn(2, 1), drawn(8, 3));
        }
        for _ in 0..200 {
            history.add(drawn(2, 0), drawn(8, 0));
        }
        assert!(history.log_e() <= 0.0, "{}", history.log_e());
        assert_eq!(history.counted.1, 0);
    }

    #[test]
    fn nothing_is_won_or_lost_when_it_begins() {
        let stable = Counters {
            requests: 5_000,
            ..Counters::default()
        };
        for log_e in [0.0, 3.0, -2.0] {
            let begun = History::begin(&stable, log_e).unwrap();
            let sum = crate::strata::log_sum(&begun.shares(log_e));
            assert!((sum - log_e).abs() < 1e-9);
        }
    }
}
