//! One client connection, from accept to close.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderValue;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use rand::Rng;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use crate::client_io::{ClientIo, ConnectionState};
use crate::forward;
use crate::options::Limits;
use crate::worker::OpenConnection;

/// What every request on a connection has in common.
pub(crate) struct Client {
    pub(crate) listen: SocketAddr,
    pub(crate) address: HeaderValue,
    pub(crate) state: Arc<ConnectionState>,
}

pub(crate) async fn serve(open: OpenConnection, listen: SocketAddr, stream: TcpStream, peer: SocketAddr) {
    let worker = Rc::clone(&open.0);
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let client = Rc::new(Client {
        listen,
        address: address_field(peer.ip()),
        state: Arc::default(),
    });
    let state = Arc::clone(&client.state);
    let io = ClientIo::new(stream, Arc::clone(&state));
    let limits = &worker.shared.limits;
    let service = {
        let worker = Rc::clone(&worker);
        service_fn(move |request| forward::handle(Rc::clone(&worker), Rc::clone(&client), request))
    };
    let mut connection = pin!(builder(limits).serve_connection(io, service).with_upgrades());
    let mut drain = worker.drain.subscribe();
    let deadline = tokio::select! {
        biased;
        result = connection.as_mut() => return ended(result),
        deadline = drain.wait_for(Option::is_some) => deadline.ok().and_then(|deadline| *deadline),
    };
    let deadline = deadline.unwrap_or_else(Instant::now);
    // Every answer from now on says `Connection: close`. A client that is silent within its part of the window is
    // told afterwards, when nothing of it is on the way.
    let spread = u64::try_from(limits.close_spread.as_millis()).unwrap_or(u64::MAX);
    let wait = worker.random.borrow_mut().random_range(0..=spread);
    tokio::select! {
        biased;
        result = connection.as_mut() => return ended(result),
        () = sleep_until(Instant::now() + Duration::from_millis(wait)) => state.close_when_idle(),
    }
    tokio::select! {
        biased;
        result = connection.as_mut() => ended(result),
        () = sleep_until(deadline) => {}
    }
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_header_size(limits.max_head_bytes)
        .max_headers(limits.max_fields)
        .half_close(true);
    builder
}

fn ended(result: Result<(), hyper::Error>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a client connection ended");
    }
}

fn address_field(ip: IpAddr) -> HeaderValue {
    let text = ip.to_canonical().to_string();
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("unknown"))
}
