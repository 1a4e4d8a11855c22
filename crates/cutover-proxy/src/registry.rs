//! Finds the state of routes, revisions and endpoints again by identity, from table to table.
//!
//! Owns every state of this process. A removed revision is kept while it has open requests, and a few more so that
//! whoever takes differences of counters does not see them vanish.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use cutover_model::{InstanceId, RevisionId, ServiceName, Track, Weight};

use crate::odds::{AllOdds, Odds, Pair};
use crate::state::{EndpointState, RevisionState, RouteState};

/// How many removed revisions without open requests are kept, and how many removed routes.
const KEPT: usize = 64;

/// One revision that was ever routed, in the order in which they came.
#[derive(Debug)]
pub(crate) struct KnownRevision {
    pub(crate) state: Arc<RevisionState>,
    pub(crate) track: Track,
    pub(crate) weight: Weight,
    pub(crate) routed: bool,
    pub(crate) endpoints: Vec<Arc<EndpointState>>,
}

/// What one table says of one revision.
#[derive(Debug)]
pub(crate) struct Routed {
    pub(crate) id: RevisionId,
    pub(crate) track: Track,
    pub(crate) weight: Weight,
    pub(crate) endpoints: Vec<u64>,
}

/// Everything that was ever routed and is not forgotten.
#[derive(Debug)]
pub(crate) struct Registry {
    workers: usize,
    next_key: u64,
    pub(crate) routes: Vec<Arc<RouteState>>,
    pub(crate) revisions: Vec<KnownRevision>,
    pub(crate) odds: AllOdds,
}

impl Registry {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers,
            next_key: 1,
            routes: Vec::new(),
            revisions: Vec::new(),
            odds: AllOdds::default(),
        }
    }

    pub(crate) fn route(&mut self, service: &ServiceName) -> Arc<RouteState> {
        if let Some(known) = self.routes.iter().find(|route| route.service == *service) {
            return Arc::clone(known);
        }
        let route = Arc::new(RouteState::new(service.clone()));
        self.routes.push(Arc::clone(&route));
        route
    }

    /// Where requests count that are drawn between two revisions with these shares.
    pub(crate) fn odds(&mut self, pair: Pair) -> Arc<Odds> {
        self.odds.of(pair, self.workers)
    }

    /// The state of a revision and of its endpoints, in the order given.
    pub(crate) fn revision(
        &mut self,
        id: &RevisionId,
        endpoints: &[(InstanceId, SocketAddr)],
    ) -> (Arc<RevisionState>, Vec<Arc<EndpointState>>) {
        let position = self.revisions.iter().position(|known| known.state.id == *id);
        let index = position.unwrap_or_else(|| {
            self.revisions.push(KnownRevision {
                state: Arc::new(RevisionState::new(id.clone(), self.workers)),
                track: Track::Stable,
                weight: Weight::NONE,
                routed: false,
                endpoints: Vec::new(),
            });
            self.revisions.len() - 1
        });
        let known = &mut self.revisions[index];
        let mut found = Vec::new();
        for (instance, address) in endpoints {
            let same = |state: &&Arc<EndpointState>| state.instance == *instance && state.address == *address;
            let state = known.endpoints.iter().find(same).cloned().unwrap_or_else(|| {
                let state = Arc::new(EndpointState::new(self.next_key, instance.clone(), *address));
                self.next_key += 1;
                known.endpoints.push(Arc::clone(&state));
                state
            });
            state.routed.store(true, Relaxed);
            found.push(state);
        }
        (Arc::clone(&known.state), found)
    }

    /// Notes what the table routes that every worker serves by now; everything else is removed. What was removed
    /// before and has no open request is forgotten: only then can no worker be about to use it.
    pub(crate) fn settle(&mut self, routed: &[Routed]) {
        for known in &mut self.revisions {
            let idle = |endpoint: &EndpointState| endpoint.in_flight.load(Relaxed) == 0;
            known
                .endpoints
                .retain(|endpoint| endpoint.routed.load(Relaxed) || !idle(endpoint));
            let now = routed.iter().find(|now| now.id == known.state.id);
            known.routed = now.is_some();
            known.weight = now.map_or(Weight::NONE, |now| now.weight);
            if let Some(now) = now {
                known.track = now.track;
            }
            for endpoint in &known.endpoints {
                let named = now.is_some_and(|now| now.endpoints.contains(&endpoint.key));
                endpoint.settle(named);
            }
        }
        // Nobody but the registry knows of it: no table names it any more.
        let gone = |route: &Arc<RouteState>| Arc::strong_count(route) == 1;
        let mut surplus = self.routes.iter().filter(|route| gone(route)).count();
        surplus = surplus.saturating_sub(KEPT);
        self.routes.retain(|route| {
            let forget = surplus > 0 && gone(route);
            surplus -= usize::from(forget);
            !forget
        });
        let idle = |known: &KnownRevision| !known.routed && known.state.sum(|shard| &shard.in_flight) == 0;
        let mut surplus = self
            .revisions
            .iter()
            .filter(|known| idle(known))
            .count()
            .saturating_sub(KEPT);
        self.revisions.retain(|known| {
            let forget = surplus > 0 && idle(known);
            surplus -= usize::from(forget);
            !forget
        });
        let revisions = &self.revisions;
        self.odds
            .retain(|id| revisions.iter().any(|known| known.state.id == *id));
    }
}
