//! One client connection, from accept to close: what is spoken on it, and how it ends when the proxy stops.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use rand::Rng;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::access_entry::Pending;
use crate::arrival;
use crate::client_io::{ClientIo, ConnectionState, Transport, nothing_arrived};
use crate::door::Door;
use crate::forward;
use crate::forwarded::Origin;
use crate::head_timer::{self, HeadTimer};
use crate::http2;
use crate::options::{FIELDS, Limits};
use crate::proxy_protocol;
use crate::worker::{IdleConnection, OpenConnection, Worker};

/// What every request on a connection has in common.
pub(crate) struct Client {
    pub(crate) listen: SocketAddr,
    /// Who it is: the socket's other end, or whom a trusted proxy in front announced.
    pub(crate) ip: IpAddr,
    /// The same and how it came, as the fields that tell instances.
    pub(crate) origin: Origin,
    /// Many requests at once, and no `Connection` field.
    pub(crate) http2: bool,
    pub(crate) state: Arc<ConnectionState>,
}

/// In a task of its own.
pub(crate) fn serve(open: OpenConnection, listen: SocketAddr, stream: TcpStream, peer: SocketAddr) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let door = open
        .0
        .with_snapshot(|snapshot| snapshot.route(listen)?.door.clone());
    let caller = Caller {
        listen,
        ip: peer.ip(),
        tls: false,
    };
    match door {
        None => drop(spawn_local(talk(open, caller, stream))),
        Some(door) => drop(spawn_local(through(open, door, caller, stream))),
    }
}

/// A listener that wants to hear who the client is, or TLS, before anything else.
async fn through(open: OpenConnection, door: Arc<Door>, mut caller: Caller, mut stream: TcpStream) {
    let peer = caller.ip;
    let limit = open.0.shared.limits.handshake_timeout;
    if door.announces(peer) {
        match timeout(limit, proxy_protocol::read(&mut stream)).await {
            Ok(Ok(announced)) => caller.ip = announced.unwrap_or(peer),
            Ok(Err(error)) => return tracing::debug!(%error, %peer, "no PROXY header"),
            Err(_) => return tracing::debug!(%peer, "no PROXY header in time"),
        }
    }
    let Some(tls) = &door.tls else {
        return Box::pin(talk(open, caller, stream)).await;
    };
    let stream = match Box::pin(timeout(limit, tls.accept(stream))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, %peer, "a TLS handshake failed"),
        Err(_) => return tracing::debug!(%peer, "a TLS handshake took too long"),
    };
    caller.tls = true;
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        Box::pin(http2::serve(&open.0, caller.client(true), stream, Bytes::new())).await;
    } else {
        Box::pin(talk(open, caller, stream)).await;
    }
}

/// What is known of a client before it has said anything.
#[derive(Clone, Copy)]
struct Caller {
    listen: SocketAddr,
    ip: IpAddr,
    tls: bool,
}

impl Caller {
    fn client(self, http2: bool) -> Rc<Client> {
        Rc::new(Client {
            listen: self.listen,
            ip: self.ip.to_canonical(),
            origin: Origin::new(self.ip, self.tls),
            http2,
            state: Arc::default(),
        })
    }
}

/// Between requests that are not close to each other, a connection is its socket again.
///
/// No `async fn`, which would hold its arguments twice, and what answers is in a box: idle connections are many.
fn talk<S: Transport>(open: OpenConnection, caller: Caller, stream: S) -> impl Future<Output = ()> {
    let mut heard = Heard::nothing(&open.0, stream);
    async move {
        while heard.first_bytes(&open.0).await && heard.whole_head(&open.0).await {
            match Box::pin(answer(&open.0, caller, heard)).await {
                Some(rested) => heard = rested,
                None => return,
            }
        }
    }
}

/// A connection for which nothing is made yet, or no longer.
struct Heard<S> {
    stream: S,
    /// Of the next request.
    bytes: Vec<u8>,
    /// For its head.
    deadline: Instant,
    /// Nothing was asked before.
    first: bool,
}

impl<S: Transport> Heard<S> {
    fn nothing(worker: &Worker, stream: S) -> Self {
        Self {
            stream,
            bytes: Vec::new(),
            deadline: Instant::now() + worker.shared.limits.head_timeout,
            first: true,
        }
    }

    fn rested(worker: &Worker, stream: S) -> Self {
        let mut heard = Self::nothing(worker, stream);
        heard.deadline -= worker.shared.limits.rest_after;
        heard.first = false;
        heard
    }

    /// Whether the client has said something. If not, the connection is over.
    async fn first_bytes(&mut self, worker: &Worker) -> bool {
        let idle = IdleConnection::new(worker);
        let mut drain = worker.drain.subscribe();
        let mut time = pin!(sleep_until(self.deadline));
        let mut came = tokio::select! {
            biased;
            came = arrival::read_some(&mut self.stream, &mut self.bytes) => Some(came),
            () = time.as_mut() => return false,
            _ = drain.wait_for(Option::is_some) => None,
        };
        drop(drain);
        if came.is_none() {
            // The proxy stops, and leaves whoever stays silent.
            let leave = Instant::now() + part_of_the_window(worker);
            time.as_mut().reset(leave.min(self.deadline));
            came = tokio::select! {
                biased;
                came = arrival::read_some(&mut self.stream, &mut self.bytes) => Some(came),
                () = time.as_mut() => None,
            };
        }
        if came.is_none() && !nothing_arrived(self.stream.socket()) {
            // It has just begun, and is served.
            came = Some(arrival::read_some(&mut self.stream, &mut self.bytes).await);
        }
        drop(idle);
        match came {
            Some(Ok(1..)) => return true,
            Some(Ok(0)) | None => {
                time.as_mut().reset(Instant::now() + LAST_WORD);
                tokio::select! {
                    _ = self.stream.shutdown() => {}
                    () = time => {}
                }
            }
            Some(Err(_)) => {}
        }
        false
    }

    /// Whether there is a head to be answered.
    async fn whole_head(&mut self, worker: &Worker) -> bool {
        let most = worker.shared.limits.max_head_bytes;
        let whole = arrival::whole_head(&mut self.stream, &mut self.bytes, most);
        matches!(timeout_at(self.deadline, whole).await, Ok(Ok(())))
    }
}

/// For the end of TLS to be sent.
const LAST_WORD: Duration = Duration::from_secs(1);

/// A client that is silent is told at a random moment of the window's second half: all at once would come back at once,
/// and whoever is active gets the time to ask once more, and is told by the answer. One that is told while it begins to
/// ask loses its request.
pub(crate) fn part_of_the_window(worker: &Worker) -> Duration {
    let spread = u64::try_from(worker.shared.limits.close_spread.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(worker.random.borrow_mut().random_range(spread / 2..=spread))
}

/// Answers requests until the connection ends, or is given back because no other follows for a while.
async fn answer<S: Transport>(worker: &Rc<Worker>, caller: Caller, heard: Heard<S>) -> Option<Heard<S>> {
    let limits = &worker.shared.limits;
    let first = Bytes::from(heard.bytes);
    if heard.first && !caller.tls && first.starts_with(arrival::PREFACE) {
        Box::pin(http2::serve(worker, caller.client(true), heard.stream, first)).await;
        return None;
    }
    let client = caller.client(false);
    let state = Arc::clone(&client.state);
    let io = ClientIo::http1(heard.stream, first, Arc::clone(&state));
    let service = {
        let (worker, client) = (Rc::clone(worker), Rc::clone(&client));
        service_fn(move |request| forward::handle(Rc::clone(&worker), Rc::clone(&client), request))
    };
    let timer = HeadTimer::default();
    let builder = builder(limits, timer.clone());
    let mut connection = builder.serve_connection(io, service).with_upgrades();
    {
        let times = head_timer::Times {
            head: limits.head_timeout,
            rest: limits.rest_after,
        };
        let watched = head_timer::watched(&mut connection, timer, times, || state.rest_when_idle());
        let result = until_over(worker, &state, watched).await;
        if let Err(error) = &result
            && error.is_parse()
        {
            count_unread(worker, &client, error);
        }
        ended(result);
    }
    let stream = connection.into_parts()?.io.at_rest()?;
    Some(Heard::rested(worker, stream))
}

/// What the parser refuses, and answers, counts like what is refused behind it.
fn count_unread(worker: &Worker, client: &Client, error: &hyper::Error) {
    let status = if error.is_parse_too_large() {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    } else {
        StatusCode::BAD_REQUEST
    };
    worker.with_snapshot(|snapshot| {
        let Some(route) = snapshot.route(client.listen) else {
            return;
        };
        route.state.requests.fetch_add(1, Relaxed);
        route.state.rejected.fetch_add(1, Relaxed);
        if let Some(log) = &route.access_log {
            drop(Pending::unread(log, client, status));
        }
    });
}

/// Until the connection has ended, or the proxy has to.
async fn until_over(
    worker: &Worker,
    state: &ConnectionState,
    connection: impl Future<Output = Result<(), hyper::Error>>,
) -> Result<(), hyper::Error> {
    let mut connection = pin!(connection);
    let mut drain = worker.drain.subscribe();
    let deadline = tokio::select! {
        biased;
        result = connection.as_mut() => return result,
        deadline = drain.wait_for(Option::is_some) => deadline.ok().and_then(|deadline| *deadline),
    };
    let deadline = deadline.unwrap_or_else(Instant::now);
    // Every answer from now on says `Connection: close`. A client that is silent within its part of the window is
    // told afterwards, when nothing of it is on the way.
    tokio::select! {
        biased;
        result = connection.as_mut() => return result,
        () = sleep(part_of_the_window(worker)) => state.close_when_idle(),
    }
    tokio::select! {
        biased;
        result = connection.as_mut() => result,
        () = sleep_until(deadline) => Ok(()),
    }
}

pub(crate) fn builder(limits: &Limits, timer: HeadTimer) -> Builder {
    let mut builder = Builder::new();
    builder
        .timer(timer)
        .header_read_timeout(limits.head_timeout)
        .max_header_size(limits.max_head_bytes)
        .half_close(true);
    if limits.max_fields != FIELDS {
        builder.max_headers(limits.max_fields);
    }
    builder
}

pub(crate) fn ended(result: Result<(), hyper::Error>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a client connection ended");
    }
}
