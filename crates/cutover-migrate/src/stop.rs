//! A wish to end early: what runs in the database is cancelled there, and nothing more is begun. A statement that has run for as
//! long as it may is cancelled in the same way, whichever database it runs in.

use std::time::Duration;

use cutover_model::Diagnostic;
use cutover_ports::PortError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::failure::{Blocker, Failure};

/// How long a cancelled statement may take before it is cancelled again: it may not have begun when it was cancelled first.
const AGAIN: Duration = Duration::from_secs(1);

/// What work that can be stopped looks at.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Set by what `sender` sends.
    pub(crate) fn by(sender: &watch::Sender<bool>) -> Self {
        Self(sender.subscribe())
    }

    /// Nobody can set it.
    pub(crate) fn never() -> Self {
        Self(watch::channel(false).1)
    }

    /// Before a statement of a file.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if *self.0.borrow() {
            return Err(Failure::Stopped("nothing more was begun".to_owned()));
        }
        Ok(())
    }

    /// Ends when it is set.
    pub(crate) async fn wanted(&self) {
        if self.0.clone().wait_for(|wanted| *wanted).await.is_err() {
            // Nobody is left who could.
            std::future::pending::<()>().await;
        }
    }

    /// Over a statement that begins now, and may run so long.
    pub(crate) fn over(&self, limit: Option<Duration>) -> Watch<'_> {
        Watch {
            stop: self,
            limit,
            begun: Instant::now(),
            next: Instant::now(),
            late: false,
        }
    }

    /// Sleeps, but not through a stop.
    pub(crate) async fn rest(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.wanted() => {}
        }
    }
}

/// Watches over one statement while it runs: when it is to be cancelled, and why it was.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    stop: &'a Stop,
    limit: Option<Duration>,
    begun: Instant,
    /// Not before.
    next: Instant,
    late: bool,
}

impl Watch<'_> {
    /// Ends when the statement is to be cancelled, for the first time or once more. May be dropped and asked again.
    pub(crate) async fn due(&mut self) {
        let end = self.limit.map(|limit| self.begun + limit);
        let late = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        let late = tokio::select! {
            biased;
            () = self.stop.wanted() => false,
            () = late => true,
        };
        sleep_until(self.next).await;
        self.late |= late;
        self.next = Instant::now() + AGAIN;
    }

    /// What came of a statement that failed: one that was cancelled because of its time ran out of time.
    pub(crate) fn told(&self, failure: Failure, blockers: Vec<Blocker>) -> Failure {
        match self.limit.filter(|_| self.late) {
            Some(limit) => failure.out_of_time(limit, blockers),
            None => failure,
        }
    }
}

/// Nothing was begun.
pub(crate) fn not_begun(what: &str) -> PortError {
    PortError::refused(
        Diagnostic::error(
            "migrate.stopped",
            format!("the work on {what} was stopped before its next file"),
        )
        .help("cutover migrate status"),
    )
}
