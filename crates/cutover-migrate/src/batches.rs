//! A backfill in batches: ranges of a key, each a short transaction together with how far it came.
//!
//! A batch is bounded by the key, not by what is left to do, so that its cost does not grow with the table; rows that
//! come in meanwhile are the triggers' work. The size follows the time a batch takes: locks on rows are held for about
//! [`AIM`], whatever the rows cost. Interrupted, it resumes after the last batch that was committed.

use std::time::Duration;

use cutover_model::{MigrationId, Span};
use cutover_ports::{MigrationReport, PortError};
use cutover_sql::{Dialect, literally, quoted, ticked};
use tokio::time::Instant;

use crate::adapter::Reading;
use crate::failure::{Applied, Failure};
use crate::history;
use crate::job::{Gate, Job, elapsed};
use crate::session::SqlSession;
use crate::weave::{Batched, RANGE};

/// How long a batch may take before the next one is made smaller.
const AIM: Duration = Duration::from_millis(200);
/// Between two batches: writers that wait come first.
const PAUSE: Duration = Duration::from_millis(5);
/// The first batch is small: nothing is known of the rows yet.
const FIRST: u32 = 500;
const SMALLEST: u32 = 50;

/// How far it came.
#[derive(Debug, Clone, Default)]
struct Progress {
    /// The last key that is done, as the database writes it in a statement; none: nothing yet.
    after: Option<String>,
    rows: u64,
}

pub(crate) async fn run<S: SqlSession>(
    session: &mut S,
    job: &Job,
    batched: &Batched,
) -> Result<MigrationReport, PortError> {
    let start = Instant::now();
    let script = &job.file.up;
    let progress = match begin(session, job).await {
        Ok(Some(progress)) => progress,
        Ok(None) => return Ok(job.report(start, None, true)),
        Err(failure) => {
            session.rollback().await;
            return Err(job.error(script, failure, None, Applied::Nothing));
        }
    };
    let batched = &match keeping_times(session, job, batched).await {
        Ok(batched) => batched,
        Err(failure) => return Err(job.error(script, failure, Some(0), Applied::Statements(0))),
    };
    let progress = batches(session, job, batched, progress).await?;
    let finished = async {
        session.begin(job.lock_timeout(1)).await?;
        job.claim(session).await?;
        forget(session, &job.file.migration.id).await?;
        job.finish(session, elapsed(start)).await
    };
    if let Err(failure) = finished.await {
        session.rollback().await;
        return Err(job.error(script, failure, None, Applied::Batches(progress.rows)));
    }
    Ok(job.report(start, Some(progress.rows), false))
}

/// Gate and intent in one transaction; where to go on, or none when there is nothing to do.
async fn begin<S: SqlSession>(session: &mut S, job: &Job) -> Result<Option<Progress>, Failure> {
    session.begin(job.lock_timeout(1)).await?;
    let Gate::Go(row) = job.gate(session).await? else {
        session.commit().await?;
        return Ok(None);
    };
    let id = &job.file.migration.id;
    if !job.dialect.is_mysql() {
        // There it would commit, and is made with the others.
        let table = "CREATE TABLE IF NOT EXISTS {t}cutover_backfills (
            number bigint NOT NULL, name varchar(255) NOT NULL, after_key text NOT NULL, changed_rows bigint NOT NULL,
            PRIMARY KEY (number, name))";
        history::run(session, table, &[]).await?;
    }
    // Begun before as it is now, and neither taken back nor reopened since: only then what is before the key is done.
    let resumes =
        row.is_some_and(|row| !row.complete && row.reopened_at.is_none() && row.is_of(&job.file.migration));
    let progress = if resumes {
        read(session, id).await?
    } else {
        forget(session, id).await?;
        Progress::default()
    };
    history::put(session, &job.row(Span::ZERO, false)).await?;
    session.commit().await?;
    Ok(Some(progress))
}

/// What fills a sync changes no row to anybody, so the times that MySQL sets in each row that is changed stay as they are. A
/// statement that a person wrote is left alone.
async fn keeping_times<S: SqlSession>(
    session: &mut S,
    job: &Job,
    batched: &Batched,
) -> Result<Batched, Failure> {
    let mut out = batched.clone();
    let Some(new) = batched.batches.new.as_ref().filter(|_| job.dialect.is_mysql()) else {
        return Ok(out);
    };
    let sql = "SELECT column_name FROM information_schema.columns
        WHERE table_schema = coalesce(?1, database()) AND table_name = ?2 AND lower(extra) LIKE '%on update%'";
    let table = &batched.batches.table;
    let found = history::run(session, sql, &[table.schema.clone(), Some(table.name.clone())]).await?;
    let kept: String = found
        .into_iter()
        .filter_map(|row| row.into_iter().next().flatten())
        .filter(|name| !new.iter().any(|one| one.eq_ignore_ascii_case(name)))
        .map(|name| format!("{0} = {0}, ", ticked(&name)))
        .collect();
    out.statement = out.statement.replacen(" SET ", &format!(" SET {kept}"), 1);
    Ok(out)
}

async fn batches<S: SqlSession>(
    session: &mut S,
    job: &Job,
    batched: &Batched,
    mut progress: Progress,
) -> Result<Progress, PortError> {
    let script = &job.file.up;
    let mut size = batched.batches.size.min(FIRST);
    let (mut attempt, mut waiting) = (1, Instant::now());
    loop {
        let start = Instant::now();
        let failure = match one(session, job, batched, &progress, size, attempt).await {
            Ok(None) => return Ok(progress),
            Ok(Some(next)) => {
                progress = next;
                (attempt, waiting) = (1, Instant::now());
                size = next_size(size, start.elapsed(), batched.batches.size);
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(failure) => failure,
        };
        let lost = matches!(failure, Failure::Lost(_));
        if !lost {
            session.rollback().await;
        }
        let applied = if lost {
            Applied::Unknown
        } else {
            Applied::Batches(progress.rows)
        };
        match failure {
            Failure::Locked { said, blockers } => {
                if attempt >= job.policy.tries {
                    let tried = Some((attempt, waiting.elapsed()));
                    return Err(job.locked(script, Some(0), &said, &blockers, applied, tried));
                }
                job.stop.rest(job.policy.pause(attempt)).await;
                attempt += 1;
                // Fewer rows, fewer locks to wait for.
                size = (size / 2).max(SMALLEST.min(batched.batches.size));
            }
            failure => return Err(job.error(script, failure, Some(0), applied)),
        }
    }
}

/// A batch of the size that would have taken [`AIM`], at most twice and at least half as large as the last one.
fn next_size(size: u32, took: Duration, most: u32) -> u32 {
    let wanted = f64::from(size) * AIM.as_secs_f64() / took.as_secs_f64().max(0.001);
    let bounded = wanted.clamp(f64::from(size) / 2.0, f64::from(size) * 2.0);
    // Within the bounds of the clamp, which are those of u32.
    (bounded as u32).clamp(SMALLEST.min(most), most)
}

/// One batch, or none when no row is left.
async fn one<S: SqlSession>(
    session: &mut S,
    job: &Job,
    batched: &Batched,
    progress: &Progress,
    size: u32,
    attempt: u32,
) -> Result<Option<Progress>, Failure> {
    let (key, table) = if job.dialect.is_mysql() {
        (ticked(&batched.batches.key), batched.batches.table.ticked())
    } else {
        (quoted(&batched.batches.key), batched.batches.table.sql())
    };
    let literal = match job.dialect {
        Dialect::Postgres => "quote_literal(CAST(k AS text))",
        Dialect::Sqlite | Dialect::Mysql | Dialect::MariaDb | Dialect::MongoDb => "quote(k)",
    };
    let from = progress.after.as_ref().map_or_else(
        || format!("{key} IS NOT NULL"),
        // A key is data: nothing is put into it.
        |after| format!("{key} > {}", literally(after)),
    );
    session.begin(job.lock_timeout(attempt)).await?;
    job.claim(session).await?;
    let last = format!(
        "SELECT {literal} FROM (SELECT {key} AS k FROM {table} WHERE {from} ORDER BY {key} LIMIT {size}) AS b
         ORDER BY k DESC LIMIT 1"
    );
    let found = session.rows_as_written(&last).await?;
    let Some(last) = found
        .into_iter()
        .next()
        .and_then(|row| row.into_iter().next().flatten())
    else {
        session.commit().await?;
        return Ok(None);
    };
    let range = format!("({from} AND {key} <= {})", literally(&last));
    let rows = session.execute(&batched.statement.replace(RANGE, &range)).await?;
    let next = Progress {
        after: Some(last),
        rows: progress.rows + rows,
    };
    write(session, &job.file.migration.id, &next).await?;
    session.commit().await?;
    Ok(Some(next))
}

/// How many rows the batches of a file have changed that was begun.
pub(crate) struct SoFar(pub(crate) MigrationId);

impl Reading for SoFar {
    type Read = u64;

    async fn read<S: SqlSession>(self, session: &mut S) -> Result<u64, Failure> {
        read(session, &self.0).await.map(|progress| progress.rows)
    }
}

fn key_of(id: &MigrationId) -> [Option<String>; 2] {
    [Some(id.number.to_string()), Some(id.name.clone())]
}

async fn read<S: SqlSession>(session: &mut S, id: &MigrationId) -> Result<Progress, Failure> {
    let sql = "SELECT after_key, CAST(changed_rows AS text) FROM {t}cutover_backfills
        WHERE number = CAST(?1 AS bigint) AND name = ?2";
    let mut rows = history::run(session, sql, &key_of(id)).await?;
    let mut row = rows.pop().unwrap_or_default().into_iter();
    let after = row.next().flatten();
    let rows = row
        .next()
        .flatten()
        .and_then(|rows| rows.parse().ok())
        .unwrap_or(0);
    Ok(Progress { after, rows })
}

async fn write<S: SqlSession>(session: &mut S, id: &MigrationId, progress: &Progress) -> Result<(), Failure> {
    forget(session, id).await?;
    let sql = "INSERT INTO {t}cutover_backfills (number, name, after_key, changed_rows)
        VALUES (CAST(?1 AS bigint), ?2, ?3, CAST(?4 AS bigint))";
    let [number, name] = key_of(id);
    let params = [
        number,
        name,
        progress.after.clone(),
        Some(progress.rows.to_string()),
    ];
    history::run(session, sql, &params).await.map(drop)
}

async fn forget<S: SqlSession>(session: &mut S, id: &MigrationId) -> Result<(), Failure> {
    let sql = "DELETE FROM {t}cutover_backfills WHERE number = CAST(?1 AS bigint) AND name = ?2";
    history::run(session, sql, &key_of(id)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_follows_the_time_within_its_bounds() {
        let millis = Duration::from_millis;
        assert_eq!(next_size(500, millis(20), 5000), 1000);
        assert_eq!(next_size(500, millis(200), 5000), 500);
        assert_eq!(next_size(500, millis(4000), 5000), 250);
        assert_eq!(next_size(4000, millis(1), 5000), 5000);
        assert_eq!(next_size(60, millis(9000), 5000), 50);
        assert_eq!(next_size(10, millis(9000), 10), 10);
    }
}
