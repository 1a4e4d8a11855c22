//! Replaces the table: compare, bind, keep on disk, swap, and wait for every worker's word.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError};
use std::time::Duration;

use cutover_model::{Fence, RevisionId, RouteTable};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::client::{Client, ClientError};
use crate::handover::{self, Followed};
use crate::saved::{self, SavedTable};
use crate::session::SessionKeys;
use crate::shared::Shared;
use crate::snapshot::ResolvedTable;
use crate::tls::UseOfBroken;
use crate::wall_clock;
use crate::wire::{DrainStatus, ListenerView, PublishReceipt, PublishRequest, Refusal};
use crate::worker::Control;

/// How often a process that has stopped looks whether the one before it has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Workers only finish what they are doing at that moment, which takes microseconds.
const CONFIRM_WITHIN: Duration = Duration::from_secs(5);

/// The only writer of the snapshot, of the saved table and of the set of sockets.
#[derive(Debug)]
pub(crate) struct Publisher {
    shared: Arc<Shared>,
    path: PathBuf,
    keys: Arc<SessionKeys>,
    /// Held during a publish: there is one at a time.
    sockets: Arc<Mutex<HashMap<SocketAddr, Socket>>>,
    /// A hand-over that has begun and is not decided.
    begun: SyncMutex<Option<oneshot::Sender<()>>>,
    superseded: watch::Sender<bool>,
    /// A process whose place this one took and that has not ended.
    predecessor: SyncMutex<Option<Client>>,
}

/// What a worker that has ended means for a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    IsMissed,
    IsFine,
}

/// Each value is replaced as a whole, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &SyncMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is accepted from. The descriptors themselves are the workers', a copy each.
#[derive(Debug)]
struct Socket {
    self_bound: bool,
    /// Ends when every worker has closed it.
    closed: mpsc::Receiver<()>,
}

impl Publisher {
    /// For the table at `path` and sessions that are signed by `keys`.
    pub(crate) fn new(shared: Arc<Shared>, path: PathBuf, keys: SessionKeys) -> Self {
        Self {
            shared,
            path,
            keys: Arc::new(keys),
            sockets: Arc::default(),
            begun: SyncMutex::default(),
            superseded: watch::Sender::new(false),
            predecessor: SyncMutex::default(),
        }
    }

    /// Holds publishes back until the hand-over is decided, or has taken too long.
    pub(crate) async fn hold_back(&self) -> Result<(), Refusal> {
        let held = Arc::clone(&self.sockets).lock_owned().await;
        if self.is_superseded() {
            return Err(Refusal::HandedOver);
        }
        let (decide, decided) = oneshot::channel();
        *lock(&self.begun) = Some(decide);
        let superseded = self.superseded.clone();
        tokio::spawn(async move {
            match timeout(handover::WITHIN, decided).await {
                Ok(Ok(())) => drop(superseded.send_replace(true)),
                _ => tracing::warn!("a hand-over was not finished: publishes go on"),
            }
            drop(held);
        });
        Ok(())
    }

    /// Nothing is published, and nobody takes over, until this is dropped.
    pub(crate) async fn turn(&self) -> Result<impl Drop, Refusal> {
        let turn = self.sockets.lock().await;
        if self.is_superseded() {
            return Err(Refusal::HandedOver);
        }
        Ok(turn)
    }

    /// A process whose place this one took and that may still serve.
    fn before(&self) -> Option<Client> {
        lock(&self.predecessor).clone()
    }

    /// Another process accepts: this one stops.
    pub(crate) async fn hand_over(&self) -> Result<(), Refusal> {
        let begun = lock(&self.begun).take();
        if begun.is_none_or(|begun| begun.send(()).is_err()) {
            let what = "no hand-over has begun, or it took too long".to_owned();
            return Err(Refusal::BadRequest { what });
        }
        drop(
            self.superseded
                .subscribe()
                .wait_for(|superseded| *superseded)
                .await,
        );
        tracing::info!("another process has taken over");
        Ok(())
    }

    /// Tells when another process has taken over.
    pub(crate) fn superseded(&self) -> watch::Receiver<bool> {
        self.superseded.subscribe()
    }

    /// Tells this process from others that have served here.
    pub(crate) fn token(&self) -> u64 {
        self.shared.epoch
    }

    pub(crate) fn succeed(&self, predecessor: PathBuf) {
        *lock(&self.predecessor) = Some(Client::new(predecessor));
    }

    /// Finishes by the table of the process that has taken over. Nothing is written or bound: that is the other's.
    pub(crate) async fn follow(&self, followed: Followed) -> Result<(), Refusal> {
        if !*self.superseded.borrow() {
            let what = "nobody has taken over".to_owned();
            return Err(Refusal::BadRequest { what });
        }
        let resolved = self.resolve(followed.table.clone(), UseOfBroken::Await).await?;
        let _turn = self.sockets.lock().await;
        let (snapshot, settled) = resolved.compile(
            followed.serial,
            followed.fence.clone(),
            &mut self.shared.registry(),
        );
        self.shared.snapshot.store(Arc::new(snapshot));
        // A worker that has ended serves by no table.
        let confirmed = self.confirm(followed.serial, Ended::IsFine).await;
        self.shared.registry().settle(&settled);
        confirmed?;
        self.pass_on(async |before| before.follow(&followed).await).await
    }

    /// Returns when the process before this one, and those before that, have done the same or have ended.
    ///
    /// # Errors
    /// What one of them refused.
    pub(crate) async fn pass_on(
        &self,
        ask: impl AsyncFnOnce(&Client) -> Result<(), ClientError>,
    ) -> Result<(), Refusal> {
        let Some(before) = self.before() else {
            return Ok(());
        };
        match ask(&before).await {
            Ok(()) => Ok(()),
            Err(ClientError::Refused(refusal)) => Err(refusal),
            Err(_) => {
                self.forget_predecessor(&before).await;
                Ok(())
            }
        }
    }

    /// What is open in the process before this one.
    pub(crate) async fn predecessor_in_flight(&self, only: Option<&RevisionId>) -> Option<DrainStatus> {
        let before = self.before()?;
        let open = before.in_flight(only).await;
        if open.is_err() {
            self.forget_predecessor(&before).await;
        }
        open.ok()
    }

    /// If another process has taken over, returns when those before this one have ended (within the time that draining
    /// may take): the other reaches them through this one only.
    pub(crate) async fn outlast_predecessor(&self) {
        while self.is_superseded() && self.predecessor_in_flight(None).await.is_some() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Whether another process has taken over.
    pub(crate) fn is_superseded(&self) -> bool {
        *self.superseded.borrow()
    }

    async fn forget_predecessor(&self, before: &Client) {
        // A call that broke off is no proof.
        if let Err(ClientError::Unreachable { .. }) = before.table().await {
            *lock(&self.predecessor) = None;
            let gone = std::fs::remove_file(before.socket());
            tracing::info!(?gone, "the process before this one has ended");
        }
    }

    /// Accepts from sockets that came from elsewhere; one for an address that has one is refused.
    pub(crate) async fn add_listener(&self, listener: TcpListener) -> Result<SocketAddr, Refusal> {
        let addr = local_addr(&listener)?;
        let mut sockets = self.sockets.lock().await;
        if sockets.contains_key(&addr) {
            let reason = "there is a socket for it already".to_owned();
            return Err(cannot_listen(addr, reason));
        }
        let closed = self.start(addr, &listener)?;
        let self_bound = false;
        sockets.insert(addr, Socket { self_bound, closed });
        self.note(&sockets);
        Ok(addr)
    }

    /// Comes back with a kept table, without asking whose it is: it was accepted before.
    pub(crate) async fn restore(&self, saved: SavedTable) -> Result<(), Refusal> {
        let resolved = self.resolve(saved.table, UseOfBroken::Await).await?;
        let mut sockets = self.sockets.lock().await;
        let bound = Self::bind_missing(&sockets, resolved.listens())?;
        let (snapshot, settled) = resolved.compile(saved.serial, saved.fence, &mut self.shared.registry());
        snapshot.note_arrivals(self.shared.now_ms());
        self.shared.snapshot.store(Arc::new(snapshot));
        self.shared.registry().settle(&settled);
        self.take_up(&mut sockets, bound)
    }

    /// Serves by a table that was given at the start. Nobody is its writer, and it is not kept: the next start brings
    /// its own.
    pub(crate) async fn begin_with(&self, table: RouteTable) -> Result<(), Refusal> {
        self.restore(SavedTable::new(1, None, table)).await
    }

    pub(crate) async fn publish(&self, request: PublishRequest) -> Result<PublishReceipt, Refusal> {
        let began = Instant::now();
        let mut sockets = self.sockets.lock().await;
        if self.is_superseded() {
            return Err(Refusal::HandedOver);
        }
        let current = self.shared.snapshot.load_full();
        check_fence(current.fence.as_ref(), &request)?;
        if request.expected_serial != current.serial {
            return Err(Refusal::SerialConflict {
                expected: request.expected_serial,
                current: current.serial,
            });
        }
        let resolved = self.resolve(request.table, UseOfBroken::Refuse).await?;
        let bound = Self::bind_missing(&sockets, resolved.listens())?;
        let serial = current.serial + 1;
        let saved = SavedTable::new(serial, Some(request.fence.clone()), resolved.table().clone());
        let kept = saved::keep(&self.path, move |path| saved.save(path)).await;
        kept.map_err(|error| Refusal::NotSaved {
            path: self.path.display().to_string(),
            reason: error.to_string(),
        })?;
        let listens = resolved.listens().to_vec();
        let followed = Followed {
            serial,
            fence: Some(request.fence.clone()),
            table: resolved.table().clone(),
        };
        let (snapshot, settled) = resolved.compile(serial, Some(request.fence), &mut self.shared.registry());
        snapshot.note_arrivals(self.shared.now_ms());
        self.shared.snapshot.store(Arc::new(snapshot));
        let confirmed = self.confirm(serial, Ended::IsMissed).await;
        self.shared.registry().settle(&settled);
        confirmed?;
        self.pass_on(async |before| before.follow(&followed).await)
            .await?;
        self.take_up(&mut sockets, bound)?;
        self.let_go(&mut sockets, &listens).await;
        tracing::info!(serial, "every worker serves by the new table");
        Ok(PublishReceipt {
            serial,
            acknowledged_at_ms: wall_clock::now_ms(),
            took_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        })
    }

    async fn resolve(&self, table: RouteTable, broken: UseOfBroken) -> Result<ResolvedTable, Refusal> {
        let (current, keys) = (self.shared.snapshot.load_full(), Arc::clone(&self.keys));
        let resolve = move || ResolvedTable::new(table, &keys)?.with_doors(&current, broken);
        let resolved = tokio::task::spawn_blocking(resolve).await;
        resolved.unwrap_or_else(|error| {
            Err(Refusal::InvalidTable {
                what: error.to_string(),
            })
        })
    }

    fn bind_missing(
        sockets: &HashMap<SocketAddr, Socket>,
        listens: &[SocketAddr],
    ) -> Result<Vec<(SocketAddr, TcpListener)>, Refusal> {
        let missing = listens.iter().filter(|addr| !sockets.contains_key(addr));
        missing
            .map(|addr| match cutover_os::bind_listener(*addr) {
                Ok(listener) => Ok((*addr, listener)),
                Err(error) => Err(cannot_listen(*addr, error.to_string())),
            })
            .collect()
    }

    fn take_up(
        &self,
        sockets: &mut HashMap<SocketAddr, Socket>,
        bound: Vec<(SocketAddr, TcpListener)>,
    ) -> Result<(), Refusal> {
        for (addr, listener) in bound {
            tracing::warn!(%addr, "no socket was passed for this address: it is bound by the proxy itself and will not outlive it");
            let closed = self.start(addr, &listener)?;
            let self_bound = true;
            sockets.insert(addr, Socket { self_bound, closed });
        }
        self.note(sockets);
        Ok(())
    }

    /// Closes what the proxy bound itself and no route needs any more, and waits until it is closed: the next table may
    /// need the address again. Sockets of the parent stay: it decides.
    async fn let_go(&self, sockets: &mut HashMap<SocketAddr, Socket>, listens: &[SocketAddr]) {
        let gone = |addr: &SocketAddr, socket: &mut Socket| socket.self_bound && !listens.contains(addr);
        let closing: Vec<(SocketAddr, Socket)> = sockets.extract_if(gone).collect();
        for (addr, _) in &closing {
            for control in &self.shared.controls {
                drop(control.send(Control::Unlisten(*addr)));
            }
        }
        for (addr, mut socket) in closing {
            if timeout(CONFIRM_WITHIN, socket.closed.recv()).await.is_err() {
                tracing::warn!(%addr, "a socket that no route needs any more is still open");
            }
        }
        self.note(sockets);
    }

    fn start(&self, addr: SocketAddr, listener: &TcpListener) -> Result<mpsc::Receiver<()>, Refusal> {
        let (open, closed) = mpsc::channel(1);
        for control in &self.shared.controls {
            let copy = listener
                .try_clone()
                .map_err(|error| cannot_listen(addr, error.to_string()))?;
            drop(control.send(Control::Listen(addr, copy, open.clone())));
        }
        Ok(closed)
    }

    fn note(&self, sockets: &HashMap<SocketAddr, Socket>) {
        let mut views: Vec<ListenerView> = sockets
            .iter()
            .map(|(address, socket)| ListenerView {
                address: *address,
                self_bound: socket.self_bound,
            })
            .collect();
        views.sort_by_key(|view| view.address);
        *self.shared.listeners() = views;
    }

    async fn confirm(&self, serial: u64, ended: Ended) -> Result<(), Refusal> {
        let mut waiting = Vec::new();
        for control in &self.shared.controls {
            let (confirmed, wait) = oneshot::channel();
            drop(control.send(Control::Adopt(confirmed)));
            waiting.push(wait);
        }
        let all = async {
            for wait in waiting {
                if wait.await.is_err() && ended == Ended::IsMissed {
                    return Err(Refusal::NotAcknowledged { serial });
                }
            }
            Ok(())
        };
        let in_time = timeout(CONFIRM_WITHIN, all).await;
        in_time.unwrap_or(Err(Refusal::NotAcknowledged { serial }))
    }
}

/// Generations only grow, and a proxy obeys one store.
fn check_fence(last: Option<&Fence>, request: &PublishRequest) -> Result<(), Refusal> {
    let Some(last) = last else {
        return Ok(());
    };
    if last.store != request.fence.store {
        if request.adopt {
            return Ok(());
        }
        return Err(Refusal::ForeignStore {
            store: request.fence.store.to_string(),
            owner: last.store.to_string(),
        });
    }
    if request.fence.generation < last.generation {
        return Err(Refusal::StaleFence {
            generation: request.fence.generation.0,
            last: last.generation.0,
        });
    }
    Ok(())
}

fn local_addr(listener: &TcpListener) -> Result<SocketAddr, Refusal> {
    listener.local_addr().map_err(|error| Refusal::BadRequest {
        what: format!("the socket has no address: {error}"),
    })
}

fn cannot_listen(addr: SocketAddr, reason: String) -> Refusal {
    Refusal::CannotListen {
        listen: addr.to_string(),
        reason,
    }
}
