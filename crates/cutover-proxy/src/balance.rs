//! Which instance of a revision, where the route asks for something else than the default of [`pick::endpoint`].

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use cutover_model::routing::{Balance, BalanceBy};
use rand::Rng;

use crate::pick;
use crate::snapshot::Revision;
use crate::state::EndpointState;

/// How an instance is chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Balancing {
    by: BalanceBy,
    slow_start_ms: u64,
}

impl Balancing {
    /// Nothing for the default.
    pub(crate) fn compile(balance: &Balance) -> Option<Self> {
        (*balance != Balance::default()).then(|| Self {
            by: balance.by,
            slow_start_ms: balance.slow_start.as_millis().min(u64::from(u32::MAX)),
        })
    }

    /// Among those not tried yet; ejected ones only when there is no other.
    pub(crate) fn choose(
        self,
        revision: &Revision,
        tried: &[u64],
        now_ms: impl Fn() -> u64,
        random: &mut impl Rng,
    ) -> Option<usize> {
        let open = |endpoint: &EndpointState| pick::is_open(endpoint, tried);
        let well = |endpoint: &EndpointState| open(endpoint) && !endpoint.is_ejected(&now_ms);
        let found = self.among(revision, well, &now_ms, random);
        found.or_else(|| self.among(revision, open, &now_ms, random))
    }

    fn among(
        self,
        revision: &Revision,
        allowed: impl Fn(&EndpointState) -> bool,
        now_ms: impl Fn() -> u64,
        random: &mut impl Rng,
    ) -> Option<usize> {
        let endpoints = &revision.endpoints;
        if self.slow_start_ms > 0 {
            let now = now_ms();
            let warming = |endpoint: &Arc<EndpointState>| self.warmth(endpoint, now) < FULL;
            if endpoints.iter().any(warming) {
                return self.warming(endpoints, allowed, now, random);
            }
        }
        match self.by {
            BalanceBy::LeastRequest => pick::two_choices(endpoints, allowed, random),
            BalanceBy::RoundRobin => {
                let open = || endpoints.iter().enumerate().filter(|(_, e)| allowed(e));
                let count = u64::try_from(open().count()).unwrap_or(u64::MAX);
                let turn = revision.state.next.fetch_add(1, Relaxed).checked_rem(count)?;
                // One may have been removed since they were counted.
                let nth = open().nth(usize::try_from(turn).unwrap_or(0));
                nth.or_else(|| open().next()).map(|(index, _)| index)
            }
        }
    }

    /// While one of them is new, each is drawn by how warm it is; by least request, those with fewer open requests more
    /// often. When all are new together, all are as warm, and it makes no difference.
    fn warming(
        self,
        endpoints: &[Arc<EndpointState>],
        allowed: impl Fn(&EndpointState) -> bool,
        now: u64,
        random: &mut impl Rng,
    ) -> Option<usize> {
        let weight = |endpoint: &EndpointState| {
            let open = match self.by {
                BalanceBy::LeastRequest => endpoint.in_flight.load(Relaxed),
                BalanceBy::RoundRobin => 0,
            };
            (self.warmth(endpoint, now) * 1_000 / (open + 1)).max(1)
        };
        // Weights change while they are looked at: each is read once.
        let weights = endpoints.iter().enumerate();
        let weights = weights.filter(|(_, endpoint)| allowed(endpoint));
        let weights: Vec<(usize, u64)> = weights
            .map(|(index, endpoint)| (index, weight(endpoint)))
            .collect();
        let total: u64 = weights.iter().map(|(_, weight)| weight).sum();
        if total == 0 {
            return None;
        }
        let mut number = random.random_range(0..total);
        let drawn = weights.iter().find(|(_, weight)| {
            let here = number < *weight;
            number = number.saturating_sub(*weight);
            here
        });
        drawn.map(|(index, _)| *index)
    }

    /// From a tenth to [`FULL`], evenly over the slow start.
    fn warmth(self, endpoint: &EndpointState, now: u64) -> u64 {
        let age = now.saturating_sub(endpoint.since_ms.load(Relaxed));
        if age >= self.slow_start_ms {
            return FULL;
        }
        FULL / 10 + FULL * 9 / 10 * age / self.slow_start_ms
    }
}

/// An instance that is warm.
const FULL: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;
    use cutover_model::{InstanceId, Span};
    use hyper::header::HeaderValue;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    /// Two instances, the second of which came at 10 s.
    fn revision(balance: &Balance) -> Revision {
        let id = "api@1.0.0#aaaaaa".parse().unwrap();
        let addresses: Vec<_> = (0..2)
            .map(|n| {
                (
                    InstanceId::new(format!("{n}")),
                    format!("127.0.0.1:{}", 1_000 + n).parse().unwrap(),
                )
            })
            .collect();
        let (state, endpoints) = Registry::new(1).revision(&id, &addresses);
        endpoints[0].arrived(0);
        endpoints[1].arrived(10_000);
        endpoints[1].arrived(20_000);
        Revision {
            upstream: cutover_model::routing::UpstreamProtocol::default(),
            track: cutover_model::Track::Stable,
            version: HeaderValue::from_static("1.0.0"),
            answer_fields: cutover_model::routing::AnswerFields::default(),
            state,
            odds: None,
            endpoints,
            balancing: Balancing::compile(balance),
            resilience: Arc::default(),
        }
    }

    fn share_of_the_new_one(by: BalanceBy, busy: u64, now_ms: u64) -> f64 {
        let slow_start = Span::from_secs(10);
        let revision = revision(&Balance { by, slow_start });
        revision.endpoints[0].in_flight.store(busy, Relaxed);
        let mut random = SmallRng::seed_from_u64(7);
        let balancing = revision.balancing.unwrap();
        let hits =
            (0..10_000).filter(|_| balancing.choose(&revision, &[], || now_ms, &mut random) == Some(1));
        f64::from(u32::try_from(hits.count()).unwrap()) / 10_000.0
    }

    #[test]
    fn a_new_instance_rises_evenly_from_a_tenth_to_its_share() {
        for (now_ms, weight) in [(10_000, 0.1), (15_000, 0.55), (19_999, 1.0), (20_000, 1.0)] {
            let share = share_of_the_new_one(BalanceBy::RoundRobin, 0, now_ms);
            let expected = weight / (1.0 + weight);
            assert!(
                (share - expected).abs() < 0.02,
                "at {now_ms}: {share}, not {expected}"
            );
        }
        let share = share_of_the_new_one(BalanceBy::LeastRequest, 1, 15_000);
        let expected = 0.55 / (0.5 + 0.55);
        assert!(
            (share - expected).abs() < 0.02,
            "beside a busy one: {share}, not {expected}"
        );
        assert!(
            share_of_the_new_one(BalanceBy::LeastRequest, 1, 20_000) > 0.99,
            "warm, and idle"
        );
    }

    #[test]
    fn tried_and_ejected_ones_are_passed_over_in_turn_and_while_warming() {
        for (by, now_ms) in [
            (BalanceBy::RoundRobin, 15_000),
            (BalanceBy::RoundRobin, 90_000),
            (BalanceBy::LeastRequest, 15_000),
        ] {
            let slow_start = Span::from_secs(10);
            let revision = revision(&Balance { by, slow_start });
            let endpoints = &revision.endpoints;
            let balancing = revision.balancing.unwrap();
            let choose = |tried: &[u64]| {
                balancing.choose(&revision, tried, || now_ms, &mut SmallRng::seed_from_u64(7))
            };
            assert_eq!(choose(&[endpoints[0].key]), Some(1));
            endpoints[1].eject(now_ms);
            assert_eq!(choose(&[]), Some(0));
            assert_eq!(
                choose(&[endpoints[0].key]),
                Some(1),
                "better an ejected one than none"
            );
            assert_eq!(choose(&[endpoints[0].key, endpoints[1].key]), None);
        }
    }

    #[test]
    fn the_default_is_left_to_the_default() {
        assert!(Balancing::compile(&Balance::default()).is_none());
    }
}
