//! Header fields: what belongs to one hop is taken out, what the next one must know is put in.

use hyper::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    COOKIE, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, RANGE, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{StatusCode, Version};

use crate::forwarded::Origin;
use crate::request::WEBSOCKET;

const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// What a client that takes trailers says (RFC 9110 §10.1.4).
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The Host of a request of HTTP/1.0 that has none.
pub(crate) const NO_HOST: &[u8] = b"localhost";

/// Fields that are nothing for trailers.
const NO_TRAILERS: [HeaderName; 20] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    COOKIE,
    EXPECT,
    FORWARDED,
    HOST,
    MAX_FORWARDS,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    RANGE,
    SET_COOKIE,
    TRAILER,
    X_FORWARDED_FOR,
    X_FORWARDED_HOST,
    X_FORWARDED_PROTO,
    X_REAL_IP,
];

/// Fields that a `Connection` line cannot take away: without them the message would mean something else.
const PROTECTED: [HeaderName; 3] = [HOST, CONTENT_LENGTH, TRANSFER_ENCODING];

/// What concerns one connection only (RFC 9110 §7.6.1), and what is for the proxy itself.
static ONE_HOP: [HeaderName; 10] = [
    CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HTTP2_SETTINGS,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    EXPECT,
    PROXY_AUTHORIZATION,
    PROXY_AUTHENTICATE,
];

/// Those of [`ONE_HOP`] that are there, a bit each. One look at the names that are there costs less than asking for
/// each that might be: mostly there is none.
#[derive(Clone, Copy)]
struct Found(u16);

impl Found {
    fn among(headers: &HeaderMap) -> Self {
        let mut found = 0;
        for name in headers.keys() {
            // Most fields are told apart by this already.
            if matches!(
                name.as_str().as_bytes().first(),
                Some(b'c' | b'e' | b'h' | b'k' | b'p' | b't' | b'u')
            ) && let Some(index) = ONE_HOP.iter().position(|hop| hop == name)
            {
                found |= 1 << index;
            }
        }
        Self(found)
    }

    fn has(self, name: &HeaderName) -> bool {
        let index = ONE_HOP.iter().position(|hop| hop == name);
        index.is_some_and(|index| self.0 & (1 << index) != 0)
    }

    /// Takes them out, but for `kept`, and whatever a `Connection` line names.
    fn take_out(self, headers: &mut HeaderMap, kept: &[HeaderName]) {
        if self.0 == 0 {
            return;
        }
        if self.has(&CONNECTION) {
            take_out_named(headers);
        }
        for (index, name) in ONE_HOP.iter().enumerate() {
            if self.0 & (1 << index) != 0 && !kept.contains(name) {
                headers.remove(name);
            }
        }
    }
}

/// What a `Connection` line names belongs to the connection too.
fn take_out_named(headers: &mut HeaderMap) {
    for name in &named(headers) {
        headers.remove(name);
    }
}

/// What `Connection` lines name, but for what they cannot take away.
pub(crate) fn named(headers: &HeaderMap) -> Vec<HeaderName> {
    let usual =
        |token: &[u8]| token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close");
    parts(headers, &CONNECTION)
        .filter(|token| !usual(token))
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .filter(|name| !PROTECTED.contains(name))
        .collect()
}

/// What a list says, whether in one line or in several: its parts, without the space around them (RFC 9110 §5.6.1).
pub(crate) fn parts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).into_iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

/// Whether a list has a token, in whatever case.
pub(crate) fn says(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    parts(headers, name).any(|part| part.eq_ignore_ascii_case(token.as_bytes()))
}

/// Whether a list is this token, in whatever case, and nothing else.
pub(crate) fn is_all(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let mut parts = parts(headers, name);
    let is_it = |part: &[u8]| part.eq_ignore_ascii_case(token.as_bytes());
    parts.next().is_some_and(is_it) && parts.next().is_none()
}

/// Makes a client's fields an instance's. What a client claims about itself in forwarding fields is not passed on.
/// Whether it takes trailers is.
pub(crate) fn to_instance(headers: &mut HeaderMap, client: &Origin) {
    let found = Found::among(headers);
    let trailers = found.has(&TE) && takes_trailers(headers);
    // `Expect` goes too: the proxy has answered 100 itself as soon as the body is wanted.
    found.take_out(headers, &[PROXY_AUTHENTICATE]);
    if trailers {
        headers.insert(TE, TRAILERS);
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    let host = headers.get(HOST).cloned();
    let host = host.unwrap_or_else(|| {
        let none = HeaderValue::from_bytes(NO_HOST).unwrap_or(HeaderValue::from_static(""));
        headers.insert(HOST, none.clone());
        none
    });
    headers.insert(X_FORWARDED_HOST, host);
    headers.insert(X_FORWARDED_FOR, client.address.clone());
    headers.insert(X_REAL_IP, client.address.clone());
    headers.insert(X_FORWARDED_PROTO, client.proto.clone());
    headers.insert(FORWARDED, client.forwarded.clone());
}

pub(crate) fn takes_trailers(headers: &HeaderMap) -> bool {
    says(headers, &TE, "trailers")
}

/// Makes an instance's fields a client's. Two answers mean nothing without one that is for one connection otherwise.
pub(crate) fn to_client(status: StatusCode, headers: &mut HeaderMap) {
    match status {
        StatusCode::UPGRADE_REQUIRED => keep(&UPGRADE, headers),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => keep(&PROXY_AUTHENTICATE, headers),
        _ => hop_to_client(headers),
    }
}

fn keep(name: &HeaderName, headers: &mut HeaderMap) {
    let lines: Vec<HeaderValue> = headers.get_all(name).iter().cloned().collect();
    hop_to_client(headers);
    if *name == UPGRADE && !lines.is_empty() {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    for line in lines {
        headers.append(name, line);
    }
}

fn hop_to_client(headers: &mut HeaderMap) {
    // With both, the length is a lie about the body that hyper has decoded: it would end the answer early.
    let found = Found::among(headers);
    if found.has(&TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    found.take_out(headers, &[EXPECT, PROXY_AUTHORIZATION]);
}

/// Whether an answer's framing can be read in one way only: one `chunked` of HTTP/1.1, or no coding. Whoever reads
/// another coding as none takes the framing for the body.
pub(crate) fn is_well_framed(headers: &HeaderMap, version: Version) -> bool {
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    match (lines.next(), lines.next()) {
        (None, _) => true,
        (Some(only), None) => {
            version != Version::HTTP_10 && only.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked")
        }
        (Some(_), Some(_)) => false,
    }
}

/// Takes out of trailers what would change how the message is read, or who it is from (RFC 9110 §6.5.1).
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    Found::among(trailers).take_out(trailers, &[]);
    for name in NO_TRAILERS {
        trailers.remove(name);
    }
}

/// Whether the answer stays open by design (server-sent events).
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    kind.get(..17)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream"))
}

/// Asks the other side to speak WebSocket, or says that this is spoken now.
pub(crate) fn say_websocket(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_connection_names_is_taken_out_but_never_framing_or_host() {
        let mut headers = map(&[
            ("host", "a"),
            ("content-length", "5"),
            ("connection", "X-Secret, host, content-length"),
            ("connection", "keep-alive"),
            ("x-secret", "1"),
            ("proxy-connection", "x"),
            ("keep-alive", "x"),
            ("te", "trailers"),
            ("accept", "b"),
        ]);
        Found::among(&headers).take_out(&mut headers, &[]);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "content-length", "host"]);
    }

    #[test]
    fn claims_of_a_client_about_itself_are_replaced() {
        let mut headers = map(&[
            ("x-forwarded-for", "6.6.6.6"),
            ("forwarded", "for=6"),
            ("host", "a"),
            ("expect", "100-continue"),
        ]);
        to_instance(&mut headers, &Origin::new("1.2.3.4".parse().unwrap(), true));
        assert_eq!(headers["x-forwarded-for"], "1.2.3.4");
        assert_eq!(headers["x-forwarded-host"], "a");
        assert_eq!(
            (
                headers["x-forwarded-proto"].as_bytes(),
                headers["x-real-ip"].as_bytes()
            ),
            (&b"https"[..], &b"1.2.3.4"[..])
        );
        assert_eq!(headers["forwarded"], "for=1.2.3.4;proto=https");
        assert!(!headers.contains_key("expect"));
    }

    #[test]
    fn answers_whose_framing_is_certain() {
        let framed = |fields: &[(&'static str, &'static str)], version| is_well_framed(&map(fields), version);
        let te = |value| [("transfer-encoding", value)];
        assert!(framed(&[], Version::HTTP_11) && framed(&te("Chunked"), Version::HTTP_11));
        assert!(!framed(&te("chunked"), Version::HTTP_10));
        for value in [
            "gzip",
            "gzip, chunked",
            "chunked, chunked",
            "identity",
            "xchunked",
            "",
        ] {
            assert!(!framed(&te(value), Version::HTTP_11), "{value}");
        }
        let twice = [te("chunked")[0], te("chunked")[0]];
        assert!(!framed(&twice, Version::HTTP_11));
    }

    #[test]
    fn trailers_say_nothing_of_framing_or_identity() {
        let mut trailers = map(&[
            ("content-length", "1"),
            ("host", "a"),
            ("transfer-encoding", "chunked"),
            ("x-forwarded-for", "6.6.6.6"),
            ("grpc-status", "0"),
        ]);
        strip_trailers(&mut trailers);
        assert_eq!(
            (trailers.len(), &trailers["grpc-status"]),
            (1, &HeaderValue::from_static("0"))
        );
    }

    #[test]
    fn a_length_beside_chunked_is_dropped() {
        let mut headers = map(&[("content-length", "3"), ("transfer-encoding", "chunked")]);
        to_client(StatusCode::OK, &mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn what_an_answer_needs_is_kept() {
        let fields = [
            ("upgrade", "websocket"),
            ("connection", "Upgrade, close"),
            ("proxy-authenticate", "Basic"),
            ("proxy-authenticate", "Digest"),
        ];
        let told = |status| {
            let mut headers = map(&fields);
            to_client(status, &mut headers);
            let lines = headers
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
            lines.collect::<Vec<_>>().join("|")
        };
        assert_eq!(told(StatusCode::OK), "");
        assert_eq!(
            told(StatusCode::UPGRADE_REQUIRED),
            "connection: upgrade|upgrade: websocket"
        );
        assert_eq!(
            told(StatusCode::PROXY_AUTHENTICATION_REQUIRED),
            "proxy-authenticate: Basic|proxy-authenticate: Digest"
        );
    }
}
