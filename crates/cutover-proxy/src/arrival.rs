//! What a client says before anything is made for it. A connection that says nothing, or has said half a head, is a
//! socket, a timer and the bytes that came: what reads requests is made when there is one to read.
//!
//! Nothing is read twice: the bytes are handed on.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};

use memchr::memchr_iter;
use tokio::io::{AsyncRead, ReadBuf};

use crate::client_io::{Transport, nothing_arrived};

/// The first bytes of HTTP/2 (RFC 9113 §3.4). No HTTP/1 request begins with them.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// As much of a first request as is read at once; most are smaller.
const AT_ONCE: usize = 4096;

/// The first bytes; nothing when the client goes without a word, or `leave` ends before it says one.
pub(crate) async fn bytes<S: Transport>(
    stream: &mut S,
    leave: impl Future<Output = ()>,
) -> io::Result<Option<Vec<u8>>> {
    let mut came = Vec::new();
    let read = tokio::select! {
        biased;
        read = read_some(stream, &mut came) => Some(read?),
        () = leave => None,
    };
    let length = match read {
        Some(length) => length,
        None if nothing_arrived(stream.socket()) => 0,
        // It has just begun, and is served.
        None => read_some(stream, &mut came).await?,
    };
    Ok((length > 0).then_some(came))
}

/// Reads on until it is certain whether HTTP/2 is spoken.
pub(crate) async fn is_http2<S: Transport>(stream: &mut S, came: &mut Vec<u8>) -> io::Result<bool> {
    while PREFACE.starts_with(came) && came.len() < PREFACE.len() {
        if read_some(stream, came).await? == 0 {
            break;
        }
    }
    Ok(came.starts_with(PREFACE))
}

/// Reads on until a head of HTTP/1.1 is whole, or no more of it is needed to refuse it.
pub(crate) async fn whole_head<S: Transport>(
    stream: &mut S,
    came: &mut Vec<u8>,
    most: usize,
) -> io::Result<()> {
    let mut progress = Progress::default();
    while came.len() < most && !progress.is_enough(came) {
        if read_some(stream, came).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// How far half a head was looked at.
#[derive(Debug, Default)]
struct Progress {
    /// So many bytes hold no end.
    searched: usize,
    /// So many are the beginning of something that may become a head.
    parsed: usize,
}

impl Progress {
    /// Each byte is searched once, and parsed twice at most on average however small the parts are that it comes in.
    fn is_enough(&mut self, came: &[u8]) -> bool {
        let from = self.searched.saturating_sub(2);
        self.searched = came.len();
        let ends = |at: usize| {
            let rest = &came[from + at + 1..];
            rest.starts_with(b"\n") || rest.starts_with(b"\r\n")
        };
        if memchr_iter(b'\n', &came[from..]).any(ends) {
            return true;
        }
        if came.len() < 2 * self.parsed {
            return false;
        }
        self.parsed = came.len();
        let mut fields = [httparse::EMPTY_HEADER; crate::options::FIELDS];
        !matches!(
            httparse::Request::new(&mut fields).parse(came),
            Ok(httparse::Status::Partial)
        )
    }
}

/// By way of the stack, so that what waits for more takes no more room than it has bytes.
async fn read_some<S: AsyncRead + Unpin>(stream: &mut S, came: &mut Vec<u8>) -> io::Result<usize> {
    poll_fn(|cx| {
        let mut buffer = [MaybeUninit::uninit(); AT_ONCE];
        let mut part = ReadBuf::uninit(&mut buffer);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut part))?;
        came.extend_from_slice(part.filled());
        Poll::Ready(Ok(part.filled().len()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many bytes it is enough, when they come in parts of a size.
    fn enough(text: &str, size: usize) -> Option<usize> {
        let mut progress = Progress::default();
        let ends = (0..=text.len()).step_by(size).chain([text.len()]);
        ends.skip(1)
            .find(|end| progress.is_enough(&text.as_bytes()[..*end]))
    }

    #[test]
    fn a_head_is_whole_at_its_end_however_it_is_cut() {
        for head in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\n",
        ] {
            for size in [1, 2, 3, 7] {
                let found = enough(&format!("{head}body"), size).unwrap();
                assert!(
                    (head.len()..head.len() + size).contains(&found),
                    "{found} in {head:?}"
                );
                assert_eq!(enough(&head[..head.len() - 1], size), None, "{head:?}");
            }
        }
    }

    #[test]
    fn what_cannot_become_a_head_is_not_waited_for() {
        for text in [
            "\u{16}\u{3}\u{1}\u{2}",
            "GET  / HTTP/1.1\r\nHo",
            "GET / HTTP/3.0\r\nHost: a",
        ] {
            assert_eq!(enough(text, text.len()), Some(text.len()), "{text:?}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(101));
        assert!(enough(&many, 1_000).is_some(), "too many fields");
    }

    #[test]
    fn what_comes_byte_by_byte_is_not_parsed_each_time() {
        let text = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(60_000));
        let mut progress = Progress::default();
        let mut times = std::collections::BTreeSet::new();
        for end in 1..=text.len() {
            assert!(!progress.is_enough(&text.as_bytes()[..end]));
            times.insert(progress.parsed);
        }
        assert!(times.len() < 20, "{times:?}");
    }
}
