//! Make listening TCP sockets, and check those that came from elsewhere.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use nix::sys::socket::{SockType, getsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

/// How many finished handshakes may wait for an `accept`. They survive a restart of the process that accepts,
/// so there must be room for a second of them; the kernel caps it by `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Binds and listens. `SO_REUSEADDR` is set, `SO_REUSEPORT` is not: two owners of one address are an error here.
///
/// # Errors
/// `AddrInUse` if somebody else listens there.
pub fn bind_listener(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Turns a descriptor from elsewhere into a listener, after making sure that it is a listening TCP socket.
///
/// # Errors
/// `InvalidInput` if it is not.
pub fn adopt_listener(fd: OwnedFd) -> io::Result<TcpListener> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("the descriptor is {what}"));
    let kind = getsockopt(&fd, sockopt::SockType).map_err(|_| wrong("not a socket"))?;
    if kind != SockType::Stream {
        return Err(wrong("not a stream socket"));
    }
    if !getsockopt(&fd, sockopt::AcceptConn)? {
        return Err(wrong("not a listening socket"));
    }
    let listener = TcpListener::from(fd);
    // Fails for a Unix socket, which is no TCP listener.
    listener.local_addr().map_err(|_| wrong("not an IP socket"))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_sockets_are_adopted() {
        let listener = bind_listener("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = listener.local_addr().unwrap();
        assert!(bind_listener(addr).is_err());
        let adopted = adopt_listener(listener.into()).unwrap();
        assert_eq!(adopted.local_addr().unwrap(), addr);
        let stream = std::net::TcpStream::connect(addr).unwrap();
        assert!(adopt_listener(stream.into()).is_err());
        let file = tempfile::tempfile().unwrap();
        assert!(adopt_listener(file.into()).is_err());
        let unix =
            std::os::unix::net::UnixListener::bind(tempfile::tempdir().unwrap().path().join("s")).unwrap();
        assert!(adopt_listener(unix.into()).is_err());
    }
}
