//! The counters over TCP, for a Prometheus that scrapes: `GET /metrics` and `GET /ready`, and nothing that changes
//! anything or tells of addresses beyond the labels.
//!
//! Runs on the thread of everything that is not traffic; owns nothing.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::prometheus;
use crate::shared::Shared;
use crate::stats;

/// Scrapers are few; whoever opens more waits.
const MAX_CONNECTIONS: usize = 32;

/// For a whole connection. A scraper that wants more connects again.
const CONNECTION_LIFE: Duration = Duration::from_secs(300);

const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes a listener of this thread's runtime.
pub(crate) fn prepare(listener: Option<std::net::TcpListener>) -> io::Result<Option<TcpListener>> {
    let Some(listener) = listener else {
        return Ok(None);
    };
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener).map(Some)
}

/// Serves until the process stops; never ends, with or without a listener.
pub(crate) async fn run(listener: Option<TcpListener>, shared: Arc<Shared>) {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve(stream, Arc::clone(&shared)))),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a scraper now");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let response = answer(&request, &shared);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = timeout(CONNECTION_LIFE, connection).await {
        tracing::debug!(%error, "a scraper's connection ended");
    }
}

fn answer(request: &Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    let known = matches!(request.uri().path(), "/metrics" | "/ready");
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            let text = prometheus::render(&shared.application, &stats::collect(shared));
            (StatusCode::OK, Bytes::from(text))
        }
        (&Method::GET | &Method::HEAD, "/ready") => (StatusCode::OK, Bytes::from_static(b"ready\n")),
        _ if known => (StatusCode::METHOD_NOT_ALLOWED, Bytes::new()),
        _ => (StatusCode::NOT_FOUND, Bytes::new()),
    };
    let mut response = Response::new(Full::new(text));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4"),
    );
    if status == StatusCode::METHOD_NOT_ALLOWED {
        fields.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
