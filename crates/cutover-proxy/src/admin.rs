//! The admin interface: HTTP/1.1 over a Unix socket that only this user and root may use.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cutover_model::RevisionId;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::holding::Holding;
use crate::prometheus;
use crate::publish::Publisher;
use crate::shared::Shared;
use crate::stats;
use crate::wire::{PublishRequest, Refusal, TableView};

/// A table of thousands of instances is far below this.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// How long the end waits for answers to those that have asked. A connection that is kept open without a question is one
/// of them.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Binds a Unix socket with mode 0600. A file that a killed process left behind is replaced, a live one is not.
pub(crate) fn bind(path: &Path) -> io::Result<StdUnixListener> {
    if path.exists() {
        if StdUnixStream::connect(path).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another proxy answers there",
            ));
        }
        std::fs::remove_file(path)?;
    }
    let listener = StdUnixListener::bind(path)?;
    // Until here the folder, which belongs to this user alone, keeps others out; and each peer is checked.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Whether the other end is this user or root.
pub(crate) fn is_trusted(stream: &UnixStream) -> bool {
    cutover_os::peer_credentials(stream).is_ok_and(cutover_os::PeerCredentials::is_same_user_or_root)
}

/// Serves until the process stops. Whoever has connected by then is answered: a request that is cut off does not say what
/// became of it, and a successor may answer at this name already.
pub(crate) async fn run(
    listener: UnixListener,
    shared: Arc<Shared>,
    publisher: Arc<Publisher>,
    holding: Arc<Holding>,
    stopped: impl Future,
) {
    let mut connections = JoinSet::new();
    let serve = |stream| {
        serve(
            stream,
            Arc::clone(&shared),
            Arc::clone(&publisher),
            Arc::clone(&holding),
        )
    };
    let mut stopped = pin!(stopped);
    loop {
        tokio::select! {
            _ = stopped.as_mut() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if is_trusted(&stream) => drop(connections.spawn(serve(stream))),
                Ok(_) => tracing::warn!("another user's process tried to use the admin socket"),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept on the admin socket now");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    for stream in waiting(listener) {
        if is_trusted(&stream) {
            connections.spawn(serve(stream));
        }
    }
    let answered = async { while connections.join_next().await.is_some() {} };
    drop(timeout(LAST_ANSWERS, answered).await);
}

/// Who has connected and was not accepted yet.
fn waiting(listener: UnixListener) -> Vec<UnixStream> {
    let Ok(listener) = listener.into_std() else {
        return Vec::new();
    };
    let accept = || {
        let (stream, _) = listener.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        UnixStream::from_std(stream).ok()
    };
    std::iter::from_fn(accept).collect()
}

async fn serve(stream: UnixStream, shared: Arc<Shared>, publisher: Arc<Publisher>, holding: Arc<Holding>) {
    let service = service_fn(move |request| {
        let (shared, publisher) = (Arc::clone(&shared), Arc::clone(&publisher));
        let holding = Arc::clone(&holding);
        async move { Ok::<_, Infallible>(answer(request, &shared, &publisher, &holding).await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "an admin connection ended");
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: &Arc<Shared>,
    publisher: &Publisher,
    holding: &Holding,
) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/table") => {
            let snapshot = shared.snapshot.load();
            json(
                StatusCode::OK,
                &TableView {
                    serial: snapshot.serial,
                    fence: snapshot.fence.clone(),
                    table: snapshot.table.clone(),
                },
            )
        }
        (&Method::PUT, "/table") => result(publish(request, publisher).await),
        (&Method::GET, "/stats") => json(StatusCode::OK, &stats::collect(shared)),
        (&Method::GET, "/inflight") => in_flight(request.uri().query(), shared, publisher).await,
        (&Method::POST, "/hold") => match body(request).await {
            Ok(asked) => result(holding.hold(&asked).await),
            Err(refusal) => json(status_of(&refusal), &refusal),
        },
        (&Method::POST, "/release") => match body(request).await {
            Ok(asked) => result(holding.release(&asked).await),
            Err(refusal) => json(status_of(&refusal), &refusal),
        },
        (&Method::POST, "/handover/hold") => match body(request).await {
            Ok(asked) => result(holding.follow_hold(&asked).await),
            Err(refusal) => json(status_of(&refusal), &refusal),
        },
        (&Method::POST, "/handover/release") => match body(request).await {
            Ok(asked) => result(holding.follow_release(&asked).await),
            Err(refusal) => json(status_of(&refusal), &refusal),
        },
        (&Method::POST, "/handover") => result(publisher.hold_back().await),
        (&Method::POST, "/handover/done") => result(publisher.hand_over().await),
        (&Method::PUT, "/handover/table") => match body(request).await {
            Ok(followed) => result(publisher.follow(followed).await),
            Err(refusal) => json(status_of(&refusal), &refusal),
        },
        (&Method::GET, "/metrics") => {
            let text = prometheus::render(&shared.application, &stats::collect(shared));
            respond(StatusCode::OK, "text/plain; version=0.0.4", text.into())
        }
        (&Method::GET, "/ready") => respond(StatusCode::OK, "text/plain", Bytes::from_static(b"ready\n")),
        (_, "/table" | "/stats" | "/inflight" | "/metrics" | "/ready") => {
            respond(StatusCode::METHOD_NOT_ALLOWED, "text/plain", Bytes::new())
        }
        _ => respond(StatusCode::NOT_FOUND, "text/plain", Bytes::new()),
    }
}

fn result<T: Serialize>(result: Result<T, Refusal>) -> Response<Full<Bytes>> {
    match result {
        Ok(value) => json(StatusCode::OK, &value),
        Err(refusal) => json(status_of(&refusal), &refusal),
    }
}

async fn publish(
    request: Request<Incoming>,
    publisher: &Publisher,
) -> Result<crate::PublishReceipt, Refusal> {
    let request: PublishRequest = body(request).await?;
    publisher.publish(request).await
}

async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refusal> {
    let bad = |what: String| Refusal::BadRequest { what };
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    let body = body.map_err(|error| bad(error.to_string()))?.to_bytes();
    serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))
}

fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::StaleFence { .. } | Refusal::ForeignStore { .. } => StatusCode::FORBIDDEN,
        Refusal::SerialConflict { .. } | Refusal::HandedOver => StatusCode::CONFLICT,
        Refusal::InvalidTable { .. } | Refusal::CannotListen { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::NotSaved { .. } | Refusal::HoldNotSaved { .. } => StatusCode::INSUFFICIENT_STORAGE,
        Refusal::NotAcknowledged { .. } => StatusCode::GATEWAY_TIMEOUT,
        Refusal::BadRequest { .. } => StatusCode::BAD_REQUEST,
    }
}

/// `?revision=api@1.0.0%233fa29c`, with `#` and `@` escaped or (for `@`) not; without it, all.
async fn in_flight(query: Option<&str>, shared: &Shared, publisher: &Publisher) -> Response<Full<Bytes>> {
    let wanted = query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("revision=")));
    let wanted = match wanted {
        None => None,
        Some(wanted) => {
            let text = wanted.replace("%23", "#").replace("%40", "@").replace("%2B", "+");
            match text.parse::<RevisionId>() {
                Ok(id) => Some(id),
                Err(error) => {
                    let what = error.to_string();
                    return json(StatusCode::BAD_REQUEST, &Refusal::BadRequest { what });
                }
            }
        }
    };
    let mut status = stats::in_flight(shared, wanted.as_ref());
    if let Some(before) = publisher.predecessor_in_flight(wanted.as_ref()).await {
        status.in_flight += before.in_flight;
        status.instances.extend(before.instances);
    }
    json(StatusCode::OK, &status)
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(body) => respond(status, "application/json", body.into()),
        Err(error) => respond(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/plain",
            error.to_string().into(),
        ),
    }
}

fn respond(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
