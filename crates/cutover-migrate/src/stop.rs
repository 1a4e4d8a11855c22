//! A wish to end early: what runs in the database is cancelled there, and nothing more is begun.

use std::time::Duration;

use cutover_model::Diagnostic;
use cutover_ports::PortError;
use tokio::sync::watch;

use crate::failure::Failure;

/// How long a cancelled statement may take before it is cancelled again: it may not have begun when it was cancelled first.
pub(crate) const AGAIN: Duration = Duration::from_secs(1);

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

    /// Ends so long after it is set.
    pub(crate) async fn wanted_after(&self, pause: Duration) {
        self.wanted().await;
        tokio::time::sleep(pause).await;
    }

    /// Sleeps, but not through a stop.
    pub(crate) async fn rest(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.wanted() => {}
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
