//! Send and receive file descriptors over a Unix socket (`SCM_RIGHTS`).

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// The most descriptors that one message carries here. The kernel's own limit is 253.
const MAX_PASSED_FDS: usize = 64;

/// Sends `payload` (at least one byte, or nothing would be sent) with descriptors; returns the number of bytes
/// that went out. The descriptors travel with the first byte.
///
/// # Errors
/// If there are too many descriptors, the payload is empty, or the socket refuses.
pub fn send_fds(socket: &impl AsFd, payload: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if payload.is_empty() || fds.len() > MAX_PASSED_FDS {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("between 1 byte with 0 and {MAX_PASSED_FDS} descriptors can be sent at once"),
        ));
    }
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let sent = sendmsg::<()>(
        socket.as_fd().as_raw_fd(),
        &[IoSlice::new(payload)],
        control,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(sent)
}

/// Receives up to `buffer.len()` bytes and the descriptors that came with them (close-on-exec from the start).
/// `(0, [])` means that the other end closed.
///
/// # Errors
/// If the socket refuses, or more descriptors were sent than fit (those are closed).
pub fn receive_fds(socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = nix::cmsg_space!([RawFd; MAX_PASSED_FDS]);
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(
        socket.as_fd().as_raw_fd(),
        &mut slices,
        Some(&mut control),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    let mut received = Vec::new();
    for item in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = item {
            for fd in fds {
                #[expect(
                    unsafe_code,
                    reason = "nix hands the received descriptors over as bare integers"
                )]
                // SAFETY: the kernel just made these for this call; nobody else knows them.
                received.push(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
    }
    if message.flags.contains(MsgFlags::MSG_CTRUNC) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("more than {MAX_PASSED_FDS} descriptors were sent at once"),
        ));
    }
    Ok((message.bytes, received))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_listening_socket_survives_the_close_of_its_first_owner() {
        let (left, right) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        send_fds(&left, b"one", &[listener.as_fd()]).unwrap();
        drop(listener);
        let mut buffer = [0; 16];
        let (n, mut fds) = receive_fds(&right, &mut buffer).unwrap();
        assert_eq!((&buffer[..n], fds.len()), (&b"one"[..], 1));
        let listener = TcpListener::from(fds.remove(0));
        let _client = TcpStream::connect(addr).unwrap();
        listener.accept().unwrap();
    }

    #[test]
    fn the_end_of_the_stream_and_an_empty_payload_are_told_apart() {
        let (left, right) = UnixStream::pair().unwrap();
        assert!(send_fds(&left, b"", &[]).is_err());
        drop(left);
        let (n, fds) = receive_fds(&right, &mut [0; 4]).unwrap();
        assert_eq!((n, fds.len()), (0, 0));
    }
}
