//! Signal and wait for one process by file descriptor, so that a reused pid is never hit.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use thiserror::Error;

use crate::identity::ProcessIdentity;

/// `PIDFD_SIGNAL_PROCESS_GROUP` of `linux/pidfd.h` (since Linux 6.9).
const SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "{}", signal.as_str()),
                Err(_) => write!(f, "signal {number}"),
            },
        }
    }
}

/// Why a process could not be held, signalled or reaped.
#[derive(Debug, Error)]
pub enum PidFdError {
    /// The process named by this identity is gone; its pid may belong to another by now.
    #[error("{identity} is gone")]
    Gone {
        /// Who was asked for.
        identity: ProcessIdentity,
    },
    /// The kernel refused.
    #[error("cannot {what} {identity}")]
    Refused {
        /// `open`, `signal`, `wait for`, `reap`.
        what: &'static str,
        /// Who was asked for.
        identity: ProcessIdentity,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A handle on one process. It becomes readable (`poll`, `epoll`, tokio's `AsyncFd`) when the process ends.
#[derive(Debug)]
pub struct PidFd {
    fd: OwnedFd,
    identity: ProcessIdentity,
}

impl PidFd {
    /// Holds the process with exactly this identity, whoever its parent is.
    ///
    /// # Errors
    /// [`PidFdError::Gone`] if it ended, even if another process has its pid now.
    pub fn open(identity: &ProcessIdentity) -> Result<Self, PidFdError> {
        let pid = identity.pid as libc::c_long;
        #[expect(
            unsafe_code,
            reason = "pidfd_open has no wrapper in nix; it takes two integers and no pointer"
        )]
        // SAFETY: no memory is passed. The result is an error or a new descriptor that nobody else owns.
        let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0 as libc::c_uint) };
        let raw = Errno::result(raw).map_err(|errno| refused("open", identity, errno))?;
        #[expect(
            unsafe_code,
            reason = "the descriptor was just made by pidfd_open and is owned by nobody else"
        )]
        // SAFETY: see above; the kernel made it close-on-exec.
        let fd = unsafe { OwnedFd::from_raw_fd(raw as RawFd) };
        // Compared after the open: if the pid had been reused before, the start time differs now; if it is
        // reused later, the descriptor still means the old process.
        if !identity.exists() {
            return Err(PidFdError::Gone {
                identity: identity.clone(),
            });
        }
        Ok(Self {
            fd,
            identity: identity.clone(),
        })
    }

    /// Who this handle is for.
    #[must_use]
    pub fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    /// Sends a signal to exactly this process. One that has ended already is no error.
    ///
    /// # Errors
    /// If the kernel refuses (another user's process).
    pub fn signal(&self, signal: Signal) -> Result<(), PidFdError> {
        match self.send(signal as libc::c_int, 0) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(refused("signal", &self.identity, errno)),
        }
    }

    /// Sends a signal to the process group that this process leads. One with no member left is no error.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn signal_group(&self, signal: Signal) -> Result<(), PidFdError> {
        match self.send(signal as libc::c_int, SIGNAL_PROCESS_GROUP) {
            Ok(()) | Err(Errno::ESRCH) => return Ok(()),
            Err(Errno::EINVAL) => {}
            Err(errno) => return Err(refused("signal the group of", &self.identity, errno)),
        }
        // Before Linux 6.9: a leader that is still in the process table (a zombie counts) pins its number, so
        // the group that bears it is the right one.
        if self.send(0, 0).is_err() {
            return Ok(());
        }
        match killpg(Pid::from_raw(self.identity.pid as i32), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(refused("signal the group of", &self.identity, errno)),
        }
    }

    /// Waits until the process has ended; `false` if the time ran out first. Works for any process, not only
    /// children, and does not reap.
    ///
    /// # Errors
    /// If the kernel refuses to poll.
    pub fn wait_ended(&self, timeout: Duration) -> Result<bool, PidFdError> {
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(self.has_ended()),
            Err(errno) => Err(refused("wait for", &self.identity, errno)),
        }
    }

    /// Whether the process has ended (reaped or not).
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Takes the exit status of a child that has ended; `None` while it runs, or if it is not (or no longer) a
    /// child of the caller. Without this a dead child stays a zombie. Children stay children across `exec`.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn reap(&self) -> Result<Option<Exit>, PidFdError> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
        match waitid(Id::PIDFd(self.fd.as_fd()), flags) {
            Ok(WaitStatus::Exited(_, code)) => Ok(Some(Exit::Code(code))),
            Ok(WaitStatus::Signaled(_, signal, _)) => Ok(Some(Exit::Signal(signal as i32))),
            Ok(_) | Err(Errno::ECHILD) => Ok(None),
            Err(errno) => Err(refused("reap", &self.identity, errno)),
        }
    }

    fn send(&self, signal: libc::c_int, flags: libc::c_uint) -> Result<(), Errno> {
        #[expect(
            unsafe_code,
            reason = "pidfd_send_signal has no wrapper in nix; the only pointer is null"
        )]
        // SAFETY: siginfo is null, which the call documents as "like kill"; the descriptor is owned by self.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.fd.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                flags,
            )
        };
        Errno::result(result).map(drop)
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for PidFd {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

fn refused(what: &'static str, identity: &ProcessIdentity, errno: Errno) -> PidFdError {
    if errno == Errno::ESRCH {
        return PidFdError::Gone {
            identity: identity.clone(),
        };
    }
    PidFdError::Refused {
        what,
        identity: identity.clone(),
        source: errno.into(),
    }
}
