//! Which requests may go on, and in which one form.
//!
//! hyper leaves these to us: one valid Host, the authority of an absolute target over the Host field, no CONNECT
//! and no `*`, one `chunked`. Whatever two parsers could read in two ways is answered here and goes nowhere.

use std::net::Ipv6Addr;

use hyper::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS, TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, StatusCode, Uri, Version};

use crate::fields;
use crate::options::Limits;

/// A longer method is none that anybody knows.
const LONGEST_METHOD: usize = 64;

/// What a client is told that used another one.
pub(crate) const ALLOWED: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// Checks and normalises: afterwards the target is a path with query, and a 1.1 request has one valid Host.
///
/// # Errors
/// The status that the client gets instead.
pub(crate) fn check<B>(request: &mut Request<B>, limits: &Limits) -> Result<(), StatusCode> {
    if !is_known_form(request.method()) {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    if target_length(request.uri()) > limits.max_target_bytes {
        return Err(StatusCode::URI_TOO_LONG);
    }
    check_transfer_encoding(request.headers())?;
    check_connection(request.headers())?;
    // A tunnel is nothing for a reverse proxy, and an echo of the request would show what the proxy adds to it.
    if request.method() == Method::CONNECT || request.method() == Method::TRACE {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    check_host(request.headers(), request.version())?;
    if let Some(authority) = check_target(request)? {
        *request.uri_mut() = Uri::from(path_of(request.uri())?);
        request.headers_mut().insert(HOST, authority);
    }
    check_max_forwards(request)
}

/// Methods are case-sensitive (RFC 9110 §9.1), and all that are registered are in capitals: `get` is GET to some programs
/// and to others nothing.
fn is_known_form(method: &Method) -> bool {
    let text = method.as_str().as_bytes();
    text.len() <= LONGEST_METHOD
        && text
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'))
}

/// Tokens, or nobody knows whether `close` is one of them (RFC 9110 §7.6.1).
fn check_connection(headers: &HeaderMap) -> Result<(), StatusCode> {
    let is_token = |part: &[u8]| part.is_empty() || HeaderName::from_bytes(part).is_ok();
    if headers.contains_key(CONNECTION) && !fields::parts(headers, &CONNECTION).all(is_token) {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(())
}

fn target_length(uri: &Uri) -> usize {
    let scheme = uri.scheme_str().map_or(0, |scheme| scheme.len() + "://".len());
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    scheme + authority + path
}

/// The path and query of an absolute target; an empty path is `/` (RFC 9112 §3.2.1).
fn path_of(uri: &Uri) -> Result<PathAndQuery, StatusCode> {
    match uri.path_and_query() {
        None => Ok(PathAndQuery::from_static("/")),
        Some(path) if path.as_str().starts_with('/') => Ok(path.clone()),
        Some(path) => {
            PathAndQuery::try_from(format!("/{}", path.as_str())).map_err(|_| StatusCode::BAD_REQUEST)
        }
    }
}

/// Exactly one coding, and it is `chunked`: twice, with others, or spread over lines is somebody's smuggling.
fn check_transfer_encoding(headers: &HeaderMap) -> Result<(), StatusCode> {
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(()),
        (Some(only), None) if only.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

/// HTTP/1.0 needs no Host, but if there is one it must be valid, and one.
fn check_host(headers: &HeaderMap, version: Version) -> Result<(), StatusCode> {
    let mut lines = headers.get_all(HOST).iter();
    match (lines.next(), lines.next()) {
        (Some(only), None) if is_valid_host(only.as_bytes()) => Ok(()),
        (None, _) if version == Version::HTTP_10 => Ok(()),
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

/// The authority of an absolute target, which replaces the Host; `None` for a path. Everything else is refused.
fn check_target<B>(request: &Request<B>) -> Result<Option<HeaderValue>, StatusCode> {
    let uri = request.uri();
    match (uri.scheme_str(), uri.authority()) {
        (None, None) if uri.path().starts_with('/') => Ok(None),
        // `OPTIONS *` asks about the server as a whole: this one. Nothing behind it is meant.
        (None, None) if uri.path() == "*" && request.method() == Method::OPTIONS => {
            Err(StatusCode::NO_CONTENT)
        }
        (Some(scheme), Some(authority))
            if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
        {
            let authority_text = authority.as_str().as_bytes();
            let as_told = |host: &HeaderValue| host.as_bytes().eq_ignore_ascii_case(authority_text);
            let is_told = request.headers().get(HOST).is_some_and(as_told);
            if !is_valid_host(authority_text) || !is_told && !is_plain(authority_text) {
                return Err(StatusCode::BAD_REQUEST);
            }
            if request.method() == Method::OPTIONS && has_no_path(uri) {
                return Err(StatusCode::NO_CONTENT);
            }
            let value = HeaderValue::from_str(authority.as_str());
            value.map(Some).map_err(|_| StatusCode::BAD_REQUEST)
        }
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

/// Whether an absolute target ends with its authority: for OPTIONS that means `*` (RFC 9112 §3.2.4). The path that is read
/// is `/` then, which is not a part of what was sent.
fn has_no_path(uri: &Uri) -> bool {
    let behind = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes().as_ptr_range().end);
    uri.path() == "/" && uri.query().is_none() && behind != Some(uri.path().as_ptr())
}

/// OPTIONS counts down at each proxy; at 0 this one answers.
fn check_max_forwards<B>(request: &mut Request<B>) -> Result<(), StatusCode> {
    if request.method() != Method::OPTIONS {
        return Ok(());
    }
    let mut lines = request.headers().get_all(MAX_FORWARDS).iter();
    let left = match (lines.next(), lines.next()) {
        (None, _) => return Ok(()),
        (Some(only), None) => only
            .to_str()
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit())),
        (Some(_), Some(_)) => None,
    };
    let left: Option<u64> = left.and_then(|text| text.parse().ok());
    match left {
        None => Err(StatusCode::BAD_REQUEST),
        Some(0) => Err(StatusCode::NO_CONTENT),
        Some(left) => {
            request
                .headers_mut()
                .insert(MAX_FORWARDS, HeaderValue::from(left - 1));
            Ok(())
        }
    }
}

/// `uri-host [":" port]` of RFC 9110 §7.2, without the comma (a list of hosts is an attack), the userinfo and the
/// empty host, which the grammar would allow.
fn is_valid_host(text: &[u8]) -> bool {
    let (host, port) = if text.first() == Some(&b'[') {
        let Some(end) = text.iter().position(|byte| *byte == b']') else {
            return false;
        };
        let address = std::str::from_utf8(&text[1..end]).unwrap_or_default();
        if address.parse::<Ipv6Addr>().is_err() {
            return false;
        }
        (&text[..=end], &text[end + 1..])
    } else {
        let end = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
        if !is_reg_name(&text[..end]) {
            return false;
        }
        (&text[..end], &text[end..])
    };
    !host.is_empty() && is_port(port)
}

fn is_port(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b':', digits @ ..] => {
            let number = std::str::from_utf8(digits).unwrap_or("-");
            digits.iter().all(u8::is_ascii_digit) && (digits.is_empty() || number.parse::<u16>().is_ok())
        }
        _ => false,
    }
}

/// A host that says something else than the Host field wins over it (RFC 9112 §3.2.2), and must be beyond doubt.
fn is_plain(authority: &[u8]) -> bool {
    let is_plain =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    authority.iter().all(is_plain)
}

fn is_reg_name(text: &[u8]) -> bool {
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = match first {
            b'%' => match tail {
                [a, b, tail @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => tail,
                _ => return false,
            },
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';'
            | b'=' => tail,
            other if other.is_ascii_alphanumeric() => tail,
            _ => return false,
        };
    }
    true
}

/// Whether repeating it does no more than doing it once (RFC 9110 §9.2.2).
pub(crate) fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

/// What a connection may change to. Not HTTP/2 without TLS: what is said then could not be looked at.
pub(crate) const WEBSOCKET: &str = "websocket";

/// Whether a client asks to speak WebSocket from here on.
pub(crate) fn asks_for_websocket<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    headers.contains_key(UPGRADE)
        && request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && fields::says(headers, &UPGRADE, WEBSOCKET)
        && fields::says(headers, &CONNECTION, "upgrade")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in [
            "a.test",
            "a",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:80",
            "a:",
            "xn--a_b~",
            "a%20b",
        ] {
            assert!(is_valid_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "a b", "a@b", "a/b", "a:abc", "a:65536", "a:1:2", "a,b", "[::1", "[x]", "[::1]x",
            "a%2", "a?b", "a#b", "a\\b", "ä",
        ] {
            assert!(!is_valid_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn the_authority_of_an_absolute_target_wins() {
        let mut request = Request::get("http://b.test:81/x?y")
            .header("host", "a.test")
            .body(())
            .unwrap();
        check(&mut request, &Limits::default()).unwrap();
        assert_eq!(request.uri(), "/x?y");
        assert_eq!(request.headers()[HOST], "b.test:81");
        for (target, path) in [("http://b.test", "/"), ("http://b.test?x:1", "/?x:1")] {
            let mut request = Request::get(target).header("host", "a.test").body(()).unwrap();
            check(&mut request, &Limits::default()).unwrap();
            assert_eq!(request.uri().path_and_query().unwrap().as_str(), path);
        }
        for (target, host, good) in [
            ("http://b;c/", "B;c", true),
            ("http://b;c/", "a.test", false),
            ("http://b_c/", "a.test", false),
            ("http://[::1]:80/", "a.test", true),
        ] {
            let mut request = Request::get(target).header("host", host).body(()).unwrap();
            assert_eq!(check(&mut request, &Limits::default()).is_ok(), good, "{target}");
        }
    }

    #[test]
    fn what_two_readers_may_read_in_two_ways_is_refused() {
        let checked = |method: &str, connection: &[u8]| {
            let mut request = Request::builder()
                .method(method)
                .uri("/")
                .header("host", "a")
                .header("connection", HeaderValue::from_bytes(connection).unwrap())
                .body(())
                .unwrap();
            check(&mut request, &Limits::default()).map_err(|status| status.as_u16())
        };
        for good in ["GET", "M-SEARCH", "VERSION_CONTROL"] {
            assert_eq!(checked(good, b"close, X-A,, keep-alive"), Ok(()), "{good}");
        }
        for bad in ["get", "Patch", "GET2", "%0d%0aGET"] {
            assert_eq!(checked(bad, b"close"), Err(501), "{bad}");
        }
        for bad in [&b"close, X\xe9"[..], b"close; x", b"close x"] {
            assert_eq!(checked("GET", bad), Err(400));
        }
    }

    #[test]
    fn targets_and_codings_that_go_nowhere() {
        let refused = |method: &str, target: &str, fields: &[(&str, &str)]| {
            let mut request = Request::builder().method(method).uri(target);
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            check(&mut request.body(()).unwrap(), &Limits::default())
                .unwrap_err()
                .as_u16()
        };
        let host = ("host", "a.test");
        assert_eq!(refused("CONNECT", "a.test:80", &[host]), 405);
        assert_eq!(refused("TRACE", "/", &[host]), 405);
        assert_eq!(refused(&"A".repeat(65), "/", &[host]), 501);
        assert_eq!(
            refused("GET", &format!("/{}", "a".repeat(16 * 1024)), &[host]),
            414
        );
        assert_eq!(refused("GET", "*", &[host]), 400);
        assert_eq!(refused("OPTIONS", "*", &[host]), 204);
        assert_eq!(refused("GET", "a.test:80", &[host]), 400);
        assert_eq!(refused("GET", "http://u:p@a.test/", &[host]), 400);
        assert_eq!(refused("GET", "ftp://a.test/", &[host]), 400);
        assert_eq!(refused("GET", "/", &[]), 400);
        assert_eq!(refused("GET", "/", &[host, host]), 400);
        assert_eq!(
            refused("POST", "/", &[host, ("transfer-encoding", "chunked, chunked")]),
            400
        );
        let twice = ("transfer-encoding", "chunked");
        assert_eq!(refused("POST", "/", &[host, twice, twice]), 400);
        assert_eq!(
            refused("POST", "/", &[host, ("transfer-encoding", "gzip, chunked")]),
            400
        );
        assert_eq!(refused("OPTIONS", "/", &[host, ("max-forwards", "0")]), 204);
        for wrong in ["+5", "-1", "x", "", "5, 5", "99999999999999999999"] {
            assert_eq!(
                refused("OPTIONS", "/", &[host, ("max-forwards", wrong)]),
                400,
                "{wrong:?}"
            );
        }
        let five = ("max-forwards", "5");
        assert_eq!(refused("OPTIONS", "/", &[host, five, five]), 400);
    }

    /// As hyper reads it: out of the bytes that came.
    fn options(target: &str) -> Result<String, u16> {
        let uri = Uri::from_maybe_shared(bytes::Bytes::copy_from_slice(target.as_bytes())).unwrap();
        let request = Request::builder()
            .method(Method::OPTIONS)
            .uri(uri)
            .header("host", "a.test");
        let mut request = request.body(()).unwrap();
        let checked = check(&mut request, &Limits::default());
        checked
            .map(|()| request.uri().to_string())
            .map_err(|status| status.as_u16())
    }

    #[test]
    fn options_of_an_absolute_target_without_a_path_asks_about_the_server() {
        assert_eq!(options("http://a.test"), Err(204));
        assert_eq!(options("HTTP://a.test:80"), Err(204));
        assert_eq!(options("http://a.test/"), Ok("/".to_owned()));
        assert_eq!(options("http://a.test?x"), Ok("/?x".to_owned()));
        assert_eq!(options("http://a.test/x"), Ok("/x".to_owned()));
        assert_eq!(options("/"), Ok("/".to_owned()));
    }
}
