//! What a gRPC status says of a revision: an answer can be 200 and a failure all the same.

use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRAILER};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Whether an answer is one of gRPC, whose status comes in its trailers.
pub(crate) fn is_answer(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    kind.starts_with(b"application/grpc")
}

/// The HTTP status that a failure of the server counts as; `None` for success, for what is the client's fault, and
/// for fields without a status. The pairs are those of gRPC's own HTTP mapping (`google.rpc.Code`).
pub(crate) fn failure(fields: &HeaderMap) -> Option<u16> {
    match fields.get(GRPC_STATUS)?.as_bytes() {
        // UNKNOWN, INTERNAL, DATA_LOSS.
        b"2" | b"13" | b"15" => Some(500),
        // UNIMPLEMENTED.
        b"12" => Some(501),
        // UNAVAILABLE.
        b"14" => Some(503),
        // DEADLINE_EXCEEDED.
        b"4" => Some(504),
        _ => None,
    }
}

/// HTTP/1.1 lets through only trailers that were announced; HTTP/2 servers announce none.
pub(crate) fn announce_trailers(headers: &mut HeaderMap) {
    let usual = HeaderValue::from_static("grpc-status, grpc-message, grpc-status-details-bin");
    headers.entry(TRAILER).or_insert(usual);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_s_failures_and_nobody_else_s() {
        let counted = |code: &str| {
            let mut fields = HeaderMap::new();
            fields.insert(GRPC_STATUS, code.parse().unwrap());
            failure(&fields)
        };
        let failures: Vec<u16> = (0..=16)
            .filter(|code| counted(&code.to_string()).is_some())
            .collect();
        assert_eq!(failures, [2, 4, 12, 13, 14, 15]);
        assert_eq!(
            (counted("14"), counted("4"), counted("x")),
            (Some(503), Some(504), None)
        );
        assert_eq!(failure(&HeaderMap::new()), None);
    }
}
