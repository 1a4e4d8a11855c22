//! Take a copy of a listening socket out of another living process (`pidfd_getfd`).
//!
//! A supervisor that was killed comes back without the sockets that it held for its children; the child still has
//! them. The kernel allows the copy to whoever may trace the other process: the same user unless Yama forbids it.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;

use crate::listen::adopt_listener;
use crate::pidfd::PidFd;

/// A second descriptor for the socket with which `owner` listens at exactly `addr`; `None` if it does not.
///
/// # Errors
/// `PermissionDenied` if the kernel does not let the caller trace the process.
pub fn duplicate_listener(owner: &PidFd, addr: SocketAddr) -> io::Result<Option<TcpListener>> {
    let folder = format!("/proc/{}/fd", owner.identity().pid);
    for entry in fs::read_dir(folder)?.flatten() {
        let is_socket = fs::read_link(entry.path())
            .is_ok_and(|target| target.to_str().is_some_and(|t| t.starts_with("socket:")));
        let name = entry.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse::<RawFd>().ok()) else {
            continue;
        };
        if !is_socket {
            continue;
        }
        let copy = match duplicate(owner, number) {
            Ok(copy) => copy,
            // Closed between the listing and now.
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => continue,
            Err(error) => return Err(error),
        };
        // Whatever is not a listening TCP socket is closed again here.
        if let Ok(listener) = adopt_listener(copy)
            && listener.local_addr().is_ok_and(|local| local == addr)
        {
            return Ok(Some(listener));
        }
    }
    Ok(None)
}

fn duplicate(owner: &PidFd, number: RawFd) -> io::Result<OwnedFd> {
    #[expect(
        unsafe_code,
        reason = "pidfd_getfd has no wrapper in nix; it takes three integers and no pointer"
    )]
    // SAFETY: no memory is passed. The result is an error or a new close-on-exec descriptor nobody else owns.
    let raw = unsafe {
        libc::syscall(
            libc::SYS_pidfd_getfd,
            owner.as_raw_fd(),
            number,
            0 as libc::c_uint,
        )
    };
    let raw = Errno::result(raw)?;
    #[expect(
        unsafe_code,
        reason = "the descriptor was just made by pidfd_getfd and is owned by nobody else"
    )]
    // SAFETY: see above.
    Ok(unsafe { OwnedFd::from_raw_fd(raw as RawFd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProcessIdentity, bind_listener};

    #[test]
    fn a_listening_socket_is_found_by_its_address_and_outlives_the_first_descriptor() {
        let me = PidFd::open(&ProcessIdentity::current().unwrap()).unwrap();
        let listener = bind_listener("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = listener.local_addr().unwrap();
        let copy = duplicate_listener(&me, addr).unwrap().unwrap();
        drop(listener);
        let _client = std::net::TcpStream::connect(addr).unwrap();
        copy.accept().unwrap();
        drop(copy);
        assert!(duplicate_listener(&me, addr).unwrap().is_none());
    }
}
