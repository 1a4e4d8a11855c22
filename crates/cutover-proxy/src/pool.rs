//! One worker's connections to instances.
//!
//! Never shared between threads. A connection is in the pool only while nothing is open on it; its task, which runs
//! beside, notices when the instance closes it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use cutover_model::routing::UpstreamProtocol;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use socket2::Socket;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::multiplexed::{self, Connections, Place};
use crate::options::Limits;
use crate::request_body::RequestBody;
use crate::state::EndpointState;

/// Of an answer: more than of a request, as the instance is trusted and has been asked already. With any other number
/// than 100, hyper makes room for them on the heap, once an answer.
const MAX_FIELDS: usize = 256;

/// An answer's head, in bytes.
const MAX_HEAD: usize = 256 * 1024;

/// A connection that one request may use.
#[derive(Debug)]
pub(crate) struct Lease {
    sender: Sender,
    /// It has carried a request before, so the instance may be closing it just now.
    pub(crate) reused: bool,
}

#[derive(Debug)]
enum Sender {
    /// With a second descriptor of the same socket, to look at it without hyper.
    Http1(SendRequest<RequestBody>, Socket),
    /// One of many requests on it.
    Http2(Place),
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<RequestBody>,
    socket: Socket,
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
        let mut index = list.len();
        while index > 0 {
            index -= 1;
            let idle = &list[index];
            if idle.sender.is_closed() || (look && idle.has_ended()) {
                list.remove(index);
            } else if idle.sender.is_ready() {
                let Idle { sender, socket, .. } = list.remove(index);
                return Some(Lease {
                    sender: Sender::Http1(sender, socket),
                    reused: true,
                });
            }
        }
        None
    }

    pub(crate) fn put(&self, lease: Lease, endpoint: &EndpointState, limits: &Limits) {
        let Sender::Http1(sender, socket) = lease.sender else {
            return;
        };
        if sender.is_closed() || !endpoint.routed.load(Relaxed) {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let list = idle.entry(endpoint.key).or_default();
        if list.len() < limits.max_idle {
            let since = Instant::now();
            list.push(Idle {
                sender,
                socket,
                since,
            });
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
            list.retain(|idle| !idle.sender.is_closed() && now - idle.since < limits.idle_timeout);
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

    fn forget_closed(&self, key: u64) {
        if let Some(list) = self.idle.borrow_mut().get_mut(&key) {
            list.retain(|idle| !idle.sender.is_closed());
        }
    }
}

impl Lease {
    /// Sends, and waits for the answer's head.
    pub(crate) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        match &mut self.sender {
            Sender::Http1(sender, _) => sender.try_send_request(request).await,
            Sender::Http2(place) => place.sender.try_send_request(request).await,
        }
    }
}

impl Idle {
    /// Whether the kernel already knows that the instance has hung up (or says something unasked).
    fn has_ended(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        !matches!(self.socket.peek(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// Opens a connection, within `limit`; its task runs on the calling worker's local set until it is closed.
pub(crate) async fn connect(
    pool: &Rc<Pool>,
    endpoint: &EndpointState,
    spoken: UpstreamProtocol,
    limit: Duration,
) -> io::Result<Lease> {
    let stream = timeout(limit, TcpStream::connect(endpoint.address)).await??;
    // A port of the ephemeral range on which nobody listens can connect to itself.
    if stream.local_addr()? == endpoint.address {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    stream.set_nodelay(true)?;
    if spoken == UpstreamProtocol::H2c {
        let connection = multiplexed::begin(stream).await?;
        return Ok(Lease {
            sender: Sender::Http2(pool.shared.add(endpoint.key, connection)),
            reused: false,
        });
    }
    let socket = Socket::from(stream.as_fd().try_clone_to_owned()?);
    let (sender, connection) = Builder::new()
        .max_headers(MAX_FIELDS)
        .max_header_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let key = endpoint.key;
    let weak = Rc::downgrade(pool);
    tokio::task::spawn_local(async move {
        // How it ended reaches the request that was open on it; an idle one ends without anybody to tell.
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "connection to an instance ended");
        }
        if let Some(pool) = weak.upgrade() {
            pool.forget_closed(key);
        }
    });
    Ok(Lease {
        sender: Sender::Http1(sender, socket),
        reused: false,
    })
}
