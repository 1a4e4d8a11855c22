//! The evidence of several looks at the same requests, as one number.
//!
//! A mean of e-values with weights that were fixed beforehand is an e-value: it too exceeds 1/α with a chance of at most
//! α. So errors and slow answers share one α, and so do all requests together and single routes. Routes are the
//! configured ones, never "those seen so far": a weight that depends on what was seen would break the bound.

use serde::{Deserialize, Serialize};

use crate::sequential::Evidence;
use crate::words;

/// The bets on single routes beside those on all requests, for one kind of failure. Empty where no route is looked at for
/// itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Strata {
    /// By configured route, and last, without a name, what belongs to none of them.
    routes: Vec<Stratum>,
    /// ln of what was put on all requests, for each unit of their evidence, and of what was put on each route.
    log_stakes: (f64, f64),
}

/// One route.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Stratum {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    evidence: Evidence,
    /// Its ln E, for there may be a thousand routes and one failure.
    log_e: f64,
}

impl Strata {
    /// Half stays on all requests together, half goes to the routes in equal parts; what there is to be divided is what the
    /// bets on all requests have come to. Nothing is divided where no route is named.
    pub(crate) fn begin(names: &[String], pooled: &Evidence) -> Self {
        if names.is_empty() {
            return Self::default();
        }
        let mut routes: Vec<Stratum> = names.iter().map(|name| Stratum::named(name)).collect();
        routes.push(Stratum::default());
        let half = 0.5f64.ln();
        let each = half - (routes.len() as f64).ln() + pooled.log_e();
        Self {
            routes,
            log_stakes: (half, each),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The names of the configured routes.
    pub(crate) fn names(&self) -> Vec<String> {
        let configured = &self.routes[..self.others()];
        configured.iter().map(|route| route.name.clone()).collect()
    }

    /// How many places there are, that of all others included.
    pub(crate) fn len(&self) -> usize {
        self.routes.len()
    }

    /// The place of a route: the last one for what was not configured.
    pub(crate) fn place(&self, name: &str) -> usize {
        let known = &self.routes[..self.others()];
        let found = known.iter().position(|route| route.name == name);
        found.unwrap_or(known.len())
    }

    /// The place of what was not configured.
    pub(crate) fn others(&self) -> usize {
        self.routes.len().saturating_sub(1)
    }

    /// Takes in failures of the candidate and of stable at a place.
    pub(crate) fn add(&mut self, place: usize, (candidate, stable): (u64, u64), share: f64) {
        if candidate == 0 && stable == 0 {
            return;
        }
        if let Some(route) = self.routes.get_mut(place) {
            route.evidence = route.evidence.with(candidate, stable, share);
            route.log_e = route.evidence.log_e();
        }
    }

    /// ln E of this kind of failure, with what all requests together say.
    pub(crate) fn log_e(&self, pooled: &Evidence) -> f64 {
        if self.routes.is_empty() {
            return pooled.log_e();
        }
        let (all, each) = self.log_stakes;
        let logs = self.routes.iter().map(|route| each + route.log_e);
        log_sum(&logs.chain([all + pooled.log_e()]).collect::<Vec<_>>())
    }

    /// The route that speaks against the candidate, and more so than all requests together, if there is one: its name, and
    /// the failures of the candidate and of stable.
    pub(crate) fn loudest(&self, pooled: &Evidence) -> Option<(&str, (u64, u64))> {
        let (all, each) = self.log_stakes;
        let mut named = self.routes.iter().filter(|route| !route.name.is_empty());
        let first = named.next()?;
        let top = named.fold(
            first,
            |top, route| if route.log_e > top.log_e { route } else { top },
        );
        let louder = each + top.log_e > all + pooled.log_e();
        (louder && top.log_e > 0.0).then(|| (top.name.as_str(), top.evidence.failures()))
    }

    /// The same in words, to be put behind the counts of all requests; nothing where no route says more than these.
    pub(crate) fn words(&self, pooled: &Evidence) -> String {
        let said = self.loudest(pooled).map(|(route, (candidate, stable))| {
            let (candidate, stable) = (words::times(candidate), words::times(stable));
            format!(" (on {route} {candidate}, stable {stable})")
        });
        said.unwrap_or_default()
    }
}

impl Stratum {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }
}

/// The logarithm of the sum of numbers that are given by their logarithms.
pub(crate) fn log_sum(logs: &[f64]) -> f64 {
    let top = logs.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = logs.iter().map(|log| (log - top).exp()).sum();
    top + sum.ln()
}

/// The logarithm of their mean.
pub(crate) fn log_mean(logs: &[f64]) -> f64 {
    log_sum(logs) - (logs.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("route-{index}")).collect()
    }

    #[test]
    fn one_bad_route_is_seen_among_good_ones() {
        // Every failure is on one route of 1 % of the traffic; elsewhere both fail alike.
        let mut pooled = Evidence::default();
        let mut strata = Strata::begin(&names(3), &pooled);
        let mut fail = |place: usize, of_candidate: bool| {
            let failed = (u64::from(of_candidate), u64::from(!of_candidate));
            pooled = pooled.with(failed.0, failed.1, 0.05);
            strata.add(place, failed, 0.05);
        };
        for failure in 0..120 {
            fail(0, failure % 20 == 0);
        }
        for _ in 0..4 {
            fail(1, true);
        }
        assert!(pooled.log_e() < 3.0, "{}", pooled.log_e());
        let log_e = strata.log_e(&pooled);
        assert!(log_e > 6.908, "{log_e}");
        assert_eq!(pooled.failures(), (10, 114));
        assert_eq!(strata.loudest(&pooled), Some(("route-1", (4, 0))));
    }

    #[test]
    fn nothing_is_won_or_lost_when_the_bets_on_routes_begin() {
        for pooled in [
            Evidence::default(),
            Evidence::default().with(2, 0, 0.05),
            Evidence::default().with(0, 50, 0.05),
        ] {
            for count in [0, 1, 5] {
                let log_e = Strata::begin(&names(count), &pooled).log_e(&pooled);
                assert!((log_e - pooled.log_e()).abs() < 1e-9, "{count}: {log_e}");
            }
        }
    }

    #[test]
    fn what_is_not_configured_is_all_others() {
        let strata = Strata::begin(&names(2), &Evidence::default());
        assert_eq!(strata.len(), 3);
        assert_eq!(
            ["route-0", "route-1", "another", ""].map(|name| strata.place(name)),
            [0, 1, 2, 2]
        );
        assert_eq!(Strata::default().loudest(&Evidence::default()), None);
    }

    #[test]
    fn failures_on_all_routes_alike_are_said_of_all() {
        let mut pooled = Evidence::default();
        let mut strata = Strata::begin(&names(2), &pooled);
        for place in [0, 1, 2, 0, 1, 2] {
            pooled = pooled.with(1, 0, 0.05);
            strata.add(place, (1, 0), 0.05);
        }
        assert_eq!(strata.loudest(&pooled), None);
    }

    #[test]
    fn a_route_without_failures_is_not_named() {
        // All requests together speak for the candidate; that a route says nothing is not more.
        let mut pooled = Evidence::default();
        let mut strata = Strata::begin(&names(2), &pooled);
        pooled = pooled.with(5, 95, 0.05);
        strata.add(0, (5, 95), 0.05);
        assert_eq!(strata.loudest(&pooled), None);
        assert_eq!(strata.words(&pooled), "");
    }
}
