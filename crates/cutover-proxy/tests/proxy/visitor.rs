//! A client that reads answers byte by byte and forgives nothing.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What bytes go over.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// One connection.
pub(crate) struct Visitor {
    stream: Box<dyn Wire>,
    buffer: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn closes(&self) -> bool {
        self.field("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

impl Visitor {
    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    pub(crate) fn over(stream: impl Wire + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n").as_bytes())
            .await?;
        self.answer().await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &str) -> io::Result<Answer> {
        let length = body.len();
        let text = format!("POST {path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n{body}");
        self.send(text.as_bytes()).await?;
        self.answer().await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// One answer, with a length or chunked.
    pub(crate) async fn answer(&mut self) -> io::Result<Answer> {
        timeout(PATIENCE, self.read_answer()).await?
    }

    async fn read_answer(&mut self) -> io::Result<Answer> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer {
            status,
            head: head.trim_end().to_owned(),
            body: String::new(),
        };
        if status == 100 {
            return Box::pin(self.read_answer()).await;
        }
        let mut body = Vec::new();
        if let Some(length) = answer.field("content-length") {
            let length: usize = length.parse().unwrap();
            while self.buffer.len() < length {
                self.more().await?;
            }
            body = self.buffer.drain(..length).collect();
        } else if answer.field("transfer-encoding").is_some() {
            loop {
                let size = self.line().await?;
                let size = usize::from_str_radix(&size, 16).unwrap();
                while self.buffer.len() < size + 2 {
                    self.more().await?;
                }
                body.extend(self.buffer.drain(..size + 2).take(size));
                if size == 0 {
                    break;
                }
            }
        }
        answer.body = String::from_utf8(body).unwrap();
        Ok(answer)
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Ok(String::from_utf8(line[..end].to_vec()).unwrap());
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Everything until the other side closes, or `Err` with what came if it does not.
    pub(crate) async fn rest(&mut self, wait: Duration) -> Result<Vec<u8>, Vec<u8>> {
        let closed = timeout(wait, async { while self.more().await.is_ok() {} }).await;
        let came = std::mem::take(&mut self.buffer);
        if closed.is_ok() { Ok(came) } else { Err(came) }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
