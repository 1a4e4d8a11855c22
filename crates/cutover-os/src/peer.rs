//! Who is on the other end of a Unix socket.

use std::io;
use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::geteuid;

/// The kernel's word on who connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCredentials {
    /// Process id at the time of the connect.
    pub pid: i32,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
}

/// Asks the kernel who connected.
///
/// # Errors
/// If the descriptor is not a connected Unix socket.
pub fn peer_credentials(socket: &impl AsFd) -> io::Result<PeerCredentials> {
    let credentials = getsockopt(socket, sockopt::PeerCredentials)?;
    Ok(PeerCredentials {
        pid: credentials.pid(),
        uid: credentials.uid(),
        gid: credentials.gid(),
    })
}

impl PeerCredentials {
    /// Whether the peer is the user this process runs as, or root.
    #[must_use]
    pub fn is_same_user_or_root(self) -> bool {
        self.uid == 0 || self.uid == geteuid().as_raw()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_pair_of_our_own_is_trusted() {
        let (left, _right) = UnixStream::pair().unwrap();
        let peer = peer_credentials(&left).unwrap();
        assert_eq!(peer.pid, std::process::id() as i32);
        assert!(peer.is_same_user_or_root());
        let stranger = PeerCredentials {
            uid: geteuid().as_raw().wrapping_add(1).max(1),
            ..peer
        };
        assert!(!stranger.is_same_user_or_root());
    }
}
