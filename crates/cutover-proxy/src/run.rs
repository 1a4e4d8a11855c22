//! Starts and stops a proxy: the worker threads, and one thread for everything that is not traffic.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use cutover_model::RouteTable;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::admin;
use crate::certificate_watch;
use crate::client::ClientError;
use crate::fd_door;
use crate::handover::{Name, TakeOver};
use crate::health;
use crate::holding::{Holding, SavedHolds};
use crate::metrics_door;
use crate::options::ProxyOptions;
use crate::publish::Publisher;
use crate::recheck;
use crate::registry::Registry;
use crate::retry_budget;
use crate::saved::{LoadError, SavedTable};
use crate::session::SessionKeys;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::state::EndpointState;
use crate::wire::Refusal;
use crate::worker::{self, Control};

/// How long a stop waits for the access log.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Why a proxy did not start.
#[derive(Debug, Error)]
pub enum ProxyError {
    /// The sockets that the parent left open could not be taken.
    #[error("cannot take the inherited sockets")]
    Inherited(#[from] cutover_os::InheritError),
    /// The kept table could not be read.
    #[error(transparent)]
    Kept(#[from] LoadError),
    /// The admin socket could not be made.
    #[error("cannot listen on the admin socket {path}")]
    AdminSocket {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The proxy that runs did not let another one take over.
    #[error("the proxy that runs cannot be taken over from")]
    TakeOver(#[source] Box<ClientError>),
    /// A thread, a runtime or a signal handler could not be made.
    #[error("cannot start {what}")]
    Start {
        /// Which.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The kept table cannot be served any more, or the given one cannot be.
    #[error("cannot serve by the table")]
    Restore(#[source] Refusal),
}

/// A proxy that runs on threads of its own. Dropping it without [`RunningProxy::stop`] leaves it running.
#[derive(Debug)]
pub struct RunningProxy {
    stop: oneshot::Sender<()>,
    workers: Vec<JoinHandle<()>>,
    manager: JoinHandle<()>,
    shared: Arc<Shared>,
    superseded: watch::Receiver<bool>,
}

impl RunningProxy {
    /// Returns when another process has taken over: then this one is to be stopped.
    pub async fn superseded(&self) {
        drop(self.superseded.clone().wait_for(|superseded| *superseded).await);
    }

    /// Stops accepting (the listening sockets stay with whoever else holds them), finishes what is open with
    /// `Connection: close`, writes the last lines of the access log, ends. Blocks until then: at most the drain
    /// time-out and a second.
    pub fn stop(self) {
        for control in &self.shared.controls {
            drop(control.send(Control::Stop));
        }
        for worker in self.workers {
            drop(worker.join());
        }
        // The thread may have ended already.
        let _ = self.stop.send(());
        drop(self.manager.join());
        // The threads that write are not joined: a disk may hang for ever.
        let deadline = Instant::now() + LAST_LINES;
        for route in &self.shared.snapshot.load().routes {
            if let Some(log) = &route.access_log {
                log.sink.settle(deadline);
            }
        }
    }
}

/// Runs a proxy until SIGTERM or SIGINT, then stops it gracefully. Takes the sockets that the parent left open.
/// Makes its own threads and runtimes: call it from a thread that is in none.
///
/// # Errors
/// If it cannot start.
pub fn run(options: ProxyOptions) -> Result<(), ProxyError> {
    run_announced(options, || {})
}

/// The same; `serving` is called once it serves.
///
/// # Errors
/// If it cannot start.
pub fn run_announced(mut options: ProxyOptions, serving: impl FnOnce()) -> Result<(), ProxyError> {
    let inherited = cutover_os::take_inherited()?;
    options
        .listeners
        .extend(inherited.into_iter().map(|inherited| inherited.listener));
    let failed = |what: &'static str| move |source: io::Error| ProxyError::Start { what, source };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed("a runtime"))?;
    // Before the first request: a signal that comes early must not end the process on the spot.
    let (mut terminate, mut interrupt) = {
        let _guard = runtime.enter();
        let terminate = signal(SignalKind::terminate()).map_err(failed("a signal handler"))?;
        (
            terminate,
            signal(SignalKind::interrupt()).map_err(failed("a signal handler"))?,
        )
    };
    let proxy = start(options)?;
    serving();
    runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = proxy.superseded() => {}
        }
    });
    tracing::info!("stopping: open requests are finished first");
    proxy.stop();
    Ok(())
}

/// Starts a proxy and returns when it serves.
///
/// # Errors
/// If it cannot start. The files of the admin sockets that it leaves behind then (as after a stop) are replaced by
/// the next start.
pub fn start(options: ProxyOptions) -> Result<RunningProxy, ProxyError> {
    let path = SavedTable::path(&options.state_dir);
    let taking = if options.take_over {
        TakeOver::begin(&options.admin_socket)?
    } else {
        None
    };
    let socket = match &taking {
        Some(_) => TakeOver::provisional(&options.admin_socket),
        None => options.admin_socket.clone(),
    };
    let saved = SavedTable::load(&path)?;
    let holds_path = SavedHolds::path(&options.state_dir);
    let holds = SavedHolds::load(&holds_path)?;
    let admin = bind(socket.clone())?;
    let name = Name::new(&socket, &options.admin_socket);
    let door = bind(fd_door::path(&socket))?;
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let count = options.workers.unwrap_or(cores).max(1);
    let (controls, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::unbounded_channel()).unzip();
    let (recheck, ejected) = mpsc::unbounded_channel();
    let mut random = options
        .seed
        .map_or_else(SmallRng::from_os_rng, SmallRng::seed_from_u64);
    let shared = Arc::new(Shared {
        application: options.application,
        limits: options.limits,
        snapshot: Arc::new(ArcSwap::from_pointee(Snapshot::default())),
        registry: std::sync::Mutex::new(Registry::new(count)),
        listeners: std::sync::Mutex::default(),
        controls,
        connections: AtomicU64::new(0),
        idle_connections: AtomicU64::new(0),
        holds: AtomicBool::new(false),
        started: Instant::now(),
        // JSON numbers above 2^53 are not exact everywhere.
        epoch: random.random_range(1..1 << 53),
        recheck,
    });
    let keys = SessionKeys::new(options.state_dir.join("session-key"));
    let publisher = Arc::new(Publisher::new(Arc::clone(&shared), path, keys));
    let holding = Holding::new(Arc::clone(&shared), Arc::clone(&publisher), holds_path);
    let (ready, wait) = std::sync::mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let manager = {
        let manager = Manager {
            shared: Arc::clone(&shared),
            publisher: Arc::clone(&publisher),
            admin,
            name,
            door,
            ejected,
            listeners: options.listeners,
            metrics: options.metrics,
            saved,
            table: options.table,
            holding,
            holds,
        };
        spawn("proxy-admin".to_owned(), move || manager.run(&ready, stopped))?
    };
    // Only now, so that a proxy that cannot serve its table never accepts a connection.
    wait.recv().unwrap_or_else(|_| {
        let source = io::Error::other("its thread ended");
        Err(ProxyError::Start {
            what: "the admin thread",
            source,
        })
    })?;
    let mut workers = Vec::new();
    for (index, receiver) in receivers.into_iter().enumerate() {
        let (seed, shared) = (random.random(), Arc::clone(&shared));
        let body = move || worker::run(index, seed, shared, receiver);
        workers.push(spawn(format!("proxy-{index}"), body)?);
    }
    let proxy = RunningProxy {
        stop,
        workers,
        manager,
        superseded: publisher.superseded(),
        shared,
    };
    let taken = taking.map_or(Ok(()), |taking| {
        take_place(taking, &options.admin_socket, &publisher)
    });
    match taken {
        Ok(()) => Ok(proxy),
        Err(error) => {
            proxy.stop();
            Err(error)
        }
    }
}

/// Who asks from now on asks this process; the one before is told each table that it has to finish by.
fn take_place(taking: TakeOver, admin_socket: &Path, publisher: &Publisher) -> Result<(), ProxyError> {
    publisher.succeed(taking.finish(publisher.token())?);
    TakeOver::take_names(admin_socket).map_err(|source| ProxyError::AdminSocket {
        path: admin_socket.to_owned(),
        source,
    })
}

fn bind(path: PathBuf) -> Result<std::os::unix::net::UnixListener, ProxyError> {
    admin::bind(&path).map_err(|source| ProxyError::AdminSocket { path, source })
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ProxyError> {
    let what = "a thread";
    thread::Builder::new()
        .name(name)
        .spawn(body)
        .map_err(|source| ProxyError::Start { what, source })
}

/// Everything that is not traffic.
struct Manager {
    shared: Arc<Shared>,
    publisher: Arc<Publisher>,
    admin: std::os::unix::net::UnixListener,
    name: Name,
    door: std::os::unix::net::UnixListener,
    ejected: mpsc::UnboundedReceiver<Arc<EndpointState>>,
    listeners: Vec<std::net::TcpListener>,
    metrics: Option<std::net::TcpListener>,
    saved: Option<SavedTable>,
    table: Option<RouteTable>,
    holding: Holding,
    holds: Option<SavedHolds>,
}

impl Manager {
    fn run(self, ready: &std::sync::mpsc::Sender<Result<(), ProxyError>>, stopped: oneshot::Receiver<()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(source) => {
                drop(ready.send(Err(ProxyError::Start {
                    what: "a runtime",
                    source,
                })));
                return;
            }
        };
        runtime.block_on(async {
            let name = self.name.clone();
            let prepared = self.prepare().await;
            match prepared {
                Err(error) => drop(ready.send(Err(error))),
                Ok((admin, door, metrics, serving)) => {
                    drop(ready.send(Ok(())));
                    let stopped = async {
                        drop(stopped.await);
                        serving.publisher.outlast_predecessor().await;
                        if serving.publisher.is_superseded() {
                            name.until_taken().await;
                        }
                    };
                    tokio::select! {
                        () = metrics_door::run(metrics, Arc::clone(&serving.shared)) => {}
                        () = admin::run(admin, Arc::clone(&serving.shared), Arc::clone(&serving.publisher), serving.holding, stopped) => {}
                        () = fd_door::run(door, Arc::clone(&serving.publisher)) => {}
                        () = certificate_watch::run(Arc::clone(&serving.shared)) => {}
                        () = health::run(Arc::clone(&serving.shared)) => {}
                        () = retry_budget::run(Arc::clone(&serving.shared)) => {}
                        () = recheck::run(serving.shared, serving.ejected) => {}
                    }
                }
            }
        });
    }

    async fn prepare(self) -> Result<(UnixListener, UnixListener, Option<TcpListener>, Serving), ProxyError> {
        let failed = |source: io::Error| ProxyError::Start {
            what: "the admin socket",
            source,
        };
        let admin = UnixListener::from_std(self.admin).map_err(failed)?;
        let door = UnixListener::from_std(self.door).map_err(failed)?;
        let metrics = metrics_door::prepare(self.metrics).map_err(|source| ProxyError::Start {
            what: "the metrics",
            source,
        })?;
        for listener in self.listeners {
            self.publisher
                .add_listener(listener)
                .await
                .map_err(ProxyError::Restore)?;
        }
        match (self.table, self.saved) {
            (Some(table), _) => self.publisher.begin_with(table).await,
            (None, Some(saved)) => self.publisher.restore(saved).await,
            (None, None) => Ok(()),
        }
        .map_err(ProxyError::Restore)?;
        if let Some(holds) = self.holds {
            self.holding.restore(holds);
        }
        Ok((
            admin,
            door,
            metrics,
            Serving {
                shared: self.shared,
                publisher: self.publisher,
                ejected: self.ejected,
                holding: Arc::new(self.holding),
            },
        ))
    }
}

/// What is left of a [`Manager`] once it is prepared.
struct Serving {
    shared: Arc<Shared>,
    publisher: Arc<Publisher>,
    ejected: mpsc::UnboundedReceiver<Arc<EndpointState>>,
    holding: Arc<Holding>,
}
