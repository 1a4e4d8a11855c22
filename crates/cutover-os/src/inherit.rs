//! Listening sockets that the parent left open for this process.
//!
//! Like systemd's `LISTEN_FDS`, but each socket keeps the number it had in the parent and its name says which it
//! is: moving descriptors to fixed numbers between `fork` and `exec` could close the pipe over which the
//! standard library reports a failed `exec`.

use std::env;
use std::io;
use std::net::TcpListener;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use thiserror::Error;

use crate::listen::adopt_listener;

/// The variable that names the inherited sockets: `name=number,name=number`.
pub const INHERITED_ENV: &str = "CUTOVER_LISTEN_FDS";

/// One socket that the parent left open.
#[derive(Debug)]
pub struct InheritedListener {
    /// The parent's name for it, by agreement the address as the configuration writes it.
    pub name: String,
    /// The socket.
    pub listener: TcpListener,
}

/// Why inherited sockets could not be taken.
#[derive(Debug, Error)]
pub enum InheritError {
    /// They were taken before by this process: two owners would close each other's descriptors.
    #[error("the inherited sockets were taken already")]
    AlreadyTaken,
    /// The variable does not have the form `name=number,…`.
    #[error("{INHERITED_ENV} has an entry {entry:?} that is not of the form name=number")]
    BadEntry {
        /// The entry.
        entry: String,
    },
    /// The descriptor is not an open listening socket.
    #[error("descriptor {fd}, inherited as {name:?}, is not a listening socket")]
    NotAListener {
        /// The name.
        name: String,
        /// The number.
        fd: RawFd,
        /// What the system said.
        source: io::Error,
    },
}

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes ownership of the sockets that [`crate::SpawnOptions::listeners`] passed; none if the variable is not set.
/// Each is checked to be an open listening TCP socket and is close-on-exec from then on.
///
/// # Errors
/// If called twice in one process, or the environment and the descriptors do not agree.
pub fn take_inherited() -> Result<Vec<InheritedListener>, InheritError> {
    let Ok(value) = env::var(INHERITED_ENV) else {
        return Ok(Vec::new());
    };
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(InheritError::AlreadyTaken);
    }
    parse(&value)?
        .into_iter()
        .map(|(name, fd)| match claim(fd) {
            Ok(listener) => Ok(InheritedListener { name, listener }),
            Err(source) => Err(InheritError::NotAListener { name, fd, source }),
        })
        .collect()
}

pub(crate) fn render(listeners: &[(String, RawFd)]) -> String {
    let parts: Vec<String> = listeners
        .iter()
        .map(|(name, fd)| format!("{name}={fd}"))
        .collect();
    parts.join(",")
}

fn parse(value: &str) -> Result<Vec<(String, RawFd)>, InheritError> {
    let mut found: Vec<(String, RawFd)> = Vec::new();
    for entry in value.split(',').filter(|entry| !entry.is_empty()) {
        let bad = || InheritError::BadEntry {
            entry: entry.to_owned(),
        };
        let (name, number) = entry.rsplit_once('=').ok_or_else(bad)?;
        let fd: RawFd = number.parse().map_err(|_| bad())?;
        // 0 to 2 are the standard streams; the same number twice would be closed twice.
        if fd < 3 || found.iter().any(|(_, other)| *other == fd) {
            return Err(bad());
        }
        found.push((name.to_owned(), fd));
    }
    Ok(found)
}

fn claim(fd: RawFd) -> io::Result<TcpListener> {
    #[expect(
        unsafe_code,
        reason = "the number comes from the environment; F_SETFD tells whether it is open"
    )]
    // SAFETY: the borrow ends before anything can close the descriptor; fcntl fails with EBADF if it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // Checked before ownership is taken: a wrong number may belong to something else in this process.
    if !nix::sys::socket::getsockopt(&borrowed, nix::sys::socket::sockopt::AcceptConn)? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen"));
    }
    #[expect(
        unsafe_code,
        reason = "the parent passed this descriptor to us, and TAKEN lets us claim it only once"
    )]
    // SAFETY: it is open (above) and was open across exec, so no object of this process made it.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    adopt_listener(owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_reads_back_what_was_written() {
        let sockets = vec![("127.0.0.1:8080".to_owned(), 7), ("[::1]:80".to_owned(), 9)];
        assert_eq!(parse(&render(&sockets)).unwrap(), sockets);
        assert!(parse("").unwrap().is_empty());
        for bad in ["a", "a=x", "a=1", "a=7,b=7", "=-1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_number_that_is_not_a_listener_is_refused() {
        assert!(claim(987_654).is_err());
    }
}
