//! I7: an instance runs with the stored configuration of its own revision, also when it is started again.

use cutover_model::Track;

use crate::world::{SimInstance, World};

/// An instance starts, or starts again.
pub(crate) fn started(world: &World, instance: &SimInstance) -> Result<(), String> {
    let revision = &instance.revision;
    let running = &instance.running;
    let Some(stored) = world.specs.get(revision) else {
        return Err(format!("{revision} is stored nowhere"));
    };
    if running.revision != *revision || running.environment != stored.environment {
        return Err(format!(
            "{} of {revision} runs with the configuration of {}",
            instance.id, running.revision
        ));
    }
    let Some(current) = &world.current else {
        return Ok(());
    };
    let stays = current
        .plan
        .services
        .iter()
        .any(|change| change.from.as_ref() == Some(revision));
    if stays && running.track == Track::Candidate && instance.restarts == 0 {
        return Err(format!(
            "{} of stable {revision} starts as a candidate",
            instance.id
        ));
    }
    Ok(())
}
