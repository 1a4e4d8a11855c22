//! Leaves out instances for what their answers say: passive ejection in Envoy's terms (`consecutive_5xx`), made right
//! for small sets. Envoy's percentage of two or three instances is none or all of them; here at least one may be left
//! out, and one always stays.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use cutover_model::routing::OutlierDetection;

use crate::state::{EndpointState, RevisionState};

/// What is remembered of one instance.
#[derive(Debug, Default)]
pub(crate) struct Outlier {
    /// Failures since the last success.
    in_a_row: AtomicU32,
    /// How often it was left out, less what it has behaved since.
    times: AtomicU32,
    /// Milliseconds since the start of the process; 0 if it never was.
    until_ms: AtomicU64,
}

impl Outlier {
    /// It answered, and not with a 5xx.
    pub(crate) fn well(&self) {
        if self.in_a_row.load(Relaxed) != 0 {
            self.in_a_row.store(0, Relaxed);
        }
    }

    /// Another program listens there now: what the one before answered is not held against it.
    pub(crate) fn forget(&self) {
        self.in_a_row.store(0, Relaxed);
        self.times.store(0, Relaxed);
        self.until_ms.store(0, Relaxed);
    }

    /// Until when it is left out; a moment that has passed if it is not.
    pub(crate) fn until_ms(&self) -> u64 {
        self.until_ms.load(Relaxed)
    }

    /// By so much longer each time, until it behaves for as long as one time is.
    fn leave_out(&self, rule: &OutlierDetection, now_ms: u64) {
        let base = rule.base_ejection_time.as_millis().max(1);
        let behaved = now_ms.saturating_sub(self.until_ms()) / base;
        let before = u64::from(self.times.load(Relaxed)).saturating_sub(behaved);
        let times = before.saturating_add(1);
        self.times
            .store(u32::try_from(times).unwrap_or(u32::MAX), Relaxed);
        let time = base
            .saturating_mul(times)
            .min(rule.max_ejection_time.as_millis().max(base));
        self.until_ms.store(now_ms.saturating_add(time), Relaxed);
        self.in_a_row.store(0, Relaxed);
    }
}

/// How many of so many instances may be left out at the same time.
fn room(instances: usize, percent: u8) -> usize {
    if percent == 0 {
        return 0;
    }
    let share = instances * usize::from(percent) / 100;
    share.max(1).min(instances.saturating_sub(1))
}

/// Notes a failed attempt, and leaves the instance out if it was one too many and others can serve. Whether it did.
pub(crate) fn failed(
    rule: &OutlierDetection,
    revision: &RevisionState,
    endpoints: &[Arc<EndpointState>],
    failed: &EndpointState,
    now_ms: u64,
) -> bool {
    let in_a_row = failed.outlier.in_a_row.fetch_add(1, Relaxed).saturating_add(1);
    if rule.consecutive_5xx == 0 || in_a_row < rule.consecutive_5xx {
        return false;
    }
    // Two workers could leave out one each, and together the last one.
    let _turn = revision.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
    let is_out = |endpoint: &EndpointState| endpoint.outlier.until_ms() > now_ms;
    let routed = || endpoints.iter().filter(|endpoint| endpoint.routed.load(Relaxed));
    let out = routed().filter(|endpoint| is_out(endpoint)).count();
    let others_serve = routed().any(|endpoint| endpoint.key != failed.key && !endpoint.is_ejected(|| now_ms));
    if is_out(failed) || !others_serve || out >= room(routed().count(), rule.max_ejection_percent) {
        return false;
    }
    failed.outlier.leave_out(rule, now_ms);
    revision.ejections.fetch_add(1, Relaxed);
    tracing::warn!(instance = %failed.instance, revision = %revision.id, in_a_row, "an instance is left out");
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_model::{InstanceId, Span};

    fn set(count: u64) -> (RevisionState, Vec<Arc<EndpointState>>) {
        let revision = RevisionState::new("api@1.0.0#aaaaaa".parse().unwrap(), 1);
        let endpoints = (1..=count).map(|key| {
            let id = InstanceId::new(format!("{key}"));
            Arc::new(EndpointState::new(key, id, "127.0.0.1:1".parse().unwrap()))
        });
        (revision, endpoints.collect())
    }

    fn rule(percent: u8) -> OutlierDetection {
        OutlierDetection {
            max_ejection_percent: percent,
            ..OutlierDetection::default()
        }
    }

    /// Fails five times each; how many are left out then.
    fn out_of(count: u64, percent: u8) -> usize {
        let (revision, endpoints) = set(count);
        for _ in 0..5 {
            for endpoint in &endpoints {
                failed(&rule(percent), &revision, &endpoints, endpoint, 1_000);
            }
        }
        endpoints.iter().filter(|one| one.is_ejected(|| 1_001)).count()
    }

    #[test]
    fn small_sets_lose_one_and_never_the_last() {
        assert_eq!(out_of(1, 100), 0, "alone");
        for percent in [1, 10, 50, 100] {
            assert_eq!(out_of(2, percent), 1, "of two at {percent} %");
        }
        assert_eq!((out_of(3, 10), out_of(3, 50)), (1, 1));
        assert_eq!((out_of(3, 67), out_of(3, 100)), (2, 2));
        assert_eq!((out_of(10, 50), out_of(10, 100), out_of(10, 0)), (5, 9, 0));
    }

    #[test]
    fn only_in_a_row_and_not_beside_one_that_refuses() {
        let (revision, endpoints) = set(2);
        let fail = |times: u32| {
            for _ in 0..times {
                failed(&rule(50), &revision, &endpoints, &endpoints[0], 1_000);
            }
        };
        fail(4);
        endpoints[0].outlier.well();
        fail(4);
        assert!(!endpoints[0].is_ejected(|| 1_001));
        endpoints[1].eject(1_000);
        fail(3);
        assert!(!endpoints[0].is_ejected(|| 1_001), "nobody else would serve");
        endpoints[1].readmit();
        fail(1);
        assert!(endpoints[0].is_ejected(|| 1_001));
        assert_eq!(revision.ejections.load(Relaxed), 1);
    }

    #[test]
    fn each_time_is_longer_and_good_behaviour_is_forgotten_by_nobody() {
        let rule = OutlierDetection {
            base_ejection_time: Span::from_secs(30),
            max_ejection_time: Span::from_secs(100),
            ..OutlierDetection::default()
        };
        let outlier = Outlier::default();
        let mut now = 1_000_000;
        let mut times = Vec::new();
        for _ in 0..5 {
            outlier.leave_out(&rule, now);
            times.push((outlier.until_ms() - now) / 1_000);
            now = outlier.until_ms() + 1_000;
        }
        assert_eq!(times, [30, 60, 90, 100, 100]);
        now += 3 * 30_000;
        outlier.leave_out(&rule, now);
        assert_eq!(
            (outlier.until_ms() - now) / 1_000,
            90,
            "three times have been made good"
        );
    }

    #[test]
    fn zero_turns_it_off() {
        let (revision, endpoints) = set(2);
        let off = OutlierDetection {
            consecutive_5xx: 0,
            ..OutlierDetection::default()
        };
        for _ in 0..100 {
            failed(&off, &revision, &endpoints, &endpoints[0], 1_000);
        }
        assert!(!endpoints[0].is_ejected(|| 1_001));
    }
}
