//! One worker's connections to instances.
//!
//! Never shared between threads. A connection of HTTP/1.1 is in the pool only while nothing is open on it; that the
//! instance has closed it is seen when it is taken out, or when the pool is swept.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use cutover_model::routing::UpstreamProtocol;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::answer_head::{MAX_FIELDS, MAX_HEAD};
use crate::forwarded::Origin;
use crate::instance_io::{Broken, Failure, InstanceIo};
use crate::multiplexed::{self, Connections, Place};
use crate::options::Limits;
use crate::outgoing::Outgoing;
use crate::request_body::RequestBody;
use crate::state::EndpointState;

/// A connection that one request may use.
#[derive(Debug)]
pub(crate) struct Lease {
    sender: Sender,
    /// It has carried a request before, so the instance may be closing it just now.
    pub(crate) reused: bool,
}

#[derive(Debug)]
enum Sender {
    Http1(Box<InstanceIo>),
    /// It is to change its protocol, and is for one request only.
    Changing(SendRequest<RequestBody>),
    /// One of many requests on it.
    Http2(Place),
}

#[derive(Debug)]
struct Idle {
    io: Box<InstanceIo>,
    since: Instant,
}

/// Endpoint keys are counted up by this process: nobody outside can make them collide.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte) ^ self.0.rotate_left(8));
        }
    }

    fn write_u64(&mut self, key: u64) {
        // The golden ratio's fraction spreads neighbours over the high bits, which choose the group.
        self.0 = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Idle connections by endpoint.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: RefCell<HashMap<u64, Vec<Idle>, BuildHasherDefault<KeyHasher>>>,
    shared: Connections,
}

impl Pool {
    /// An idle connection, the one used last. With `look`, only one on which the instance has certainly not hung up
    /// so far: for requests that cannot be repeated. It costs a system call.
    pub(crate) fn take(
        &self,
        endpoint: &EndpointState,
        spoken: UpstreamProtocol,
        look: bool,
    ) -> Option<Lease> {
        if spoken == UpstreamProtocol::H2c {
            return self.shared.take(endpoint.key, look).map(|place| Lease {
                sender: Sender::Http2(place),
                reused: true,
            });
        }
        let mut idle = self.idle.borrow_mut();
        let list = idle.get_mut(&endpoint.key)?;
        while let Some(Idle { io, .. }) = list.pop() {
            if !io.has_ended(look) {
                return Some(Lease {
                    sender: Sender::Http1(io),
                    reused: true,
                });
            }
        }
        None
    }

    pub(crate) fn put(&self, lease: Lease, endpoint: &EndpointState, limits: &Limits) {
        let Sender::Http1(mut io) = lease.sender else {
            return;
        };
        if !io.is_reusable() || !endpoint.routed.load(Relaxed) {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let list = idle.entry(endpoint.key).or_default();
        if list.len() < limits.max_idle {
            io.rest();
            let since = Instant::now();
            list.push(Idle { io, since });
        }
    }

    /// Closes every idle connection to endpoints that are not in `keys`.
    pub(crate) fn keep_only(&self, keys: &[u64]) {
        self.idle.borrow_mut().retain(|key, _| keys.contains(key));
        self.shared.keep_only(keys);
    }

    /// Closes what has been idle too long, or was closed by the other side.
    pub(crate) fn sweep(&self, limits: &Limits) {
        let now = Instant::now();
        self.idle.borrow_mut().retain(|_, list| {
            list.retain(|idle| now - idle.since < limits.idle_timeout && !idle.io.has_ended(false));
            !list.is_empty()
        });
        self.shared.sweep(limits);
    }

    /// An instance turned a request away unread: nobody else goes by that connection.
    pub(crate) fn forget(&self, endpoint: &EndpointState, lease: &Lease) {
        if let Sender::Http2(place) = &lease.sender {
            self.shared.forget(endpoint.key, place);
        }
    }
}

impl Lease {
    /// Sends, and waits for the answer's head. The fields of `parts` are an instance's, or with `as_client`, which is for
    /// HTTP/1.1 only, the client's own. Without a body of its own, the answer's body is read from this lease.
    pub(crate) async fn send(
        &mut self,
        parts: &Parts,
        as_client: Option<(&Outgoing, &Origin)>,
        body: RequestBody,
    ) -> Result<Response<Option<Incoming>>, Failure> {
        match &mut self.sender {
            Sender::Http1(io) => {
                io.begin(parts, as_client, body);
                let mut headers = HeaderMap::new();
                let answer = poll_fn(|cx| io.poll_answer(cx, &mut headers)).await?;
                Ok(answer.map(|()| None))
            }
            Sender::Changing(sender) => by_hyper(sender.try_send_request(whole(parts, body)).await),
            Sender::Http2(place) => by_hyper(place.sender.try_send_request(whole(parts, body)).await),
        }
    }

    /// Where the answer's body is read, if the answer had none of its own.
    pub(crate) fn io(&mut self) -> Option<&mut InstanceIo> {
        match &mut self.sender {
            Sender::Http1(io) => Some(io),
            Sender::Changing(_) | Sender::Http2(_) => None,
        }
    }

    pub(crate) fn as_io(&self) -> Option<&InstanceIo> {
        match &self.sender {
            Sender::Http1(io) => Some(io),
            Sender::Changing(_) | Sender::Http2(_) => None,
        }
    }
}

fn whole(parts: &Parts, body: RequestBody) -> Request<RequestBody> {
    Request::from_parts(parts.clone(), body)
}

fn by_hyper(
    sent: Result<Response<Incoming>, TrySendError<Request<RequestBody>>>,
) -> Result<Response<Option<Incoming>>, Failure> {
    sent.map(|answer| answer.map(Some)).map_err(|mut error| {
        if error.take_message().is_some() {
            Failure::Unsent
        } else {
            Failure::Broken(Broken::Hyper(error.into_error()))
        }
    })
}

/// Opens a connection, within `limit`.
pub(crate) async fn connect(
    pool: &Pool,
    endpoint: &EndpointState,
    spoken: UpstreamProtocol,
    limit: Duration,
) -> io::Result<Lease> {
    let stream = open(endpoint, limit).await?;
    let sender = if spoken == UpstreamProtocol::H2c {
        let connection = multiplexed::begin(stream).await?;
        Sender::Http2(pool.shared.add(endpoint.key, connection))
    } else {
        Sender::Http1(Box::new(InstanceIo::new(stream)))
    };
    Ok(Lease {
        sender,
        reused: false,
    })
}

/// Opens a connection that is to change its protocol; its task runs on the calling worker's local set until it has.
pub(crate) async fn connect_to_change(endpoint: &EndpointState, limit: Duration) -> io::Result<Lease> {
    let stream = open(endpoint, limit).await?;
    let (sender, connection) = Builder::new()
        .max_headers(MAX_FIELDS)
        .max_header_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::task::spawn_local(async move {
        // How it ended reaches the request that was open on it.
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "connection to an instance ended");
        }
    });
    Ok(Lease {
        sender: Sender::Changing(sender),
        reused: false,
    })
}

async fn open(endpoint: &EndpointState, limit: Duration) -> io::Result<TcpStream> {
    let stream = timeout(limit, TcpStream::connect(endpoint.address)).await??;
    // A port of the ephemeral range on which nobody listens can connect to itself.
    if stream.local_addr()? == endpoint.address {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    stream.set_nodelay(true)?;
    Ok(stream)
}
