//! A client connection that speaks HTTP/2: its limits, its end, and what a request on it must be.
//!
//! h2 refuses malformed frames, pseudo-fields and connection fields itself, and counts resets that come before a
//! request is looked at. What it leaves to us is here: requests that are begun and thrown away, one after the other;
//! connections on which nothing happens; and what would mean something else in HTTP/1.1.

use std::cell::{Cell, OnceCell};
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderValue};
use hyper::rt::Executor;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioTimer;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::answer_body::{AnswerBody, BrokenOff};
use crate::client_io::{ClientIo, Transport};
use crate::connection::{self, Client};
use crate::forward;
use crate::options::Limits;
use crate::worker::Worker;

/// Requests open at once on one connection; what RFC 9113 §6.5.2 recommends as the least.
const MAX_STREAMS: u32 = 100;

/// Requests that the client took back before they were looked at, and malformed ones. More end the connection.
const MAX_RESETS: usize = 50;

/// Requests that the client took back before they were answered. More than these, and more than were answered, and
/// the connection ends: each costs a connection to an instance (CVE-2023-44487).
const MAX_ABANDONED: u64 = 200;

/// What may wait on one stream for a client that reads slowly.
const SEND_BUFFER: usize = 64 * 1024;

/// A client that may have gone is asked after this time without a frame from it.
const PING_AFTER: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// From `GOAWAY` to an idle client until its connection is cut.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Tasks of streams stay on the worker's thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local;

impl<F: Future + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move { drop(future.await) });
    }
}

/// What is open on one connection.
#[derive(Debug, Default)]
struct Streams {
    open: Cell<u32>,
    answered: Cell<u64>,
    abandoned: Cell<u64>,
    /// When the last request ended.
    idle_since: OnceCell<Cell<Instant>>,
    abused: Notify,
}

impl Streams {
    fn idle_since(&self) -> &Cell<Instant> {
        self.idle_since.get_or_init(|| Cell::new(Instant::now()))
    }

    /// Returns when nothing has been open for `limit`.
    async fn idle(&self, limit: Duration) {
        loop {
            let since = self.idle_since().get();
            if self.open.get() == 0 && since.elapsed() >= limit {
                return;
            }
            let from = if self.open.get() == 0 {
                since
            } else {
                Instant::now()
            };
            sleep_until(from + limit).await;
        }
    }
}

/// A request that counts as open until this is dropped.
struct OpenStream {
    streams: Rc<Streams>,
    answered: bool,
}

impl OpenStream {
    fn new(streams: &Rc<Streams>) -> Self {
        streams.open.set(streams.open.get() + 1);
        Self {
            streams: Rc::clone(streams),
            answered: false,
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let streams = &self.streams;
        streams.open.set(streams.open.get() - 1);
        streams.idle_since().set(Instant::now());
        let count = if self.answered {
            &streams.answered
        } else {
            &streams.abandoned
        };
        count.set(count.get() + 1);
        let abandoned = streams.abandoned.get();
        if abandoned > MAX_ABANDONED && abandoned > streams.answered.get() {
            streams.abused.notify_one();
        }
    }
}

/// An answer's body, and the stream that is open as long.
struct StreamBody {
    body: AnswerBody,
    _open: OpenStream,
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Serves until the client ends it, the proxy stops, or the client has lost its right to be served.
pub(crate) async fn serve<S: Transport>(worker: &Rc<Worker>, client: Rc<Client>, stream: S, first: Bytes) {
    let limits = &worker.shared.limits;
    let streams = Rc::new(Streams::default());
    let io = ClientIo::http2(stream, first, Arc::clone(&client.state));
    let service = {
        let (worker, streams) = (Rc::clone(worker), Rc::clone(&streams));
        service_fn(move |request| {
            let mut open = OpenStream::new(&streams);
            let answer = forward::handle(Rc::clone(&worker), Rc::clone(&client), request);
            async move {
                let answer = answer.await?;
                open.answered = true;
                Ok::<_, Infallible>(answer.map(|body| StreamBody { body, _open: open }))
            }
        })
    };
    let mut connection = pin!(builder(limits).serve_connection(io, service));
    let mut drain = worker.drain.subscribe();
    let deadline = tokio::select! {
        biased;
        result = connection.as_mut() => return connection::ended(result),
        () = streams.abused.notified() => return tracing::debug!("a client takes back what it asks for"),
        deadline = drain.wait_for(Option::is_some) => deadline.ok().and_then(|deadline| *deadline),
        () = streams.idle(limits.head_timeout) => Some(Instant::now() + LAST_WORDS),
    };
    let deadline = deadline.unwrap_or_else(Instant::now);
    if worker.draining.get() {
        tokio::select! {
            biased;
            result = connection.as_mut() => return connection::ended(result),
            () = streams.abused.notified() => return,
            () = sleep(connection::part_of_the_window(worker)) => {}
        }
    }
    // What the client has sent before it hears of it is still served.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        result = connection.as_mut() => connection::ended(result),
        () = streams.abused.notified() => {}
        () = sleep_until(deadline) => {}
    }
}

fn builder(limits: &Limits) -> Builder<Local> {
    let mut builder = Builder::new(Local);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(limits.max_head_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Makes the request one of HTTP/1.1's, or says what it gets instead. What follows are the checks for all.
///
/// # Errors
/// The status that the client gets.
pub(crate) fn check<B>(request: &mut Request<B>, limits: &Limits) -> Result<(), StatusCode> {
    if request.headers().len() > limits.max_fields {
        return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let padded = |value: &HeaderValue| {
        let text = value.as_bytes();
        text.trim_ascii().len() != text.len()
    };
    let lengths = request.headers().get_all(CONTENT_LENGTH).iter().count();
    // Whitespace around a value would be taken off by one reader and not by another (RFC 9113 §8.2.1).
    if request.headers().values().any(padded) || lengths > 1 {
        return Err(StatusCode::BAD_REQUEST);
    }
    if request.uri().path() == "*" {
        return Err(if request.method() == Method::OPTIONS {
            StatusCode::NO_CONTENT
        } else {
            StatusCode::BAD_REQUEST
        });
    }
    if request.method() != Method::CONNECT && !request.uri().path().starts_with('/') {
        return Err(StatusCode::BAD_REQUEST);
    }
    authority_is_host(request)?;
    join_cookies(request.headers_mut());
    Ok(())
}

/// `:authority` and `Host` say the same, or one of them nothing (RFC 9113 §8.3.1).
fn authority_is_host<B>(request: &mut Request<B>) -> Result<(), StatusCode> {
    let Some(authority) = request.uri().authority() else {
        return Ok(());
    };
    match request.headers().get(HOST) {
        Some(host)
            if host
                .as_bytes()
                .eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            Ok(())
        }
        Some(_) => Err(StatusCode::BAD_REQUEST),
        None => {
            let host = HeaderValue::from_str(authority.as_str()).map_err(|_| StatusCode::BAD_REQUEST)?;
            request.headers_mut().insert(HOST, host);
            Ok(())
        }
    }
}

/// HTTP/2 may cut the cookies into several fields, HTTP/1.1 may not (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter();
    if (lines.next(), lines.next()).1.is_none() {
        return;
    }
    let lines: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(whole) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
        headers.insert(COOKIE, whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(uri: &str, fields: &[(&'static str, &'static str)]) -> Result<Request<()>, u16> {
        let mut request = Request::get(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        match check(&mut request, &Limits::default()) {
            Ok(()) => Ok(request),
            Err(status) => Err(status.as_u16()),
        }
    }

    #[test]
    fn the_authority_becomes_the_host_and_must_agree_with_it() {
        let request = checked("http://a.test:80/x", &[]).unwrap();
        assert_eq!(request.headers()["host"], "a.test:80");
        assert!(checked("http://a.test/x", &[("host", "A.test")]).is_ok());
        assert_eq!(
            checked("http://a.test/x", &[("host", "b.test")]).unwrap_err(),
            400
        );
        assert!(checked("/x", &[("host", "b.test")]).is_ok());
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_refused() {
        let at = "http://a.test/x";
        assert_eq!(checked(at, &[("x", " a")]).unwrap_err(), 400);
        assert_eq!(checked(at, &[("x", "a\t")]).unwrap_err(), 400);
        let twice = [("content-length", "1"), ("content-length", "1")];
        assert_eq!(checked(at, &twice).unwrap_err(), 400);
        assert_eq!(checked(at, &[("x", "y"); 129]).unwrap_err(), 431);
    }

    #[test]
    fn cookies_are_one_field_again() {
        let crumbs = [("cookie", "a=b"), ("cookie", "c=d"), ("cookie", "e")];
        let request = checked("http://a.test/x", &crumbs).unwrap();
        let lines: Vec<_> = request.headers().get_all("cookie").iter().collect();
        assert_eq!(lines, ["a=b; c=d; e"]);
    }
}
