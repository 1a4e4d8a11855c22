//! I5: weights are monotone within the steps, replica counts within weights, and rounding leaves neither side alone.

use cutover_model::{Action, Plan, RouteTable, StrategyKind, UpgradeKind};
use cutover_spec::Strategy;

use crate::world::{SimInstance, World};

/// A table is taken in on the way forward: no candidate's share gets smaller.
pub(crate) fn applied(world: &World, table: &RouteTable) -> Result<(), String> {
    let (Some(current), Some(facts)) = (&world.current, world.facts()) else {
        return Ok(());
    };
    if facts.back.is_some() {
        return Ok(());
    }
    for change in &current.plan.services {
        let Some(to) = change.to.as_ref().filter(|to| change.from.as_ref() != Some(to)) else {
            continue;
        };
        let (before, after) = (world.router.acknowledged.weight(to), table.weight(to));
        if after < before {
            return Err(format!("{to} falls from {before} to {after} on the way forward"));
        }
    }
    Ok(())
}

/// A plan's holds, whatever becomes of them.
pub(crate) fn planned(plan: &Plan) -> Result<(), String> {
    if plan.strategy != StrategyKind::Canary || plan.kind != UpgradeKind::Upgrade {
        return Ok(());
    }
    for change in &plan.services {
        let (Some(from), Some(to)) = (&change.from, &change.to) else {
            continue;
        };
        if from == to {
            continue;
        }
        let mut last = 0;
        for step in &plan.steps {
            let Action::Hold { desired } = &step.action else {
                continue;
            };
            let (old, new) = (desired.replicas(from), desired.replicas(to));
            if new < last {
                return Err(format!(
                    "{to} goes from {last} to {new} instances in step {}",
                    step.id
                ));
            }
            last = new;
            let shared = desired.0.values().any(|want| {
                want.weight
                    .is_some_and(|weight| !weight.is_none() && !weight.rest().is_none())
            });
            if shared && change.listen.is_none() && change.replicas >= 2 && (old == 0 || new == 0) {
                return Err(format!(
                    "{old} old and {new} new of {} in step {}",
                    change.service, step.id
                ));
            }
        }
    }
    Ok(())
}

/// An instance is about to end in a rolling release on its way forward, and nothing has gone wrong: as many stay in
/// service as `maxUnavailable` leaves.
pub(crate) fn removed(world: &World, instance: &SimInstance) -> Result<(), String> {
    let (Some(current), Some(facts)) = (&world.current, world.facts()) else {
        return Ok(());
    };
    let Strategy::Rolling(how) = &current.target.strategy else {
        return Ok(());
    };
    if facts.back.is_some()
        || current.plan.strategy != StrategyKind::Rolling
        || current.plan.kind != UpgradeKind::Upgrade
        || instance.address.is_none()
        || !instance.is_ready()
    {
        return Ok(());
    }
    let service = &instance.revision.service;
    let Some(change) = current
        .plan
        .services
        .iter()
        .find(|change| change.service == *service)
    else {
        return Ok(());
    };
    let (Some(from), Some(to)) = (&change.from, &change.to) else {
        return Ok(());
    };
    let n = current.plan.initial.replicas(from).min(change.replicas);
    let of = n.max(current.plan.initial.replicas(from)).max(change.replicas);
    let mut unavailable = how.max_unavailable.of_rounded_down(of);
    if how.max_surge.of_rounded_up(of) == 0 {
        unavailable = unavailable.max(1);
    }
    let mine = || {
        world
            .target
            .instances
            .iter()
            .filter(|one| one.revision == *from || one.revision == *to)
    };
    if mine().any(|one| !one.is_ready() || one.restarts > 0) || from == to {
        return Ok(());
    }
    let left = mine().count() - 1;
    let least = n.saturating_sub(unavailable) as usize;
    if left < least {
        return Err(format!(
            "{left} of {service} stay, and maxUnavailable {unavailable} of {n} leaves {least}"
        ));
    }
    Ok(())
}
