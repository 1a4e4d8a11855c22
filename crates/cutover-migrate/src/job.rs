//! One file, one way, on one database: what is common to all databases.

use std::sync::Arc;
use std::time::Duration;

use cutover_model::{Diagnostic, Fence, MigrationPhase, Span};
use cutover_ports::{Clock, MigrateOptions, MigrationReport, PortError};
use cutover_sql::{Dialect, Timeout, outside_transaction, writes_rows};
use tokio::time::Instant;

use crate::failure::{Applied, Failure};
use crate::history::{Act, LogEntry};
use crate::placeholders::{Filling, Values};
use crate::session::{Session, SqlSession, uncommitted};
use crate::stop::Stop;
use crate::{
    Direction, HistoryRow, LockPolicy, MigrationFile, Script, batches, check, fence, half, stepwise,
    triggers, verify,
};

/// One file to be run.
#[derive(Clone)]
pub(crate) struct Job {
    /// `database main`, for messages.
    pub(crate) what: String,
    pub(crate) dialect: Dialect,
    pub(crate) fence: Fence,
    pub(crate) policy: LockPolicy,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: Stop,
    pub(crate) file: Arc<MigrationFile>,
    /// What its `${name}` stand for.
    pub(crate) values: Values,
    /// The backfills of the same set: their verify queries run before a contract.
    pub(crate) backfills: Arc<[Arc<MigrationFile>]>,
    /// The two-way triggers that the set declares: no file may leave one without its columns.
    pub(crate) syncs: Arc<[cutover_sql::Sync]>,
    pub(crate) options: MigrateOptions,
    pub(crate) direction: Direction,
    /// Whether `retired_below` is raised before a contract; an upgrade does that in a step of its own.
    pub(crate) retire: bool,
}

/// What the history says at the beginning.
pub(crate) enum Gate {
    /// With what is on record of the file, and of its statements where it is not whole.
    Go(Option<Box<HistoryRow>>),
    Already,
}

/// Runs the file, whole, or says why not and how much of it is applied.
pub(crate) async fn run<S: SqlSession>(session: &mut S, job: &Job) -> Result<MigrationReport, PortError> {
    let script = job.script()?;
    if let (Some(batched), Direction::Up) = (&job.file.batched, job.direction) {
        return batches::run(session, job, batched).await;
    }
    if script.transaction
        && !commits_by_itself(job.dialect, script)
        && let Some(report) = transactional(session, job, script).await?
    {
        return Ok(report);
    }
    stepwise::run(session, job, script).await
}

/// Whether one of its statements would end a transaction that is open.
pub(crate) fn commits_by_itself(dialect: Dialect, script: &Script) -> bool {
    dialect.is_mysql()
        && script
            .statements
            .iter()
            .any(|statement| outside_transaction(dialect, &statement.text))
}

/// A failure, the statement that is to blame, and whether it came while committing.
struct Trouble {
    failure: Failure,
    statement: Option<usize>,
    committing: bool,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            statement: None,
            committing: false,
        }
    }
}

/// None when some of its statements are on record, from when it was no transaction: then it goes on after those.
async fn transactional<S: SqlSession>(
    session: &mut S,
    job: &Job,
    script: &Script,
) -> Result<Option<MigrationReport>, PortError> {
    let start = Instant::now();
    let mut attempt = 1;
    loop {
        let trouble = match once(session, job, script, attempt).await {
            Ok(report) => return Ok(report),
            Err(trouble) => trouble,
        };
        let lost = matches!(trouble.failure, Failure::Lost(_));
        if !lost {
            session.rollback().await;
        }
        let applied = if lost && trouble.committing {
            Applied::Unknown
        } else {
            Applied::Nothing
        };
        match trouble.failure {
            Failure::Locked { said, blockers } => {
                if attempt >= job.policy.tries {
                    let tried = Some((attempt, start.elapsed()));
                    let at = trouble.statement;
                    return Err(job.locked(script, at, &said, &blockers, applied, tried));
                }
                tracing::debug!(migration = %job.file.migration.id, attempt, said, "locked, trying again");
                job.stop.rest(job.policy.pause(attempt)).await;
                attempt += 1;
            }
            failure => return Err(job.error(script, failure, trouble.statement, applied)),
        }
    }
}

/// One try: gate, statements and history in one transaction.
async fn once<S: SqlSession>(
    session: &mut S,
    job: &Job,
    script: &Script,
    attempt: u32,
) -> Result<Option<MigrationReport>, Trouble> {
    let start = Instant::now();
    session.begin(job.lock_timeout(attempt)).await?;
    match within(session, job, script).await? {
        Within::Already => {
            commit(session).await?;
            Ok(Some(job.report(start, None, true)))
        }
        Within::Halfway => {
            session.rollback().await;
            Ok(None)
        }
        Within::Whole { rows, is_new } => {
            let recorded = job.record(session, elapsed(start), is_new).await;
            recorded.map_err(|failure| Trouble {
                failure,
                statement: None,
                committing: true,
            })?;
            *session.ensured() = true;
            Ok(Some(job.report(start, rows, false)))
        }
    }
}

/// A file in a transaction that others share: its statements, each for at most so long, and its record. None when it does not go
/// through; the transaction is then of no use.
pub(crate) async fn joined<S: SqlSession>(
    session: &mut S,
    job: &Job,
    most: Duration,
) -> Option<MigrationReport> {
    let start = Instant::now();
    session.limit(Some(most));
    let mut filling = Filling {
        session: &mut *session,
        values: &job.values,
    };
    match within(&mut filling, job, job.script().ok()?).await.ok()? {
        Within::Already => Some(job.report(start, None, true)),
        Within::Halfway => None,
        Within::Whole { rows, .. } => {
            job.write_down(session, elapsed(start)).await.ok()?;
            Some(job.report(start, rows, false))
        }
    }
}

/// What became of a file in an open transaction.
enum Within {
    /// There is nothing to do.
    Already,
    /// Some of its statements are on record.
    Halfway,
    /// All that is left is to record it.
    Whole { rows: Option<u64>, is_new: bool },
}

async fn within<S: SqlSession>(session: &mut S, job: &Job, script: &Script) -> Result<Within, Trouble> {
    let Gate::Go(row) = job.gate(session).await? else {
        return Ok(Within::Already);
    };
    let mut steps = row.iter().flat_map(|row| &row.steps);
    if steps.any(|step| step.direction == job.direction) {
        return Ok(Within::Halfway);
    }
    let broken = session.broken_references().await?;
    let mut rows = None;
    for (at, statement) in script.statements.iter().enumerate() {
        let counted = session.execute(&statement.text).await;
        let counted = counted.map_err(|failure| Trouble {
            failure,
            statement: Some(at),
            committing: false,
        })?;
        if writes_rows(job.dialect, &statement.text) {
            *rows.get_or_insert(0) += counted;
        }
    }
    triggers::check(session, job).await?;
    job.check_references(broken, session.broken_references().await?)?;
    job.look_back(session).await?;
    Ok(Within::Whole {
        rows,
        is_new: row.is_none(),
    })
}

async fn commit<S: SqlSession>(session: &mut S) -> Result<(), Trouble> {
    session.commit().await.map_err(|failure| Trouble {
        failure: uncommitted(failure),
        statement: None,
        committing: true,
    })?;
    *session.ensured() = true;
    Ok(())
}

pub(crate) fn elapsed(start: Instant) -> Span {
    Span::from_millis(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX))
}

impl Job {
    pub(crate) fn script(&self) -> Result<&Script, PortError> {
        match self.direction {
            Direction::Up => Ok(&self.file.up),
            Direction::Down => self.file.down.as_ref().ok_or_else(|| {
                let id = &self.file.migration.id;
                let reason = self.file.migration.irreversible.as_deref();
                PortError::refused(
                    Diagnostic::error(
                        "migrate.irreversible",
                        format!("{id} cannot be taken back: {}", reason.unwrap_or("no down file")),
                    )
                    .help("cutover backup list"),
                )
            }),
        }
    }

    /// How long each of its statements may run.
    pub(crate) fn limit(&self) -> Option<Duration> {
        let own = self.script().ok().and_then(|script| script.timeout);
        match own {
            Some(Timeout::Never) => None,
            Some(Timeout::After(span)) => Some(span.as_duration()),
            None => self.policy.statement_timeout.map(Span::as_duration),
        }
    }

    /// How long a try waits for a lock, counted from 1. A statement that may not run for long gives up its wait before that time is
    /// over, so that it is told, and tried again, as one that waits.
    pub(crate) fn lock_timeout(&self, attempt: u32) -> Duration {
        let rung = self.policy.timeout(attempt);
        // No time at all would be without end.
        let least = Duration::from_millis(1);
        self.limit().map_or(rung, |limit| rung.min(limit / 2).max(least))
    }

    pub(crate) fn report(&self, start: Instant, rows: Option<u64>, already: bool) -> MigrationReport {
        MigrationReport {
            id: self.file.migration.id.clone(),
            took: elapsed(start),
            rows,
            already,
            moved: None,
        }
    }

    /// Within the open transaction: the tables exist, the fence is this writer's, the history allows it, and before a
    /// contract every backfill is verified.
    pub(crate) async fn gate<S: Session>(&self, session: &mut S) -> Result<Gate, Failure> {
        session.ensure().await?;
        let migration = &self.file.migration;
        let (found, mut row) = session.meta_and_one(self.dialect, &migration.id).await?;
        let meta = raise(session, &self.what, found, &self.fence).await?;
        if let Some(row) = row.as_mut().filter(|row| !row.complete) {
            row.steps = session.steps(&migration.id, self.dialect).await?;
        }
        match (self.direction, &row) {
            (Direction::Up, Some(row)) => {
                if let Some(found) = check::unfit(&self.file, row, self.dialect) {
                    return Err(PortError::refused(found).into());
                }
                if row.complete {
                    return Ok(Gate::Already);
                }
            }
            (Direction::Down, None) => return Ok(Gate::Already),
            (Direction::Down, Some(row)) => {
                if let Some(found) = half::changed(self.dialect, row, self.script()?, self.direction) {
                    return Err(PortError::refused(found).into());
                }
            }
            (Direction::Up, None) => {}
        }
        if self.direction == Direction::Up {
            // One that was begun may have made untrue itself what was asked before.
            if row.as_ref().is_none_or(|row| row.reopened_at.is_some()) {
                verify::prechecks(session, &self.file).await?;
            }
            if migration.phase == MigrationPhase::Contract {
                self.check_retired(&meta)?;
                let rows = session.all().await?;
                verify::before_contract(session, self, &rows).await?;
            }
        }
        Ok(Gate::Go(row.map(Box::new)))
    }

    /// Invariant I11: nobody may start a version that this contract cuts off, and the database itself says so.
    fn check_retired(&self, meta: &fence::Meta) -> Result<(), Failure> {
        let migration = &self.file.migration;
        let Some(retires) = &migration.retires else {
            return Ok(());
        };
        if meta.retired_below.as_ref().is_some_and(|bound| bound >= retires) {
            return Ok(());
        }
        Err(PortError::refused(
            Diagnostic::error(
                "migrate.not-retired",
                format!(
                    "{} needs versions below {retires} to be retired first",
                    migration.id
                ),
            )
            .help("cutover migrate contract"),
        )
        .into())
    }

    /// Reads the fence in the open transaction, and raises it to this writer's generation.
    pub(crate) async fn claim<S: Session>(&self, session: &mut S) -> Result<(), Failure> {
        claim(session, self.dialect, &self.what, &self.fence)
            .await
            .map(drop)
    }

    /// The end of the transaction of the last statement.
    pub(crate) async fn finish<S: Session>(&self, session: &mut S, took: Span) -> Result<(), Failure> {
        self.look_back(session).await?;
        self.record(session, took, false).await
    }

    /// What must hold before it is recorded, and who makes place for it.
    async fn look_back<S: Session>(&self, session: &mut S) -> Result<(), Failure> {
        if self.direction == Direction::Down {
            return Ok(());
        }
        verify::after(session, &self.file).await?;
        let id = &self.file.migration.id;
        if id.is_repeatable() {
            session.remove_former(id).await?;
        }
        Ok(())
    }

    /// What the history gets, and the commit.
    async fn record<S: Session>(&self, session: &mut S, took: Span, is_new: bool) -> Result<(), Failure> {
        if self.direction == Direction::Down {
            self.write_down(session, took).await?;
            return session.commit().await.map_err(uncommitted);
        }
        let (row, entry) = (self.row(took, true), self.entry(took));
        session.put_log_and_commit(&row, &entry, is_new).await
    }

    /// What the history gets.
    async fn write_down<S: Session>(&self, session: &mut S, took: Span) -> Result<(), Failure> {
        let entry = self.entry(took);
        match self.direction {
            Direction::Down => session.remove_and_log(&entry.id, &entry).await,
            Direction::Up => session.put_and_log(&self.row(took, true), &entry).await,
        }
    }

    fn entry(&self, took: Span) -> LogEntry {
        LogEntry {
            id: self.file.migration.id.clone(),
            act: match self.direction {
                Direction::Down => Act::Down,
                Direction::Up => Act::Up,
            },
            at: self.clock.now(),
            by: self.options.by.clone(),
            took,
            release: Some(self.options.release.clone()),
            upgrade: self.options.upgrade.as_ref().map(ToString::to_string),
            detail: None,
        }
    }

    pub(crate) fn row(&self, took: Span, complete: bool) -> HistoryRow {
        let migration = &self.file.migration;
        HistoryRow {
            id: migration.id.clone(),
            phase: migration.phase,
            checksum: migration.checksum.clone(),
            raw_checksum: self.file.raw_checksum.clone(),
            applied_at: self.clock.now(),
            applied_by: self.options.by.clone(),
            took,
            release: Some(self.options.release.clone()),
            upgrade: self.options.upgrade.as_ref().map(ToString::to_string),
            complete,
            direction: Direction::Up,
            reopened_at: None,
            steps: Vec::new(),
        }
    }

    fn check_references(&self, before: Option<u64>, after: Option<u64>) -> Result<(), Failure> {
        let (Some(before), Some(after)) = (before, after) else {
            return Ok(());
        };
        if after <= before {
            return Ok(());
        }
        let id = &self.file.migration.id;
        Err(PortError::refused(
            Diagnostic::error(
                "migrate.broken-references",
                format!(
                    "{id} leaves {} rows whose foreign key points nowhere",
                    after - before
                ),
            )
            .note("see", "PRAGMA foreign_key_check")
            .help("cutover migrate validate"),
        )
        .into())
    }
}

/// Reads the fence in the open transaction, raises it where this writer is newer, and answers the row.
pub(crate) async fn claim<S: Session>(
    session: &mut S,
    dialect: Dialect,
    what: &str,
    own: &Fence,
) -> Result<fence::Meta, Failure> {
    let found = session.meta(dialect).await?;
    raise(session, what, found, own).await
}

async fn raise<S: Session>(
    session: &mut S,
    what: &str,
    found: Option<fence::Meta>,
    own: &Fence,
) -> Result<fence::Meta, Failure> {
    let write = fence::claim(what, found.as_ref(), own)?;
    if let Some(meta) = &write {
        session.write_meta(meta).await?;
    }
    match write.or(found) {
        Some(meta) => Ok(meta),
        None => Err(Failure::Statement {
            said: "cutover_meta is empty".to_owned(),
            offset: None,
        }),
    }
}

/// SQLite's `BEGIN IMMEDIATE` holds everything already, and MongoDB has the lease.
pub(crate) const fn for_update(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite | Dialect::MongoDb => "",
        Dialect::Postgres | Dialect::Mysql | Dialect::MariaDb => " FOR UPDATE",
    }
}
