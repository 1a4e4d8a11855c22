//! What `cutover migrate` does without an upgrade.

use std::sync::Arc;

use cutover_model::{DatabaseName, Diagnostic, Fence, MigrationPhase, Severity};
use cutover_ports::{Databases as _, MigrateOptions, MigrationReport, PortError};

use crate::{Direction, MigrateDatabases, MigrationFile, StatusLine, check, status};

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All the way.
    All,
    /// Up to and with this number; down to this number, which stays applied.
    To(u64),
    /// So many files.
    Steps(usize),
}

impl MigrateDatabases {
    /// A line per migration, of the files and of the history.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn status(&self, database: &DatabaseName) -> Result<Vec<StatusLine>, PortError> {
        let observed = self.look(database).await?;
        Ok(status::lines(&self.find(database)?.files, &observed.history))
    }

    /// Applies what is pending, in order. Contracts are passed over unless they are asked for; then
    /// `retired_below` is raised before each. Stops at the first failure: the reports of what was applied before it
    /// are in `done`.
    ///
    /// # Errors
    /// When files and history do not fit together, or a file fails.
    pub async fn migrate_up(
        &self,
        fence: &Fence,
        database: &DatabaseName,
        reach: Reach,
        contracts: bool,
        options: &MigrateOptions,
        done: &mut Vec<MigrationReport>,
    ) -> Result<(), PortError> {
        let observed = self.look(database).await?;
        let files = &self.find(database)?.files;
        refuse_errors(check::findings(files, &observed.history))?;
        let pending: Vec<&Arc<MigrationFile>> = files
            .iter()
            .filter(|file| !observed.state.has(&file.migration.id))
            .filter(|file| contracts || file.migration.phase != MigrationPhase::Contract)
            .collect();
        let pending = match reach {
            Reach::All => pending,
            Reach::To(number) => pending
                .into_iter()
                .filter(|file| file.migration.id.number <= number)
                .collect(),
            Reach::Steps(steps) => pending.into_iter().take(steps).collect(),
        };
        for file in pending {
            if let Some(version) = &file.migration.retires {
                self.retire_below(fence, database, version).await?;
            }
            let report = self.run(fence, database, file, options, Direction::Up).await?;
            done.push(report);
        }
        Ok(())
    }

    /// Takes back what is applied, the last first. Refuses before anything is touched when one of the files is
    /// irreversible or not here.
    ///
    /// # Errors
    /// When one cannot be taken back, or a down file fails.
    pub async fn migrate_down(
        &self,
        fence: &Fence,
        database: &DatabaseName,
        reach: Reach,
        options: &MigrateOptions,
        done: &mut Vec<MigrationReport>,
    ) -> Result<(), PortError> {
        let observed = self.look(database).await?;
        let files = &self.find(database)?.files;
        let applied = observed.history.iter().rev();
        let rows: Vec<_> = match reach {
            Reach::All => applied.collect(),
            Reach::To(number) => applied.filter(|row| row.id.number > number).collect(),
            Reach::Steps(steps) => applied.take(steps).collect(),
        };
        let mut chosen = Vec::new();
        for row in rows {
            let same = files.iter().find(|file| row.is_of(&file.migration));
            let file = same.or_else(|| files.iter().find(|file| file.migration.id == row.id));
            let Some(file) = file else {
                return Err(PortError::refused(
                    Diagnostic::error(
                        "migrate.file-missing",
                        format!("{} is applied, but its files are not here", row.id),
                    )
                    .help("cutover migrate status"),
                ));
            };
            if file.down.is_none() {
                let reason = file.migration.irreversible.as_deref();
                return Err(PortError::refused(
                    Diagnostic::error("migrate.irreversible", format!("{} cannot be taken back", row.id))
                        .note("because", reason.unwrap_or("it has no down file"))
                        .help("cutover backup list"),
                ));
            }
            chosen.push(Arc::clone(file));
        }
        for file in chosen {
            let report = self.run(fence, database, &file, options, Direction::Down).await?;
            done.push(report);
        }
        Ok(())
    }
}

/// The first error stops; the others are in its notes.
fn refuse_errors(found: Vec<Diagnostic>) -> Result<(), PortError> {
    let mut errors = found
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error);
    let Some(first) = errors.next() else {
        return Ok(());
    };
    Err(PortError::refused(
        errors.fold(first, |first, more| first.note("also", more.message)),
    ))
}
