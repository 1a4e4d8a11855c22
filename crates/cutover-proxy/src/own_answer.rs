//! Answers that the proxy makes itself.

use std::sync::Arc;

use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

use crate::answer_body::AnswerBody;
use crate::connection::Client;
use crate::proxy_status::PROXY_STATUS;
use crate::request;

/// Not now; the same may be right in a moment.
pub(crate) fn unavailable(client: &Client, text: &'static str, why: HeaderValue) -> Response<AnswerBody> {
    let mut response = plain(client, StatusCode::SERVICE_UNAVAILABLE, text);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    headers.insert(PROXY_STATUS, why);
    response
}

/// Nothing more is served on the connection. HTTP/2 says so by frames, not by a field.
pub(crate) fn close_after(client: &Client, response: &mut Response<AnswerBody>) {
    if !client.http2 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
}

pub(crate) fn plain(client: &Client, status: StatusCode, text: &'static str) -> Response<AnswerBody> {
    let text = if status == StatusCode::NO_CONTENT {
        ""
    } else {
        text
    };
    let mut response = Response::new(AnswerBody::text(Arc::clone(&client.state), text));
    *response.status_mut() = status;
    if !text.is_empty() {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    }
    response
}

/// An answer to a client that is at fault: what follows on the connection cannot be trusted.
pub(crate) fn refuse(client: &Client, status: StatusCode, text: &'static str) -> Response<AnswerBody> {
    let mut response = plain(client, status, text);
    if status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED {
        close_after(client, &mut response);
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, request::ALLOWED);
    }
    response
}
