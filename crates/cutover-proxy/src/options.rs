//! What a proxy is started with.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use cutover_model::RouteTable;

/// How a proxy runs. Under a controller routes are not options: they come over the admin socket, and from disk after a
/// restart.
#[derive(Debug)]
pub struct ProxyOptions {
    /// The `app` label of the metrics.
    pub application: String,
    /// Where the last table is kept (`proxy-table.json`). Must exist and belong to this user alone.
    pub state_dir: PathBuf,
    /// The admin socket; descriptors are passed over the same path with `.fds` appended. Made with mode 0600.
    pub admin_socket: PathBuf,
    /// Whether a proxy that answers on the admin socket is taken over from, instead of being a reason not to start.
    pub take_over: bool,
    /// Worker threads; as many as there are cores if not given.
    pub workers: Option<usize>,
    /// Sockets to accept from, besides those inherited by environment. A table that names an address for which
    /// there is none makes the proxy bind it itself.
    pub listeners: Vec<TcpListener>,
    /// Serve by this from the start, in place of the kept table: for a proxy that no controller looks after.
    pub table: Option<RouteTable>,
    /// Answers `GET /metrics` and `GET /ready` here to whoever connects; nowhere if not given.
    pub metrics: Option<TcpListener>,
    /// Seed of the weighted choice; from the system if not given.
    pub seed: Option<u64>,
    /// Time-outs and sizes.
    pub limits: Limits,
}

impl ProxyOptions {
    /// Options with defaults for everything that has one.
    pub fn new(application: impl Into<String>, state_dir: PathBuf, admin_socket: PathBuf) -> Self {
        Self {
            application: application.into(),
            state_dir,
            admin_socket,
            take_over: false,
            workers: None,
            listeners: Vec::new(),
            table: None,
            metrics: None,
            seed: None,
            limits: Limits::default(),
        }
    }
}

/// Time-outs and sizes, each with the default that [`Limits::default`] gives.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For a TLS handshake, and for a PROXY header: 10 s.
    pub handshake_timeout: Duration,
    /// Between two looks at the files of certificates: 1 s.
    pub certificate_check: Duration,
    /// From the last answer (or the connect) until the next request's head is complete: 60 s.
    pub head_timeout: Duration,
    /// A client connection on which nothing was asked for so long gives back all memory but the socket's until the next
    /// request: 250 ms.
    pub rest_after: Duration,
    /// Size of a request's head in bytes, request line included: 64 KiB. More is answered 431.
    pub max_head_bytes: usize,
    /// Fields in a head: 100. More is answered 431.
    pub max_fields: usize,
    /// Bytes of a request's target: 16 KiB, twice what RFC 9112 §3 asks for at least. More is answered 414.
    pub max_target_bytes: usize,
    /// How long requests of which nothing was sent wait for a revision all of whose instances refuse connections,
    /// while they are tried again: 1 s. So that an instance that is being restarted loses nothing.
    pub connect_patience: Duration,
    /// Idle connections to an instance are closed after this: 15 s.
    pub idle_timeout: Duration,
    /// Idle connections kept to one instance by one worker: 256.
    pub max_idle: usize,
    /// On a graceful stop, idle client connections are closed at random moments of this window's second half, or as soon
    /// as one more request was answered: 2 s. All at once would make clients lose what they are just sending.
    pub close_spread: Duration,
    /// On a graceful stop, open requests have this long to finish: 30 s.
    pub drain_timeout: Duration,
}

/// As many as hyper has room for on the stack: with any other number, each head costs memory of its own.
pub(crate) const FIELDS: usize = 100;

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            certificate_check: Duration::from_secs(1),
            head_timeout: Duration::from_secs(60),
            rest_after: Duration::from_millis(250),
            max_head_bytes: 64 * 1024,
            max_fields: FIELDS,
            max_target_bytes: 16 * 1024,
            connect_patience: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(15),
            max_idle: 256,
            close_spread: Duration::from_secs(2),
            drain_timeout: Duration::from_secs(30),
        }
    }
}
