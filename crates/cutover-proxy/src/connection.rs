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
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::arrival;
use crate::client_io::{ClientIo, ConnectionState, Transport, nothing_arrived};
use crate::door::Door;
use crate::forward;
use crate::forwarded::Origin;
use crate::head_timer::{self, HeadTimer};
use crate::http2;
use crate::options::{FIELDS, Limits};
use crate::proxy_protocol;
use crate::worker::{OpenConnection, Worker};

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
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let client = client(listen, ip, http2, true);
    if http2 {
        http2::serve(worker, client, stream, Bytes::new()).await;
    } else {
        http1(worker, client, stream, Bytes::new()).await;
    }
}

async fn plain(worker: &Rc<Worker>, listen: SocketAddr, stream: TcpStream, ip: IpAddr) {
    let limits = &worker.shared.limits;
    let arrived = tokio::select! {
        biased;
        arrived = timeout(limits.head_timeout, arrival::first(&stream)) => arrived,
        () = leave_silent(worker, &stream) => return,
    };
    let Ok(Ok(Some(arrival))) = arrived else {
        return;
    };
    let client = client(listen, ip, arrival.http2, false);
    if arrival.http2 {
        Box::pin(http2::serve(worker, client, stream, arrival.bytes)).await;
    } else {
        http1(worker, client, stream, arrival.bytes).await;
    }
}

fn client(listen: SocketAddr, ip: IpAddr, http2: bool, tls: bool) -> Rc<Client> {
    Rc::new(Client {
        listen,
        ip: ip.to_canonical(),
        origin: Origin::new(ip, tls),
        http2,
        state: Arc::default(),
    })
}

/// Returns when a client that has said nothing yet is to be left because the proxy stops.
async fn leave_silent(worker: &Worker, stream: &TcpStream) {
    let mut drain = worker.drain.subscribe();
    drop(drain.wait_for(Option::is_some).await);
    sleep(part_of_the_window(worker)).await;
    if !nothing_arrived(stream) {
        // It is being read, and served.
        std::future::pending::<()>().await;
    }
}

/// A client that is silent is told at a random moment of the window's second half: all at once would come back at once,
/// and whoever is active gets the time to ask once more, and is told by the answer. One that is told while it begins to
/// ask loses its request.
pub(crate) fn part_of_the_window(worker: &Worker) -> Duration {
    let spread = u64::try_from(worker.shared.limits.close_spread.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(worker.random.borrow_mut().random_range(spread / 2..=spread))
}

async fn http1<S: Transport>(worker: &Rc<Worker>, client: Rc<Client>, stream: S, first: Bytes) {
    let state = Arc::clone(&client.state);
    let io = ClientIo::http1(stream, first, Arc::clone(&state));
    let limits = &worker.shared.limits;
    let service = {
        let worker = Rc::clone(worker);
        service_fn(move |request| forward::handle(Rc::clone(&worker), Rc::clone(&client), request))
    };
    let timer = HeadTimer::default();
    let builder = builder(limits, timer.clone());
    let connection = builder.serve_connection(io, service).with_upgrades();
    let mut connection = pin!(head_timer::watched(connection, timer, limits.head_timeout));
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
