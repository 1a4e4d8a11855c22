//! What is counted, and what is remembered of an endpoint. It outlives tables: it is found again by identity.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cutover_model::{InstanceId, RevisionId, ServiceName};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::gate::Gate;
use crate::health::Health;
use crate::histogram::LatencyHistogram;
use crate::hold::Hold;
use crate::mirror_state::MirrorState;
use crate::outlier::Outlier;
use crate::retry_budget::RetryBudget;
use crate::seen::Seen;

/// Status codes 100 to 599.
const STATUSES: usize = 500;

/// First pause of an endpoint that refused a connection; it doubles up to [`LONGEST_EJECTION_MS`].
const FIRST_EJECTION_MS: u64 = 100;
const LONGEST_EJECTION_MS: u64 = 5_000;

/// Attempts that were a request's first, counted when they end.
#[derive(Debug, Default)]
pub(crate) struct FirstAttempts {
    pub(crate) ended: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// One worker's counters of a revision. On its own cache lines, so that workers do not slow each other down.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Shard {
    pub(crate) in_flight: AtomicU64,
    pub(crate) assigned: AtomicU64,
    /// First attempts of requests that were drawn for the revision.
    pub(crate) drawn: FirstAttempts,
    /// First attempts of those for which something else decided.
    pub(crate) chosen: FirstAttempts,
    pub(crate) answered_by_stable: AtomicU64,
    pub(crate) connect_failures: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) cut_writes: AtomicU64,
    pub(crate) cut_answers: AtomicU64,
    statuses: [AtomicU64; STATUSES],
    pub(crate) latency: LatencyHistogram,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            in_flight: AtomicU64::new(0),
            assigned: AtomicU64::new(0),
            drawn: FirstAttempts::default(),
            chosen: FirstAttempts::default(),
            answered_by_stable: AtomicU64::new(0),
            connect_failures: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            cut_writes: AtomicU64::new(0),
            cut_answers: AtomicU64::new(0),
            statuses: [const { AtomicU64::new(0) }; STATUSES],
            latency: LatencyHistogram::default(),
        }
    }
}

impl Shard {
    pub(crate) fn answered(&self, status: u16, micros: u64) {
        self.turned_back(status);
        self.latency.record(micros);
    }

    /// An answer that took no instance any time.
    pub(crate) fn turned_back(&self, status: u16) {
        let index = usize::from(status.clamp(100, 599)) - 100;
        self.statuses[index].fetch_add(1, Relaxed);
    }
}

/// Counters of one revision, one shard a worker.
#[derive(Debug)]
pub(crate) struct RevisionState {
    pub(crate) id: RevisionId,
    /// Of [`crate::turns`], under the route's lock.
    pub(crate) credit: AtomicI64,
    /// Whose turn it is among the instances, by round robin.
    pub(crate) next: AtomicU64,
    /// How often an instance was left out for its answers.
    pub(crate) ejections: AtomicU64,
    /// How much it is given at once.
    pub(crate) gate: Arc<Gate>,
    /// Of a candidate: the sessions that came while it had a share.
    pub(crate) seen: Seen,
    /// Held while [`crate::outlier`] decides.
    pub(crate) ejecting: Mutex<()>,
    shards: Box<[Shard]>,
}

impl RevisionState {
    pub(crate) fn new(id: RevisionId, workers: usize) -> Self {
        Self {
            id,
            credit: AtomicI64::new(0),
            next: AtomicU64::new(0),
            ejections: AtomicU64::new(0),
            gate: Arc::default(),
            seen: Seen::default(),
            ejecting: Mutex::default(),
            shards: (0..workers).map(|_| Shard::default()).collect(),
        }
    }

    pub(crate) fn shard(&self, worker: usize) -> &Shard {
        &self.shards[worker]
    }

    pub(crate) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    pub(crate) fn sum(&self, field: impl Fn(&Shard) -> &AtomicU64) -> u64 {
        self.shards.iter().map(|shard| field(shard).load(Relaxed)).sum()
    }

    /// Answers by status code, in order, without those that never happened.
    pub(crate) fn answers(&self) -> Vec<(u16, u64)> {
        (0..STATUSES)
            .filter_map(|index| {
                let count = self.sum(|shard| &shard.statuses[index]);
                let status = u16::try_from(index + 100).unwrap_or(u16::MAX);
                (count > 0).then_some((status, count))
            })
            .collect()
    }
}

/// Counters of one route.
#[derive(Debug)]
pub(crate) struct RouteState {
    pub(crate) service: ServiceName,
    pub(crate) requests: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) unavailable: AtomicU64,
    /// Requests of clients whose session had named another revision.
    pub(crate) sessions_moved: AtomicU64,
    pub(crate) mirror: Arc<MirrorState>,
    /// Held while [`crate::turns`] takes one.
    pub(crate) turn: Mutex<()>,
    pub(crate) budget: RetryBudget,
    pub(crate) hold: Hold,
    /// Retries that the budget did not allow.
    pub(crate) over_budget: AtomicU64,
}

impl RouteState {
    pub(crate) fn new(service: ServiceName) -> Self {
        Self {
            service,
            requests: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            unavailable: AtomicU64::new(0),
            sessions_moved: AtomicU64::new(0),
            mirror: Arc::default(),
            turn: Mutex::default(),
            budget: RetryBudget::default(),
            hold: Hold::default(),
            over_budget: AtomicU64::new(0),
        }
    }
}

/// One instance at one address, as part of one revision.
#[derive(Debug)]
pub(crate) struct EndpointState {
    /// Unique in this process: the key of the workers' pools.
    pub(crate) key: u64,
    pub(crate) instance: InstanceId,
    pub(crate) address: SocketAddr,
    /// Whether the served table names it. A retry of an older request does not go where it no longer should.
    pub(crate) routed: AtomicBool,
    /// Since when it is not.
    left: watch::Sender<Option<Instant>>,
    /// Since when it is named, in milliseconds since the start of the process; 0 when it is not.
    pub(crate) since_ms: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) attempts: AtomicU64,
    pub(crate) failures: AtomicU64,
    /// Milliseconds since the start of the process; 0 when it is not ejected.
    ejected_until_ms: AtomicU64,
    refusals: AtomicU32,
    /// What its answers say.
    pub(crate) outlier: Outlier,
    /// What probes say.
    pub(crate) health: Health,
    /// Whether a task is looking after it.
    pub(crate) rechecked: AtomicBool,
}

impl EndpointState {
    pub(crate) fn new(key: u64, instance: InstanceId, address: SocketAddr) -> Self {
        Self {
            key,
            instance,
            address,
            routed: AtomicBool::new(true),
            left: watch::Sender::new(None),
            since_ms: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            attempts: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            ejected_until_ms: AtomicU64::new(0),
            refusals: AtomicU32::new(0),
            outlier: Outlier::default(),
            health: Health::default(),
            rechecked: AtomicBool::new(false),
        }
    }

    /// Every worker serves by a table that names it, or by one that does not. Only the publisher calls this.
    pub(crate) fn settle(&self, named: bool) {
        self.routed.store(named, Relaxed);
        if !named {
            self.since_ms.store(0, Relaxed);
        }
        self.left.send_if_modified(|left| {
            let changed = left.is_some() == named;
            if changed {
                *left = (!named).then(Instant::now);
            }
            changed
        });
    }

    /// Returns when it has not been named for so long.
    pub(crate) async fn has_left_for(self: Arc<Self>, limit: Duration) {
        let mut left = self.left.subscribe();
        loop {
            let over = left.borrow_and_update().map(|since| since + limit);
            let changed = left.changed();
            match over {
                None => drop(changed.await),
                Some(over) => {
                    if timeout_at(over, changed).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// A table names it. Only the publisher calls this.
    pub(crate) fn arrived(&self, now_ms: u64) {
        if self.since_ms.load(Relaxed) == 0 {
            self.since_ms.store(now_ms.max(1), Relaxed);
        }
    }

    /// Whether it is left out, for refusing connections, for its answers or for what probes say. The clock is read only for one that was.
    pub(crate) fn is_ejected(&self, now_ms: impl FnOnce() -> u64) -> bool {
        let until = self.ejected_until_ms.load(Relaxed).max(self.outlier.until_ms());
        self.health.is_down() || until != 0 && now_ms() < until
    }

    pub(crate) fn ejected_until_ms(&self) -> u64 {
        self.ejected_until_ms.load(Relaxed)
    }

    /// How many connections it has refused since it last took one.
    pub(crate) fn refusals(&self) -> u32 {
        self.refusals.load(Relaxed)
    }

    /// It refused a connection: leave it out for a while, longer each time.
    pub(crate) fn eject(&self, now_ms: u64) {
        let refusals = self.refusals.fetch_add(1, Relaxed).min(10);
        let pause = (FIRST_EJECTION_MS << refusals).min(LONGEST_EJECTION_MS);
        self.ejected_until_ms.store(now_ms + pause, Relaxed);
    }

    /// It answered, or took a connection. One that had refused some before has been started again.
    pub(crate) fn readmit(&self) {
        if self.refusals() != 0 {
            self.refusals.store(0, Relaxed);
            self.ejected_until_ms.store(0, Relaxed);
            self.outlier.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    #[tokio::test]
    async fn an_instance_that_comes_back_has_not_left() {
        let endpoint = EndpointState::new(1, InstanceId::new("a"), "127.0.0.1:1".parse().unwrap());
        let endpoint = Arc::new(endpoint);
        let mut leaves = std::pin::pin!(Arc::clone(&endpoint).has_left_for(Duration::from_millis(20)));
        endpoint.settle(false);
        assert!(timeout(Duration::ZERO, leaves.as_mut()).await.is_err(), "not yet");
        endpoint.settle(true);
        assert!(timeout(Duration::from_millis(40), leaves.as_mut()).await.is_err());
        endpoint.settle(false);
        let left = Instant::now();
        leaves.await;
        assert!(left.elapsed() >= Duration::from_millis(19));
    }

    #[test]
    fn ejection_doubles_up_to_five_seconds_and_ends_with_a_success() {
        let endpoint = EndpointState::new(1, InstanceId::new("a"), "127.0.0.1:1".parse().unwrap());
        assert!(!endpoint.is_ejected(|| unreachable!("the clock is not read")));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            endpoint.eject(1_000);
            pauses.push(endpoint.ejected_until_ms() - 1_000);
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert!(endpoint.is_ejected(|| 5_999) && !endpoint.is_ejected(|| 6_000));
        endpoint.readmit();
        assert!(!endpoint.is_ejected(|| 0));
    }
}
