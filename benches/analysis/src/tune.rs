//! The fixed rules at our false-rollback rate: a detector is a point on a curve, and two points of different curves say
//! nothing.
//!
//! A rule is one setting for all services of a load: it must leave good releases alone whatever their failure rate is
//! (0.1, 0.5 or 0.9 %). Among the settings that do, the one that lets the least through is compared.

use crate::figures::{Figures, releases};
use crate::release::Detector;
use crate::rules::Setting;
use crate::world::{Scenario, Twist};

/// The bounds that are tried where the bound is tuned too, as shares of failed requests.
pub const BOUNDS: [f64; 4] = [0.01, 0.02, 0.03, 0.05];
/// Stable's failure rates.
pub const STABLE: [f64; 3] = [0.001, 0.005, 0.009];

/// A family of rules: makes a detector of a setting.
pub type Family<'a> = &'a (dyn Fn(Setting) -> Box<dyn Detector> + Sync);

/// A release of `candidate` beside `stable`, both shares of failed requests.
#[must_use]
pub const fn plain(rate: f64, stable: f64, candidate: f64) -> Scenario {
    Scenario {
        name: "plain",
        rate,
        stable,
        candidate,
        slower: 1.0,
        twist: Twist::None,
    }
}

/// The setting with the fewest requests exposed among those whose false rollbacks are at most `target` in every healthy
/// scenario; none when no setting is.
#[must_use]
pub fn tuned(
    family: Family<'_>,
    rate: f64,
    bounds: &[f64],
    interval: u64,
    target: f64,
    runs: u64,
) -> Option<Setting> {
    let quiet = |setting: Setting| {
        STABLE.iter().all(|stable| {
            // A small sample first: most settings that do not fit show it at once.
            [runs / 10, runs].into_iter().all(|runs| {
                let all = releases(plain(rate, *stable, *stable), &|| family(setting), 1 << 40, runs);
                let figures = Figures::of(&all);
                figures.share(figures.back) <= target.max(1.0 / runs as f64)
            })
        })
    };
    let exposed = |setting: Setting| -> u64 {
        [0.03, 0.1, 1.0]
            .iter()
            .map(|bad| {
                let all = releases(plain(rate, 0.005, *bad), &|| family(setting), 2 << 40, 100);
                Figures::of(&all).median.unwrap_or(1 << 32)
            })
            .sum()
    };
    bounds
        .iter()
        .filter_map(|max| {
            (0..=25)
                .map(|limit| Setting {
                    max: *max,
                    limit,
                    interval,
                })
                .find(|setting| quiet(*setting))
        })
        .min_by_key(|setting| exposed(*setting))
}
