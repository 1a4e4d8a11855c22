//! One HTTP/1.1 exchange over kept connections, without a retry.
//!
//! A library client would retry behind our back when a kept connection turns out to be closed, and a load generator
//! that retries reports a better service than there is. So connections are kept here, and only briefly: one that
//! has been idle for [`LONGEST_IDLE`] is closed by us before the other side gets the idea.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::report::FailureReason;
use crate::server::VERSION_HEADER;

const LONGEST_IDLE: Duration = Duration::from_millis(500);

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) version: Option<String>,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn is_ok(&self) -> bool {
        self.status.is_success()
    }
}

/// Nothing came back.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: FailureReason,
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn new(reason: FailureReason, detail: impl fmt::Display) -> Self {
        Self {
            reason,
            detail: detail.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            FailureReason::Connect => "no connection",
            FailureReason::NotSent => "closed before the request left",
            FailureReason::Cut => "cut before the answer was complete",
            FailureReason::Timeout => "no answer in time",
            FailureReason::Unreadable => "an answer that is not what was asked for",
        };
        write!(f, "{reason}: {}", self.detail)
    }
}

type Sender = SendRequest<Full<Bytes>>;

#[derive(Debug)]
pub(super) struct Connections {
    target: SocketAddr,
    host: String,
    idle: Mutex<Vec<(Sender, Instant)>>,
    /// One task a connection moves its bytes; it ends when its sender is dropped.
    open: TaskTracker,
}

impl Connections {
    pub(super) fn new(target: SocketAddr, host: &str) -> Self {
        Self {
            target,
            host: host.to_owned(),
            idle: Mutex::default(),
            open: TaskTracker::new(),
        }
    }

    pub(super) fn target(&self) -> SocketAddr {
        self.target
    }

    /// Sends once and waits for the whole answer, at most `timeout`. `json` is the body, if there is one.
    pub(super) async fn exchange(
        &self,
        method: Method,
        path: &str,
        json: Option<Bytes>,
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.host);
        if json.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(json.unwrap_or_default()))
            .expect("paths are made of numbers and letters");
        tokio::time::timeout(timeout, self.send(request))
            .await
            .unwrap_or_else(|_| {
                Err(Failure::new(
                    FailureReason::Timeout,
                    format!("{} ms", timeout.as_millis()),
                ))
            })
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let mut sender = match self.reuse() {
            Some(sender) => sender,
            None => self
                .connect()
                .await
                .map_err(|error| Failure::new(FailureReason::Connect, error))?,
        };
        let response = sender.try_send_request(request).await.map_err(|mut error| {
            // hyper gives the request back when it did not begin to write it.
            let unsent = error.take_message().is_some();
            let reason = if unsent {
                FailureReason::NotSent
            } else {
                FailureReason::Cut
            };
            Failure::new(reason, error.into_error())
        })?;
        let (head, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| Failure::new(FailureReason::Cut, error))?
            .to_bytes();
        let version = head
            .headers
            .get(VERSION_HEADER)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        self.keep(sender);
        Ok(Answer {
            status: head.status,
            version,
            body,
        })
    }

    /// The most recently used connection that is still good; older ones than [`LONGEST_IDLE`] are closed.
    fn reuse(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(sender, since)| !sender.is_closed() && since.elapsed() < LONGEST_IDLE);
        let newest_ready = idle.iter().rposition(|(sender, _)| sender.is_ready())?;
        Some(idle.remove(newest_ready).0)
    }

    fn keep(&self, sender: Sender) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((sender, Instant::now()));
    }

    async fn connect(&self) -> Result<Sender, Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(self.target).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Its end is seen where it matters, by the exchange that it cuts.
        self.open.spawn(async { drop(connection.await) });
        Ok(sender)
    }
}
