//! Files of SQLite that are over in no time share a commit: each waits for the disk four times, which is longer than most files
//! take.
//!
//! Only where nothing is in the way. At the first that does not go through, all of it is as if it never was, and those files run
//! one by one as on any database: whatever there is to say of one is said there.

use std::time::Duration;

use cutover_model::MigrationPhase;
use cutover_ports::MigrationReport;
use tokio::time::Instant;

use crate::adapter::{Ran, next};
use crate::job::{self, Job};
use crate::session::SqlSession;
use crate::sqlite::SqliteSession;

/// Once so much time has passed, no other file joins: whoever else writes has waited for so long.
const JOIN: Duration = Duration::from_millis(20);

/// Whatever lasts so long runs by itself: no more than this is ever done twice.
const LONGEST: Duration = Duration::from_millis(100);

/// Runs files in order; stops at the first that fails.
pub(crate) async fn run(session: &mut SqliteSession, jobs: &[Job]) -> Ran {
    let mut done = Vec::with_capacity(jobs.len());
    // So many are run one by one first.
    let mut alone = 0;
    while let Some(job) = jobs.get(done.len()) {
        let left = jobs.get(done.len()..).unwrap_or_default();
        let joining = left.iter().take_while(|job| can_join(job)).count();
        if alone == 0 && joining > 1 {
            match together(session, left.get(..joining).unwrap_or_default()).await {
                Ok(reports) => {
                    done.extend(reports);
                    continue;
                }
                Err(at) => alone = at + 1,
            }
        }
        match next(session, job).await {
            Ok(report) => {
                alone = alone.saturating_sub(1);
                if report.took.as_duration() > LONGEST {
                    alone = alone.max(1);
                }
                done.push(report);
            }
            Err(error) => return (done, Some(error)),
        }
    }
    (done, None)
}

/// A contract has its own bookkeeping before it, and rows that are moved batch by batch have many commits.
fn can_join(job: &Job) -> bool {
    job.file.migration.phase != MigrationPhase::Contract
        && job.file.batched.is_none()
        && job.script().is_ok_and(|script| script.transaction)
}

/// Runs as many of them as there is time for; answers how many had gone through where all of them are undone.
async fn together(session: &mut SqliteSession, jobs: &[Job]) -> Result<Vec<MigrationReport>, usize> {
    let start = Instant::now();
    let mut reports = Vec::new();
    let all = async {
        // One that waits for longer is told of by itself.
        session.begin(LONGEST).await.ok()?;
        for job in jobs {
            let left = LONGEST.checked_sub(start.elapsed())?;
            let most = job.limit().map_or(left, |limit| limit.min(left));
            reports.push(job::joined(session, job, most).await?);
            if start.elapsed() > JOIN {
                break;
            }
        }
        session.commit().await.ok()
    };
    if all.await.is_none() {
        session.rollback().await;
        return Err(reports.len());
    }
    *session.ensured() = true;
    Ok(reports)
}
