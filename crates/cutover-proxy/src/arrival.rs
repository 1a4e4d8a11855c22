//! What a client says before anything is made for it. A connection that says nothing, or has said half a head, is a
//! socket, a timer and the bytes that came: what reads requests is made when there is one to read.
//!
//! Nothing is read twice: the bytes are handed on.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};

use memchr::{memchr, memchr_iter};
use tokio::io::{AsyncRead, ReadBuf};

/// The first bytes of HTTP/2 (RFC 9113 §3.4). No HTTP/1 request begins with them.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// As much of a first request as is read at once; most are smaller.
const AT_ONCE: usize = 4096;

/// Reads on until a head of HTTP/1.1 or the preface of HTTP/2 is whole, or no more of it is needed to refuse it.
pub(crate) async fn whole_head<S: AsyncRead + Unpin>(
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

/// Whether more would be waited for after all of this has come byte by byte.
#[cfg(any(test, fuzzing))]
pub(crate) fn waits(bytes: &[u8]) -> bool {
    let mut progress = Progress::default();
    (1..=bytes.len()).all(|end| !progress.is_enough(&bytes[..end]))
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
    /// However small the parts are that it comes in, it is parsed as often as it has lines, of which there may not be
    /// many, or as its size doubles.
    fn is_enough(&mut self, came: &[u8]) -> bool {
        if PREFACE.starts_with(came) && came.len() < PREFACE.len() {
            return false;
        }
        let from = self.searched.saturating_sub(2);
        let line_ends = memchr(b'\n', &came[self.searched..]).is_some();
        self.searched = came.len();
        let ends = |at: usize| {
            let rest = &came[from + at + 1..];
            rest.starts_with(b"\n") || rest.starts_with(b"\r\n")
        };
        if memchr_iter(b'\n', &came[from..]).any(ends) {
            return true;
        }
        if !line_ends && came.len() < 2 * self.parsed {
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

/// Once; nothing at the end. By way of the stack, so that what waits for more takes no more room than it has bytes.
pub(crate) async fn read_some<S: AsyncRead + Unpin>(stream: &mut S, came: &mut Vec<u8>) -> io::Result<usize> {
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
    fn the_preface_of_http2_is_whole_when_it_is() {
        let preface = std::str::from_utf8(PREFACE).unwrap();
        for size in [1, 5, PREFACE.len()] {
            assert_eq!(enough(preface, size), Some(PREFACE.len()));
        }
        assert_eq!(enough("PRI * HTTP/2.0\r\n\r\n", 1), None);
        assert_eq!(enough("PRI * HTTP/2.0\r\n\r\nX", 1), Some(19), "something else");
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
        let line = "GET / HTTP/1.1\r\nno colon\r\n";
        assert_eq!(enough(line, 1), Some(line.len()), "a line is judged at its end");
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
