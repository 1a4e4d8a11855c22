//! Databases: migrations are transactional, their outcome may get lost, locks may be taken.

use std::collections::BTreeMap;

use cutover_model::{
    AppliedMigration, DatabaseName, DatabaseState, Diagnostic, Fence, Migration, MigrationId, MigrationPhase,
    SchemaRevision, Span, Version,
};
use cutover_ports::{Databases, MigrateOptions, MigrationReport, PortError};

use crate::fault::Op;
use crate::world::{Sim, World};
use crate::{Invariant, invariants};

/// One database.
#[derive(Debug, Default)]
pub(crate) struct SimDatabase {
    pub(crate) fence: Option<Fence>,
    pub(crate) state: DatabaseState,
    /// How often the statements of a migration took effect since it was last marked pending.
    pub(crate) effects: BTreeMap<MigrationId, u32>,
    /// Migrations whose statements fail so many times more.
    pub(crate) broken: BTreeMap<MigrationId, u32>,
    /// The true migrations, whatever the engine was told.
    pub(crate) known: BTreeMap<MigrationId, Migration>,
}

fn missing(name: &DatabaseName) -> PortError {
    PortError::refused(Diagnostic::error(
        "sim.no-database",
        format!("there is no database {name}"),
    ))
}

impl World {
    fn fenced(&mut self, fence: &Fence, name: &DatabaseName) -> Result<(), PortError> {
        let seen = self
            .databases
            .get(name)
            .ok_or_else(|| missing(name))?
            .fence
            .clone();
        self.admit(name.as_str(), seen.as_ref(), fence)?;
        if let Some(database) = self.databases.get_mut(name) {
            database.fence = Some(fence.clone());
        }
        Ok(())
    }

    fn up(
        &mut self,
        fence: &Fence,
        migration: &Migration,
        options: &MigrateOptions,
    ) -> Result<MigrationReport, PortError> {
        let name = &migration.database;
        self.fenced(fence, name)?;
        let now = self.now();
        let database = self.databases.get_mut(name).ok_or_else(|| missing(name))?;
        let took = Span::from_millis(7);
        let report = |already| MigrationReport {
            id: migration.id.clone(),
            took,
            rows: (migration.phase == MigrationPhase::Backfill).then_some(100),
            already,
            moved: None,
        };
        if database.state.has(&migration.id) {
            return Ok(report(true));
        }
        if let Some(left) = database.broken.get_mut(&migration.id)
            && *left > 0
        {
            *left -= 1;
            self.tell(|| format!("   {name} {} fails", migration.id));
            let what = Diagnostic::error("migrate.failed", "syntax error").help("cutover migrate status");
            return Err(PortError::refused(what));
        }
        let truth = database.known.get(&migration.id).unwrap_or(migration).clone();
        let count = database.effects.entry(migration.id.clone()).or_default();
        *count += 1;
        let count = *count;
        database.state.applied.retain(|one| one.id != migration.id);
        database.state.applied.push(AppliedMigration {
            id: migration.id.clone(),
            phase: truth.phase,
            checksum: migration.checksum.clone(),
            applied_at: now,
            took,
            release: Some(options.release.clone()),
            complete: true,
        });
        self.tell(|| format!("   {name} {} applied ({})", truth.id, truth.phase));
        self.effect();
        if count > 1 {
            self.violate(
                Invariant::Once,
                format!("{name} {} was applied {count} times", truth.id),
            );
        }
        let verdict = invariants::contract::applied(self, &truth);
        self.check(Invariant::I11, verdict);
        let verdict = invariants::order::applied(self, &truth);
        self.check(Invariant::Once, verdict);
        Ok(report(false))
    }
}

#[async_trait::async_trait]
impl Databases for Sim {
    async fn observe(&self, database: &DatabaseName) -> Result<DatabaseState, PortError> {
        self.look(Op::Look, |world| {
            world
                .databases
                .get(database)
                .map(|one| one.state.clone())
                .ok_or_else(|| missing(database))
        })
        .await?
    }

    async fn up(
        &self,
        fence: &Fence,
        migration: &Migration,
        options: &MigrateOptions,
    ) -> Result<MigrationReport, PortError> {
        self.write(Op::Up, |world| world.up(fence, migration, options))
            .await
    }

    async fn retire_below(
        &self,
        fence: &Fence,
        database: &DatabaseName,
        version: &Version,
    ) -> Result<(), PortError> {
        self.write(Op::Retire, |world| {
            world.fenced(fence, database)?;
            let one = world
                .databases
                .get_mut(database)
                .ok_or_else(|| missing(database))?;
            if one
                .state
                .retired_below
                .as_ref()
                .is_none_or(|bound| bound < version)
            {
                one.state.retired_below = Some(version.clone());
                world.effect();
                world.tell(|| format!("   {database} retires versions below {version}"));
            }
            Ok(())
        })
        .await
    }

    async fn recycle(&self, fence: &Fence, database: &DatabaseName) -> Result<u64, PortError> {
        self.write(Op::Recycle, |world| {
            world.fenced(fence, database)?;
            Ok(0)
        })
        .await
    }

    async fn reopen(&self, fence: &Fence, migration: &Migration) -> Result<(), PortError> {
        self.write(Op::Reopen, |world| {
            world.fenced(fence, &migration.database)?;
            let name = &migration.database;
            let one = world.databases.get_mut(name).ok_or_else(|| missing(name))?;
            if one.state.has(&migration.id) {
                one.state.applied.retain(|done| done.id != migration.id);
                one.effects.remove(&migration.id);
                world.effect();
                world.tell(|| format!("   {name} {} is pending again", migration.id));
            }
            Ok(())
        })
        .await
    }

    async fn revision(&self, _database: &DatabaseName) -> Result<Option<SchemaRevision>, PortError> {
        // No database of the simulator is migrated by another tool.
        Ok(None)
    }

    async fn downgrade(
        &self,
        fence: &Fence,
        migration: &Migration,
        to: &SchemaRevision,
        _options: &MigrateOptions,
    ) -> Result<MigrationReport, PortError> {
        self.write(Op::Reopen, |world| {
            let name = &migration.database;
            world.fenced(fence, name)?;
            let one = world.databases.get_mut(name).ok_or_else(|| missing(name))?;
            let before = one.state.revision.replace(to.clone());
            world.effect();
            world.tell(|| format!("   {name} goes back to {to}"));
            Ok(MigrationReport {
                id: migration.id.clone(),
                took: Span::ZERO,
                rows: None,
                already: before.as_ref() == Some(to),
                moved: before.map(|before| (before, to.clone())),
            })
        })
        .await
    }

    async fn check(&self, database: &DatabaseName) -> Vec<Diagnostic> {
        match Databases::observe(self, database).await {
            Ok(_) => Vec::new(),
            Err(error) => vec![*error.diagnostic],
        }
    }

    async fn look_over(&self, database: &DatabaseName, _applied: &[MigrationId]) -> Vec<Diagnostic> {
        // Rows and indexes are not simulated: it is only read.
        Databases::check(self, database).await
    }
}
