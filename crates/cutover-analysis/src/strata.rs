//! The evidence of several looks at the same requests, as one number.
//!
//! A mean of e-values with weights that were fixed beforehand is an e-value: it too exceeds 1/α with a chance of at most
//! α. So errors and slow answers share one α, and so do all requests together and single routes. Routes are the
//! configured ones, never "those seen so far": a weight that depends on what was seen would break the bound.

use crate::sequential::Evidence;

/// What one kind of failure (errors, or slow answers) says, of all requests and of each route.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Strata {
    pooled: Evidence,
    /// By configured route, and last what belongs to none of them, each with its ln E. Empty: only pooled.
    routes: Vec<(Evidence, f64)>,
}

impl Strata {
    pub(crate) fn new(routes: usize) -> Self {
        Self {
            pooled: Evidence::default(),
            routes: vec![<(Evidence, f64)>::default(); if routes == 0 { 0 } else { routes + 1 }],
        }
    }

    /// Takes in one failure. `route` is the index of a configured route, none for any other.
    pub(crate) fn add(&mut self, of_candidate: bool, route: Option<usize>, share: f64) {
        let (candidate, stable) = (u64::from(of_candidate), u64::from(!of_candidate));
        self.pooled = self.pooled.with(candidate, stable, share);
        let last = self.routes.len().saturating_sub(1);
        if let Some((evidence, log_e)) = self.routes.get_mut(route.unwrap_or(last)) {
            *evidence = evidence.with(candidate, stable, share);
            *log_e = evidence.log_e();
        }
    }

    /// Failures so far, of the candidate and of stable.
    pub(crate) const fn failures(&self) -> (u64, u64) {
        self.pooled.failures()
    }

    /// ln E: half from all requests together, half from the routes in equal parts.
    pub(crate) fn log_e(&self) -> f64 {
        let pooled = self.pooled.log_e();
        if self.routes.is_empty() {
            return pooled;
        }
        let routes: Vec<f64> = self.routes.iter().map(|(_, log_e)| *log_e).collect();
        log_mean(&[pooled, log_mean(&routes)])
    }
}

/// The logarithm of the mean of numbers that are given by their logarithms.
pub(crate) fn log_mean(logs: &[f64]) -> f64 {
    let top = logs.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = logs.iter().map(|log| (log - top).exp()).sum();
    top + (sum / logs.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_route_is_seen_among_good_ones() {
        // Every failure is on one route of 1 % of the traffic; elsewhere both fail alike.
        let (mut one, mut many) = (Strata::new(0), Strata::new(3));
        for failure in 0..120 {
            for strata in [&mut one, &mut many] {
                strata.add(failure % 20 == 0, Some(0), 0.05);
            }
        }
        for _ in 0..4 {
            one.add(true, Some(1), 0.05);
            many.add(true, Some(1), 0.05);
        }
        assert!(one.log_e() < 3.0, "{}", one.log_e());
        assert!(many.log_e() > 6.908, "{}", many.log_e());
        assert_eq!(many.failures(), (10, 114));
    }

    #[test]
    fn nothing_seen_is_no_evidence() {
        assert!(Strata::new(0).log_e().abs() < 1e-12);
        assert!(Strata::new(5).log_e().abs() < 1e-12);
    }
}
