//! Start a child that leads its own group or session and inherits listening sockets.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::libc;

use crate::identity::ProcessIdentity;
use crate::inherit::{INHERITED_ENV, render};
use crate::pidfd::PidFd;
use crate::ready::READY_ENV;

/// How far the child is set apart from its parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// A process group of its own in the parent's session: a Ctrl-C at the terminal does not reach it.
    #[default]
    OwnGroup,
    /// A session of its own: it has no terminal and survives the end of the parent's session.
    OwnSession,
    /// As the parent.
    Parent,
}

/// What a child gets besides what [`Command`] says.
#[derive(Debug, Default)]
pub struct SpawnOptions<'a> {
    /// Listening sockets left open for the child, with their names (no `,` in them). The child takes them with
    /// [`crate::take_inherited`]. They must stay open until the spawn has returned.
    pub listeners: Vec<(String, BorrowedFd<'a>)>,
    /// Its group and session.
    pub grouping: Grouping,
    /// The writing end of a pipe on which the child says that it serves, by [`crate::announce_ready`].
    pub ready: Option<BorrowedFd<'a>>,
    /// Descriptors that the child and its children keep open: a lock on one of them is held until the last has ended.
    pub kept: Vec<BorrowedFd<'a>>,
}

/// Prepares a command. The sockets are found by their numbers at the time of the spawn: they must still be open then.
fn configure(command: &mut Command, options: &SpawnOptions<'_>) -> io::Result<()> {
    let mut named: Vec<(String, RawFd)> = Vec::new();
    for (name, fd) in &options.listeners {
        if name.contains(',') {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the socket name {name:?} holds a comma"),
            ));
        }
        named.push((name.clone(), fd.as_raw_fd()));
    }
    if named.is_empty() {
        command.env_remove(INHERITED_ENV);
    } else {
        command.env(INHERITED_ENV, render(&named));
    }
    let grouping = options.grouping;
    if grouping == Grouping::OwnGroup {
        command.process_group(0);
    }
    let mut numbers: Vec<RawFd> = named.into_iter().map(|(_, fd)| fd).collect();
    match options.ready {
        None => command.env_remove(READY_ENV),
        Some(pipe) => {
            numbers.push(pipe.as_raw_fd());
            command.env(READY_ENV, pipe.as_raw_fd().to_string())
        }
    };
    numbers.extend(options.kept.iter().map(AsRawFd::as_raw_fd));
    if numbers.is_empty() && grouping != Grouping::OwnSession {
        return Ok(());
    }
    let between_fork_and_exec = move || {
        if grouping == Grouping::OwnSession {
            nix::unistd::setsid()?;
        }
        for &fd in &numbers {
            clear_close_on_exec(fd)?;
        }
        Ok(())
    };
    #[expect(
        unsafe_code,
        reason = "close-on-exec is cleared in the child only, where no other thread can fork"
    )]
    // SAFETY: the closure calls setsid and fcntl, both async-signal-safe, allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(between_fork_and_exec);
    }
    Ok(())
}

fn clear_close_on_exec(fd: RawFd) -> io::Result<()> {
    #[expect(
        unsafe_code,
        reason = "the number was an open descriptor when the command was prepared"
    )]
    // SAFETY: F_SETFD takes an integer; a number that is not open gives EBADF and the spawn fails.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) })?;
    Ok(())
}

/// Starts the child and returns a handle that names it for good. The caller must [`PidFd::reap`] it.
///
/// # Errors
/// Whatever the start failed with: not found, not executable, no more processes.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the borrowed sockets are given up with the call"
)]
pub fn spawn(command: &mut Command, options: SpawnOptions<'_>) -> io::Result<PidFd> {
    configure(command, &options)?;
    let child = command.spawn()?;
    // The child is not reaped yet, so its pid cannot have been reused, even if it has already ended.
    let identity = ProcessIdentity::of(child.id()).map_err(io::Error::other)?;
    PidFd::open(&identity).map_err(io::Error::other)
}
