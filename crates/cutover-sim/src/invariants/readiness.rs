//! I1: no weight to a revision before its instances are ready and the router acknowledged them.

use cutover_model::RouteTable;

use crate::world::World;

/// A table is taken in by the router: whoever gets more than before has endpoints, all of them ready (when the engine
/// looked last: they may have died since) and known to the router from a table before. A route that did not exist
/// serves nobody yet and may appear at once.
pub(crate) fn applied(world: &World, table: &RouteTable) -> Result<(), String> {
    for route in &table.services {
        let before = world.router.acknowledged.service(&route.service);
        for routed in &route.revisions {
            let had = world.router.acknowledged.weight(&routed.revision);
            if routed.weight.is_none() || (before.is_some() && routed.weight <= had) {
                continue;
            }
            let who = &routed.revision;
            if routed.endpoints.is_empty() {
                return Err(format!("{who} gets {} without any endpoint", routed.weight));
            }
            for endpoint in &routed.endpoints {
                let id = &endpoint.instance;
                if !world
                    .target
                    .get(id)
                    .is_some_and(|one| one.is_ready() || one.seen_ready)
                {
                    return Err(format!("{who} gets {} while {id} is not ready", routed.weight));
                }
                let known = world
                    .router
                    .acknowledged
                    .revision(who)
                    .is_some_and(|known| known.endpoints.iter().any(|one| one.instance == *id));
                if before.is_some() && !known {
                    return Err(format!(
                        "{who} gets {} before the router acknowledged {id}",
                        routed.weight
                    ));
                }
            }
        }
    }
    Ok(())
}
