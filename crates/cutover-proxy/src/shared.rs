//! What all threads of one proxy share.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::options::Limits;
use crate::registry::Registry;
use crate::snapshot::Snapshot;
use crate::state::EndpointState;
use crate::wire::ListenerView;
use crate::worker::Control;

/// Made once at the start. The snapshot is replaced only by the publisher.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) application: String,
    pub(crate) limits: Limits,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) registry: Mutex<Registry>,
    pub(crate) listeners: Mutex<Vec<ListenerView>>,
    pub(crate) controls: Vec<UnboundedSender<Control>>,
    pub(crate) connections: AtomicU64,
    /// Those for which nothing is kept but their sockets.
    pub(crate) idle_connections: AtomicU64,
    /// Whether any route holds its requests.
    pub(crate) holds: AtomicBool,
    pub(crate) started: Instant,
    pub(crate) epoch: u64,
    pub(crate) recheck: UnboundedSender<Arc<EndpointState>>,
}

impl Shared {
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The registry is consistent after every statement that holds it, so a panic elsewhere does not spoil it.
    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn listeners(&self) -> MutexGuard<'_, Vec<ListenerView>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An instance refused a connection: leave it out for a while, and have somebody look after it.
    pub(crate) fn eject(&self, endpoint: &Arc<EndpointState>) {
        endpoint.eject(self.now_ms());
        self.look_after(endpoint);
    }

    /// Has somebody see whether an instance takes connections, and again until it does.
    pub(crate) fn look_after(&self, endpoint: &Arc<EndpointState>) {
        if !endpoint
            .rechecked
            .swap(true, std::sync::atomic::Ordering::Relaxed)
        {
            // Fails only while the process stops.
            drop(self.recheck.send(Arc::clone(endpoint)));
        }
    }
}
