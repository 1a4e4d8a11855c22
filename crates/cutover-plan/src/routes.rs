//! The routes that a desired state and the ready instances make.

use std::collections::BTreeSet;

use cutover_model::{
    Desired, Endpoint, InstanceId, RouteTable, RoutedRevision, ServiceChange, ServiceRoute, StepRouting,
    Track, Weight,
};

use crate::Observation;

/// The table for a desired state: every wanted revision with its ready instances, but for those that are `leaving`.
///
/// A revision that is to get requests but has no ready instance just now keeps the endpoints that the router has: an
/// answer that fails there is no worse than none, and weight is never moved by an accident (invariant I1).
#[must_use]
pub fn wanted_table(
    services: &[ServiceChange],
    desired: &Desired,
    seen: &Observation,
    leaving: &BTreeSet<InstanceId>,
) -> RouteTable {
    let mut routes = Vec::new();
    for change in services {
        let Some(listen) = &change.listen else { continue };
        let mut revisions = Vec::new();
        let mut routing = StepRouting::default();
        for (id, want) in desired.of(&change.service) {
            let mut endpoints: Vec<Endpoint> = seen
                .of(id)
                .filter(|instance| instance.is_ready() && !leaving.contains(&instance.id))
                .filter_map(|instance| {
                    Some(Endpoint {
                        instance: instance.id.clone(),
                        address: instance.address.clone()?,
                    })
                })
                .collect();
            endpoints.sort();
            if want.track == Track::Candidate {
                routing = want.routing;
            }
            let weight = want.weight.unwrap_or(Weight::NONE);
            if endpoints.is_empty()
                && !weight.is_none()
                && let Some(now) = seen.table.revision(id)
            {
                endpoints.clone_from(&now.endpoints);
            }
            if endpoints.is_empty() && weight.is_none() {
                continue;
            }
            revisions.push(RoutedRevision {
                revision: id.clone(),
                track: want.track,
                weight,
                endpoints,
            });
        }
        routes.push(ServiceRoute {
            service: change.service.clone(),
            listen: listen.clone(),
            policy: routing.applied(&change.policy, &change.header_routes),
            revisions,
        });
    }
    routes.sort_by(|a, b| a.service.cmp(&b.service));
    RouteTable { services: routes }
}

/// The wanted table's endpoints at the weights that are served now: what the router must acknowledge before any weight
/// moves (invariant I1). Revisions that still have weight stay until the weights move.
#[must_use]
pub(crate) fn introduced(wanted: &RouteTable, now: &RouteTable) -> RouteTable {
    let mut table = wanted.clone();
    for route in &mut table.services {
        let Some(old) = now.service(&route.service) else {
            // A route that does not exist yet serves nobody: it appears at once with its weights.
            continue;
        };
        if old.revisions.iter().all(|routed| routed.weight.is_none()) {
            // Nobody has weight: the service was out, and its endpoints are introduced without any.
            for routed in &mut route.revisions {
                routed.weight = Weight::NONE;
            }
            continue;
        }
        for routed in &mut route.revisions {
            routed.weight = now.weight(&routed.revision);
            // What serves now keeps every endpoint that it has until the weights have moved.
            if let Some(before) = now.revision(&routed.revision) {
                for endpoint in &before.endpoints {
                    if !routed
                        .endpoints
                        .iter()
                        .any(|known| known.instance == endpoint.instance)
                    {
                        routed.endpoints.push(endpoint.clone());
                    }
                }
                routed.endpoints.sort();
            }
        }
        for before in &old.revisions {
            if !route
                .revisions
                .iter()
                .any(|routed| routed.revision == before.revision)
            {
                route.revisions.push(before.clone());
            }
        }
        route.revisions.sort_by(|a, b| a.revision.cmp(&b.revision));
    }
    table
}
