//! What a client begins with tells what it speaks.
//!
//! Nothing is read twice: the bytes that decide are handed on. A connection that says nothing costs no buffer.

use std::io;

use bytes::Bytes;
use tokio::net::TcpStream;

/// The first bytes of HTTP/2 (RFC 9113 §3.4). No HTTP/1 request begins with them.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// As much of a first request as is read at once; most are smaller.
const AT_ONCE: usize = 4096;

/// The first bytes, and what they are the beginning of.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) bytes: Bytes,
    pub(crate) http2: bool,
}

/// Reads until it is certain what is spoken; nothing when the client has gone without a word.
pub(crate) async fn first(stream: &TcpStream) -> io::Result<Option<Arrival>> {
    let mut came = Vec::new();
    loop {
        stream.readable().await?;
        let ended = match read_some(stream, &mut came) {
            Ok(length) => length == 0,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        let http2 = came.starts_with(PREFACE);
        if ended && came.is_empty() {
            return Ok(None);
        }
        if ended || http2 || !PREFACE.starts_with(&came) {
            let bytes = came.into();
            return Ok(Some(Arrival { bytes, http2 }));
        }
    }
}

/// By way of the stack, so that what waits for more takes no more room than it has bytes.
fn read_some(stream: &TcpStream, came: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = [0; AT_ONCE];
    let length = stream.try_read(&mut buffer)?;
    came.extend_from_slice(&buffer[..length]);
    Ok(length)
}
