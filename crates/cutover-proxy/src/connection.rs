//! One client connection, from accept to close: what is spoken on it, and how it ends when the proxy stops.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use rand::Rng;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::arrival;
use crate::client_io::{ClientIo, ConnectionState, Transport};
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

pub(crate) async fn serve(open: OpenConnection, listen: SocketAddr, stream: TcpStream, peer: SocketAddr) {
    let worker = &open.0;
    if stream.set_nodelay(true).is_err() {
        return;
    }
    match worker.with_snapshot(|snapshot| snapshot.route(listen)?.door.clone()) {
        None => plain(worker, listen, stream, peer.ip()).await,
        Some(door) => Box::pin(through(worker, &door, listen, stream, peer.ip())).await,
    }
}

/// A listener that wants to hear who the client is, or TLS, before anything else.
async fn through(worker: &Rc<Worker>, door: &Door, listen: SocketAddr, mut stream: TcpStream, peer: IpAddr) {
    let limits = &worker.shared.limits;
    let mut ip = peer;
    if door.announces(peer) {
        match timeout(limits.handshake_timeout, proxy_protocol::read(&mut stream)).await {
            Ok(Ok(announced)) => ip = announced.unwrap_or(peer),
            Ok(Err(error)) => return tracing::debug!(%error, %peer, "no PROXY header"),
            Err(_) => return tracing::debug!(%peer, "no PROXY header in time"),
        }
    }
    let Some(tls) = &door.tls else {
        return plain(worker, listen, stream, ip).await;
    };
    let stream = match timeout(limits.handshake_timeout, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, %peer, "a TLS handshake failed"),
        Err(_) => return tracing::debug!(%peer, "a TLS handshake took too long"),
    };
    let caller = Caller {
        listen,
        ip,
        tls: true,
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2::serve(worker, caller.client(true), stream, Bytes::new()).await;
    } else {
        http1(worker, caller, Heard::nothing(worker, stream)).await;
    }
}

async fn plain(worker: &Rc<Worker>, listen: SocketAddr, stream: TcpStream, ip: IpAddr) {
    let caller = Caller {
        listen,
        ip,
        tls: false,
    };
    let mut heard = Heard::nothing(worker, stream);
    if !heard.first_bytes(worker).await {
        return;
    }
    let http2 = arrival::is_http2(&mut heard.stream, &mut heard.bytes);
    match timeout_at(heard.deadline, http2).await {
        Ok(Ok(true)) => {
            let client = caller.client(true);
            Box::pin(http2::serve(worker, client, heard.stream, heard.bytes.into())).await;
        }
        Ok(Ok(false)) => http1(worker, caller, heard).await,
        Ok(Err(_)) | Err(_) => {}
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

/// A connection for which nothing is made yet, or no longer.
struct Heard<S> {
    stream: S,
    /// Of the next request.
    bytes: Vec<u8>,
    /// For its head.
    deadline: Instant,
}

impl<S: Transport> Heard<S> {
    fn nothing(worker: &Worker, stream: S) -> Self {
        Self {
            stream,
            bytes: Vec::new(),
            deadline: Instant::now() + worker.shared.limits.head_timeout,
        }
    }

    /// Whether the client has said something. If not, the connection is over.
    async fn first_bytes(&mut self, worker: &Worker) -> bool {
        let idle = IdleConnection::new(worker);
        let bytes = arrival::bytes(&mut self.stream, leave_silent(worker));
        match timeout_at(self.deadline, bytes).await {
            Ok(Ok(Some(bytes))) => self.bytes = bytes,
            Ok(Ok(None)) => drop(timeout_at(self.deadline, self.stream.shutdown()).await),
            Ok(Err(_)) | Err(_) => {}
        }
        drop(idle);
        !self.bytes.is_empty()
    }

    /// Whether there is a head to be answered.
    async fn head(&mut self, worker: &Worker) -> bool {
        if self.bytes.is_empty() && !self.first_bytes(worker).await {
            return false;
        }
        let most = worker.shared.limits.max_head_bytes;
        let whole = arrival::whole_head(&mut self.stream, &mut self.bytes, most);
        matches!(timeout_at(self.deadline, whole).await, Ok(Ok(())))
    }
}

/// Returns when a client that has said nothing is to be left because the proxy stops.
async fn leave_silent(worker: &Worker) {
    let mut drain = worker.drain.subscribe();
    drop(drain.wait_for(Option::is_some).await);
    sleep(part_of_the_window(worker)).await;
}

/// A client that is silent is told at a random moment of the window's second half: all at once would come back at once,
/// and whoever is active gets the time to ask once more, and is told by the answer. One that is told while it begins to
/// ask loses its request.
pub(crate) fn part_of_the_window(worker: &Worker) -> Duration {
    let spread = u64::try_from(worker.shared.limits.close_spread.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(worker.random.borrow_mut().random_range(spread / 2..=spread))
}

/// Between requests that are not close to each other, a connection is its socket again.
async fn http1<S: Transport>(worker: &Rc<Worker>, caller: Caller, mut heard: Heard<S>) {
    while heard.head(worker).await {
        let client = caller.client(false);
        let requests = requests(worker, client, heard.stream, heard.bytes.into());
        let Some(stream) = Box::pin(requests).await else {
            return;
        };
        heard = Heard::nothing(worker, stream);
        heard.deadline -= worker.shared.limits.rest_after;
    }
}

/// Serves requests until the connection ends, or is given back because no other follows for a while.
async fn requests<S: Transport>(
    worker: &Rc<Worker>,
    client: Rc<Client>,
    stream: S,
    first: Bytes,
) -> Option<S> {
    let state = Arc::clone(&client.state);
    let io = ClientIo::http1(stream, first, Arc::clone(&state));
    let limits = &worker.shared.limits;
    let service = {
        let worker = Rc::clone(worker);
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
        until_over(worker, &state, watched).await;
    }
    connection.into_parts()?.io.at_rest()
}

/// Until the connection has ended, or the proxy has to.
async fn until_over(
    worker: &Worker,
    state: &ConnectionState,
    connection: impl Future<Output = Result<(), hyper::Error>>,
) {
    let mut connection = pin!(connection);
    let mut drain = worker.drain.subscribe();
    let deadline = tokio::select! {
        biased;
        result = connection.as_mut() => return ended(result),
        deadline = drain.wait_for(Option::is_some) => deadline.ok().and_then(|deadline| *deadline),
    };
    let deadline = deadline.unwrap_or_else(Instant::now);
    // Every answer from now on says `Connection: close`. A client that is silent within its part of the window is
    // told afterwards, when nothing of it is on the way.
    tokio::select! {
        biased;
        result = connection.as_mut() => return ended(result),
        () = sleep(part_of_the_window(worker)) => state.close_when_idle(),
    }
    tokio::select! {
        biased;
        result = connection.as_mut() => ended(result),
        () = sleep_until(deadline) => {}
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
