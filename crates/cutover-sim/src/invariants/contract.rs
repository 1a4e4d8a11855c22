//! I11: no contract while a version that it retires runs anywhere, and none of those is started afterwards.

use cutover_model::{Migration, MigrationPhase, RevisionId};

use crate::world::World;

/// A migration has just been applied.
pub(crate) fn applied(world: &World, migration: &Migration) -> Result<(), String> {
    if migration.phase != MigrationPhase::Contract {
        return Ok(());
    }
    let Some(bound) = &migration.retires else {
        return Ok(());
    };
    let id = &migration.id;
    if let Some(old) = world
        .target
        .instances
        .iter()
        .find(|one| one.revision.version < *bound)
    {
        return Err(format!(
            "{id} is applied while {} of {} is there",
            old.id, old.revision
        ));
    }
    let written = world
        .databases
        .get(&migration.database)
        .and_then(|one| one.state.retired_below.as_ref());
    if written.is_none_or(|written| written < bound) {
        return Err(format!(
            "{id} is applied before versions below {bound} were retired"
        ));
    }
    Ok(())
}

/// An instance of a revision is about to start.
pub(crate) fn starts(world: &World, revision: &RevisionId) -> Result<(), String> {
    for (name, database) in &world.databases {
        if let Some(bound) = &database.state.retired_below
            && revision.version < *bound
        {
            return Err(format!(
                "{revision} starts, and {name} has retired versions below {bound}"
            ));
        }
    }
    Ok(())
}
