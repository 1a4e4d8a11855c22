//! Which revision, and which of its instances.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rand::Rng;

use crate::snapshot::{Revision, Route};
use crate::state::EndpointState;

/// The weighted choice; `None` when no revision has a share.
pub(crate) fn revision<'a>(route: &'a Route, random: &mut impl Rng) -> Option<&'a Arc<Revision>> {
    let (total, last) = *route.split.last()?;
    if route.split.len() == 1 {
        return route.revisions.get(last);
    }
    at(route, random.random_range(0..total))
}

/// The revision whose part of the line from 0 to the sum of the weights holds this number.
pub(crate) fn at(route: &Route, number: u32) -> Option<&Arc<Revision>> {
    let (_, index) = route.split.iter().find(|(bound, _)| number < *bound)?;
    route.revisions.get(*index)
}

/// Whether a request that has tried some may go there.
pub(crate) fn is_open(endpoint: &EndpointState, tried: &[u64]) -> bool {
    endpoint.routed.load(Relaxed) && !tried.contains(&endpoint.key)
}

/// The one of two random instances that has fewer open requests, among those not tried yet. Ejected ones only when
/// there is no other: perhaps they are back.
pub(crate) fn endpoint(
    endpoints: &[Arc<EndpointState>],
    tried: &[u64],
    now_ms: impl Fn() -> u64,
    random: &mut impl Rng,
) -> Option<usize> {
    if let ([only], []) = (endpoints, tried) {
        return only.routed.load(Relaxed).then_some(0);
    }
    let open = |endpoint: &EndpointState| is_open(endpoint, tried);
    two_choices(
        endpoints,
        |endpoint| open(endpoint) && !endpoint.is_ejected(&now_ms),
        random,
    )
    .or_else(|| two_choices(endpoints, open, random))
}

pub(crate) fn two_choices(
    endpoints: &[Arc<EndpointState>],
    allowed: impl Fn(&EndpointState) -> bool,
    random: &mut impl Rng,
) -> Option<usize> {
    let count = endpoints.iter().filter(|endpoint| allowed(endpoint)).count();
    let nth = |n: usize| {
        let mut found = endpoints
            .iter()
            .enumerate()
            .filter(|(_, endpoint)| allowed(endpoint));
        found.nth(n).map(|(index, _)| index)
    };
    // Another thread may eject one between counting and looking; then whatever is left is taken.
    let nth = |n: usize| nth(n).or_else(|| nth(0));
    match count {
        0 => None,
        1 => nth(0),
        _ => {
            let first = random.random_range(0..count);
            let second = (first + random.random_range(1..count)) % count;
            let (first, second) = (nth(first)?, nth(second)?);
            let load = |index: usize| endpoints[index].in_flight.load(Relaxed);
            Some(if load(second) < load(first) { second } else { first })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;
    use crate::session::SessionKeys;
    use crate::snapshot::{ResolvedTable, Snapshot};
    use cutover_model::{Endpoint, InstanceId, RouteTable, RoutedRevision, ServiceRoute, Track, Weight};
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    fn no_keys() -> SessionKeys {
        SessionKeys::new("/nowhere".into())
    }

    fn snapshot(weights: &[u32], instances: usize) -> Snapshot {
        let revisions = weights.iter().enumerate().map(|(index, parts)| RoutedRevision {
            revision: format!("api@1.{index}.0#aaaaaa").parse().unwrap(),
            track: if index == 0 {
                Track::Stable
            } else {
                Track::Candidate
            },
            weight: Weight::new(*parts).unwrap(),
            endpoints: (0..instances)
                .map(|n| Endpoint {
                    instance: InstanceId::new(format!("{index}-{n}")),
                    address: format!("127.0.0.1:{}", 1000 + index * 100 + n),
                })
                .collect(),
        });
        let table = RouteTable {
            services: vec![ServiceRoute {
                service: "api".parse().unwrap(),
                listen: "127.0.0.1:80".to_owned(),
                policy: cutover_model::RoutePolicy::default(),
                revisions: revisions.collect(),
            }],
        };
        let resolved = ResolvedTable::new(table, &no_keys()).unwrap();
        resolved.compile(1, None, &mut Registry::new(1)).0
    }

    #[test]
    fn ten_thousand_picks_follow_the_weights() {
        let mut random = SmallRng::seed_from_u64(7);
        for candidate in [100, 1_000, 2_500, 5_000, 9_900] {
            let snapshot = snapshot(&[10_000 - candidate, candidate], 1);
            let mut hits = 0;
            for _ in 0..10_000 {
                let picked = revision(&snapshot.routes[0], &mut random).unwrap();
                hits += u32::from(picked.track == Track::Candidate);
            }
            // Five standard deviations of the binomial distribution.
            let share = f64::from(candidate) / 10_000.0;
            let tolerance = 5.0 * (10_000.0 * share * (1.0 - share)).sqrt();
            let distance = (f64::from(hits) - f64::from(candidate)).abs();
            assert!(distance <= tolerance, "{candidate}: {hits}");
        }
    }

    #[test]
    fn no_share_means_no_request() {
        let mut random = SmallRng::seed_from_u64(7);
        let none = snapshot(&[0, 0], 1);
        assert!(revision(&none.routes[0], &mut random).is_none());
        let one = snapshot(&[10_000, 0], 1);
        for _ in 0..1_000 {
            let picked = revision(&one.routes[0], &mut random).unwrap();
            assert_eq!(picked.track, Track::Stable);
        }
    }

    #[test]
    fn busy_tried_ejected_and_removed_instances_are_passed_over() {
        let mut random = SmallRng::seed_from_u64(7);
        let snapshot = snapshot(&[10_000], 3);
        let endpoints = &snapshot.routes[0].revisions[0].endpoints;
        endpoints[0].in_flight.store(5, Relaxed);
        for _ in 0..100 {
            let two = [endpoints[0].clone(), endpoints[1].clone()];
            assert_eq!(endpoint(&two, &[], || 0, &mut random), Some(1));
        }
        let tried = [endpoints[1].key];
        endpoints[2].eject(0);
        assert_eq!(endpoint(endpoints, &tried, || 1, &mut random), Some(0));
        endpoints[0].routed.store(false, Relaxed);
        assert_eq!(
            endpoint(endpoints, &tried, || 1, &mut random),
            Some(2),
            "better an ejected one than none"
        );
        let tried = [endpoints[1].key, endpoints[2].key];
        assert_eq!(endpoint(endpoints, &tried, || 1, &mut random), None);
    }

    #[test]
    fn contradictions_are_refused() {
        let mut table = snapshot(&[10_000], 1).table;
        table.services.push(table.services[0].clone());
        assert!(matches!(
            ResolvedTable::new(table.clone(), &no_keys()),
            Err(crate::Refusal::InvalidTable { .. })
        ));
        table.services.pop();
        table.services[0].revisions[0].endpoints.clear();
        assert!(ResolvedTable::new(table, &no_keys()).is_err());
    }
}
