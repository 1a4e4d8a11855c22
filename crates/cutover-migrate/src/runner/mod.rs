//! Databases that another tool migrates, by commands: `up`, `down` and `current`.
//!
//! An external command cannot be fenced in a transaction. It is checked instead: lock, compare, act, read back. The lock is a
//! file that the tool itself keeps open, so that it is held as long as anything of the tool runs, whatever became of the
//! controller that started it; a new controller ends what an older one left. Then the generation is raised in the database,
//! the command is run, and `current` says what came of it.
//!
//! It must not know what the tool does: what is pending is the tool's to say, and `up` run again does only the rest.

mod command;
mod judge;
mod lock;
mod output;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use cutover_db::DatabaseUrl;
use cutover_model::{DatabaseName, Diagnostic, Fence, Migration, MigrationId, SchemaRevision, Span, Version};
use cutover_ports::{MigrateOptions, MigrationReport, PortError};
use cutover_spec::RunnerCommands;
use tokio::time::Instant;

use self::command::{Command, Ran};
use self::judge::Wanted;
use self::lock::Lock;
use crate::databases::{Known, what};
use crate::job::elapsed;
use crate::note::Note;
use crate::placeholders::Values;
use crate::stop::Stop;
use crate::{Act, LogEntry, MigrateDatabases};

/// Another tool, as a release has it: its commands and what they are given.
#[derive(Clone)]
pub struct Tool {
    /// The release whose files it reads.
    pub release: Version,
    /// What is run.
    pub commands: RunnerCommands,
    /// How long each command may run.
    pub timeout: Span,
    /// Where.
    pub directory: PathBuf,
    /// With this environment, and nothing else.
    pub environment: BTreeMap<OsString, OsString>,
    /// What must not be shown of its output.
    pub secrets: Vec<String>,
    /// A folder for its lock and for what it prints.
    pub folder: PathBuf,
}

impl std::fmt::Debug for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tool")
            .field("release", &self.release)
            .field("commands", &self.commands)
            .finish_non_exhaustive()
    }
}

impl MigrateDatabases {
    /// Adds a database that another tool migrates. Called again, the tool that was given last is the one that is run.
    #[must_use]
    pub fn with_tool(mut self, name: DatabaseName, url: DatabaseUrl, tool: Tool) -> Self {
        let known = Known {
            url,
            files: Vec::new(),
            faulty: Vec::new(),
            wrong: Vec::new(),
            values: Values::default(),
            policy: None,
            tool: Some(Arc::new(tool)),
        };
        self.known.insert(name, known);
        self
    }

    /// The name of the tool that migrates a database; none where files do.
    #[must_use]
    pub fn tool(&self, database: &DatabaseName) -> Option<&str> {
        let tool = self.known.get(database)?.tool.as_ref()?;
        Some(tool.commands.name.as_str())
    }

    /// Refuses what only Cutover's own files have.
    pub(crate) fn files_only(&self, database: &DatabaseName) -> Result<(), PortError> {
        let Some(tool) = self.tool(database) else {
            return Ok(());
        };
        Err(PortError::refused(
            Diagnostic::error(
                "runner.not-by-files",
                format!(
                    "{tool} migrates the {}: this is for databases that files migrate",
                    what(database)
                ),
            )
            .note("next", format!("ask {tool} itself, with the database's address"))
            .help("cutover migrate status"),
        ))
    }

    /// Where the schema is, by the tool's `current`.
    pub(crate) async fn where_it_is(
        &self,
        database: &DatabaseName,
    ) -> Result<Option<SchemaRevision>, PortError> {
        match &self.find(database)?.tool {
            Some(tool) => Work::of(self, database, tool).current().await,
            None => Ok(None),
        }
    }

    /// Runs `up`.
    pub(crate) async fn tool_up(
        &self,
        fence: &Fence,
        database: &DatabaseName,
        tool: &Tool,
        options: &MigrateOptions,
    ) -> Result<MigrationReport, PortError> {
        let work = Work::of(self, database, tool);
        let lock = Lock::take(&tool.folder, database, fence, &work.stop).await?;
        self.note(fence, database, Note::Claim).await?;
        let before = work.current().await?;
        let start = Instant::now();
        let ran = work.run(&tool.commands.up, Some(&lock)).await?;
        let after = work.current_after(&ran).await;
        let moved = judge::judge(&work.name(), &ran, Wanted::Anything, before, after)?;
        let report = MigrationReport {
            id: MigrationId::of_runner(&tool.commands.name),
            took: elapsed(start),
            rows: None,
            already: moved.as_ref().is_some_and(|(from, to)| from == to),
            moved,
        };
        self.record(fence, database, Act::Up, &report, options).await?;
        Ok(report)
    }

    /// Runs `down`, unless the schema is there already.
    pub(crate) async fn tool_down(
        &self,
        fence: &Fence,
        migration: &Migration,
        to: &SchemaRevision,
        options: &MigrateOptions,
    ) -> Result<MigrationReport, PortError> {
        let database = &migration.database;
        let Some(tool) = self.find(database)?.tool.clone() else {
            return Err(no_way_down(database, "no tool is known that migrates it"));
        };
        let Some(down) = &tool.commands.down else {
            return Err(no_way_down(database, "the runner has no `down`"));
        };
        let work = Work::of(self, database, &tool);
        let lock = Lock::take(&tool.folder, database, fence, &work.stop).await?;
        self.note(fence, database, Note::Claim).await?;
        let before = work.current().await?;
        let start = Instant::now();
        let mut report = MigrationReport {
            id: MigrationId::of_runner(&tool.commands.name),
            took: Span::ZERO,
            rows: None,
            already: before.as_ref() == Some(to),
            moved: before.clone().map(|before| (before, to.clone())),
        };
        if report.already {
            return Ok(report);
        }
        let name = match (&tool.commands.base, to.is_empty()) {
            (Some(base), true) => base,
            (None, true) => return Err(no_way_down(database, "nothing was applied, which has no name")),
            (_, false) if !to.exact => return Err(no_way_down(database, "it is no single revision")),
            (_, false) => &to.text,
        };
        let words: Vec<String> = down.iter().map(|word| word.replace("{revision}", name)).collect();
        let ran = work.run(&words, Some(&lock)).await?;
        let after = work.current_after(&ran).await;
        report.moved = judge::judge(&work.name(), &ran, Wanted::At(to), before, after)?;
        report.took = elapsed(start);
        self.record(fence, database, Act::Down, &report, options).await?;
        Ok(report)
    }

    /// What was done, in the database's log.
    async fn record(
        &self,
        fence: &Fence,
        database: &DatabaseName,
        act: Act,
        report: &MigrationReport,
        options: &MigrateOptions,
    ) -> Result<(), PortError> {
        let entry = LogEntry {
            id: report.id.clone(),
            act,
            at: self.now(),
            by: options.by.clone(),
            took: report.took,
            release: Some(options.release.clone()),
            upgrade: options.upgrade.as_ref().map(ToString::to_string),
            detail: report.moved.as_ref().map(|(from, to)| format!("{from} → {to}")),
        };
        self.note(fence, database, Note::Log(Box::new(entry))).await
    }
}

fn no_way_down(database: &DatabaseName, why: &str) -> PortError {
    PortError::refused(
        Diagnostic::error(
            "runner.no-way-down",
            format!("the schema of {} cannot be taken back: {why}", what(database)),
        )
        .help("cutover backup list"),
    )
}

/// A tool and its database.
struct Work<'a> {
    databases: &'a MigrateDatabases,
    database: &'a DatabaseName,
    tool: &'a Tool,
    stop: Stop,
}

impl<'a> Work<'a> {
    fn of(databases: &'a MigrateDatabases, database: &'a DatabaseName, tool: &'a Tool) -> Self {
        Self {
            databases,
            database,
            tool,
            stop: databases.stop_by(),
        }
    }

    fn name(&self) -> String {
        format!("{} of {}", self.tool.commands.name, what(self.database))
    }

    async fn run(&self, words: &[String], lock: Option<&Lock>) -> Result<Ran, PortError> {
        let command = Command {
            what: self.name(),
            words,
            tool: self.tool,
            log: self.tool.folder.join(format!("{}.log", self.database)),
            at: self.databases.now(),
        };
        command.run(lock, &self.stop).await
    }

    /// Where the schema is; none where the tool cannot say.
    async fn current(&self) -> Result<Option<SchemaRevision>, PortError> {
        let Some(words) = &self.tool.commands.current else {
            return Ok(None);
        };
        let ran = self.run(words, None).await?;
        if !ran.ended.is_success() {
            let message = format!("where the schema is cannot be asked: {} {ran}", self.name());
            return Err(PortError::refused(
                Diagnostic::error("runner.current-failed", message)
                    .note("command", words.join(" "))
                    .help("cutover migrate status"),
            ));
        }
        Ok(Some(SchemaRevision::from_output(
            &ran.out,
            self.tool.commands.first_words,
        )))
    }

    /// As [`Self::current`], after something was run. One that was stopped is not asked.
    async fn current_after(&self, ran: &Ran) -> Option<Result<SchemaRevision, PortError>> {
        if ran.ended.was_stopped() {
            return None;
        }
        self.current().await.transpose()
    }
}
