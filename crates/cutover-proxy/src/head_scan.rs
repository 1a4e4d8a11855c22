//! Looks at what a client sends on HTTP/1.1 before it is parsed, for what the parser mends without a word: a length
//! beside `Transfer-Encoding`, lines that end without a carriage return, a target with a fragment, a tab in the Host
//! (space around it to some, part of it to nginx). Each is a place where two readers of the same bytes may see different requests, and afterwards there is no trace of it.
//!
//! It knows where bodies end, so that only heads are looked at. Pure: bytes in, the number of a faulty head out. It
//! judges nothing else: what is malformed otherwise, the parser refuses.

use memchr::{memchr, memchr2};

/// One connection's.
#[derive(Debug, Default)]
pub(crate) struct HeadScan {
    at: At,
    /// The byte before.
    last: u8,
    /// Heads before this one.
    heads: u64,
    fault: bool,
    name: [u8; LONGEST],
    has_length: bool,
    length: u64,
    has_coding: bool,
}

#[derive(Debug, Clone, Copy, Default)]
enum At {
    /// Before a request line, where empty lines are passed over.
    #[default]
    Start,
    RequestLine,
    /// In the name of a field, after so many bytes; [`LONGEST`] if it is too long to matter.
    Name(usize),
    Value(Kind),
    Body(u64),
    ChunkSize(u64),
    ChunkExtension(u64),
    /// With the end of its line.
    ChunkData(u64),
    /// In a line of trailers, after so many bytes of it.
    Trailer(usize),
    /// Nothing more is looked at.
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Length,
    Coding,
    Host,
    Other,
}

/// One more than the longest name that matters.
const LONGEST: usize = 18;

impl HeadScan {
    /// Looks at the next bytes. The number of the head that is at fault, counted from 0, if there is one; then nothing
    /// more is looked at.
    pub(crate) fn look(&mut self, bytes: &[u8]) -> Option<u64> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = self.step(rest);
            if self.fault {
                self.at = At::Off;
                self.fault = false;
                return Some(self.heads);
            }
            let used = used.clamp(1, rest.len());
            self.last = rest[used - 1];
            rest = &rest[used..];
        }
        None
    }

    /// How many bytes were looked at; at least one, but for [`At::Start`], which leaves the first byte to what follows.
    fn step(&mut self, bytes: &[u8]) -> usize {
        match self.at {
            At::Off => bytes.len(),
            At::Start => {
                if matches!(bytes[0], b'\r' | b'\n') {
                    return 1;
                }
                self.at = At::RequestLine;
                (self.has_length, self.length, self.has_coding) = (false, 0, false);
                self.request_line(bytes)
            }
            At::RequestLine => self.request_line(bytes),
            At::Name(0) => self.dull_line(bytes).unwrap_or_else(|| self.name(bytes[0], 0)),
            At::Name(length) => self.name(bytes[0], length),
            At::Value(kind) => self.value(bytes, kind),
            At::Body(left) => {
                let (used, left) = skip(bytes, left);
                self.at = if left == 0 { At::Start } else { At::Body(left) };
                used
            }
            At::ChunkSize(size) => self.chunk_size(bytes[0], size),
            At::ChunkExtension(size) => {
                let Some(end) = memchr(b'\n', bytes) else {
                    return bytes.len();
                };
                self.chunk_begins(size);
                end + 1
            }
            At::ChunkData(left) => {
                let (used, left) = skip(bytes, left);
                self.at = if left == 0 {
                    At::ChunkSize(0)
                } else {
                    At::ChunkData(left)
                };
                used
            }
            At::Trailer(length) => {
                let Some(end) = memchr(b'\n', bytes) else {
                    self.at = At::Trailer(length + bytes.len());
                    return bytes.len();
                };
                let line = length + end;
                self.at = if line <= 1 { At::Start } else { At::Trailer(0) };
                end + 1
            }
        }
    }

    fn request_line(&mut self, bytes: &[u8]) -> usize {
        match memchr2(b'\n', b'#', bytes) {
            None => bytes.len(),
            Some(at) if bytes[at] == b'#' => {
                self.fault = true;
                at + 1
            }
            Some(end) => {
                self.line_ends(bytes, end);
                self.at = At::Name(0);
                end + 1
            }
        }
    }

    fn line_ends(&mut self, bytes: &[u8], end: usize) {
        let before = if end == 0 { self.last } else { bytes[end - 1] };
        self.fault |= before != b'\r';
    }

    /// A whole line at once, if it is there and its name cannot matter: most are like this.
    fn dull_line(&mut self, bytes: &[u8]) -> Option<usize> {
        if matches!(bytes[0], b'c' | b'C' | b't' | b'T' | b'h' | b'H' | b'\r' | b'\n') {
            return None;
        }
        let end = memchr(b'\n', bytes)?;
        memchr(b':', &bytes[..end])?;
        self.line_ends(bytes, end);
        Some(end + 1)
    }

    fn name(&mut self, byte: u8, length: usize) -> usize {
        self.at = match byte {
            b'\r' => At::Name(length),
            b'\n' => {
                self.fault |= self.last != b'\r';
                if length == 0 {
                    self.head_ends();
                    return 1;
                }
                At::Off
            }
            b':' => At::Value(match self.name.get(..length) {
                Some(b"content-length") => Kind::Length,
                Some(b"transfer-encoding") => Kind::Coding,
                Some(b"host") => Kind::Host,
                _ => Kind::Other,
            }),
            _ if length < LONGEST => {
                self.name[length] = byte.to_ascii_lowercase();
                At::Name(length + 1)
            }
            _ => At::Name(LONGEST),
        };
        match self.at {
            At::Value(Kind::Length) => {
                self.has_length = true;
                self.length = 0;
            }
            At::Value(Kind::Coding) => self.has_coding = true,
            _ => {}
        }
        1
    }

    fn value(&mut self, bytes: &[u8], kind: Kind) -> usize {
        let end = memchr(b'\n', bytes);
        if kind == Kind::Length {
            let digits = bytes[..end.unwrap_or(bytes.len())].iter();
            for digit in digits.filter(|byte| byte.is_ascii_digit()) {
                self.length = self
                    .length
                    .saturating_mul(10)
                    .saturating_add(u64::from(digit - b'0'));
            }
        }
        if kind == Kind::Host {
            self.fault |= memchr(b'\t', &bytes[..end.unwrap_or(bytes.len())]).is_some();
        }
        let Some(end) = end else {
            return bytes.len();
        };
        self.line_ends(bytes, end);
        self.at = At::Name(0);
        end + 1
    }

    fn head_ends(&mut self) {
        self.fault |= self.has_length && self.has_coding;
        if self.fault {
            return;
        }
        self.heads += 1;
        self.at = if self.has_coding {
            At::ChunkSize(0)
        } else if self.length > 0 {
            At::Body(self.length)
        } else {
            At::Start
        };
    }

    fn chunk_size(&mut self, byte: u8, size: u64) -> usize {
        match byte {
            b'\n' => self.chunk_begins(size),
            b'\r' => {}
            _ => match char::from(byte).to_digit(16) {
                Some(digit) => {
                    let more = size.checked_mul(16).map(|size| size + u64::from(digit));
                    self.at = more.map_or(At::Off, At::ChunkSize);
                }
                None => self.at = At::ChunkExtension(size),
            },
        }
        1
    }

    fn chunk_begins(&mut self, size: u64) {
        self.at = if size == 0 {
            At::Trailer(0)
        } else {
            At::ChunkData(size.saturating_add(2))
        };
    }
}

/// How many of the bytes belong to what is left of something, and what is left then.
fn skip(bytes: &[u8], left: u64) -> (usize, u64) {
    let used = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (used, left - used as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The faulty head, however the bytes are cut into reads.
    fn fault(text: &str) -> Option<u64> {
        let mut whole = HeadScan::default();
        let expected = whole.look(text.as_bytes());
        for size in [1, 2, 3, 7, 64] {
            let mut scan = HeadScan::default();
            let found = text.as_bytes().chunks(size).find_map(|part| scan.look(part));
            assert_eq!(found, expected, "in parts of {size}: {text:?}");
        }
        expected
    }

    const NEXT: &str = "GET /n#x HTTP/1.1\r\nHost: a\r\n\r\n";

    #[test]
    fn what_the_parser_would_mend() {
        let both = "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(fault(both), Some(0));
        assert_eq!(
            fault("POST / HTTP/1.1\r\nTRANSFER-encoding: chunked\r\ncontent-LENGTH: 5\r\n\r\n"),
            Some(0)
        );
        for text in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost:\ta\r\n\r\n",
            "GET / HTTP/1.1\r\nX: a\r\nHOST: a\t\r\n\r\n",
        ] {
            assert_eq!(fault(text), Some(0), "{text:?}");
        }
        assert_eq!(fault("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nX: #\r\n\r\n"), None);
    }

    #[test]
    fn heads_are_found_behind_bodies_and_bodies_are_not_looked_at() {
        for before in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 12\r\n\r\nGET /#\n\n\n\n\n\n",
            "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"#\"\r\n#\n#\n#\r\nA\r\n0123456789\r\n0\r\nX: #\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n00\r\n\r\n",
        ] {
            assert_eq!(fault(before), None, "{before:?}");
            assert_eq!(fault(&format!("{before}{NEXT}")), Some(1), "{before:?}");
        }
    }

    #[test]
    fn names_that_only_look_like_it_do_not_matter() {
        let text = "POST / HTTP/1.1\r\nX-Content-Length: 9\r\nContent-Length2: 9\r\nContent-Lengt: 9\r\n\
                    A-very-long-name-of-a-field-that-holds-content-length: 9\r\nContent-Length: 1\r\n\r\n#";
        assert_eq!(fault(&format!("{text}{NEXT}")), Some(1));
        assert_eq!(fault("GET / HTTP/1.1\r\nHost: a\r\nHosts:\ta\r\n\r\n"), None);
    }
}
