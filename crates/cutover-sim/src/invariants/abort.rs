//! I3 and I4: what an abort may do, and in which order.

use cutover_model::{RouteTable, UpgradePhase};

use crate::world::World;

/// I3: on the way back stable can carry everything before the candidate's weight drops, unless the candidate fails
/// hard.
pub(crate) fn applied(world: &World, table: &RouteTable) -> Result<(), String> {
    let (Some(current), Some(facts)) = (&world.current, world.facts()) else {
        return Ok(());
    };
    // A plan with a pause in service has nobody who could carry anything.
    if facts.back != Some(false) || current.plan.report.downtime {
        return Ok(());
    }
    for change in &current.plan.services {
        let (Some(from), Some(to)) = (&change.from, &change.to) else {
            continue;
        };
        if from == to || table.weight(to) >= world.router.acknowledged.weight(to) {
            continue;
        }
        let needed = current.plan.initial.replicas(from) as usize;
        let ready = table.revision(from).map_or(0, |routed| {
            let ready = |id| {
                world
                    .target
                    .get(id)
                    .is_some_and(|one| one.is_ready() || one.seen_ready)
            };
            routed
                .endpoints
                .iter()
                .filter(|endpoint| ready(&endpoint.instance))
                .count()
        });
        if ready < needed {
            return Err(format!(
                "{to} loses its requests while {ready} of {needed} of {from} are there"
            ));
        }
    }
    Ok(())
}

/// The other half of I3: a candidate that fails hard keeps no request while stable has somebody to take it.
pub(crate) fn waits(world: &World) -> Result<(), String> {
    let (Some(current), Some(facts)) = (&world.current, world.facts()) else {
        return Ok(());
    };
    if facts.back != Some(true) || facts.stuck || current.plan.report.downtime {
        return Ok(());
    }
    let moving = || {
        current
            .plan
            .services
            .iter()
            .filter(|change| change.from != change.to && change.listen.is_some())
    };
    // All services move in one snapshot: each must have somebody.
    let somebody = moving().all(|change| {
        let Some(from) = &change.from else { return false };
        world
            .target
            .instances
            .iter()
            .any(|one| one.revision == *from && one.seen_ready)
    });
    for change in moving() {
        if let Some(to) = &change.to
            && somebody
            && !world.router.table.weight(to).is_none()
        {
            return Err(format!(
                "{to} fails hard and keeps {}",
                world.router.table.weight(to)
            ));
        }
    }
    Ok(())
}

/// I4: an abort with nothing in flight is a no-op.
pub(crate) fn ended(world: &World, phase: UpgradePhase) -> Result<(), String> {
    let (Some(current), Some(facts)) = (&world.current, world.facts()) else {
        return Ok(());
    };
    if phase == UpgradePhase::Succeeded || facts.touched {
        return Ok(());
    }
    if facts.back_steps > 0 {
        return Err(format!(
            "nothing had begun, and going back took {} steps",
            facts.back_steps
        ));
    }
    if current.effects > 0 {
        return Err(format!(
            "nothing had begun, and going back made {} changes",
            current.effects
        ));
    }
    Ok(())
}
