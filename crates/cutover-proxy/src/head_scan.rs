//! Looks at what a client sends on HTTP/1.1 before it is parsed, for what the parser mends without a word: a length
//! beside `Transfer-Encoding`, lines that end without a carriage return, a target with a fragment, a tab in the Host
//! (space around it to some, part of it to nginx). Each is a place where two readers of the same bytes may see different
//! requests, and afterwards there is no trace of it. The same goes for what stands around chunks: sizes that no number
//! holds, space behind a size, control characters in an extension, and lines of trailers that end without a carriage
//! return, which the parser takes for a part of the next line.
//!
//! It knows where bodies end, so that of them only that is looked at. Pure: bytes in, a fault out. It judges nothing
//! else: what is malformed otherwise, the parser refuses.

use memchr::{memchr, memchr2};

/// One connection's.
#[derive(Debug, Default)]
pub(crate) struct HeadScan {
    at: At,
    /// The byte before.
    last: u8,
    /// Heads before this one.
    heads: u64,
    /// This head is at fault.
    fault: bool,
    /// This body is no body from here on.
    broken: bool,
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
    /// Before the first digit of a chunk's size.
    ChunkStart,
    ChunkSize(u64),
    /// In the space behind a size.
    ChunkSpace(u64),
    ChunkExtension(u64),
    /// Between the carriage return of a size's line and its line feed.
    ChunkLineEnd(u64),
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

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The head with this number, counted from 0.
    Head(u64),
    /// A body, behind so many of the bytes that were looked at.
    Body(usize),
}

/// One more than the longest name that matters.
const LONGEST: usize = 18;

/// The longest body that all readers can count: some do it in an `i64`.
const LONGEST_BODY: u64 = i64::MAX.unsigned_abs();

impl HeadScan {
    /// Whether the next byte begins a request, and all of the one before it has come.
    pub(crate) const fn is_between(&self) -> bool {
        matches!(self.at, At::Start)
    }

    /// Looks at the next bytes, for the first fault in them. Behind it nothing more is looked at.
    pub(crate) fn look(&mut self, bytes: &[u8]) -> Option<Fault> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = self.step(rest);
            if self.fault || self.broken {
                self.at = At::Off;
                let whole = bytes.len() - rest.len() + used;
                let head = std::mem::take(&mut self.fault).then_some(Fault::Head(self.heads));
                return Some(head.unwrap_or(Fault::Body(whole)));
            }
            let used = used.clamp(1, rest.len());
            self.last = rest[used - 1];
            rest = &rest[used..];
        }
        None
    }

    /// How many bytes were looked at, or are in order when a body is not: at least one otherwise.
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
            At::ChunkStart | At::ChunkSize(_) | At::ChunkSpace(_) | At::ChunkLineEnd(_) => {
                match self.size_line(bytes[0]) {
                    Some(at) => self.at = at,
                    None => return self.no_body(0),
                }
                1
            }
            At::ChunkExtension(size) => {
                let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
                match bytes.iter().position(is_control) {
                    None => bytes.len(),
                    Some(end) if bytes[end] == b'\r' => {
                        self.at = At::ChunkLineEnd(size);
                        end + 1
                    }
                    Some(end) => self.no_body(end),
                }
            }
            At::ChunkData(left) => {
                let (used, left) = skip(bytes, left);
                self.at = if left == 0 {
                    At::ChunkStart
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
                if !self.is_after_return(bytes, end) {
                    return self.no_body(end);
                }
                let is_last = length + end == 1;
                self.at = if is_last { At::Start } else { At::Trailer(0) };
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
        self.fault |= !self.is_after_return(bytes, end);
    }

    fn is_after_return(&self, bytes: &[u8], end: usize) -> bool {
        let before = if end == 0 { self.last } else { bytes[end - 1] };
        before == b'\r'
    }

    /// Behind so many of the bytes that are looked at, they are no body.
    const fn no_body(&mut self, whole: usize) -> usize {
        self.broken = true;
        whole
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
        self.fault |= self.has_length && (self.has_coding || self.length > LONGEST_BODY);
        if self.fault {
            return;
        }
        self.heads += 1;
        self.at = if self.has_coding {
            At::ChunkStart
        } else if self.length > 0 {
            At::Body(self.length)
        } else {
            At::Start
        };
    }

    /// What is next in a line with a chunk's size, if it is one (RFC 9112 §7.1): space stands before a semicolon only.
    const fn size_line(&self, byte: u8) -> Option<At> {
        match (self.at, byte) {
            (At::ChunkLineEnd(0), b'\n') => Some(At::Trailer(0)),
            (At::ChunkLineEnd(size), b'\n') => Some(At::ChunkData(size + 2)),
            (At::ChunkSize(size), b'\r') => Some(At::ChunkLineEnd(size)),
            (At::ChunkSize(size) | At::ChunkSpace(size), b' ' | b'\t') => Some(At::ChunkSpace(size)),
            (At::ChunkSize(size) | At::ChunkSpace(size), b';') => Some(At::ChunkExtension(size)),
            (At::ChunkStart, _) => next_size(0, byte),
            (At::ChunkSize(size), _) => next_size(size, byte),
            _ => None,
        }
    }
}

/// With one more digit, if it is one, and the number still one that all readers can count.
const fn next_size(size: u64, byte: u8) -> Option<At> {
    match char::from_u32(byte as u32) {
        Some(digit) if size < 1 << 56 => match digit.to_digit(16) {
            Some(digit) => Some(At::ChunkSize(size * 16 + digit as u64)),
            None => None,
        },
        _ => None,
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

    /// What is wrong, however the bytes are cut into reads; of a body, behind how many bytes of all.
    fn any_fault(text: &str) -> Option<Fault> {
        let mut whole = HeadScan::default();
        let expected = whole.look(text.as_bytes());
        for size in [1, 2, 3, 7, 64] {
            let mut scan = HeadScan::default();
            let found = text
                .as_bytes()
                .chunks(size)
                .enumerate()
                .find_map(|(number, part)| {
                    Some(match scan.look(part)? {
                        Fault::Body(whole) => Fault::Body(number * size + whole),
                        head @ Fault::Head(_) => head,
                    })
                });
            assert_eq!(found, expected, "in parts of {size}: {text:?}");
        }
        expected
    }

    /// The faulty head.
    fn fault(text: &str) -> Option<u64> {
        any_fault(text).map(|fault| match fault {
            Fault::Head(number) => number,
            Fault::Body(_) => panic!("{fault:?} in {text:?}"),
        })
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

    #[test]
    fn chunks_and_trailers_are_what_they_must_be_or_end_there() {
        const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        for body in [
            "5;a=\"b\"\r\nhello\r\n0\r\n\r\n",
            "5 \t;\ta = b;c\r\nhello\r\n00;x\r\nA: b\r\nC: \r\n\r\n",
            "0000000000000000000000a\r\n0123456789\r\n0\r\n\r\n",
            "fffffffffffffff\r\nx",
        ] {
            assert_eq!(any_fault(&format!("{HEAD}{body}")), None, "{body:?}");
        }
        for (good, bad) in [
            ("", "\r\n"),
            ("", "x\r\n"),
            ("5", "\nhello\r\n0\r\n\r\n"),
            ("5\r", "\rhello\r\n0\r\n\r\n"),
            ("5 ", "\r\nhello\r\n0\r\n\r\n"),
            ("5\t", "5\r\nhello\r\n0\r\n\r\n"),
            ("5;a", "\0\r\nhello\r\n0\r\n\r\n"),
            ("5;a", "\x7f\r\nhello\r\n0\r\n\r\n"),
            ("5;a", "\nhello\r\n0\r\n\r\n"),
            ("0 ", "\r\n\r\n"),
            ("0", "\n\n"),
            ("0\r\n", "\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("0\r\nA: b", "\n\r\n"),
            (
                "0\r\nA: b\r\nC: d",
                "\n\nPOST / HTTP/1.1\r\nContent-Length: 99\r\n\r\n",
            ),
            ("100000000000000", "00\r\n"),
            ("1\r\nx\r\nfffffffffffffff", "f\r\n"),
        ] {
            let expected = Some(Fault::Body(HEAD.len() + good.len()));
            assert_eq!(
                any_fault(&format!("{HEAD}{good}{bad}")),
                expected,
                "{good:?} {bad:?}"
            );
        }
    }

    #[test]
    fn a_length_that_not_all_readers_can_count_is_a_fault() {
        let head = |length: u64| format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
        assert_eq!(fault(&head(i64::MAX as u64)), None);
        assert_eq!(fault(&head(i64::MAX as u64 + 1)), Some(0));
        assert_eq!(fault(&head(u64::MAX)), Some(0));
    }

    #[test]
    fn between_requests_is_where_the_next_one_begins() {
        let text = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n\
                    POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi\
                    POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n";
        let mut scan = HeadScan::default();
        let between: Vec<usize> = (0..text.len())
            .filter(|at| {
                scan.look(&text.as_bytes()[*at..=*at]);
                scan.is_between()
            })
            .collect();
        let ends = |part: &str| text.find(part).unwrap() + part.len() - 1;
        let first = ends("Host: a\r\n\r\n");
        let expected = [0, 1, first, first + 1, first + 2, ends("hi"), text.len() - 1];
        assert_eq!(between, expected);
    }
}
