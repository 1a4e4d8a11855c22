//! What must hold of any bytes: of a client's, that whatever goes on to an instance can be read in one way only; of an
//! instance's, that it does not matter how they arrive. The fuzzer calls it with bytes of its own, the tests with some
//! that others have stumbled over.

use std::cell::Cell;
use std::convert::Infallible;
use std::io::Cursor;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use crate::answer_head;
use crate::arrival;
use crate::chunks::{Chunks, Part};
use crate::connection;
use crate::forwarded::Origin;
use crate::head_scan::{Fault, HeadScan};
use crate::head_timer::HeadTimer;
use crate::instance_io;
use crate::options::{FIELDS, Limits};
use crate::outgoing::Outgoing;
use crate::request;
use crate::trace_context::Trace;

/// What one client sends on one connection.
///
/// # Panics
/// If something went on that could be read in two ways.
pub fn request(bytes: &[u8]) {
    let fault = HeadScan::default().look(bytes);
    let mut scan = HeadScan::default();
    let mut begins = Vec::new();
    let bytewise = bytes.iter().enumerate().find_map(|(at, byte)| {
        let was_between = scan.is_between();
        let found = scan.look(&[*byte]);
        if was_between && !scan.is_between() {
            begins.push(at);
        }
        Some(match found? {
            Fault::Body(_) => Fault::Body(at),
            head @ Fault::Head(_) => head,
        })
    });
    assert_eq!(fault, bytewise, "it matters how a request arrives");
    assert!(
        !(arrival::waits(bytes) && is_whole(bytes)),
        "a whole head is waited for"
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let Ok(runtime) = runtime else {
        return;
    };
    let (given, fault) = match fault {
        None => (bytes, None),
        Some(Fault::Head(number)) => (bytes, Some(number)),
        // No more than this is given to the parser.
        Some(Fault::Body(whole)) => (&bytes[..whole], None),
    };
    let heads = begins.into_iter().map(|at| bytes[at..].to_vec()).collect();
    runtime.block_on(serve(given.to_vec(), fault, heads));
}

fn is_whole(bytes: &[u8]) -> bool {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let parsed = httparse::Request::new(&mut fields).parse(bytes);
    parsed.is_ok_and(|head| head.is_complete())
}

/// `heads` are the bytes from where heads begin for whoever looked for faults.
async fn serve(bytes: Vec<u8>, fault: Option<u64>, heads: Vec<Vec<u8>>) {
    let count = Cell::new(0);
    let io = TokioIo::new(tokio::io::join(Cursor::new(bytes), tokio::io::sink()));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let number = count.get();
        count.set(number + 1);
        let head = usize::try_from(number).ok().and_then(|number| heads.get(number));
        let same = head.is_some_and(|head| head.starts_with(format!("{} ", request.method()).as_bytes()));
        assert!(same, "head {number} is another one for whoever looked at it");
        async move {
            let mut response = Response::new(Empty::<Bytes>::new());
            let limits = Limits::default();
            let checked = if fault == Some(number) {
                Err(StatusCode::BAD_REQUEST)
            } else {
                request::check(&mut request, &limits)
            };
            if let Err(status) = checked {
                *response.status_mut() = status;
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
                return Ok::<_, Infallible>(response);
            }
            goes_on(&request);
            // As far as it is a body.
            let mut body = request.into_body();
            while let Some(Ok(_)) = body.frame().await {}
            Ok(response)
        }
    });
    let limits = Limits::default();
    let builder = connection::builder(&limits, HeadTimer::default());
    // How it ends is the client's affair.
    drop(builder.serve_connection(io, service).await);
}

fn goes_on(request: &Request<Incoming>) {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method.clone_from(request.method());
    parts.uri.clone_from(request.uri());
    parts.headers.clone_from(request.headers());
    let trace = Trace::of(&parts.headers, &mut SmallRng::seed_from_u64(1));
    let origin = Origin::new(std::net::IpAddr::from([192, 0, 2, 1]), false);
    let mut head = Vec::new();
    Outgoing::new(&parts.headers, trace).write(&parts, &origin, &mut head);
    if !request.body().is_end_stream() {
        instance_io::framing(&parts.headers, &request.body().size_hint(), &mut head);
    }
    head.extend_from_slice(b"\r\n");
    assert!(is_clear(&head), "{}", String::from_utf8_lossy(&head));
}

/// Whether it is one head that nobody can read in another way. It shares no code with what wrote it.
fn is_clear(head: &[u8]) -> bool {
    let Some(head) = head.strip_suffix(b"\r\n\r\n") else {
        return false;
    };
    let text = head.iter().map(|byte| char::from(*byte)).collect::<String>();
    let mut lines = text.split("\r\n");
    let request_line = lines.next().unwrap_or_default();
    let words: Vec<&str> = request_line.split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else {
        return false;
    };
    let graphic = |text: &str| !text.is_empty() && !text.contains(|c: char| c <= ' ' || c == '\x7f');
    if !graphic(method) || !graphic(target) || !target.starts_with('/') || target.contains('#') {
        return false;
    }
    let (mut hosts, mut lengths, mut codings) = (0, 0, 0);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            return false;
        };
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let hidden = |c: char| (c < ' ' && c != '\t') || c == '\x7f';
        if name.is_empty() || !name.chars().all(token) || value.contains(hidden) {
            return false;
        }
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "content-length" => {
                lengths += 1;
                if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
                    return false;
                }
            }
            "transfer-encoding" => {
                codings += 1;
                if value != "chunked" {
                    return false;
                }
            }
            _ => {}
        }
    }
    hosts == 1 && lengths + codings <= 1
}

/// What an instance answers: a head, and a body in chunks if it says so.
///
/// # Panics
/// If it matters how the bytes arrive.
pub fn answer(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let read = |end: usize| answer_head::read(&bytes.slice(..end), &Method::GET, &mut HeaderMap::new());
    let length = match read(bytes.len()) {
        Ok(Some((head, length))) => {
            assert_eq!(
                read(length).ok().flatten().map(|(_, length)| length),
                Some(length)
            );
            assert!(head.headers.len() <= answer_head::MAX_FIELDS);
            length
        }
        Ok(None) => return,
        // What cannot be understood is no chunk either, but it may stand where one is expected.
        Err(_) => 0,
    };
    for end in 0..length.min(bytes.len()) {
        assert!(matches!(read(end), Ok(None)), "half a head was taken for one");
    }
    let body = bytes.slice(length..);
    assert_eq!(
        chunked(&body, body.len().max(1)),
        chunked(&body, 1),
        "it matters how chunks arrive"
    );
}

/// The data, how many bytes were left, and whether it was understood; read in parts of this size.
fn chunked(bytes: &Bytes, size: usize) -> (Vec<u8>, Option<usize>, bool) {
    let (mut chunks, mut data, mut input) = (Chunks::default(), Vec::new(), Bytes::new());
    let mut come = 0;
    while come < bytes.len() {
        let end = bytes.len().min(come + size);
        input = [&input[..], &bytes[come..end]].concat().into();
        come = end;
        loop {
            match chunks.next(&mut input) {
                Ok(Part::More) => break,
                Ok(Part::Data(part)) => data.extend_from_slice(&part),
                Ok(Part::End(_)) => return (data, Some(input.len() + bytes.len() - come), true),
                Err(_) => return (data, None, false),
            }
        }
    }
    (data, None, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_others_have_stumbled_over() {
        for bytes in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
            "GET http://b?c:80/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://u@b/a#c HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n",
            "GET / HTTP/1.0\r\nConnection: keep-alive, transfer-encoding\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n",
        ] {
            request(bytes.as_bytes());
        }
    }

    /// However a line ends, nobody takes the head behind it for something else than the one who looks at heads.
    #[test]
    fn lines_around_chunks_that_end_in_other_ways() {
        let lines = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\nA: b\r\nC: d\r\n\r\n\
                     POST / HTTP/1.1\r\nContent-Length: 999\r\n\r\n\
                     GET /#b HTTP/1.1\nHost: a\r\nHost: b\r\n\r\n";
        let ends: Vec<usize> = lines.match_indices("\r\n").map(|(at, _)| at).collect();
        for end in ends {
            for instead in [
                "\n", "\n\n", "\r", "\r\r\n", "\r\n\n", "\n\r\n", " \r\n", "\0\r\n", "",
            ] {
                request(format!("{}{instead}{}", &lines[..end], &lines[end + 2..]).as_bytes());
            }
        }
    }

    #[test]
    fn answers_that_others_have_stumbled_over() {
        for bytes in [
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\nmore",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 ;a=b\r\nhello\r\n0000000000000000\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 200\r\n\r\n",
            "5\r\nhelloX\r\n",
        ] {
            answer(bytes.as_bytes());
        }
    }

    #[test]
    fn what_is_not_clear_is_seen() {
        let head = |fields: &str| format!("GET /a HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
        assert!(is_clear(head("content-length: 1\r\na:\r\n").as_bytes()));
        for fields in [
            "host: b\r\n",
            "content-length: +1\r\n",
            "content-length: 1\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked, chunked\r\n",
            "a : b\r\n",
            "a: b\nc: d\r\n",
            "a: b\r\n c\r\n",
            "a: \0\r\n",
        ] {
            assert!(!is_clear(head(fields).as_bytes()), "{fields:?}");
        }
        assert!(!is_clear(b"GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n"));
    }
}
