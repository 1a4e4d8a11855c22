//! Files that say `transaction=none`: statement by statement, each recorded, resumed in the middle.
//!
//! A statement that can run in a transaction runs in one together with its record, so that it is never in doubt. One
//! that cannot (`CREATE INDEX CONCURRENTLY`, `VACUUM`) is recorded before and after; found begun and not finished, it
//! is run again, unless the database shows that it happened. An interrupted concurrent index is dropped and built anew.
//! Where DDL commits by itself (MySQL, MariaDB) every file that holds some is run so, and a digest of the schema that was
//! recorded before a statement tells whether it happened.

use std::time::Duration;

use cutover_model::{Digest, Span};
use cutover_ports::{MigrationReport, PortError};
use cutover_sql::{Dialect, Statement, concurrently, outside_transaction, sets_session, writes_rows};
use tokio::time::Instant;

use crate::failure::{Applied, Failure};
use crate::half::checksum;
use crate::history::{HistoryRow, Step, StepKey};
use crate::job::{Gate, Job, elapsed};
use crate::session::{Doubt, Next, Session};
use crate::{Direction, Script};

pub(crate) async fn run<S: Session>(
    session: &mut S,
    job: &Job,
    script: &Script,
) -> Result<MigrationReport, PortError> {
    let start = Instant::now();
    let former = match begin(session, job).await {
        Ok(Some(former)) => former,
        Ok(None) => return Ok(job.report(start, None, true)),
        Err(failure) => {
            session.rollback().await;
            return Err(job.error(script, failure, None, Applied::Nothing));
        }
    };
    let mut before: Vec<Option<&Step>> = vec![None; script.statements.len()];
    let steps = former.iter().flat_map(|row| &row.steps);
    for step in steps.filter(|step| step.direction == job.direction) {
        if let Some(place) = before.get_mut(step.ordinal) {
            *place = Some(step);
        }
    }
    let mut rows = None;
    let mut done = before.iter().flatten().filter(|step| step.finished).count();
    for ((at, statement), step) in script.statements.iter().enumerate().zip(before) {
        let ran = one(session, job, script, at, statement, step, done).await;
        match ran {
            Ok(Ran::Before) => {}
            Ok(Ran::Now(counted)) => {
                done += 1;
                if writes_rows(job.dialect, &statement.text) {
                    *rows.get_or_insert(0) += counted;
                }
            }
            Err(error) => {
                if done == 0 && !error.is_unknown() {
                    restore(session, job, former.as_ref()).await;
                }
                return Err(error.0);
            }
        }
    }
    let finished = async {
        session.begin(job.lock_timeout(1)).await?;
        job.claim(session).await?;
        job.finish(session, elapsed(start)).await
    };
    if let Err(failure) = finished.await {
        session.rollback().await;
        return Err(job.error(script, failure, None, Applied::Statements(done)));
    }
    Ok(job.report(start, rows, false))
}

enum Ran {
    Before,
    Now(u64),
}

struct StepError(PortError);

impl StepError {
    fn is_unknown(&self) -> bool {
        self.0.certainty == cutover_ports::Certainty::Unknown
    }
}

/// Gate and intent in one transaction; what was on record before, or none when there is nothing to do.
async fn begin<S: Session>(session: &mut S, job: &Job) -> Result<Option<Option<HistoryRow>>, Failure> {
    session.begin(job.lock_timeout(1)).await?;
    let Gate::Go(row) = job.gate(session).await? else {
        session.commit().await?;
        return Ok(None);
    };
    let former = row.map(|row| *row);
    let intent = match (job.direction, &former) {
        // What was applied stays on record with its dates while it is taken back.
        (Direction::Down, Some(row)) => HistoryRow {
            complete: false,
            direction: Direction::Down,
            ..row.clone()
        },
        _ => job.row(Span::ZERO, false),
    };
    session.put(&intent).await?;
    session.commit().await?;
    *session.ensured() = true;
    Ok(Some(former))
}

/// Nothing of the file was run: the intent is taken back, so that the history says what it said before.
async fn restore<S: Session>(session: &mut S, job: &Job, former: Option<&HistoryRow>) {
    let taken_back = async {
        session.begin(job.lock_timeout(1)).await?;
        job.claim(session).await?;
        match former {
            Some(row) if job.direction == Direction::Down => session.put(row).await?,
            _ => session.remove(&job.file.migration.id).await?,
        }
        session.commit().await
    };
    if let Err(failure) = taken_back.await {
        session.rollback().await;
        tracing::warn!(migration = %job.file.migration.id, ?failure, "the intent stays on record");
    }
}

async fn one<S: Session>(
    session: &mut S,
    job: &Job,
    script: &Script,
    at: usize,
    statement: &Statement,
    step: Option<&Step>,
    done: usize,
) -> Result<Ran, StepError> {
    let finished = step.is_some_and(|step| step.finished);
    // What changes only the session is said again in each.
    if finished && !sets_session(job.dialect, &statement.text) {
        return Ok(Ran::Before);
    }
    let mut place = if outside_transaction(job.dialect, &statement.text) {
        Place::Outside
    } else {
        Place::Within
    };
    let mut unknown = step.is_some() && !finished;
    let start = Instant::now();
    let mut attempt = 1;
    let nothing = if done == 0 {
        Applied::Nothing
    } else {
        Applied::Statements(done)
    };
    if let Err(failure) = session.ready(job, &statement.text).await {
        return Err(StepError(job.error(script, failure, Some(at), nothing)));
    }
    loop {
        let sum = checksum(job.dialect, statement);
        let key = StepKey {
            id: &job.file.migration.id,
            direction: job.direction,
            ordinal: at,
        };
        let ran = match place {
            Place::Within => within(session, job, key, statement, &sum, attempt).await,
            Place::Outside => {
                let doubt = step.filter(|_| unknown);
                outside(session, job, key, statement, &sum, attempt, doubt).await
            }
        };
        let failure = match ran {
            Ok(_) if finished => return Ok(Ran::Before),
            Ok(rows) => return Ok(Ran::Now(rows)),
            Err(failure) => failure,
        };
        match failure {
            Failure::Lost(_) => {
                return Err(StepError(job.error(script, failure, Some(at), Applied::Unknown)));
            }
            Failure::Stopped(_) | Failure::TimedOut { .. } | Failure::Doubt { .. }
                if place == Place::Outside =>
            {
                let applied = Applied::Begun(done);
                return Err(StepError(job.error(script, failure, Some(at), applied)));
            }
            Failure::Forbidden(_) if place == Place::Within => {
                session.rollback().await;
                place = Place::Outside;
            }
            Failure::Locked { said, blockers } => {
                session.rollback().await;
                if attempt >= job.policy.tries {
                    let tried = Some((attempt, start.elapsed()));
                    return Err(StepError(job.locked(
                        script,
                        Some(at),
                        &said,
                        &blockers,
                        nothing,
                        tried,
                    )));
                }
                job.stop.rest(job.policy.pause(attempt)).await;
                attempt += 1;
                unknown = false;
            }
            failure => {
                session.rollback().await;
                return Err(StepError(job.error(script, failure, Some(at), nothing)));
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Within,
    Outside,
}

/// The statement and its record in one transaction.
async fn within<S: Session>(
    session: &mut S,
    job: &Job,
    key: StepKey<'_>,
    statement: &Statement,
    sum: &Digest,
    attempt: u32,
) -> Result<u64, Failure> {
    let start = Instant::now();
    session.begin(job.lock_timeout(attempt)).await?;
    job.claim(session).await?;
    let rows = session.execute(&statement.text).await?;
    let now = job.clock.now();
    session
        .put_step(key, sum, now, Some(elapsed(start)), None)
        .await?;
    session.commit().await?;
    Ok(rows)
}

/// The statement between two records.
async fn outside<S: Session>(
    session: &mut S,
    job: &Job,
    key: StepKey<'_>,
    statement: &Statement,
    sum: &Digest,
    attempt: u32,
    doubt: Option<&Step>,
) -> Result<u64, Failure> {
    let start = Instant::now();
    // Nobody waits behind a concurrent change, and cut short it would only begin again behind the same old transaction.
    let timeout = if job.dialect == Dialect::Postgres && concurrently(&statement.text) {
        Duration::ZERO
    } else {
        job.lock_timeout(attempt)
    };
    let shape = session.shape(&statement.text).await?;
    session.begin(timeout).await?;
    job.claim(session).await?;
    // While it is in doubt, what the database looked like before the first try is what counts.
    let before = shape.as_deref().filter(|_| doubt.is_none());
    session.put_step(key, sum, job.clock.now(), None, before).await?;
    session.commit().await?;
    let doubt = doubt.map(|step| Doubt {
        changed: step.before.is_some() && step.before != shape,
    });
    let ran = match session.next(job, &statement.text, doubt).await? {
        Next::Done => Ok(0),
        Next::Run => session.execute(&statement.text).await,
        Next::Instead(text) => session.execute(&text).await,
    };
    let took = match &ran {
        Ok(_) => Some(elapsed(start)),
        // It stays on record as begun: what is left of it is looked at when the file resumes.
        Err(Failure::Lost(_) | Failure::Stopped(_) | Failure::TimedOut { .. } | Failure::Doubt { .. }) => {
            return ran;
        }
        Err(_) => {
            // It left its invalid index behind; the next try must not find it.
            session.next(job, &statement.text, None).await?;
            None
        }
    };
    session.begin(job.lock_timeout(attempt)).await?;
    job.claim(session).await?;
    if took.is_some() {
        session.put_step(key, sum, job.clock.now(), took, None).await?;
    } else {
        session.forget_step(key).await?;
    }
    session.commit().await?;
    ran
}
