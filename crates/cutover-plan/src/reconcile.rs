//! From what is to what should be, in the one order that loses nothing: up, route, drain, down.
//!
//! The same order serves a launch, a shift, a promotion, a retirement, an abort and a rollback: an abort is the hold of
//! the state before. Nothing here remembers: it looks at the world each time, so running it twice, or after a crash at
//! any point, does what is left to do.

use std::collections::{BTreeMap, BTreeSet};

use cutover_model::{
    Desired, Instance, InstanceId, InstanceState, RevisionId, RouteTable, ServiceChange, Timestamp, Track,
};

use crate::routes::introduced;
use crate::{Observation, wanted_table};

/// One idempotent operation on the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// At least so many instances exist.
    Ensure {
        /// Of this revision.
        revision: RevisionId,
        /// How many.
        replicas: u32,
    },
    /// The router serves by this table.
    Route {
        /// All services, in one snapshot.
        table: RouteTable,
    },
    /// The instance gets no new requests any more; it may finish what it has. Only journalled, so that the deadline
    /// survives a crash.
    Drain {
        /// Which.
        instance: InstanceId,
        /// Its revision.
        revision: RevisionId,
    },
    /// The instance ends.
    Remove {
        /// Which.
        instance: InstanceId,
        /// Its revision.
        revision: RevisionId,
        /// Open requests that are cut because the drain deadline has passed.
        cut: u64,
    },
}

/// How far the world is from the desired state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconciled {
    /// It is there.
    Reached,
    /// These come next; they do not depend on each other.
    Do(Vec<Op>),
    /// Something must happen first that nobody here can do.
    Wait {
        /// What, as a noun phrase.
        what: String,
        /// Until when, where it has its own deadline (a drain).
        until: Option<Timestamp>,
    },
}

/// What a hold needs to know beside the desired state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hold<'a> {
    pub(crate) services: &'a [ServiceChange],
    pub(crate) desired: &'a Desired,
    pub(crate) drains: &'a BTreeMap<InstanceId, Timestamp>,
    /// Weight goes to whatever is ready at once: the other side fails hard (invariant I3).
    pub(crate) urgent: bool,
}

/// What is to be done next so that the world is as desired.
///
/// `drains` holds the deadline of each drain that has begun; `urgent` moves weight to what is ready of it at once, when
/// the other side fails hard (invariant I3).
#[must_use]
pub fn reconcile(
    services: &[ServiceChange],
    desired: &Desired,
    drains: &BTreeMap<InstanceId, Timestamp>,
    urgent: bool,
    seen: &Observation,
    now: Timestamp,
) -> Reconciled {
    let hold = Hold {
        services,
        desired,
        drains,
        urgent,
    };
    // In a hurry whoever is ready takes over first: nothing waits for instances that do not start (I3).
    let hurried = || hold.route(seen).filter(|next| matches!(next, Reconciled::Do(_)));
    urgent
        .then(hurried)
        .flatten()
        .or_else(|| hold.up(seen))
        .or_else(|| hold.route(seen))
        .or_else(|| hold.down(seen, now))
        .unwrap_or(Reconciled::Reached)
}

impl Hold<'_> {
    /// First: what is missing is started.
    fn up(&self, seen: &Observation) -> Option<Reconciled> {
        let missing: Vec<Op> = self
            .desired
            .0
            .iter()
            .filter(|(id, want)| standing(seen, id) < want.replicas)
            .map(|(id, want)| Op::Ensure {
                revision: id.clone(),
                replicas: want.replicas,
            })
            .collect();
        (!missing.is_empty()).then_some(Reconciled::Do(missing))
    }

    /// Second: the router knows the endpoints, then the weights move, once there is enough to carry them.
    fn route(&self, seen: &Observation) -> Option<Reconciled> {
        if let Some(wait) = self.capacity(seen) {
            return Some(wait);
        }
        let leaving = self.leaving(seen);
        let wanted = wanted_table(
            self.services,
            self.desired,
            seen,
            &leaving.keys().cloned().collect(),
        );
        if seen.table == wanted {
            return None;
        }
        let first = introduced(&wanted, &seen.table);
        // When only endpoints or weights are left to change, `first` is what is served already.
        let table = if first == seen.table || moves_no_weight(&wanted, &seen.table) {
            wanted
        } else {
            first
        };
        Some(Reconciled::Do(vec![Op::Route { table }]))
    }

    /// Whether each revision is as ready as its weight needs.
    fn capacity(&self, seen: &Observation) -> Option<Reconciled> {
        let mut short = Vec::new();
        for (id, want) in &self.desired.0 {
            let ready = seen.ready(id);
            if ready >= want.replicas {
                continue;
            }
            let weighted = want.weight.is_some_and(|weight| !weight.is_none());
            // One ready instance of stable is better than a candidate that fails hard; and who keeps the share that it
            // has, in another service, has nothing to do with it.
            let keeps = want.weight.is_some_and(|weight| seen.table.weight(id) >= weight);
            if self.urgent && (!weighted || ready > 0 || keeps) && want.track == Track::Stable {
                continue;
            }
            short.push(shortfall(seen, id, ready, want.replicas));
        }
        if short.is_empty() {
            None
        } else {
            Some(Reconciled::Wait {
                what: short.join("; "),
                until: None,
            })
        }
    }

    /// Third: what is too much is drained, then removed.
    fn down(&self, seen: &Observation, now: Timestamp) -> Option<Reconciled> {
        let leaving = self.leaving(seen);
        let mut ops = Vec::new();
        let mut open = (0u64, None::<Timestamp>, None::<&Instance>);
        for (id, instance) in &leaving {
            // Asked to end already: it is counted until it is gone.
            if instance.state == InstanceState::Stopping {
                continue;
            }
            let requests = seen.open(id);
            let revision = instance.revision.clone();
            let deadline = self.drains.get(id);
            if requests == 0 || deadline.is_some_and(|until| now >= *until) {
                ops.push(Op::Remove {
                    instance: id.clone(),
                    revision,
                    cut: requests,
                });
            } else if let Some(until) = deadline {
                open = (
                    open.0 + requests,
                    Some(open.1.map_or(*until, |soonest| soonest.min(*until))),
                    Some(instance),
                );
            } else {
                ops.push(Op::Drain {
                    instance: id.clone(),
                    revision,
                });
            }
        }
        if !ops.is_empty() {
            return Some(Reconciled::Do(ops));
        }
        if let (requests, until, Some(instance)) = open {
            let what = format!(
                "{requests} open requests of {} {}",
                instance.revision.service, instance.revision.version
            );
            return Some(Reconciled::Wait { what, until });
        }
        let (_, ending) = leaving.first_key_value()?;
        let what = format!("{} {} to end", ending.revision.service, ending.revision.version);
        Some(Reconciled::Wait { what, until: None })
    }

    /// The instances that are too many: all of a revision that is not wanted; of the others the ones that are not
    /// ready first, then the youngest.
    fn leaving<'s>(&self, seen: &'s Observation) -> BTreeMap<InstanceId, &'s Instance> {
        let mut by_revision: BTreeMap<&RevisionId, Vec<&Instance>> = BTreeMap::new();
        for instance in &seen.instances {
            by_revision.entry(&instance.revision).or_default().push(instance);
        }
        let mut leaving = BTreeMap::new();
        for (revision, mut instances) in by_revision {
            let keep = usize::try_from(self.desired.replicas(revision)).unwrap_or(usize::MAX);
            instances.sort_by(|a, b| (b.is_ready(), a.since, &a.id).cmp(&(a.is_ready(), b.since, &b.id)));
            // A drain that has begun is not taken back by another instance's change of state.
            instances.sort_by_key(|instance| {
                self.drains.contains_key(&instance.id) || instance.state == InstanceState::Stopping
            });
            for instance in instances.into_iter().skip(keep) {
                leaving.insert(instance.id.clone(), instance);
            }
        }
        leaving
    }
}

/// What is missing of a revision, in words.
fn shortfall(seen: &Observation, id: &RevisionId, ready: u32, wanted: u32) -> String {
    let trouble = seen.of(id).find_map(|instance| match &instance.state {
        InstanceState::Crashed { reason } => Some(format!(", one {reason}")),
        InstanceState::NotReady => Some(match &instance.unready {
            Some(why) => format!(", one fails its readiness probe: {why}"),
            None => ", one fails its readiness probe".to_owned(),
        }),
        InstanceState::Starting => instance.unready.as_ref().map(|why| format!(", one {why}")),
        InstanceState::Ready | InstanceState::Stopping => None,
    });
    format!(
        "{} {} to be ready: {ready} of {wanted}{}",
        id.service,
        id.version,
        trouble.unwrap_or_default()
    )
}

/// How many instances of a revision exist and are not on their way out.
fn standing(seen: &Observation, id: &RevisionId) -> u32 {
    let count = seen
        .of(id)
        .filter(|instance| instance.state != InstanceState::Stopping)
        .count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Whether two tables differ in endpoints only.
fn moves_no_weight(wanted: &RouteTable, now: &RouteTable) -> bool {
    let weights = |table: &RouteTable| -> BTreeSet<(RevisionId, u32)> {
        table
            .services
            .iter()
            .flat_map(|route| &route.revisions)
            .filter(|routed| !routed.weight.is_none())
            .map(|routed| (routed.revision.clone(), routed.weight.parts()))
            .collect()
    };
    weights(wanted) == weights(now)
}
