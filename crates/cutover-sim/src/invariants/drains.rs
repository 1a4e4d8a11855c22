//! I2: nothing is scaled down before the router acknowledged weight 0 and nothing is in flight, or the drain deadline
//! has passed.

use cutover_model::RouteTable;

use crate::world::{SimInstance, World};

/// An instance is about to end.
pub(crate) fn removed(world: &World, instance: &SimInstance) -> Result<(), String> {
    let id = &instance.id;
    let on_its_way = world.router.transit.as_ref().map(|transit| &transit.table);
    for table in [Some(&world.router.table), on_its_way].into_iter().flatten() {
        if serves(table, instance) {
            return Err(format!("{id} is removed while requests are routed to it"));
        }
    }
    let open = world.traffic.open_on(instance.number);
    if open == 0 {
        return Ok(());
    }
    let drain = world.facts().and_then(|facts| facts.drains.get(id)).copied();
    let long = world
        .current
        .as_ref()
        .map_or(0, |current| current.plan.settings.drain_deadline.as_millis());
    match drain {
        // A clock that was set back after the deadline had passed does not take it back.
        Some((until, since)) if world.now() >= until || world.true_ms >= since + long => Ok(()),
        Some((until, _)) => Err(format!(
            "{id} is removed with {open} open requests before {until}"
        )),
        None => Err(format!(
            "{id} is removed with {open} open requests and was never drained"
        )),
    }
}

fn serves(table: &RouteTable, instance: &SimInstance) -> bool {
    table.revision(&instance.revision).is_some_and(|routed| {
        !routed.weight.is_none() && routed.endpoints.iter().any(|one| one.instance == instance.id)
    })
}
