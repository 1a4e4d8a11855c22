//! The clients: an open-loop load on `/api/users` that keeps an account of every request.
//!
//! *Open loop* means that requests leave on schedule, whatever became of the ones before. A closed loop waits for a
//! slow server and so hides it. Latencies count from the moment a request was due, for the same reason.
//!
//! Nothing is retried. `sent = ok + error_answers + failed + outstanding` at every moment. Writes are remembered:
//! [`Load::verify_writes`] reads every user back and counts acknowledged writes that are gone.

mod connections;
mod generator;
mod histogram;
mod options;
mod oracle;
mod report;
mod tally;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use options::LoadOptions;
pub use report::{FailureReason, LoadReport, LostWrite, Quantiles, Second, Trouble, VersionCounts};

use connections::Connections;
use generator::Generator;
use oracle::Oracle;
use tally::Tally;

/// A load that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Load {
    options: LoadOptions,
    tally: Arc<Tally>,
    oracle: Arc<Oracle>,
    tasks: TaskTracker,
    stopping: CancellationToken,
    started: Instant,
}

/// Why the writes could not be verified.
#[derive(Debug, thiserror::Error)]
#[error("user {user} could not be read back from {target}: {reason}")]
pub struct VerifyError {
    /// The user that was asked for.
    pub user: i64,
    /// Who was asked.
    pub target: SocketAddr,
    /// What came instead.
    pub reason: String,
}

impl Load {
    /// Starts sending to `options.target`, from inside a tokio runtime.
    pub fn start(options: LoadOptions) -> Self {
        let started = Instant::now();
        let tally = Arc::new(Tally::new(started, options.troubles_kept));
        let oracle = Arc::new(Oracle::default());
        let tasks = TaskTracker::new();
        let stopping = CancellationToken::new();
        let generator = Generator {
            options: options.clone(),
            connections: Arc::new(Connections::new(options.target, &options.host)),
            tally: Arc::clone(&tally),
            oracle: Arc::clone(&oracle),
            tasks: tasks.clone(),
        };
        tasks.spawn(generator.run(started, stopping.clone()));
        Self {
            options,
            tally,
            oracle,
            tasks,
            stopping,
            started,
        }
    }

    /// When it began; the times in the report count from here.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The account so far.
    pub fn snapshot(&self) -> LoadReport {
        self.tally.report(&self.oracle)
    }

    /// Sends nothing more and waits for what is outstanding, at most `options.timeout`.
    pub async fn stop(&self) -> LoadReport {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.snapshot()
    }

    /// Reads every user that the load created back from `target` and compares. Call it after [`Load::stop`]; the
    /// report then says how many acknowledged writes were lost.
    ///
    /// # Errors
    /// When a user cannot be read, which says nothing about whether the write was lost.
    pub async fn verify_writes(&self, target: SocketAddr) -> Result<LoadReport, VerifyError> {
        let connections = Connections::new(target, &self.options.host);
        self.oracle.verify(&connections, self.options.timeout).await?;
        Ok(self.snapshot())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}
