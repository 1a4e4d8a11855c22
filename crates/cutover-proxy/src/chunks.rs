//! Bodies that come in chunks (RFC 9112 §7.1), read strictly: every line ends as it must, a size is digits, and there are
//! no control characters. Space behind a size is left to those servers that pad it.
//!
//! Pure: bytes in, data and trailers out.

use bytes::{Buf as _, Bytes};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr;

use crate::answer_head::Nonsense;

/// Most bytes of a line with a size and its extensions.
const LONGEST_LINE: usize = 4 * 1024;

/// Most bytes of trailers, and most of them.
const MOST_TRAILERS: usize = 64 * 1024;
const MOST_FIELDS: usize = 100;

/// One body's.
#[derive(Debug, Default)]
pub(crate) struct Chunks(At);

#[derive(Debug, Default, Clone, Copy)]
enum At {
    #[default]
    Size,
    Data(u64),
    /// The end of the line behind a chunk.
    DataEnd,
    Trailers,
    Done,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Part {
    /// More bytes must come first.
    More,
    Data(Bytes),
    /// The body is over after these, if there are any.
    End(Option<HeaderMap>),
}

impl Chunks {
    /// Takes the next part from `bytes`.
    ///
    /// # Errors
    /// If these are no chunks.
    pub(crate) fn next(&mut self, bytes: &mut Bytes) -> Result<Part, Nonsense> {
        loop {
            match self.0 {
                At::Size => {
                    let Some(line) = line(bytes, LONGEST_LINE)? else {
                        return Ok(Part::More);
                    };
                    self.0 = match size(&line)? {
                        0 => At::Trailers,
                        size => At::Data(size),
                    };
                }
                At::Data(left) => {
                    if bytes.is_empty() {
                        return Ok(Part::More);
                    }
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let left = left - length as u64;
                    self.0 = if left == 0 { At::DataEnd } else { At::Data(left) };
                    return Ok(Part::Data(bytes.split_to(length)));
                }
                At::DataEnd => match (bytes.first(), bytes.get(1)) {
                    (Some(b'\r'), Some(b'\n')) => {
                        bytes.advance(2);
                        self.0 = At::Size;
                    }
                    (None, _) | (Some(b'\r'), None) => return Ok(Part::More),
                    _ => return Err(Nonsense("a chunk is longer than it says")),
                },
                At::Trailers => {
                    let Some((trailers, length)) = trailers(bytes)? else {
                        return Ok(Part::More);
                    };
                    bytes.advance(length);
                    self.0 = At::Done;
                    return Ok(Part::End(trailers));
                }
                At::Done => return Ok(Part::End(None)),
            }
        }
    }
}

/// A line without its end.
fn line(bytes: &mut Bytes, most: usize) -> Result<Option<Bytes>, Nonsense> {
    let Some(end) = memchr(b'\n', bytes) else {
        return if bytes.len() > most {
            Err(Nonsense("a line of its chunks is too long"))
        } else {
            Ok(None)
        };
    };
    if end > most || end == 0 || bytes[end - 1] != b'\r' {
        return Err(Nonsense("a line of its chunks does not end as it must"));
    }
    let mut line = bytes.split_to(end + 1);
    line.truncate(end - 1);
    Ok(Some(line))
}

fn size(line: &[u8]) -> Result<u64, Nonsense> {
    const WRONG: Nonsense = Nonsense("a chunk's size is none");
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    // Sixteen fill the number; more could only be zeros before it.
    if digits == 0 || digits > 16 {
        return Err(WRONG);
    }
    let mut rest = line[digits..].iter();
    let after = rest.find(|byte| !matches!(byte, b' ' | b'\t'));
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    if !matches!(after, None | Some(b';')) || line.iter().any(is_control) {
        return Err(WRONG);
    }
    let text = std::str::from_utf8(&line[..digits]).map_err(|_| WRONG)?;
    u64::from_str_radix(text, 16).map_err(|_| WRONG)
}

type Trailers = (Option<HeaderMap>, usize);

fn trailers(bytes: &Bytes) -> Result<Option<Trailers>, Nonsense> {
    if bytes.starts_with(b"\r\n") {
        return Ok(Some((None, 2)));
    }
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    match httparse::parse_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete((length, found))) if length <= MOST_TRAILERS => {
            let mut trailers = HeaderMap::with_capacity(found.len());
            for field in found {
                let name = HeaderName::from_bytes(field.name.as_bytes());
                let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value));
                match (name, value) {
                    (Ok(name), Ok(value)) => trailers.append(name, value),
                    _ => return Err(Nonsense("a trailer is none")),
                };
            }
            Ok(Some((Some(trailers), length)))
        }
        Ok(httparse::Status::Partial) if bytes.len() < MOST_TRAILERS => Ok(None),
        Ok(_) => Err(Nonsense("its trailers are too long")),
        Err(_) => Err(Nonsense("its trailers cannot be read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body and its trailers, however the bytes are cut; nothing if they are no chunks, or not all of them.
    fn read(text: &str, cut: usize) -> Option<(String, Vec<String>, usize)> {
        let (mut chunks, mut bytes, mut body) = (Chunks::default(), Bytes::new(), Vec::new());
        for part in text.as_bytes().chunks(cut) {
            bytes = [&bytes[..], part].concat().into();
            loop {
                match chunks.next(&mut bytes).ok()? {
                    Part::More => break,
                    Part::Data(data) => body.extend_from_slice(&data),
                    Part::End(trailers) => {
                        let names = trailers.iter().flat_map(HeaderMap::keys);
                        let names = names.map(ToString::to_string).collect();
                        return Some((String::from_utf8(body).unwrap(), names, bytes.len()));
                    }
                }
            }
        }
        None
    }

    fn everywhere(text: &str) -> Option<(String, Vec<String>)> {
        let whole = read(text, text.len().max(1)).map(|(body, names, _)| (body, names));
        for cut in [1, 2, 3, 5] {
            let cut = read(text, cut).map(|(body, names, _)| (body, names));
            assert_eq!(cut, whole, "{text:?}");
        }
        whole
    }

    #[test]
    fn what_chunks_are() {
        let body = |text: &str| everywhere(text).map(|(body, _)| body);
        assert_eq!(body("0\r\n\r\n").as_deref(), Some(""));
        assert_eq!(body("5\r\nhello\r\n0\r\n\r\n").as_deref(), Some("hello"));
        assert_eq!(
            body("00000A;a=\"b\"\r\n0123456789\r\n1 \t\r\nx\r\n0 ;y\r\n\r\n").as_deref(),
            Some("0123456789x")
        );
        let (_, names) = everywhere("1\r\na\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n").unwrap();
        assert_eq!(names, ["x-sum", "y"]);
        assert_eq!(
            read("1\r\na\r\n0\r\n\r\nHTTP", 64).unwrap().2,
            4,
            "what follows is left"
        );
    }

    #[test]
    fn what_they_are_not() {
        for text in [
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "\r\nhello\r\n",
            "0_5\r\nhello\r\n",
            "-5\r\nhello\r\n",
            "+5\r\nhello\r\n",
            "0x5\r\nhello\r\n",
            " 5\r\nhello\r\n",
            "5 5\r\nhello\r\n",
            "5\r;\r\nhello\r\n",
            "5;\0\r\nhello\r\n0\r\n\r\n",
            "5;a\x7f\r\nhello\r\n0\r\n\r\n",
            "10000000000000000\r\nhello",
            "00000000000000000\r\n\r\n",
            "0\r\nno trailer\r\n\r\n",
            "1\r\na\r\n",
            "1\r\na\r\n0\r\n",
        ] {
            assert_eq!(everywhere(text), None, "{text:?}");
        }
        let long = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(LONGEST_LINE));
        assert!(read(&long, 1024).is_none());
    }
}
