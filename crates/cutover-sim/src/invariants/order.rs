//! Migrations of one database are applied in the order of their numbers, contracts apart.

use cutover_model::{Migration, MigrationPhase};

use crate::world::World;

/// A migration has just been applied: every expand and backfill with a lower number was there before.
pub(crate) fn applied(world: &World, migration: &Migration) -> Result<(), String> {
    let Some(database) = world.databases.get(&migration.database) else {
        return Ok(());
    };
    let early = database.known.values().find(|one| {
        one.id < migration.id && one.phase == MigrationPhase::Expand && !database.state.has(&one.id)
    });
    match early {
        Some(early) => Err(format!("{} is applied before {}", migration.id, early.id)),
        None => Ok(()),
    }
}
