//! An instance: a small HTTP server on a thread of its own that can be killed at once.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use socket2::{Domain, Socket, Type};
use tokio::sync::{oneshot, watch};

/// An address that nobody else is given as long as this lives: connections to it are refused, unless an instance is
/// started there.
pub(crate) struct Reserved {
    pub(crate) addr: SocketAddr,
    _socket: Socket,
}

impl Reserved {
    pub(crate) fn new() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap())
    }

    /// Bound, but not listening. With `SO_REUSEADDR` on both, one listener may be bound beside it.
    fn at(addr: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&addr.into()).unwrap();
        Self {
            addr: socket.local_addr().unwrap().as_socket().unwrap(),
            _socket: socket,
        }
    }
}

/// Answers its name to everything. `/hold` waits until it is released, `/status/500` fails, a POST is counted.
pub(crate) struct Instance {
    pub(crate) addr: SocketAddr,
    _reserved: Reserved,
    pub(crate) requests: Arc<AtomicU64>,
    pub(crate) writes: Arc<AtomicU64>,
    pub(crate) connections: Arc<AtomicU64>,
    release: watch::Sender<bool>,
    delay_ms: Arc<AtomicU64>,
    kill: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Shared {
    name: &'static str,
    requests: Arc<AtomicU64>,
    writes: Arc<AtomicU64>,
    released: watch::Receiver<bool>,
    delay_ms: Arc<AtomicU64>,
}

impl Instance {
    pub(crate) fn start(name: &'static str) -> Self {
        Self::start_at(name, "127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn start_at(name: &'static str, addr: SocketAddr) -> Self {
        let reserved = Reserved::at(addr);
        let addr = reserved.addr;
        let listener = cutover_os::bind_listener(addr).unwrap();
        let (release, released) = watch::channel(false);
        let (kill, killed) = oneshot::channel();
        let shared = Shared {
            name,
            requests: Arc::default(),
            writes: Arc::default(),
            released,
            delay_ms: Arc::default(),
        };
        let delay_ms = Arc::clone(&shared.delay_ms);
        let (requests, writes) = (Arc::clone(&shared.requests), Arc::clone(&shared.writes));
        let connections = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&connections);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            // Dropping the runtime closes every connection on the spot, like a killed process.
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, shared, counted) => {}
                    _ = killed => {}
                }
            });
        });
        Self {
            addr,
            _reserved: reserved,
            requests,
            writes,
            connections,
            release,
            delay_ms,
            kill: Some(kill),
            thread: Some(thread),
        }
    }

    pub(crate) fn release(&self) {
        self.release.send_replace(true);
    }

    /// From now on it takes so long to answer.
    pub(crate) fn slow_down(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_millis()).unwrap();
        self.delay_ms.store(delay, SeqCst);
    }

    pub(crate) fn kill(&mut self) {
        if let Some(kill) = self.kill.take() {
            let _ = kill.send(());
        }
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn accept(listener: std::net::TcpListener, shared: Shared, connections: Arc<AtomicU64>) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        connections.fetch_add(1, SeqCst);
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(shared.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            drop(connection.await);
        });
    }
}

async fn answer(
    mut shared: Shared,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    shared.requests.fetch_add(1, SeqCst);
    let path = request.uri().path().to_owned();
    if request.headers().contains_key("upgrade") {
        return Ok(echo_after_upgrade(&mut request));
    }
    let fields = format!("{:?}", request.headers());
    let method = request.method().clone();
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        // The client broke off: nothing was written.
        Err(_) => return Ok(Response::builder().status(400).body(Full::default()).unwrap()),
    };
    if method == hyper::Method::POST {
        shared.writes.fetch_add(1, SeqCst);
    }
    let delay = shared.delay_ms.load(SeqCst);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    if path == "/hold" {
        shared.released.wait_for(|released| *released).await.unwrap();
    }
    let status = path
        .strip_prefix("/status/")
        .map_or(200, |text| text.parse().unwrap());
    let text = match path.as_str() {
        "/fields" => fields.into(),
        "/echo" => body,
        _ => Bytes::from_static(shared.name.as_bytes()),
    };
    Ok(Response::builder().status(status).body(Full::new(text)).unwrap())
}

fn echo_after_upgrade(request: &mut Request<Incoming>) -> Response<Full<Bytes>> {
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let upgraded = TokioIo::new(upgrade.await.unwrap());
        let (mut read, mut write) = tokio::io::split(upgraded);
        drop(tokio::io::copy(&mut read, &mut write).await);
    });
    let switched = Response::builder()
        .status(101)
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    switched.body(Full::default()).unwrap()
}
