//! I12: an upgrade ends in exactly one of: all on new, all on old, stuck with instructions.

use std::collections::BTreeMap;

use cutover_model::{InstanceState, RevisionId, UpgradeKind, UpgradePhase, Weight};

use crate::world::World;

/// The end was written.
pub(crate) fn ended(world: &World, phase: UpgradePhase) -> Result<(), String> {
    let Some(current) = &world.current else {
        return Ok(());
    };
    let plan = &current.plan;
    let touched = world.facts().is_some_and(|facts| facts.touched);
    let stable = world.store.promoted.last().map(|one| &one.release);
    let mut wanted: BTreeMap<&RevisionId, (u32, Option<Weight>)> = BTreeMap::new();
    match phase {
        UpgradePhase::Succeeded if plan.kind == UpgradeKind::Contract => return Ok(()),
        UpgradePhase::Succeeded => {
            if stable != Some(&plan.release) {
                return Err("it succeeded, and its release is not recorded as stable".to_owned());
            }
            for change in &plan.services {
                if let Some(to) = &change.to {
                    wanted.insert(to, (change.replicas, change.listen.as_ref().map(|_| Weight::ALL)));
                }
            }
        }
        UpgradePhase::Aborted | UpgradePhase::Failed => {
            if stable != plan.parent.as_ref() {
                return Err("it went back, and another release is recorded as stable".to_owned());
            }
            wanted.extend(
                plan.initial
                    .0
                    .iter()
                    .map(|(id, want)| (id, (want.replicas, want.weight))),
            );
        }
        other => return Err(format!("it ended {other}")),
    }
    let here = world
        .target
        .instances
        .iter()
        .filter(|one| one.state != InstanceState::Stopping);
    for one in here {
        if !wanted.contains_key(&one.revision) {
            return Err(format!(
                "it ended {phase}, and {} of {} runs",
                one.id, one.revision
            ));
        }
    }
    for route in &world.router.table.services {
        // What steps gave to the candidate went with it.
        let own = plan
            .services
            .iter()
            .find(|change| change.service == route.service);
        if own.is_some_and(|own| own.policy != route.policy) {
            return Err(format!(
                "it ended {phase}, and {} has a policy of a step",
                route.service
            ));
        }
        for routed in &route.revisions {
            if !routed.weight.is_none() && !wanted.contains_key(&routed.revision) {
                return Err(format!(
                    "it ended {phase}, and {} has {}",
                    routed.revision, routed.weight
                ));
            }
        }
    }
    if !touched && phase != UpgradePhase::Succeeded {
        return Ok(());
    }
    // Where only migrations had begun, going back leaves the instances as they were found.
    let moved = phase == UpgradePhase::Succeeded || world.facts().is_some_and(|facts| facts.held);
    for (revision, (replicas, weight)) in wanted {
        let count = world.target.count(revision);
        if moved && count != replicas as usize {
            return Err(format!(
                "it ended {phase}, and {count} of {replicas} of {revision} are there"
            ));
        }
        let is = world.router.table.weight(revision);
        if moved && weight.is_some_and(|weight| is != weight) {
            return Err(format!("it ended {phase}, and {revision} has {is}"));
        }
    }
    Ok(())
}

/// A person was called.
pub(crate) fn stuck(next: &[String]) -> Result<(), String> {
    if next.is_empty() || !next.iter().all(|command| command.starts_with("cutover ")) {
        return Err(format!("stuck without a command to run: {next:?}"));
    }
    Ok(())
}
