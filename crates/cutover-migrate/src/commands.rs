//! What `cutover migrate` does without an upgrade.

use std::collections::BTreeSet;
use std::sync::Arc;

use cutover_model::{DatabaseName, Diagnostic, Fence, MigrationId, Severity, Span, Version};
use cutover_ports::{MigrateOptions, MigrationReport, PortError};

use crate::databases::{Known, Run, what};
use crate::load::file_name;
use crate::note::Note;
use crate::{
    Act, Direction, HistoryRow, LogEntry, MigrateDatabases, MigrationFile, MigrationStatus, StatusLine, Tool,
    adapter, batches, check, foreign, script, status,
};

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

/// What of a history is corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// The checksum that is recorded becomes that of the file: the change of the file is accepted.
    Checksum,
    /// What was begun was finished by hand: it is recorded as applied, whole.
    Applied,
    /// What is recorded was taken back by hand: the record is removed.
    NotApplied,
}

/// A contract that is not due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub id: MigrationId,
    /// It waits until no instance below this version is left.
    pub retires: Version,
}

/// What a way up would do.
#[derive(Debug, Clone, Default)]
pub struct Pending {
    /// The files that would be run, in order.
    pub run: Vec<Arc<MigrationFile>>,
    /// The contracts that would be passed over.
    pub waiting: Vec<Waiting>,
}

impl MigrateDatabases {
    /// A line per migration, of the files and of the history. Files with a fault have lines of their own
    /// ([`with_faulty`](Self::with_faulty)).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn status(&self, database: &DatabaseName) -> Result<Vec<StatusLine>, PortError> {
        let observed = self.look(database).await?;
        let known = self.find(database)?;
        let mut lines = status::lines(
            &known.files,
            &known.faulty,
            &observed.history,
            known.url.dialect(),
        );
        for line in &mut lines {
            let is_batched =
                |file: &Arc<MigrationFile>| file.migration.id == line.id && file.batched.is_some();
            if matches!(line.status, MigrationStatus::Interrupted { .. })
                && known.files.iter().any(is_batched)
            {
                let so_far = batches::SoFar(line.id.clone());
                line.rows = Some(adapter::read(&what(database), &known.url, so_far).await?);
            }
        }
        Ok(lines)
    }

    /// All that was ever done to the database's history, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn log(&self, database: &DatabaseName) -> Result<Vec<LogEntry>, PortError> {
        if !self.look(database).await?.has_log {
            return Ok(Vec::new());
        }
        adapter::log(&what(database), &self.find(database)?.url, &self.driver).await
    }

    /// What is pending, in order, after files and history were compared.
    ///
    /// # Errors
    /// When they do not fit together, or the database cannot be read.
    pub async fn pending(
        &self,
        database: &DatabaseName,
        reach: Reach,
        contracts: bool,
    ) -> Result<Pending, PortError> {
        if reach != Reach::All {
            self.files_only(database)?;
        }
        let observed = self.look(database).await?;
        let known = self.find(database)?;
        let files = &known.files;
        refuse_errors(check::findings(files, &observed.history, known.url.dialect()))?;
        let complete: BTreeSet<&MigrationId> = observed
            .history
            .iter()
            .filter(|row| row.complete)
            .map(|row| &row.id)
            .collect();
        let mut out = Pending::default();
        for file in files {
            let migration = &file.migration;
            if complete.contains(&migration.id) {
                continue;
            }
            match &migration.retires {
                Some(retires) if !contracts => out.waiting.push(Waiting {
                    id: migration.id.clone(),
                    retires: retires.clone(),
                }),
                _ => {
                    // Of two releases' texts of one that is not applied, the one that was given last counts.
                    out.run.pop_if(|other| other.migration.id == migration.id);
                    out.run.push(Arc::clone(file));
                }
            }
        }
        match reach {
            Reach::All => {}
            Reach::To(number) => {
                self.known_number(database, number)?;
                out.run.retain(|file| file.migration.id.number <= number);
                out.waiting.retain(|waiting| waiting.id.number <= number);
            }
            Reach::Steps(steps) => out.run.truncate(steps),
        }
        Ok(out)
    }

    fn known_number(&self, database: &DatabaseName, number: u64) -> Result<(), PortError> {
        let files = &self.find(database)?.files;
        if number == 0 || files.iter().any(|file| file.migration.id.number == number) {
            return Ok(());
        }
        Err(PortError::refused(
            Diagnostic::error(
                "migrate.unknown-number",
                format!("there is no migration with the number {number}"),
            )
            .help("cutover migrate status"),
        ))
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
        let pending = self.pending(database, reach, contracts).await?;
        if let Some(tool) = self.find(database)?.tool.clone() {
            done.push(self.tool_up(fence, database, &tool, options).await?);
            return Ok(());
        }
        let run = Run {
            fence,
            options,
            direction: Direction::Up,
            retire: true,
        };
        let (reports, failed) = self.run(database, &pending.run, &run).await?;
        done.extend(reports);
        failed.map_or(Ok(()), Err)
    }

    /// What a way down would take back, the last first.
    ///
    /// # Errors
    /// When one of them is irreversible or has no file here.
    pub async fn applied(
        &self,
        database: &DatabaseName,
        reach: Reach,
    ) -> Result<Vec<Arc<MigrationFile>>, PortError> {
        self.files_only(database)?;
        let observed = self.look(database).await?;
        if let Reach::To(number) = reach
            && !observed.history.iter().any(|row| row.id.number == number)
        {
            self.known_number(database, number)?;
        }
        let known = self.find(database)?;
        let files = &known.files;
        // What is repeatable has no way down, and is in nobody's way.
        let applied = observed
            .history
            .iter()
            .rev()
            .filter(|row| !row.id.is_repeatable());
        let rows: Vec<_> = match reach {
            Reach::All => applied.collect(),
            Reach::To(number) => applied.filter(|row| row.id.number > number).collect(),
            Reach::Steps(steps) => applied.take(steps).collect(),
        };
        let mut chosen = Vec::new();
        for row in rows {
            let same = files.iter().find(|file| row.is_of(&file.migration));
            if same.is_none() {
                known.refuse_faulty(&row.id)?;
            }
            let file = same.or_else(|| files.iter().find(|file| file.migration.id == row.id));
            let Some(file) = file else {
                let found = Diagnostic::error(
                    "migrate.file-missing",
                    format!("{} is applied, but its files are not here", row.id),
                );
                return Err(PortError::refused(match &row.release {
                    // A newer one, say, that a rollback left behind.
                    Some(release) => found
                        .note("brought by", format!("release {release}"))
                        .help(format!("cutover migrate down --release {release}")),
                    None => found.help("cutover migrate status"),
                }));
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
        Ok(chosen)
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
        let chosen = self.applied(database, reach).await?;
        let run = Run {
            fence,
            options,
            direction: Direction::Down,
            retire: false,
        };
        let (reports, failed) = self.run(database, &chosen, &run).await?;
        done.extend(reports);
        failed.map_or(Ok(()), Err)
    }

    /// What a way up or down would run, as text; nothing is run, and the history is not part of it.
    ///
    /// # Errors
    /// As [`pending`](Self::pending) and [`applied`](Self::applied).
    pub async fn sql(
        &self,
        database: &DatabaseName,
        direction: Direction,
        reach: Reach,
        contracts: bool,
    ) -> Result<String, PortError> {
        self.files_only(database)?;
        let files = match direction {
            Direction::Up => self.pending(database, reach, contracts).await?.run,
            Direction::Down => self.applied(database, reach).await?,
        };
        let dialect = self.find(database)?.url.dialect();
        Ok(script::text(dialect, &files, direction))
    }

    /// Corrects what is recorded of one migration, and of no other.
    ///
    /// # Errors
    /// When there is no such record, or no file to compare it with.
    pub async fn repair(
        &self,
        fence: &Fence,
        database: &DatabaseName,
        id: &MigrationId,
        repair: Repair,
        options: &MigrateOptions,
    ) -> Result<(), PortError> {
        self.files_only(database)?;
        let files = &self.find(database)?.files;
        let file = files.iter().rev().find(|file| file.migration.id == *id);
        if repair != Repair::NotApplied {
            self.find(database)?.refuse_faulty(id)?;
        }
        let history = self.look(database).await?.history;
        let renamed = check::renamed_of(files, &history);
        let note = match (repair, file) {
            (Repair::Checksum, Some(file)) if renamed.contains_key(id) => {
                let former = renamed
                    .get(id)
                    .map_or_else(|| id.clone(), |former| (*former).clone());
                Note::Rename(former, Box::new(self.row(file, options)))
            }
            (_, Some(file)) => {
                let retires = file.migration.retires.clone();
                Note::Repair(repair, Box::new(self.row(file, options)), retires)
            }
            (Repair::NotApplied, None) => Note::Forget(id.clone(), self.now(), options.by.clone()),
            (Repair::Checksum | Repair::Applied, None) => {
                return Err(PortError::refused(
                    Diagnostic::error("migrate.file-missing", format!("there is no file of {id} here"))
                        .help(format!("cutover migrate repair --only {id} --as not-applied")),
                ));
            }
        };
        self.note(fence, database, note).await
    }

    /// Records the files up to a number as applied without running them: the database was made by other means. Only
    /// into an empty history. Answers how many.
    ///
    /// # Errors
    /// When there is a history already, when no file has that number, or when a file up to it has a fault.
    pub async fn baseline(
        &self,
        fence: &Fence,
        database: &DatabaseName,
        number: u64,
        options: &MigrateOptions,
    ) -> Result<usize, PortError> {
        self.files_only(database)?;
        let known = self.find(database)?;
        known.refuse_faulty_up_to(number)?;
        self.known_number(database, number)?;
        let files = known
            .files
            .iter()
            .filter(|file| file.migration.id.number <= number);
        let detail = "recorded as applied, not run".to_owned();
        self.fill(
            fence,
            database,
            Act::Baseline,
            files.cloned().collect(),
            detail,
            options,
        )
        .await
    }

    /// Records files as applied, with the bound of the contracts among them. Answers how many.
    async fn fill(
        &self,
        fence: &Fence,
        database: &DatabaseName,
        act: Act,
        files: Vec<Arc<MigrationFile>>,
        detail: String,
        options: &MigrateOptions,
    ) -> Result<usize, PortError> {
        let retires = files
            .iter()
            .filter_map(|file| file.migration.retires.clone())
            .max();
        let rows = files.iter().map(|file| self.row(file, options)).collect();
        self.note(fence, database, Note::Fill(act, rows, detail, retires))
            .await?;
        Ok(files.len())
    }

    /// Records as applied, without running them, the files that another tool's history says are: read from that tool's
    /// tables, which stay as they are. With a number, all files up to it, whatever versions that history names. Only into
    /// an empty history. Answers how many.
    ///
    /// # Errors
    /// When there is a history already, when there is none of that tool or something failed in it, or when it names what
    /// has no file, or one that has a fault.
    pub async fn import(
        &self,
        fence: &Fence,
        database: &DatabaseName,
        tool: Tool,
        number: Option<u64>,
        options: &MigrateOptions,
    ) -> Result<usize, PortError> {
        self.files_only(database)?;
        let known = self.find(database)?;
        if let Some(number) = number {
            known.refuse_faulty_up_to(number)?;
            self.known_number(database, number)?;
        }
        let theirs = foreign::History {
            tool,
            dialect: known.url.dialect(),
            what: what(database),
        };
        let theirs = adapter::read(&what(database), &known.url, theirs).await?;
        let files: Vec<_> = match number {
            Some(number) => {
                let up_to = known
                    .files
                    .iter()
                    .filter(|file| file.migration.id.number <= number);
                up_to.cloned().collect()
            }
            None => known.imported(tool, &theirs)?,
        };
        let detail = format!("by {tool}, before");
        self.fill(fence, database, Act::Import, files, detail, options)
            .await
    }

    /// The record of a file that is applied now.
    fn row(&self, file: &MigrationFile, options: &MigrateOptions) -> HistoryRow {
        HistoryRow {
            id: file.migration.id.clone(),
            phase: file.migration.phase,
            checksum: file.migration.checksum.clone(),
            raw_checksum: file.raw_checksum.clone(),
            applied_at: self.now(),
            applied_by: options.by.clone(),
            took: Span::ZERO,
            release: Some(options.release.clone()),
            upgrade: None,
            complete: true,
            direction: Direction::Up,
            reopened_at: None,
            steps: Vec::new(),
        }
    }
}

impl Known {
    /// What a file with a fault says is not known, so nothing is done by it.
    pub(crate) fn refuse_faulty(&self, id: &MigrationId) -> Result<(), PortError> {
        let faulty = self.faulty.iter().find(|faulty| faulty.is(id));
        faulty.map_or(Ok(()), |faulty| refuse_errors(faulty.wrong.clone()))
    }

    /// Nothing is wrong with the files up to a number, nor with what may be one of them.
    fn refuse_faulty_up_to(&self, number: u64) -> Result<(), PortError> {
        let own = self.faulty.iter().filter(|one| one.id.number <= number);
        let is_above = |found: &&Diagnostic| {
            let file = found.location.as_ref().and_then(|at| at.file.rsplit('/').next());
            let id = file.and_then(|file| file_name(file, self.url.dialect()));
            id.is_some_and(|(id, _)| id.number > number)
        };
        let others = self.wrong.iter().filter(|found| !is_above(found));
        refuse_errors(own.flat_map(|one| &one.wrong).chain(others).cloned().collect())
    }

    /// The files that another tool's history says are applied.
    fn imported(&self, tool: Tool, theirs: &foreign::Theirs) -> Result<Vec<Arc<MigrationFile>>, PortError> {
        let files = match foreign::applied(tool, theirs, &self.files) {
            Ok(files) => files,
            Err(found) => {
                // What it names may be one that cannot be used.
                self.refuse_faulty_up_to(u64::MAX)?;
                return Err(PortError::refused(found));
            }
        };
        let last = files.last().map_or(0, |file| file.migration.id.number);
        if theirs.has_all_below() {
            self.refuse_faulty_up_to(last)?;
        }
        Ok(files)
    }
}

/// Of hundreds of like faults, as many others are told.
const ALSO: usize = 5;

/// The first error stops; the others are in its notes.
fn refuse_errors(found: Vec<Diagnostic>) -> Result<(), PortError> {
    let mut errors = found
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error);
    let Some(first) = errors.next() else {
        return Ok(());
    };
    let told = errors
        .by_ref()
        .take(ALSO)
        .fold(first, |first, more| first.note("also", more.message));
    let told = match errors.count() {
        0 => told,
        more => told.note("also", format!("{more} more")),
    };
    Err(PortError::refused(told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_faults_some_are_told_and_the_others_counted() {
        let faults = |count: usize| {
            let all = (1..=count).map(|at| Diagnostic::error("a.b", format!("fault {at}")));
            refuse_errors(all.collect()).unwrap_err().diagnostic
        };
        assert_eq!(faults(1 + ALSO).notes.len(), ALSO);
        let many = faults(300);
        assert_eq!(many.notes.len(), ALSO + 1);
        assert_eq!(many.notes[ALSO].1, "294 more");
        assert!(refuse_errors(vec![Diagnostic::warning("a.b", "c")]).is_ok());
    }
}
