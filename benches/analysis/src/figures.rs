//! Many releases under one detector, in figures.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::release::{Detector, Fate, Release, play};
use crate::world::Scenario;

/// In seconds.
const TWO_RAMPS: u64 = 1_200;

/// Makes a detector for one release.
pub type Maker<'a> = &'a (dyn Fn() -> Box<dyn Detector> + Sync);

/// Plays `runs` releases, on all processors; seeds from `first` on.
#[must_use]
pub fn releases(scenario: Scenario, maker: Maker<'_>, first: u64, runs: u64) -> Vec<Release> {
    let next = AtomicU64::new(0);
    let all = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = Vec::new();
                loop {
                    let run = next.fetch_add(1, Ordering::Relaxed);
                    if run >= runs {
                        break;
                    }
                    own.push(play(scenario, first + run, maker().as_mut()));
                }
                all.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .append(&mut own);
            });
        }
    });
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The figures of one detector in one scenario.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// How many releases.
    pub runs: u64,
    /// How many were taken back.
    pub back: u64,
    /// How many of these within twice the time of the ramp.
    pub back_in_time: u64,
    /// How many were promoted.
    pub promoted: u64,
    /// How many wait for a person.
    pub held: u64,
    /// Requests of the candidate until it had none any more, half of the releases; none when that many never ended so.
    pub median: Option<u64>,
    /// 95 in 100.
    pub p95: Option<u64>,
    /// Failed requests among them, half of the releases.
    pub failed: Option<u64>,
    /// Seconds until promotion, half of the promoted ones.
    pub promotion: Option<u64>,
}

impl Figures {
    /// Of these releases.
    #[must_use]
    pub fn of(releases: &[Release]) -> Self {
        let count = |fate| releases.iter().filter(|release| release.fate == fate).count() as u64;
        let exposed = |of: fn(&Release) -> u64| {
            let mut all: Vec<u64> = releases
                .iter()
                .map(|release| {
                    if release.fate == Fate::Back {
                        of(release)
                    } else {
                        u64::MAX
                    }
                })
                .collect();
            all.sort_unstable();
            all
        };
        let requests = exposed(|release| release.exposed.requests);
        let failed = exposed(|release| release.exposed.errors);
        let mut promotion: Vec<u64> = releases
            .iter()
            .filter(|release| release.fate == Fate::Promoted)
            .map(|release| release.after)
            .collect();
        promotion.sort_unstable();
        Self {
            runs: releases.len() as u64,
            back: count(Fate::Back),
            back_in_time: releases
                .iter()
                .filter(|release| release.fate == Fate::Back && release.after <= TWO_RAMPS)
                .count() as u64,
            promoted: count(Fate::Promoted),
            held: count(Fate::Held),
            median: quantile(&requests, 0.5),
            p95: quantile(&requests, 0.95),
            failed: quantile(&failed, 0.5),
            promotion: quantile(&promotion, 0.5),
        }
    }

    /// A count as a share of all.
    #[must_use]
    pub fn share(&self, count: u64) -> f64 {
        count as f64 / self.runs.max(1) as f64
    }
}

fn quantile(sorted: &[u64], q: f64) -> Option<u64> {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .filter(|value| *value != u64::MAX)
}

/// The greatest number of alarms in `runs` that a chance of `alpha` explains with 99 %: the one-sided bound.
#[must_use]
pub fn explained(runs: u64, alpha: f64) -> u64 {
    let mean = runs as f64 * alpha;
    // Poisson, for alpha is small.
    let (mut term, mut sum, mut count) = ((-mean).exp(), (-mean).exp(), 0u64);
    while sum < 0.99 {
        count += 1;
        term *= mean / count as f64;
        sum += term;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_for_twenty_expected_alarms() {
        assert_eq!(explained(20_000, 0.001), 31);
        assert_eq!(explained(1_000, 0.001), 4);
    }

    #[test]
    fn quantiles_know_what_never_ended() {
        assert_eq!(quantile(&[1, 2, 3, u64::MAX], 0.5), Some(2));
        assert_eq!(quantile(&[1, 2, 3, u64::MAX], 0.95), None);
        assert_eq!(quantile(&[], 0.5), None);
    }
}
