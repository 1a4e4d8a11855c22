//! One child, ours or adopted: wait for it, end it with all its group.

use std::io;
use std::time::Duration;

use cutover_os::{Exit, PidFd, PidFdError, ProcessIdentity, Signal, group_members};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// How often a group whose leader has ended is looked at: it has no descriptor to wait on.
const GROUP_POLL: Duration = Duration::from_millis(20);

/// How long the kernel may take to end a killed process. One that waits for a dead disk takes longer.
const KILL_DEADLINE: Duration = Duration::from_secs(10);

/// A running child that leads its process group.
#[derive(Debug)]
pub(crate) struct Process {
    fd: AsyncFd<PidFd>,
}

impl Process {
    pub(crate) fn new(fd: PidFd) -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "PidFd owns one descriptor for its whole life, which is all that is asked; the newer function \
                      is unsafe, and only cutover-os may be"
        )]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(Self { fd })
    }

    /// Takes over a process that another supervisor started.
    pub(crate) fn adopt(identity: &ProcessIdentity) -> Option<Self> {
        // The descriptor knows: a process whose main thread alone has ended looks like a zombie in `/proc`.
        let fd = PidFd::open(identity).ok().filter(|fd| !fd.has_ended())?;
        Self::new(fd).ok()
    }

    pub(crate) fn identity(&self) -> &ProcessIdentity {
        self.fd.get_ref().identity()
    }

    pub(crate) fn pidfd(&self) -> &PidFd {
        self.fd.get_ref()
    }

    /// Returns when the process has ended.
    pub(crate) async fn ended(&self) {
        if let Err(error) = self.fd.readable().await {
            // Only when the runtime is going away.
            tracing::error!(%error, "cannot wait for {}", self.identity());
            std::future::pending::<()>().await;
        }
    }

    /// Asks the whole group to end, makes it after the grace, and takes the exit status: `None` if it was adopted,
    /// because only a parent learns it. Also right for a leader that ended by itself: its group is cleared.
    pub(crate) async fn end(&self, grace: Duration) -> Option<Exit> {
        let deadline = Instant::now() + grace;
        self.signal(Signal::SIGTERM);
        let _in_time = tokio::time::timeout_at(deadline, self.ended()).await;
        // While the leader is not reaped its group keeps its number, so nobody else is hit.
        while !self.group_is_empty() && Instant::now() < deadline {
            tokio::time::sleep(GROUP_POLL.min(deadline - Instant::now())).await;
        }
        if !self.pidfd().has_ended() || !self.group_is_empty() {
            self.signal(Signal::SIGKILL);
        }
        if tokio::time::timeout(KILL_DEADLINE, self.ended()).await.is_err() {
            tracing::error!("{} does not end even when killed", self.identity());
            self.ended().await;
        }
        let deadline = Instant::now() + KILL_DEADLINE;
        while !self.group_is_empty() && Instant::now() < deadline {
            tokio::time::sleep(GROUP_POLL).await;
        }
        self.pidfd().reap().unwrap_or_else(|error| {
            tracing::warn!(%error, "no exit status");
            None
        })
    }

    fn group_is_empty(&self) -> bool {
        group_members(self.identity().pid).is_ok_and(|members| members.is_empty())
    }

    fn signal(&self, signal: Signal) {
        match self.pidfd().signal_group(signal) {
            Ok(()) | Err(PidFdError::Gone { .. }) => {}
            Err(error) => tracing::error!(%error, %signal, "cannot signal"),
        }
    }
}

/// How a process ended, for people.
pub(crate) fn describe(exit: Option<Exit>) -> String {
    match exit {
        Some(Exit::Code(code)) => format!("exited with status {code}"),
        Some(signal @ Exit::Signal(_)) => format!("ended by {signal}"),
        None => "ended while nobody was its parent".to_owned(),
    }
}
