//! The head of an instance's answer: read once it is whole, and how its body ends.

use bytes::Bytes;
use httparse::{ParserConfig, Status};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::{Method, StatusCode, Version};

use crate::fields;

/// Most bytes of a head.
pub(crate) const MAX_HEAD: usize = 256 * 1024;

/// Most of its fields: more than of a request, as the instance is trusted and has been asked already.
pub(crate) const MAX_FIELDS: usize = 256;

/// What it says.
#[derive(Debug)]
pub(crate) struct AnswerHead {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) ends: BodyEnd,
    /// The instance will answer another request on the connection.
    pub(crate) stays_open: bool,
}

/// Where the body ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// After so many bytes; 0 where there is none.
    Length(u64),
    Chunked,
    /// With the connection.
    Close,
}

/// The instance said something that is no answer, or one that can be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the instance's answer is malformed: {0}")]
pub(crate) struct Nonsense(pub(crate) &'static str);

/// Reads a head from what has come. With it, how many bytes it took; nothing if more must come. `headers` is an empty
/// map to put the fields in.
///
/// # Errors
/// If it cannot be an answer.
pub(crate) fn read(
    bytes: &Bytes,
    asked: &Method,
    headers: &mut HeaderMap,
) -> Result<Option<(AnswerHead, usize)>, Nonsense> {
    let mut fields = [const { std::mem::MaybeUninit::uninit() }; MAX_FIELDS];
    let mut answer = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut answer, bytes, &mut fields);
    let length = match parsed {
        Ok(Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(Status::Partial) if bytes.len() < MAX_HEAD => return Ok(None),
        Ok(_) => return Err(Nonsense("its head is too long")),
        Err(httparse::Error::TooManyHeaders) => return Err(Nonsense("it has too many fields")),
        Err(_) => return Err(Nonsense("its head cannot be read")),
    };
    let (Some(code), Some(minor)) = (answer.code, answer.version) else {
        return Err(Nonsense("its status line is not whole"));
    };
    let status = StatusCode::from_u16(code).map_err(|_| Nonsense("its status is none"))?;
    headers.reserve(answer.headers.len());
    for field in &*answer.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value));
        match (name, value) {
            (Ok(name), Ok(value)) => headers.append(name, value),
            _ => return Err(Nonsense("it has a field that is none")),
        };
    }
    let version = if minor == 0 {
        Version::HTTP_10
    } else {
        Version::HTTP_11
    };
    let ends = body_end(status, asked, headers)?;
    let stays_open = ends != BodyEnd::Close && is_kept_open(version, headers);
    let head = AnswerHead {
        status,
        version,
        headers: std::mem::take(headers),
        ends,
        stays_open,
    };
    Ok(Some((head, length)))
}

fn body_end(status: StatusCode, asked: &Method, headers: &mut HeaderMap) -> Result<BodyEnd, Nonsense> {
    // Looked at even where there is no body: a length that is none says that something is wrong.
    let length = length(headers)?;
    let none = status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
        || *asked == Method::HEAD;
    if none {
        return Ok(BodyEnd::Length(0));
    }
    // Which codings there may be is judged elsewhere: here, what is left is `chunked`.
    if headers.contains_key(TRANSFER_ENCODING) {
        return Ok(BodyEnd::Chunked);
    }
    Ok(length.map_or(BodyEnd::Close, BodyEnd::Length))
}

/// One length, however often it is said: afterwards it is said once.
fn length(headers: &mut HeaderMap) -> Result<Option<u64>, Nonsense> {
    const WRONG: Nonsense = Nonsense("its length is none");
    let mut length = None;
    let mut again = false;
    for part in fields::parts(headers, &CONTENT_LENGTH) {
        if part.is_empty() || !part.iter().all(u8::is_ascii_digit) {
            return Err(WRONG);
        }
        let text = std::str::from_utf8(part).map_err(|_| WRONG)?;
        let said: u64 = text.parse().map_err(|_| WRONG)?;
        if length.is_some_and(|known| known != said) {
            return Err(Nonsense("it has two lengths"));
        }
        again |= length.is_some();
        length = Some(said);
    }
    if let (Some(length), true) = (length, again) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(length)
}

fn is_kept_open(version: Version, headers: &HeaderMap) -> bool {
    let says = |token| fields::says(headers, &CONNECTION, token);
    !says("close") && (version == Version::HTTP_11 || says("keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_whole(text: &str, asked: &Method) -> Result<Option<(AnswerHead, usize)>, Nonsense> {
        read(
            &Bytes::copy_from_slice(text.as_bytes()),
            asked,
            &mut HeaderMap::new(),
        )
    }

    fn ends(text: &str, asked: &Method) -> Option<BodyEnd> {
        let (head, _) = read_whole(text, asked).ok()??;
        Some(head.ends)
    }

    #[test]
    fn where_bodies_end() {
        let get = |fields: &str| ends(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), &Method::GET);
        assert_eq!(get(""), Some(BodyEnd::Close));
        assert_eq!(get("Content-Length: 7\r\n"), Some(BodyEnd::Length(7)));
        assert_eq!(
            get("Content-Length: 7, 7\r\nContent-Length: 7\r\n"),
            Some(BodyEnd::Length(7))
        );
        assert_eq!(
            get("Content-Length: 7\r\nTransfer-Encoding: chunked\r\n"),
            Some(BodyEnd::Chunked)
        );
        for wrong in ["7, 8", "+7", "-1", "7x", "", "18446744073709551616", "0x7"] {
            assert_eq!(get(&format!("Content-Length: {wrong}\r\n")), None, "{wrong:?}");
        }
        let long = "Content-Length: 7\r\n";
        assert_eq!(
            ends(&format!("HTTP/1.1 200 OK\r\n{long}\r\n"), &Method::HEAD),
            Some(BodyEnd::Length(0))
        );
        for status in [204, 304] {
            let text = format!("HTTP/1.1 {status} x\r\n{long}\r\n");
            assert_eq!(ends(&text, &Method::GET), Some(BodyEnd::Length(0)));
        }
    }

    #[test]
    fn a_length_is_said_once() {
        for fields in [
            "Content-Length: 7, 7\r\n",
            "Content-Length: 7\r\nContent-Length: 007 ,7\r\n",
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            let (head, _) = read_whole(&text, &Method::GET).unwrap().unwrap();
            let said: Vec<_> = head.headers.get_all(CONTENT_LENGTH).iter().collect();
            assert_eq!(said, ["7"], "{fields:?}");
        }
    }

    #[test]
    fn what_stays_open() {
        let open = |line: &str, fields: &str| {
            let text = format!("{line} 200 OK\r\nContent-Length: 0\r\n{fields}\r\n");
            read_whole(&text, &Method::GET).unwrap().unwrap().0.stays_open
        };
        assert!(open("HTTP/1.1", ""));
        assert!(!open("HTTP/1.1", "Connection: x, CLOSE\r\n"));
        assert!(!open("HTTP/1.0", ""));
        assert!(open("HTTP/1.0", "Connection: Keep-Alive\r\n"));
        let until_the_end = read_whole("HTTP/1.1 200 OK\r\n\r\n", &Method::GET);
        assert!(!until_the_end.unwrap().unwrap().0.stays_open);
    }

    #[test]
    fn however_it_is_cut_it_is_read_when_it_is_whole() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: a\r\nx: b\r\n\r\n";
        for end in 0..text.len() {
            assert!(read_whole(&text[..end], &Method::GET).unwrap().is_none(), "{end}");
        }
        let (head, length) = read_whole(&format!("{text}ok"), &Method::GET).unwrap().unwrap();
        assert_eq!(length, text.len());
        assert_eq!(head.headers.get_all("x").iter().count(), 2);
    }

    #[test]
    fn what_is_no_answer() {
        for text in [
            "\0\x01\x02\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
            "HTTP/1.1 099 x\r\n\r\n",
        ] {
            assert!(read_whole(text, &Method::GET).is_err(), "{text:?}");
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(MAX_FIELDS + 1));
        assert!(read_whole(&many, &Method::GET).is_err());
        let long = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(MAX_HEAD));
        assert!(read_whole(&long, &Method::GET).is_err());
    }
}
