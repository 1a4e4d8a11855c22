//! Why an answer is the proxy's own: the field `Proxy-Status` (RFC 9209), with the error types of its registry.

use hyper::header::{HeaderName, HeaderValue};

pub(crate) const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// The request is not one that can be served.
pub(crate) const REQUEST: HeaderValue = HeaderValue::from_static("cutover; error=http_request_error");
/// No revision takes requests, or none of its instances can be reached.
pub(crate) const UNAVAILABLE: HeaderValue =
    HeaderValue::from_static("cutover; error=destination_unavailable");
/// The revision has as many requests as it may have, and as many wait.
pub(crate) const CIRCUIT: HeaderValue =
    HeaderValue::from_static("cutover; error=connection_limit_reached; details=\"circuit\"");
/// Requests are held, and this one was too many, or waited too long.
pub(crate) const HELD: HeaderValue =
    HeaderValue::from_static("cutover; error=destination_unavailable; details=\"held\"");
/// The instance broke off, or said something that is no answer.
pub(crate) const BROKEN: HeaderValue = HeaderValue::from_static("cutover; error=http_response_incomplete");
/// The instance did not answer in time.
pub(crate) const LATE: HeaderValue = HeaderValue::from_static("cutover; error=http_response_timeout");
