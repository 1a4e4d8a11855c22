//! A request's head as an instance of HTTP/1.1 gets it, written from the client's fields as they came.
//!
//! It says the same as [`fields::to_instance`] with [`Trace::apply`] would make of them, which other ways of a request
//! need; the map is not changed and nothing is put into it, which is most of what a head would cost.

use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, TE};
use hyper::http::request::Parts;

use crate::fields;
use crate::forwarded::Origin;
use crate::trace_context::Trace;

/// What is decided once for all attempts.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// What `Connection` lines take away.
    named: Vec<HeaderName>,
    /// The client takes trailers.
    trailers: bool,
    trace: Trace,
}

impl Outgoing {
    pub(crate) fn new(headers: &HeaderMap, trace: Trace) -> Self {
        let mut named = Vec::new();
        let mut trailers = false;
        for name in headers.keys() {
            if name == CONNECTION {
                named = fields::named(headers);
            } else if name == TE {
                trailers = fields::takes_trailers(headers);
            }
        }
        Self {
            named,
            trailers,
            trace,
        }
    }

    /// Appends the head without its empty line, and without how the body is framed where that must be said anew.
    pub(crate) fn write(&self, parts: &Parts, client: &Origin, out: &mut Vec<u8>) {
        write_request_line(parts, out);
        for (name, value) in &parts.headers {
            if self.is_passed(name) {
                write_field(name.as_str(), value.as_bytes(), out);
            }
        }
        let host = parts.headers.get(HOST).map(|host| host.as_bytes());
        if host.is_none() {
            write_field("host", fields::NO_HOST, out);
        }
        write_field("x-forwarded-host", host.unwrap_or(fields::NO_HOST), out);
        out.extend_from_slice(&client.lines);
        if self.trailers {
            out.extend_from_slice(b"te: trailers\r\nconnection: te\r\n");
        }
        if let Trace::Made(made) = &self.trace {
            write_field("traceparent", made.as_bytes(), out);
        }
    }

    fn is_passed(&self, name: &HeaderName) -> bool {
        let text = name.as_str();
        // Most names are told apart by their first letter.
        let looked_at = matches!(
            text.as_bytes().first(),
            Some(b'c' | b'e' | b'f' | b'h' | b'k' | b'p' | b't' | b'u' | b'x')
        );
        let replaced = looked_at
            && match text {
                "connection"
                | "te"
                | "transfer-encoding"
                | "upgrade"
                | "http2-settings"
                | "keep-alive"
                | "proxy-connection"
                | "expect"
                | "proxy-authorization"
                | "forwarded"
                | "x-forwarded-for"
                | "x-forwarded-host"
                | "x-forwarded-proto"
                | "x-real-ip" => true,
                "traceparent" => matches!(self.trace, Trace::Made(_)),
                "tracestate" => matches!(&self.trace, Trace::Made(made) if made.without_state),
                _ => false,
            };
        !replaced && (self.named.is_empty() || !self.named.contains(name))
    }
}

/// A head whose fields are an instance's already.
pub(crate) fn write_as_it_is(parts: &Parts, out: &mut Vec<u8>) {
    write_request_line(parts, out);
    for (name, value) in &parts.headers {
        write_field(name.as_str(), value.as_bytes(), out);
    }
}

fn write_request_line(parts: &Parts, out: &mut Vec<u8>) {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

pub(crate) fn write_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;
    use hyper::header::HeaderValue;
    use rand::rngs::SmallRng;
    use rand::seq::IndexedRandom as _;
    use rand::{Rng as _, SeedableRng as _};

    const NAMES: [&str; 27] = [
        "host",
        "accept",
        "cookie",
        "connection",
        "connection",
        "te",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "expect",
        "proxy-authorization",
        "proxy-authenticate",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-real-ip",
        "traceparent",
        "traceparent",
        "tracestate",
        "content-length",
        "trailer",
        "x-a",
        "x-b",
    ];

    const VALUES: [&str; 9] = [
        "a",
        "close",
        "keep-alive, X-A",
        "x-forwarded-for, host, content-length, cookie, te",
        "trailers",
        "gzip, trailers;q=1",
        "TRACEPARENT, x-b",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "",
    ];

    fn lines(parts: &Parts) -> Vec<(String, HeaderValue)> {
        let fields = parts.headers.iter();
        let mut lines: Vec<_> = fields
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect();
        lines.sort_by(|a, b| (&a.0, a.1.as_bytes()).cmp(&(&b.0, b.1.as_bytes())));
        lines
    }

    #[test]
    fn it_says_what_the_changed_map_would_say() {
        let mut random = SmallRng::seed_from_u64(5);
        let origin = Origin::new("192.0.2.1".parse().unwrap(), true);
        for round in 0..5_000 {
            let (mut parts, ()) = Request::put("/a?b").body(()).unwrap().into_parts();
            for _ in 0..random.random_range(0..10) {
                let (name, value) = (
                    NAMES.choose(&mut random).unwrap(),
                    VALUES.choose(&mut random).unwrap(),
                );
                parts.headers.append(*name, HeaderValue::from_str(value).unwrap());
            }
            let trace = || Trace::of(&parts.headers, &mut SmallRng::seed_from_u64(round));
            let mut written = Vec::new();
            Outgoing::new(&parts.headers, trace()).write(&parts, &origin, &mut written);
            let mut fields = [httparse::EMPTY_HEADER; 64];
            let mut read = httparse::Request::new(&mut fields);
            let whole = [&written[..], b"\r\n"].concat();
            assert!(read.parse(&whole).unwrap().is_complete());
            let mut sent = Request::put("/a?b").body(()).unwrap().into_parts().0;
            for field in &*read.headers {
                let value = HeaderValue::from_bytes(field.value).unwrap();
                let name: HeaderName = field.name.parse().unwrap();
                sent.headers.append(name, value);
            }
            let came = format!("{:?}", parts.headers);
            let trace = trace();
            fields::to_instance(&mut parts.headers, &origin);
            trace.apply(&mut parts.headers);
            assert_eq!(lines(&sent), lines(&parts), "{came}");
            let mut as_it_is = Vec::new();
            write_as_it_is(&parts, &mut as_it_is);
            assert!(as_it_is.starts_with(b"PUT /a?b HTTP/1.1\r\n"));
        }
    }
}
