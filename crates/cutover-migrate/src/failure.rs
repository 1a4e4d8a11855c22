//! What went wrong in a database, and how it is told.

use std::fmt;
use std::time::Duration;

use cutover_model::{Diagnostic, MigrationPhase, Span};
use cutover_ports::{Certainty, PortError};
use cutover_sql::{Dialect, locate, subject_table};

use crate::job::Job;
use crate::{Direction, Script};

/// Somebody who holds what is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Blocker {
    pub(crate) pid: String,
    pub(crate) application: String,
    pub(crate) since: Option<String>,
    pub(crate) doing: Option<String>,
    /// In outline: without anybody's data.
    pub(crate) query: Option<String>,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)?;
        if !self.application.is_empty() {
            write!(f, ", application \"{}\"", self.application)?;
        }
        if let Some(since) = &self.since {
            write!(f, ", since {since}")?;
        }
        if let Some(doing) = &self.doing {
            write!(f, ", {doing}")?;
        }
        if let Some(query) = &self.query {
            write!(f, ": {query}")?;
        }
        Ok(())
    }
}

/// Why the database did not do something.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// The connection broke.
    Lost(String),
    /// A lock was not had in time, or two waited for each other: it may be tried again.
    Locked { said: String, blockers: Vec<Blocker> },
    /// The statement cannot run within a transaction.
    Forbidden(String),
    /// No room left.
    DiskFull(String),
    /// The user may not do it. The second is the statement that allows it, where it can be told.
    Denied(String, Option<String>),
    /// Somebody wanted it to end early; the session lives.
    Stopped(String),
    /// It ran for as long as it may, and was ended; the session lives.
    TimedOut {
        limit: Duration,
        /// Who was in its way, where it waited for a lock.
        blockers: Vec<Blocker>,
    },
    /// The statement is wrong, or may not be run.
    Statement {
        said: String,
        /// Where in the statement, in bytes.
        offset: Option<usize>,
    },
    /// All statements ran, and what they left may not be committed.
    Uncommitted(String),
    /// Nobody can tell whether, or how much of, the statement happened.
    Doubt { said: String },
    /// Cutover itself refuses: the fence, the history, a verify query.
    Refused(PortError),
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::Refused(error)
    }
}

impl Failure {
    /// The same, of a statement that was ended because it ran for so long.
    pub(crate) fn out_of_time(self, limit: Duration, blockers: Vec<Blocker>) -> Self {
        match self {
            Self::Stopped(_) => Self::TimedOut { limit, blockers },
            other => other,
        }
    }
}

/// How much of a file is applied, whatever happened to the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    Nothing,
    Statements(usize),
    /// Batches that changed so many rows.
    Batches(u64),
    /// So many statements, and one that was begun and cancelled: what is left of it is looked at when the file resumes.
    Begun(usize),
    /// The connection broke when it mattered.
    Unknown,
}

impl Applied {
    /// What is known of a file whose statement failed so.
    const fn certainty(self) -> Certainty {
        match self {
            Self::Nothing => Certainty::DefinitelyNot,
            Self::Statements(_) | Self::Batches(_) | Self::Begun(_) | Self::Unknown => Certainty::Unknown,
        }
    }
}

impl Job {
    fn applied(&self, diagnostic: Diagnostic, applied: Applied, total: usize) -> Diagnostic {
        let id = &self.file.migration.id;
        diagnostic.note(
            "state",
            match (applied, self.direction) {
                (Applied::Nothing, Direction::Up) => format!("nothing of {id} was applied"),
                (Applied::Nothing, Direction::Down) => format!("nothing of {id} was taken back"),
                (Applied::Statements(n), Direction::Up) => {
                    format!("{n} of {total} statements of {id} are applied; it resumes after them")
                }
                (Applied::Statements(n), Direction::Down) => {
                    format!("{n} of {total} statements that take {id} back are done; it resumes after them")
                }
                (Applied::Batches(rows), _) => {
                    format!("batches of {id} have changed {rows} rows so far; it resumes after the last one")
                }
                (Applied::Begun(n), Direction::Up) => {
                    format!(
                        "{n} of {total} statements of {id} are applied and one was begun; it resumes there"
                    )
                }
                (Applied::Begun(n), Direction::Down) => {
                    format!(
                        "{n} of {total} statements that take {id} back are done and one was begun; it resumes there"
                    )
                }
                (Applied::Unknown, Direction::Down) => format!("whether {id} was taken back is not known yet"),
                (Applied::Unknown, Direction::Up) => format!("whether {id} was applied is not known yet"),
            },
        )
    }

    /// A statement is wrong in the middle of a file: it and those after it never ran, and may be changed.
    fn resumable(&self, found: Diagnostic, name: &str, at: usize) -> Diagnostic {
        let number = at + 1;
        let (release, by_hand) = (&self.options.release, self.options.upgrade.is_none());
        match self.direction {
            Direction::Up if by_hand => found
                .note(
                    "next",
                    format!("correct {name} from statement {number} on; or take back what is applied: cutover migrate down"),
                )
                .help(self.next()),
            // An upgrade runs what was stored when it was planned.
            Direction::Up => found
                .note("next", format!("correct {name} from statement {number} on, and upgrade again"))
                .help(format!("cutover upgrade {release}, or cutover migrate down --release {release}")),
            Direction::Down => found
                .note("next", format!("correct {name} from statement {number} on"))
                .help(self.next()),
        }
    }

    /// The command that goes on once the cause is mended.
    fn next(&self) -> &'static str {
        match (&self.options.upgrade, self.direction) {
            (Some(_), _) => "cutover resume",
            (None, Direction::Up) => "cutover migrate up",
            (None, Direction::Down) => "cutover migrate down",
        }
    }

    /// Tells a failure of the file, at a statement of it where one is to blame.
    pub(crate) fn error(
        &self,
        script: &Script,
        failure: Failure,
        statement: Option<usize>,
        applied: Applied,
    ) -> PortError {
        let total = script.statements.len();
        let name = &script.name;
        let (diagnostic, transient) = match failure {
            Failure::Refused(error) => {
                return PortError {
                    certainty: match applied {
                        Applied::Nothing => error.certainty,
                        other => other.certainty(),
                    },
                    diagnostic: Box::new(self.applied(*error.diagnostic, applied, total)),
                    ..error
                };
            }
            Failure::Lost(said) => (
                Diagnostic::error(
                    "db.unreachable",
                    format!("the connection to {} broke: {said}", self.what),
                )
                .help("cutover status"),
                true,
            ),
            Failure::DiskFull(said) => (
                Diagnostic::error(
                    "db.disk-full",
                    format!("{} has no room for {name}: {said}", self.what),
                )
                .help(self.next()),
                false,
            ),
            Failure::Denied(said, grant) => {
                let found = Diagnostic::error(
                    "db.not-allowed",
                    format!("{name}: the user may not do this: {said}"),
                )
                .note("database", self.what.clone())
                .help(self.next());
                let found = with_grant(found, grant);
                (Self::placed(found, script, statement, None, said), false)
            }
            Failure::Stopped(said) => (
                Diagnostic::error("migrate.stopped", format!("{name} was stopped: {said}"))
                    .note("database", self.what.clone())
                    .help("cutover migrate status"),
                false,
            ),
            Failure::TimedOut { limit, blockers } => {
                let found = self.out_of_time(script, limit, &blockers);
                let label = "it was ended".to_owned();
                (Self::placed(found, script, statement, None, label), false)
            }
            Failure::Doubt { said } => {
                let id = &self.file.migration.id;
                let found = Diagnostic::error(
                    "migrate.in-doubt",
                    format!("{name}: whether a command happened cannot be told: {said}"),
                )
                .note("database", self.what.clone())
                .note(
                    "next",
                    "look what became of it, finish or undo the file by hand, and say which",
                )
                .help(format!(
                    "cutover migrate repair --only {id} --as applied, or cutover migrate repair --only {id} --as not-applied"
                ));
                (Self::placed(found, script, statement, None, said), false)
            }
            Failure::Locked { said, blockers } => {
                return self.locked(script, statement, &said, &blockers, applied, None);
            }
            Failure::Forbidden(said) => (
                Diagnostic::error("migrate.needs-no-transaction", format!("{name}: {said}"))
                    .label("write above: -- cutover: transaction=none")
                    .help("cutover migrate validate"),
                false,
            ),
            Failure::Uncommitted(said) => (
                Diagnostic::error(
                    "migrate.statement-failed",
                    format!("{name} cannot be committed: {said}"),
                )
                .at(locate(name, &script.text, 0, 1))
                .note("why", "what is deferred is checked when all statements have run")
                .note("database", self.what.clone())
                .help("cutover migrate validate"),
                false,
            ),
            Failure::Statement { said, offset } => {
                let code = if statement.is_some() {
                    "migrate.statement-failed"
                } else {
                    "migrate.history-failed"
                };
                let found =
                    Diagnostic::error(code, format!("{name}: {said}")).note("database", self.what.clone());
                let diagnostic = match (statement, applied) {
                    (Some(at), Applied::Statements(_) | Applied::Batches(_)) => {
                        self.resumable(found, name, at)
                    }
                    _ => found.help("cutover migrate validate"),
                };
                (Self::placed(diagnostic, script, statement, offset, said), false)
            }
        };
        PortError {
            certainty: applied.certainty(),
            transient,
            diagnostic: Box::new(self.applied(diagnostic, applied, total)),
        }
    }

    /// A statement that ran for as long as it may.
    fn out_of_time(&self, script: &Script, limit: Duration, blockers: &[Blocker]) -> Diagnostic {
        let (name, span) = (&script.name, span(limit));
        let mut found = Diagnostic::error(
            "migrate.statement-timeout",
            format!("{name}: a statement ran for {span}, as long as it may, and was ended"),
        )
        .note("database", self.what.clone());
        for blocker in blockers {
            found = found.note("waited for", blocker.to_string());
        }
        let directive = self.dialect.directive("timeout", "10m");
        let give = match script.timeout {
            Some(_) => format!("give it more time in the header of {name}, where timeout={span} stands"),
            None => format!(
                "give it more time: {directive} in the header of {name}, or statementTimeout of the database"
            ),
        };
        // An upgrade runs what was stored when it was planned.
        match (&self.options.upgrade, self.file.migration.phase) {
            (None, _) => found.note("next", give).help(self.next()),
            (Some(_), MigrationPhase::Contract) => found
                .note(
                    "next",
                    format!("a retry runs it for {span} once more, as it was stored"),
                )
                .help("cutover retry"),
            (Some(_), _) => found
                .note("next", format!("{give}, and upgrade again"))
                .help(format!("cutover upgrade {}", self.options.release)),
        }
    }

    /// With the place of the statement that is to blame, and within it where the database stopped reading.
    fn placed(
        diagnostic: Diagnostic,
        script: &Script,
        statement: Option<usize>,
        offset: Option<usize>,
        label: String,
    ) -> Diagnostic {
        let Some(found) = statement.and_then(|at| script.statements.get(at)) else {
            return diagnostic;
        };
        // A statement that a directive asks for stands nowhere: its place is the directive.
        let written = script.text.get(found.byte_offset..);
        let offset = offset.filter(|_| written.is_some_and(|text| text.starts_with(&found.text)));
        let (start, length) = offset.map_or_else(
            || (0, found.text.lines().next().map_or(1, str::len)),
            |at| (at, word_length(&found.text, at)),
        );
        let place = locate(&script.name, &script.text, found.byte_offset + start, length);
        diagnostic.at(place).label(label)
    }

    /// A lock that was not had, after so many tries and so long.
    pub(crate) fn locked(
        &self,
        script: &Script,
        statement: Option<usize>,
        said: &str,
        blockers: &[Blocker],
        applied: Applied,
        tried: Option<(u32, Duration)>,
    ) -> PortError {
        let id = &self.file.migration.id;
        let found = statement.and_then(|at| script.statements.get(at));
        let table = match self.dialect {
            Dialect::Sqlite | Dialect::Mysql | Dialect::MariaDb | Dialect::MongoDb => None,
            Dialect::Postgres => found.and_then(|found| subject_table(self.dialect, &found.text)),
        };
        let object = table.map_or_else(|| self.what.clone(), |table| format!("table {table}"));
        let within = tried.map_or_else(String::new, |(tries, elapsed)| {
            let plural = if tries == 1 { "try" } else { "tries" };
            format!(" within {tries} {plural} ({})", span(elapsed))
        });
        let mut diagnostic = Diagnostic::error(
            "migrate.lock-timeout",
            format!("{id} could not lock {object}{within}"),
        );
        if let Some(found) = found {
            let length = found.text.lines().next().map_or(1, str::len);
            diagnostic = diagnostic.at(locate(&script.name, &script.text, found.byte_offset, length));
        }
        for blocker in blockers {
            diagnostic = diagnostic.note("held by", blocker.to_string());
        }
        if blockers.is_empty() {
            diagnostic = diagnostic.note("because", said.to_owned());
        }
        let diagnostic = self
            .applied(diagnostic, applied, script.statements.len())
            .note("next", format!("end that session, then: {}", self.next()))
            .help(self.next());
        PortError {
            certainty: applied.certainty(),
            transient: true,
            diagnostic: Box::new(diagnostic),
        }
    }
}

fn span(duration: Duration) -> Span {
    Span::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// With the statement that gives the right, where it can be told.
fn with_grant(diagnostic: Diagnostic, grant: Option<String>) -> Diagnostic {
    match grant {
        Some(grant) => diagnostic.note("grant", grant),
        None => diagnostic,
    }
}

fn word_length(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len())
        .max(1)
}

/// Tells a failure that is no file's fault.
pub(crate) fn plain(what: &str, failure: Failure) -> PortError {
    match failure {
        Failure::Refused(error) => error,
        Failure::Lost(said) => PortError::unknown(
            Diagnostic::error(
                "db.unreachable",
                format!("the connection to {what} broke: {said}"),
            )
            .help("cutover status"),
        ),
        Failure::Locked { said, blockers } => {
            let mut diagnostic =
                Diagnostic::error("db.locked", format!("{what} is locked: {said}")).help("cutover retry");
            for blocker in blockers {
                diagnostic = diagnostic.note("held by", blocker.to_string());
            }
            PortError::transient(diagnostic)
        }
        Failure::DiskFull(said) => PortError::refused(
            Diagnostic::error("db.disk-full", format!("{what} has no room: {said}")).help("cutover retry"),
        ),
        Failure::Denied(said, grant) => {
            let found = Diagnostic::error(
                "db.not-allowed",
                format!("the user of {what} may not do what is needed: {said}"),
            );
            PortError::refused(with_grant(found.help("cutover migrate status"), grant))
        }
        Failure::Stopped(said) => PortError::refused(
            Diagnostic::error(
                "migrate.stopped",
                format!("the work on {what} was stopped: {said}"),
            )
            .help("cutover migrate status"),
        ),
        Failure::TimedOut { limit, .. } => PortError::refused(
            Diagnostic::error(
                "migrate.statement-timeout",
                format!(
                    "a statement in {what} ran for {}, as long as it may, and was ended",
                    span(limit)
                ),
            )
            .help("cutover migrate status"),
        ),
        Failure::Forbidden(said)
        | Failure::Uncommitted(said)
        | Failure::Statement { said, .. }
        | Failure::Doubt { said } => PortError::refused(
            Diagnostic::error(
                "migrate.history-failed",
                format!("the history in {what} cannot be used: {said}"),
            )
            .help("cutover migrate status"),
        ),
    }
}
