//! The admin interface from the other side.

use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use cutover_model::RevisionId;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, BufReader, Interest};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use crate::fd_door::{self, Handed};
use crate::handover::Followed;
use crate::wire::{
    DrainStatus, HoldRequest, HoldView, PublishReceipt, PublishRequest, Refusal, ReleaseRequest, Stats,
    TableView,
};

/// An answer takes milliseconds, a publish at most the five seconds that workers have to confirm it.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Talks to a running proxy over its admin socket. Cheap to make; each call opens a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// Why a call did not succeed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens on the socket: nothing was asked.
    #[error("no proxy answers at {socket}")]
    Unreachable {
        /// The admin socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The call was sent and no answer came: it may have been done.
    #[error("the proxy at {socket} broke off: {reason}")]
    Broken {
        /// The admin socket.
        socket: PathBuf,
        /// What was seen.
        reason: String,
    },
    /// The proxy said no, and why.
    #[error("the proxy refused")]
    Refused(#[source] Refusal),
    /// The answer is not one that this version knows.
    #[error("the proxy at {socket} answered {status} in a form that this version does not know")]
    Unknown {
        /// The admin socket.
        socket: PathBuf,
        /// The status.
        status: StatusCode,
    },
}

impl Client {
    /// A client for the proxy with this admin socket.
    pub fn new(admin_socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: admin_socket.into(),
        }
    }

    /// The admin socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What is served now.
    ///
    /// # Errors
    /// If the proxy does not answer.
    pub async fn table(&self) -> Result<TableView, ClientError> {
        self.call(Method::GET, "/table", None::<&()>).await
    }

    /// Serves by a new table; answers when every worker does.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if nothing was changed ([`Refusal::NotAcknowledged`] excepted);
    /// [`ClientError::Broken`] if that is not known.
    pub async fn publish(&self, request: &PublishRequest) -> Result<PublishReceipt, ClientError> {
        self.change(Method::PUT, "/table", request).await
    }

    /// The proxy holds publishes back for a moment: another process is about to take its place.
    pub(crate) async fn hand_over(&self) -> Result<(), ClientError> {
        self.call(Method::POST, "/handover", None::<&()>).await
    }

    /// The other process accepts: the proxy publishes no more, and stops.
    pub(crate) async fn handed_over(&self) -> Result<(), ClientError> {
        self.call(Method::POST, "/handover/done", None::<&()>).await
    }

    /// The proxy has stopped accepting and is to finish by this table.
    pub(crate) async fn follow(&self, followed: &Followed) -> Result<(), ClientError> {
        self.call(Method::PUT, "/handover/table", Some(followed)).await
    }

    /// Requests of a service, or of all, wait at the proxy from now on.
    ///
    /// # Errors
    /// If the proxy does not answer; [`Refusal::HoldNotSaved`] if it holds, but not beyond its end.
    pub async fn hold(&self, request: &HoldRequest) -> Result<Vec<HoldView>, ClientError> {
        self.change(Method::POST, "/hold", request).await
    }

    /// This process has taken over, and holds.
    pub(crate) async fn follow_hold(&self, request: &HoldRequest) -> Result<(), ClientError> {
        self.call(Method::POST, "/handover/hold", Some(request)).await
    }

    /// This process has taken over, and lets go.
    pub(crate) async fn follow_release(&self, request: &ReleaseRequest) -> Result<(), ClientError> {
        self.call(Method::POST, "/handover/release", Some(request)).await
    }

    /// Requests wait no longer; those that do go on one after the other.
    ///
    /// # Errors
    /// If the proxy does not answer; [`Refusal::HoldNotSaved`] if requests go on, but the next process holds them again.
    pub async fn release(&self, request: &ReleaseRequest) -> Result<Vec<HoldView>, ClientError> {
        self.change(Method::POST, "/release", request).await
    }

    /// Counters since the proxy's start.
    ///
    /// # Errors
    /// If the proxy does not answer.
    pub async fn stats(&self) -> Result<Stats, ClientError> {
        self.call(Method::GET, "/stats", None::<&()>).await
    }

    /// Open requests of one revision, or of all.
    ///
    /// # Errors
    /// If the proxy does not answer.
    pub async fn in_flight(&self, revision: Option<&RevisionId>) -> Result<DrainStatus, ClientError> {
        let path = match revision {
            Some(id) => format!(
                "/inflight?revision={}",
                id.to_string().replace('#', "%23").replace('+', "%2B")
            ),
            None => "/inflight".to_owned(),
        };
        self.call(Method::GET, &path, None::<&()>).await
    }

    /// The counters as Prometheus text.
    ///
    /// # Errors
    /// If the proxy does not answer.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let (status, body) = self.exchange(Method::GET, "/metrics", Bytes::new()).await?;
        let text = String::from_utf8(body.to_vec())
            .ok()
            .filter(|_| status.is_success());
        text.ok_or_else(|| self.unknown(status))
    }

    /// Whether the proxy is up and serves by its table.
    pub async fn is_ready(&self) -> bool {
        let answer = self.exchange(Method::GET, "/ready", Bytes::new()).await;
        answer.is_ok_and(|(status, _)| status.is_success())
    }

    /// Hands listening sockets to the proxy, which accepts from them as long as it runs. Returns their addresses.
    ///
    /// # Errors
    /// If one is not a listening socket, or there is one for its address already.
    pub async fn add_listeners(&self, listeners: &[BorrowedFd<'_>]) -> Result<Vec<SocketAddr>, ClientError> {
        let path = fd_door::path(&self.socket);
        let stream = connect(&path).await?;
        let handed = async {
            let send = || cutover_os::send_fds(&stream, b"L", listeners);
            stream.async_io(Interest::WRITABLE, send).await?;
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).await?;
            Ok::<Handed, io::Error>(serde_json::from_str(&line)?)
        };
        match timeout(ANSWER_WITHIN, handed).await {
            Ok(Ok(Handed::Added(addrs))) => Ok(addrs),
            Ok(Ok(Handed::Refused(refusal))) => Err(ClientError::Refused(refusal)),
            Ok(Err(error)) => Err(self.broken(error.to_string())),
            Err(_) => Err(self.broken("no answer in time".to_owned())),
        }
    }

    /// Asks the process that is in charge, also while another one takes its place.
    async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            match self.call(method.clone(), path, Some(body)).await {
                // Nothing was done; its successor answers at the same place at once.
                Err(ClientError::Refused(Refusal::HandedOver)) if Instant::now() < deadline => {
                    sleep(Duration::from_millis(10)).await;
                }
                other => return other,
            }
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        let body = match body.map(serde_json::to_vec).transpose() {
            Ok(body) => body.unwrap_or_default(),
            Err(error) => {
                let what = error.to_string();
                return Err(ClientError::Refused(Refusal::BadRequest { what }));
            }
        };
        let (status, body) = self.exchange(method, path, body.into()).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| self.unknown(status));
        }
        match serde_json::from_slice(&body) {
            Ok(refusal) => Err(ClientError::Refused(refusal)),
            Err(_) => Err(self.unknown(status)),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let stream = connect(&self.socket).await?;
        let exchanged = timeout(ANSWER_WITHIN, converse(stream, method, path, body)).await;
        match exchanged {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.broken(error.to_string())),
            Err(_) => Err(self.broken("no answer in time".to_owned())),
        }
    }

    fn broken(&self, reason: String) -> ClientError {
        ClientError::Broken {
            socket: self.socket.clone(),
            reason,
        }
    }

    fn unknown(&self, status: StatusCode) -> ClientError {
        ClientError::Unknown {
            socket: self.socket.clone(),
            status,
        }
    }
}

/// A proxy that is taken over from may close its socket between the moment when it was found under the name and the
/// moment when it is connected to: then another one has the name already.
async fn connect(path: &Path) -> Result<UnixStream, ClientError> {
    let place = || {
        let found = std::fs::metadata(path).ok()?;
        Some((found.ino(), found.ctime(), found.ctime_nsec()))
    };
    loop {
        let before = place();
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && place() != before => {}
            other => {
                return other.map_err(|source| ClientError::Unreachable {
                    socket: path.to_owned(),
                    source,
                });
            }
        }
    }
}

async fn converse(
    stream: UnixStream,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "proxy")
        .body(Full::new(body))?;
    let talk = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, body))
    };
    let (mut talk, connection) = (pin!(talk), pin!(connection));
    tokio::select! {
        biased;
        answer = talk.as_mut() => return answer,
        _ = connection => {}
    }
    talk.await
}
