//! An HTTP/1.1 client as small as one can be, so that the proxy between it and the instances is what is measured.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More than an answer's head, or a read of a body, ever is here.
const BUFFER: usize = 96 * 1024;

/// One connection to a proxy.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What came back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The first byte of the body: which instance it was.
    pub(crate) from: u8,
    /// The connection cannot be used again.
    pub(crate) close: bool,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: vec![0; BUFFER],
        })
    }

    /// To be held and not used.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Nothing when the other side broke off, or did not speak HTTP with a `Content-Length`.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Option<Answer> {
        self.stream.write_all(request).await.ok()?;
        let mut filled = 0;
        let head = loop {
            let length = self.stream.read(&mut self.buffer[filled..]).await.ok()?;
            if length == 0 {
                return None;
            }
            filled += length;
            if let Some(end) = find(&self.buffer[..filled], b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = std::str::from_utf8(&self.buffer[..head]).ok()?;
        let status = text.get(9..12)?.parse().ok()?;
        let length: usize = field(text, "content-length")?.parse().ok()?;
        let close = field(text, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let from = if filled > head { self.buffer[head] } else { 0 };
        let mut answer = Answer { status, from, close };
        let mut missing = (head + length).checked_sub(filled)?;
        let mut first = filled == head;
        while missing > 0 {
            let read = self.stream.read(&mut self.buffer[..]).await.ok()?;
            if read == 0 || read > missing {
                return None;
            }
            if first {
                answer.from = self.buffer[0];
                first = false;
            }
            missing -= read;
        }
        Some(answer)
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
