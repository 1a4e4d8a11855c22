//! One request from its assignment to the last byte of its answer: what is counted, and when.
//!
//! Whatever happens, dropping it settles the counts; nothing else writes them.

use std::future::{Future, pending};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::Instant;

use crate::assign::Draw;
use crate::gate::Pass;
use crate::odds::Place;
use crate::outlier;
use crate::seen::Unit;
use crate::snapshot::Revision;
use crate::state::{EndpointState, Shard};
use crate::worker::Worker;

/// An open request.
pub(crate) struct Exchange {
    pub(crate) worker: Rc<Worker>,
    assigned: Arc<Revision>,
    /// Stable, when it serves what was assigned to another revision that cannot be reached.
    instead: Option<Arc<Revision>>,
    /// Among the open requests of whoever works on it.
    pass: Option<Pass>,
    endpoint: Option<Arc<EndpointState>>,
    started: Instant,
    first_settled: bool,
    /// The attempt under way has failed already.
    attempt_bad: bool,
    draw: Draw,
    /// The assigned revision as it was then, if a newer table's has taken its place: the odds are those of the draw.
    assigned_as: Option<Arc<Revision>>,
    status: u16,
}

impl Exchange {
    pub(crate) fn new(worker: Rc<Worker>, assigned: Arc<Revision>, draw: Draw) -> Self {
        let shard = assigned.state.shard(worker.index);
        shard.assigned.fetch_add(1, Relaxed);
        shard.in_flight.fetch_add(1, Relaxed);
        Self {
            worker,
            assigned,
            instead: None,
            pass: None,
            endpoint: None,
            started: Instant::now(),
            first_settled: false,
            attempt_bad: false,
            draw,
            assigned_as: None,
            status: 0,
        }
    }

    /// The revision that works on it now.
    pub(crate) fn serving(&self) -> &Arc<Revision> {
        self.instead.as_ref().unwrap_or(&self.assigned)
    }

    /// Counters of the revision that works on it now.
    pub(crate) fn shard(&self) -> &Shard {
        self.serving().state.shard(self.worker.index)
    }

    /// When it began to be worked on.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Whether stable already serves in place of the assigned revision.
    pub(crate) fn is_diverted(&self) -> bool {
        self.instead.is_some()
    }

    /// Lets stable serve. Its answer time starts now: it is not stable's fault that another was tried before.
    pub(crate) fn divert(&mut self, stable: Arc<Revision>, pass: Pass) {
        self.leave();
        self.pass = Some(pass);
        let worker = self.worker.index;
        self.assigned
            .state
            .shard(worker)
            .answered_by_stable
            .fetch_add(1, Relaxed);
        stable.state.shard(worker).in_flight.fetch_add(1, Relaxed);
        self.instead = Some(stable);
        self.started = Instant::now();
    }

    /// Takes a place of its revision if nobody waits for one.
    pub(crate) fn enter_gate_now(&mut self) -> bool {
        self.pass = self.assigned.state.gate.enter_now();
        self.pass.is_some()
    }

    /// Waits until its revision has a place for it. False if there is none.
    pub(crate) async fn enter_gate(&mut self) -> bool {
        let asked = &self.assigned.resilience;
        let (most, wait) = (asked.max_pending, asked.pending_timeout);
        self.pass = self.assigned.state.gate.enter(most, wait).await;
        self.pass.is_some()
    }

    /// Its place is another one's from now on: it stays open by design, and asks for nothing.
    pub(crate) fn leave_gate(&mut self) {
        self.pass = None;
    }

    /// There was no place for it. That says nothing about the revision's instances.
    pub(crate) fn turned_back(&mut self, status: u16) {
        self.first_settled = true;
        self.shard().turned_back(status);
    }

    /// It will not be tried where it was assigned, because nobody is well there: a failure like any other.
    pub(crate) fn given_up(&mut self) {
        self.settle_first(true, self.micros());
    }

    /// Goes on with a newer table's instances of the same revision.
    pub(crate) fn renew(&mut self, newer: Arc<Revision>) {
        self.leave();
        match &mut self.instead {
            Some(instead) => *instead = newer,
            None => {
                let then = std::mem::replace(&mut self.assigned, newer);
                self.assigned_as.get_or_insert(then);
            }
        }
    }

    /// An attempt begins.
    pub(crate) fn enter(&mut self, index: usize) -> Arc<EndpointState> {
        self.leave();
        let endpoint = Arc::clone(&self.serving().endpoints[index]);
        endpoint.in_flight.fetch_add(1, Relaxed);
        endpoint.attempts.fetch_add(1, Relaxed);
        self.endpoint = Some(Arc::clone(&endpoint));
        self.attempt_bad = false;
        endpoint
    }

    pub(crate) fn endpoint(&self) -> Option<&Arc<EndpointState>> {
        self.endpoint.as_ref()
    }

    /// Ends when its instance has not been routed for so long; never without a limit.
    pub(crate) fn leaves_after(&self, limit: Option<Duration>) -> impl Future<Output = ()> + use<> {
        let endpoint = self.endpoint.clone().zip(limit);
        async move {
            match endpoint {
                Some((endpoint, limit)) => endpoint.has_left_for(limit).await,
                None => pending().await,
            }
        }
    }

    /// The attempt failed without an answer, and the request's first with it if this was the first. Each attempt fails once.
    pub(crate) fn attempt_failed(&mut self) {
        if self.failed() {
            // Perhaps it has crashed: then it is back as soon as it listens again.
            if let Some(endpoint) = &self.endpoint {
                self.worker.shared.look_after(endpoint);
            }
        }
    }

    /// Whether its instance is left out because of it.
    fn failed(&mut self) -> bool {
        let mut left_out = false;
        if !self.attempt_bad
            && let Some(endpoint) = &self.endpoint
        {
            endpoint.failures.fetch_add(1, Relaxed);
            let serving = self.serving();
            let rule = &serving.resilience.outliers;
            let now_ms = self.worker.shared.now_ms();
            left_out = outlier::failed(rule, &serving.state, &serving.endpoints, endpoint, now_ms);
        }
        self.attempt_bad = true;
        self.settle_first(true, self.micros());
        left_out
    }

    /// No connection to the instance could be made. Who refuses connections is left out by other rules.
    pub(crate) fn attempt_refused(&mut self) {
        if !self.attempt_bad
            && let Some(endpoint) = &self.endpoint
        {
            endpoint.failures.fetch_add(1, Relaxed);
        }
        self.attempt_bad = true;
        self.settle_first(true, self.micros());
    }

    /// The answer's head is known. A 5xx is a failed attempt.
    pub(crate) fn answered(&mut self, status: u16) {
        self.status = status;
        if status >= 500 {
            self.failed();
        }
    }

    /// Counts the answer and its time, once. Called before the drop when bytes go on: how long a stream or a WebSocket
    /// stays open is no answer time.
    pub(crate) fn count_answer(&mut self) {
        if self.status != 0 {
            let micros = self.micros();
            self.settle_first(false, micros);
            if let (Some(endpoint), false) = (&self.endpoint, self.attempt_bad) {
                endpoint.outlier.well();
            }
            self.shard().answered(self.status, micros);
            self.status = 0;
        }
    }

    /// The instance broke off in the middle of its answer.
    pub(crate) fn cut(&mut self) {
        self.shard().cut_answers.fetch_add(1, Relaxed);
        self.attempt_failed();
    }

    fn settle_first(&mut self, failed: bool, micros: u64) {
        if self.first_settled {
            return;
        }
        self.first_settled = true;
        // Always the assigned revision's: who saved the request does not change how its first attempt went.
        let worker = self.worker.index;
        let shard = self.assigned.state.shard(worker);
        let attempts = if self.draw.drawn {
            &shard.drawn
        } else {
            &shard.chosen
        };
        attempts.ended.fetch_add(1, Relaxed);
        // Of a session the first failure counts, with whichever of its requests it comes.
        let counts = failed && self.draw.unit.as_ref().map_or(self.draw.drawn, Unit::fails_first);
        let failures = if counts { &shard.drawn } else { &shard.chosen };
        failures.failed.fetch_add(u64::from(failed), Relaxed);
        let Some(place) = self.place() else { return };
        if self.draw.drawn {
            place.ended(worker, self.draw.stratum, counts, micros);
        } else if counts {
            place.failed(worker, self.draw.stratum);
        }
    }

    /// Where it counts by the odds that it was drawn with.
    fn place(&self) -> Option<&Place> {
        let then = self.assigned_as.as_ref().unwrap_or(&self.assigned);
        then.odds.as_ref()
    }

    /// How long it has been worked on.
    fn micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn leave(&mut self) {
        if let Some(endpoint) = self.endpoint.take() {
            endpoint.in_flight.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Without a status the client has gone before any answer: that is no failure of the revision, but it has waited.
        self.count_answer();
        if !self.first_settled
            && self.draw.drawn
            && let Some(place) = self.place()
        {
            place.given_up(self.worker.index, self.draw.stratum, self.micros());
        }
        self.leave();
        let worker = self.worker.index;
        for revision in [Some(&self.assigned), self.instead.as_ref()]
            .into_iter()
            .flatten()
        {
            revision.state.shard(worker).in_flight.fetch_sub(1, Relaxed);
        }
    }
}
