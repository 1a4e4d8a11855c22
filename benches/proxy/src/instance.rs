//! What is behind the proxies: a server with answers made beforehand, each instance a process of its own so that it
//! can be killed like one.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;

use anyhow::{Context as _, Result};
use clap::Args;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// Bytes of the large answer.
pub(crate) const LARGE: usize = 64 * 1024;

/// Bytes of the small one.
pub(crate) const SMALL: usize = 13;

#[derive(Args)]
pub(crate) struct Options {
    /// The letter that its answers begin with.
    #[arg(long)]
    letter: char,
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The numbers of the writes it did are appended here, one a line, before each is answered.
    #[arg(long)]
    journal: Option<PathBuf>,
}

/// An instance's process; killed when this is dropped.
pub(crate) struct Instance {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Instance {
    /// Starts one and waits until it listens. `listen` with port 0 takes any.
    pub(crate) async fn start(letter: char, listen: SocketAddr, journal: Option<&Path>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["instance", "--letter", &letter.to_string()])
            .args(["--listen", &listen.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if let Some(journal) = journal {
            command.arg("--journal").arg(journal);
        }
        let mut child = command.spawn().context("cannot start an instance")?;
        let stdout = child.stdout.take().context("an instance without an output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await?;
        let address = line
            .trim()
            .parse()
            .with_context(|| format!("an instance said {line:?}"))?;
        Ok(Self { address, child })
    }

    /// Two of them, with the letters `1` and `2`.
    pub(crate) async fn pair() -> Result<[Self; 2]> {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok([
            Self::start('1', anywhere, None).await?,
            Self::start('2', anywhere, None).await?,
        ])
    }

    /// Without a warning. Returns when the process is gone.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("cannot kill an instance")
    }
}

/// The process itself.
pub(crate) async fn serve(options: Options) -> Result<()> {
    let listener = TcpListener::bind(options.listen).await?;
    println!("{}", listener.local_addr()?);
    let journal = options
        .journal
        .map(|path| File::options().append(true).create(true).open(path));
    let journal = journal.transpose().context("cannot open the journal")?;
    let answers = Rc::new(Answers {
        small: answer(options.letter, SMALL),
        large: answer(options.letter, LARGE),
        journal,
    });
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::task::spawn_local(connection(stream, Rc::clone(&answers)));
    }
}

struct Answers {
    small: Vec<u8>,
    large: Vec<u8>,
    journal: Option<File>,
}

fn answer(letter: char, length: usize) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{letter}");
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + length - 1, b'.');
    bytes
}

async fn connection(mut stream: TcpStream, answers: Rc<Answers>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;
    loop {
        while let Some((length, path)) = whole_request(&buffer[..filled]) {
            let answer = if path == b"/large" {
                &answers.large
            } else {
                &answers.small
            };
            if let (Some(mut journal), Some(number)) =
                (answers.journal.as_ref(), path.strip_prefix(b"/write/"))
            {
                let mut line = number.to_vec();
                line.push(b'\n');
                journal.write_all(&line).ok()?;
            }
            stream.write_all(answer).await.ok()?;
            buffer.copy_within(length..filled, 0);
            filled -= length;
        }
        let length = stream.read(buffer.get_mut(filled..)?).await.ok()?;
        if length == 0 {
            return None;
        }
        filled += length;
    }
}

/// How long the first request is, body included, and its path; nothing if it is not all there yet.
fn whole_request(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let path = bytes.split(|byte| *byte == b' ').nth(1)?;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let body: usize = text
        .lines()
        .find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        })
        .unwrap_or(0);
    (bytes.len() >= head + body).then_some((head + body, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        let text =
            b"GET /large HTTP/1.1\r\nHost: a\r\n\r\nPOST /write/7 HTTP/1.1\r\ncontent-length: 2\r\n\r\nab";
        let (length, path) = whole_request(text).unwrap();
        assert_eq!(path, b"/large");
        assert_eq!(whole_request(&text[length..]).unwrap().1, b"/write/7");
        assert!(whole_request(&text[length..text.len() - 1]).is_none());
    }
}
