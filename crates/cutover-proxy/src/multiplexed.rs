//! One worker's HTTP/2 connections to instances: shared by many requests, unlike those of HTTP/1.1.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::header::HOST;
use hyper::http::uri::{Authority, Scheme, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::Socket;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::http2::Local;
use crate::options::Limits;
use crate::request_body::RequestBody;

/// Requests on one connection until another one is opened; servers allow 100 or more.
const STREAMS: u32 = 100;

/// What may wait on one stream for an instance that reads slowly.
const SEND_BUFFER: usize = 64 * 1024;

/// An instance that may have gone is asked while requests are open.
const PING_AFTER: Duration = Duration::from_secs(20);

/// A connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    sender: SendRequest<RequestBody>,
    load: Rc<Load>,
}

#[derive(Debug)]
struct Load {
    /// A second descriptor, to see that the instance has hung up.
    socket: Socket,
    open: Cell<u32>,
    idle_since: Cell<Instant>,
}

/// A place on a connection, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) sender: SendRequest<RequestBody>,
    load: Rc<Load>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.open.set(self.load.open.get() - 1);
        self.load.idle_since.set(Instant::now());
    }
}

impl Connection {
    pub(crate) fn place(&self) -> Place {
        self.load.open.set(self.load.open.get() + 1);
        Place {
            sender: self.sender.clone(),
            load: Rc::clone(&self.load),
        }
    }

    fn has_ended(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        match self.load.socket.peek(&mut byte) {
            Ok(length) => length == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

/// Connections by endpoint.
#[derive(Debug, Default)]
pub(crate) struct Connections(RefCell<HashMap<u64, Vec<Connection>>>);

impl Connections {
    /// A place on a connection that has room. With `look`, only on one on which the instance has certainly not hung
    /// up so far: it costs a system call.
    pub(crate) fn take(&self, key: u64, look: bool) -> Option<Place> {
        let mut all = self.0.borrow_mut();
        let list = all.get_mut(&key)?;
        list.retain(|one| !(one.sender.is_closed() || look && one.has_ended()));
        list.iter()
            .find(|one| one.load.open.get() < STREAMS)
            .map(Connection::place)
    }

    /// Whoever connects at the same time as another one uses the other one's.
    pub(crate) fn add(&self, key: u64, connection: Connection) -> Place {
        if let Some(place) = self.take(key, false) {
            return place;
        }
        let place = connection.place();
        self.0.borrow_mut().entry(key).or_default().push(connection);
        place
    }

    /// Opens no more streams on it: it turned one away.
    pub(crate) fn forget(&self, key: u64, place: &Place) {
        if let Some(list) = self.0.borrow_mut().get_mut(&key) {
            list.retain(|one| !Rc::ptr_eq(&one.load, &place.load));
        }
    }

    pub(crate) fn keep_only(&self, keys: &[u64]) {
        self.0.borrow_mut().retain(|key, _| keys.contains(key));
    }

    pub(crate) fn sweep(&self, limits: &Limits) {
        self.0.borrow_mut().retain(|_, list| {
            list.retain(|one| {
                let idle =
                    one.load.open.get() == 0 && one.load.idle_since.get().elapsed() >= limits.idle_timeout;
                !one.sender.is_closed() && !idle
            });
            !list.is_empty()
        });
    }
}

/// Begins to speak HTTP/2 on a fresh connection.
pub(crate) async fn begin(stream: TcpStream) -> io::Result<Connection> {
    let socket = Socket::from(stream.as_fd().try_clone_to_owned()?);
    let (sender, connection) = Builder::new(Local)
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_AFTER)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(256 * 1024)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to an instance ended");
        }
    });
    let load = Rc::new(Load {
        socket,
        open: Cell::new(0),
        idle_since: Cell::new(Instant::now()),
    });
    Ok(Connection { sender, load })
}

/// Makes a request one of HTTP/2: the Host becomes `:authority`, and no field is about the connection.
pub(crate) fn address(parts: &mut hyper::http::request::Parts) {
    let host = parts.headers.remove(HOST);
    let authority = host.and_then(|host| Authority::from_maybe_shared(host).ok());
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(authority.unwrap_or_else(|| Authority::from_static("localhost")));
    parts.uri = Uri::from_parts(uri).unwrap_or_default();
    parts.version = hyper::Version::HTTP_2;
    parts.headers.remove(hyper::header::CONNECTION);
}

/// What an instance did with a stream that it did not look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    /// `REFUSED_STREAM`: it has enough.
    Refused,
    /// `GOAWAY` with a last stream before this one: the connection ends.
    GoingAway,
}

/// Whether an error says that the request was certainly not looked at (RFC 9113 §8.7).
pub(crate) fn turned_away(error: &hyper::Error) -> Option<TurnedAway> {
    let mut cause = error.source();
    while let Some(found) = cause {
        if let Some(error) = found.downcast_ref::<h2::Error>() {
            return if !error.is_remote() {
                None
            } else if error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM) {
                Some(TurnedAway::Refused)
            } else if error.is_go_away() {
                Some(TurnedAway::GoingAway)
            } else {
                None
            };
        }
        cause = found.source();
    }
    None
}
