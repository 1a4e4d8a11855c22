//! One worker thread: it accepts, serves and forwards, and shares nothing that it writes to often.
//!
//! Owns its pool, its view of the table and its random numbers. Takes orders over a channel; an order is obeyed
//! before the next request is looked at, so a confirmed table is a fact.

use std::cell::{Cell, RefCell};
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use cutover_model::RevisionId;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::alarms::Alarms;
use crate::connection;
use crate::pick;
use crate::pool::Pool;
use crate::shared::Shared;
use crate::snapshot::{Revision, Snapshot};

/// How often idle connections to instances are looked through.
const SWEEP: Duration = Duration::from_secs(2);

/// Pause after an `accept` that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// An order to one worker.
#[derive(Debug)]
pub(crate) enum Control {
    /// Serve by the current snapshot from now on, and say so.
    Adopt(oneshot::Sender<()>),
    /// Accept from this socket; the last is dropped when it is closed.
    Listen(SocketAddr, TcpListener, mpsc::Sender<()>),
    /// Accept no longer from the socket with this address.
    Unlisten(SocketAddr),
    /// Finish what is open, then end.
    Stop,
}

/// One worker's own things.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: Rc<Pool>,
    /// Connections for copies of requests.
    pub(crate) shadows: Rc<Pool>,
    pub(crate) alarms: Alarms,
    pub(crate) draining: Cell<bool>,
    /// The moment at which open connections are given up; nothing before the stop.
    pub(crate) drain: watch::Sender<Option<Instant>>,
    cache: RefCell<Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>>,
    pub(crate) random: RefCell<SmallRng>,
    open: Cell<usize>,
    closed: Notify,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// The body of a worker's thread.
pub(crate) fn run(index: usize, seed: u64, shared: Arc<Shared>, controls: UnboundedReceiver<Control>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, index, "a worker cannot start");
            return;
        }
    };
    let worker = Rc::new(Worker {
        index,
        pool: Rc::new(Pool::default()),
        shadows: Rc::new(Pool::default()),
        alarms: Alarms::default(),
        draining: Cell::new(false),
        drain: watch::Sender::new(None),
        cache: RefCell::new(Cache::new(Arc::clone(&shared.snapshot))),
        random: RefCell::new(SmallRng::seed_from_u64(seed)),
        open: Cell::new(0),
        closed: Notify::new(),
        shared,
    });
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, worker.obey(controls));
}

impl Worker {
    async fn obey(self: Rc<Self>, mut controls: UnboundedReceiver<Control>) {
        let mut accepting: Vec<(SocketAddr, CancellationToken)> = Vec::new();
        let mut acceptors = JoinSet::new();
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            let control = tokio::select! {
                biased;
                control = controls.recv() => control,
                // Those of sockets that are no longer accepted from.
                Some(_) = acceptors.join_next() => continue,
                _ = sweep.tick() => {
                    self.pool.sweep(&self.shared.limits);
                    self.shadows.sweep(&self.shared.limits);
                    continue;
                }
            };
            match control {
                Some(Control::Adopt(confirmed)) => {
                    self.adopt();
                    // The publisher may have given up waiting.
                    let _ = confirmed.send(());
                }
                Some(Control::Listen(addr, listener, open)) => {
                    let token = CancellationToken::new();
                    accepting.push((addr, token.clone()));
                    let accepting = Rc::clone(&self).accept(addr, listener, token);
                    acceptors.spawn_local(async move {
                        accepting.await;
                        drop(open);
                    });
                }
                Some(Control::Unlisten(addr)) => accepting.retain(|(other, token)| {
                    if *other == addr {
                        token.cancel();
                    }
                    *other != addr
                }),
                Some(Control::Stop) | None => break,
            }
        }
        for (_, token) in accepting {
            token.cancel();
        }
        self.draining.set(true);
        let mut ending = pin!(async {
            while acceptors.join_next().await.is_some() {}
            self.finish().await;
        });
        // What is finished is finished by the newest table: a successor passes it on.
        loop {
            tokio::select! {
                biased;
                () = ending.as_mut() => return,
                Some(control) = controls.recv() => if let Control::Adopt(confirmed) = control {
                    self.adopt();
                    let _ = confirmed.send(());
                },
            }
        }
    }

    fn adopt(&self) {
        let keys: Vec<u64> = self.with_snapshot(|snapshot| {
            let revisions = snapshot.routes.iter().flat_map(|route| &route.revisions);
            revisions
                .flat_map(|revision| &revision.endpoints)
                .map(|endpoint| endpoint.key)
                .collect()
        });
        self.pool.keep_only(&keys);
        self.shadows.keep_only(&keys);
    }

    async fn accept(self: Rc<Self>, addr: SocketAddr, listener: TcpListener, token: CancellationToken) {
        let prepared = listener
            .set_nonblocking(true)
            .and_then(|()| tokio::net::TcpListener::from_std(listener));
        let listener = match prepared {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, %addr, "cannot accept");
                return;
            }
        };
        loop {
            let accepted = tokio::select! {
                biased;
                () = token.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.serve(addr, stream, peer),
                // The client gave up while it waited.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, %addr, "cannot accept a connection now");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Whoever connected before is served: if nobody else holds the socket, its queue dies with it.
        let Ok(listener) = listener.into_std() else {
            return;
        };
        while let Ok((stream, peer)) = listener.accept() {
            let stream = stream
                .set_nonblocking(true)
                .and_then(|()| tokio::net::TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                self.serve(addr, stream, peer);
            }
        }
    }

    fn serve(self: &Rc<Self>, addr: SocketAddr, stream: tokio::net::TcpStream, peer: SocketAddr) {
        self.open.set(self.open.get() + 1);
        self.shared.connections.fetch_add(1, Relaxed);
        let guard = OpenConnection(Rc::clone(self));
        connection::serve(guard, addr, stream, peer);
    }

    async fn finish(&self) {
        let deadline = Instant::now() + self.shared.limits.drain_timeout;
        self.drain.send_replace(Some(deadline));
        while self.open.get() > 0 {
            tokio::select! {
                () = self.closed.notified() => {}
                () = sleep_until(deadline) => {
                    tracing::warn!(open = self.open.get(), "connections are cut: they did not end in time");
                    return;
                }
            }
        }
    }

    /// Looks at the newest table. `f` must not call back.
    pub(crate) fn with_snapshot<R>(&self, f: impl FnOnce(&Snapshot) -> R) -> R {
        f(self.cache.borrow_mut().load())
    }

    pub(crate) fn choose(&self, revision: &Revision, tried: &[u64]) -> Option<usize> {
        let random = &mut *self.random.borrow_mut();
        let now_ms = || self.shared.now_ms();
        match revision.balancing {
            None => pick::endpoint(&revision.endpoints, tried, now_ms, random),
            Some(balancing) => balancing.choose(revision, tried, now_ms, random),
        }
    }

    /// A revision as it is routed now at an address.
    pub(crate) fn current(&self, listen: SocketAddr, id: &RevisionId) -> Option<Arc<Revision>> {
        self.with_snapshot(|snapshot| {
            let mut revisions = snapshot.route(listen)?.revisions.iter();
            revisions.find(|revision| revision.state.id == *id).cloned()
        })
    }

    /// Stable as it is routed now at an address.
    pub(crate) fn stable(&self, listen: SocketAddr) -> Option<Arc<Revision>> {
        self.with_snapshot(|snapshot| {
            let route = snapshot.route(listen)?;
            route.revisions.get(route.stable?).cloned()
        })
    }
}

/// A connection that counts as open until this is dropped.
pub(crate) struct OpenConnection(pub(crate) Rc<Worker>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.shared.connections.fetch_sub(1, Relaxed);
        self.0.closed.notify_one();
    }
}

/// A connection that counts as idle until this is dropped.
pub(crate) struct IdleConnection(Arc<Shared>);

impl IdleConnection {
    pub(crate) fn new(worker: &Worker) -> Self {
        worker.shared.idle_connections.fetch_add(1, Relaxed);
        Self(Arc::clone(&worker.shared))
    }
}

impl Drop for IdleConnection {
    fn drop(&mut self) {
        self.0.idle_connections.fetch_sub(1, Relaxed);
    }
}
