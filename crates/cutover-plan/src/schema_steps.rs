//! The steps in which schemas change, and what "go back" means from each.

use cutover_model::{Action, DatabaseName, Migration, MigrationPhase, Span, Stage, Undo, Version, WayBack};

use crate::shape::Shape;

/// A schema step that finds a lock taken tries again for this long: the ladder of lock time-outs is about that long.
pub(crate) const SCHEMA_DEADLINE: Span = Span::from_mins(60);

pub(crate) fn titles(migrations: &[Migration]) -> String {
    migrations
        .iter()
        .map(|one| one.id.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

pub(crate) fn schema_step(
    shape: &mut Shape<'_>,
    database: &DatabaseName,
    phase: MigrationPhase,
    migrations: &[Migration],
) {
    let (stage, undo, by) = match phase {
        MigrationPhase::Backfill => (
            Stage::Backfill,
            Undo::Reopen {
                database: database.clone(),
                migrations: migrations.to_vec(),
            },
            "stop; it counts as pending again and resumes",
        ),
        MigrationPhase::Expand | MigrationPhase::Contract => (
            Stage::Expand,
            Undo::Nothing("the expanded schema stays; the old version lives with it".to_owned()),
            "stop; the expanded schema stays, harmless",
        ),
    };
    let back = shape.back(by);
    shape.about_ms += 500;
    let action = Action::Migrate {
        database: database.clone(),
        migrations: migrations.to_vec(),
    };
    shape.push_with(
        stage,
        titles(migrations),
        action,
        Some(SCHEMA_DEADLINE),
        undo,
        back,
    );
}

pub(crate) fn contract_step(
    shape: &mut Shape<'_>,
    database: &DatabaseName,
    migrations: &[Migration],
    undo: Undo,
    way_back: WayBack,
) {
    shape.about_ms += 500;
    let action = Action::Migrate {
        database: database.clone(),
        migrations: migrations.to_vec(),
    };
    shape.push_with(Stage::Contract, titles(migrations), action, None, undo, way_back);
}

/// Why there is no way back past a contract.
pub(crate) fn no_way_back(migrations: &[Migration]) -> String {
    let bound = migrations.iter().filter_map(|one| one.retires.as_ref()).max();
    let bound = bound.map_or_else(|| "the new one".to_owned(), Version::to_string);
    format!("none: versions below {bound} cannot live with it; roll forward or restore")
}
