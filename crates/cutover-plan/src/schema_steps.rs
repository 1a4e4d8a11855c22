//! The steps in which schemas change, and what "go back" means from each.

use cutover_model::{
    Action, DatabaseName, Migration, MigrationPhase, ServiceName, Span, Stage, Undo, Version, WayBack,
};

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
    let (title, action) = migrate(shape, database, migrations);
    shape.push_with(stage, title, action, Some(SCHEMA_DEADLINE), undo, back);
}

pub(crate) fn contract_step(
    shape: &mut Shape<'_>,
    database: &DatabaseName,
    migrations: &[Migration],
    undo: Undo,
    way_back: WayBack,
) {
    shape.about_ms += 500;
    let (title, action) = migrate(shape, database, migrations);
    shape.push_with(Stage::Contract, title, action, None, undo, way_back);
}

/// What a step does that applies migrations, and its title.
fn migrate(shape: &Shape<'_>, database: &DatabaseName, migrations: &[Migration]) -> (String, Action) {
    let hold = held(shape, database, migrations);
    let mut title = titles(migrations);
    if !hold.is_empty() {
        let names: Vec<_> = hold.iter().map(ServiceName::as_str).collect();
        title = format!("{title}, while requests of {} wait", names.join(", "));
    }
    let action = Action::Migrate {
        database: database.clone(),
        migrations: migrations.to_vec(),
        hold,
    };
    (title, action)
}

/// The services that run, have a router, and use a database whose connections are to be renewed when these reshape rows.
fn held(shape: &Shape<'_>, database: &DatabaseName, migrations: &[Migration]) -> Vec<ServiceName> {
    let application = &shape.target.application;
    let wanted = application.databases.get(database);
    if !wanted.is_some_and(|wanted| wanted.recycle_connections) || !migrations.iter().any(|one| one.reshapes)
    {
        return Vec::new();
    }
    let services = application.services.iter();
    services
        .filter(|(name, service)| {
            service.router.is_some()
                && service.databases.contains(database)
                && shape.initial.of(name).any(|(_, want)| want.replicas > 0)
        })
        .map(|(name, _)| name.clone())
        .collect()
}

/// Why there is no way back past a contract.
pub(crate) fn no_way_back(migrations: &[Migration]) -> String {
    let bound = migrations.iter().filter_map(|one| one.retires.as_ref()).max();
    let bound = bound.map_or_else(|| "the new one".to_owned(), Version::to_string);
    format!("none: versions below {bound} cannot live with it; roll forward or restore")
}
