//! Reads the counters.

use std::sync::atomic::Ordering::Relaxed;

use cutover_analysis::{Drawn, DrawnAt, DrawnIn, Histogram};
use cutover_model::{RevisionId, ServiceName};

use crate::histogram::BUCKETS;
use crate::odds::{Odds, Side};
use crate::registry::KnownRevision;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::wire::{
    AccessLogStats, DrainStatus, InstanceInFlight, InstanceStats, OddsStats, RevisionStats, RouteStats,
    Stats, TlsStats,
};

pub(crate) fn collect(shared: &Shared) -> Stats {
    let registry = shared.registry();
    let snapshot = shared.snapshot.load();
    Stats {
        epoch: shared.epoch,
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        serial: snapshot.serial,
        uptime_ms: shared.now_ms(),
        workers: shared.controls.len(),
        connections: shared.connections.load(Relaxed),
        idle_connections: shared.idle_connections.load(Relaxed),
        listeners: shared.listeners().clone(),
        routes: registry
            .routes
            .iter()
            .map(|route| RouteStats {
                service: route.service.clone(),
                requests: route.requests.load(Relaxed),
                rejected: route.rejected.load(Relaxed),
                unavailable: route.unavailable.load(Relaxed),
                tls: tls(&snapshot, &route.service),
                over_budget: route.over_budget.load(Relaxed),
                holding: route.hold.is_on(),
                held: route.hold.waiting().0,
                held_total: route.hold.total.load(Relaxed),
                hold_overflowed: route.hold.overflowed.load(Relaxed),
                access_log: access_log(&snapshot, &route.service),
                sessions_moved: route.sessions_moved.load(Relaxed),
                mirror: route.mirror.stats(),
            })
            .collect(),
        revisions: registry
            .revisions
            .iter()
            .map(|known| revision(known, shared))
            .collect(),
        odds: Some(registry.odds.known.iter().map(|known| odds(known)).collect()),
    }
}

fn tls(snapshot: &Snapshot, service: &ServiceName) -> Option<TlsStats> {
    let route = snapshot
        .routes
        .iter()
        .find(|route| route.state.service == *service)?;
    let tls = route.door.as_ref()?.tls.as_ref()?;
    Some(TlsStats {
        loads: tls.loads(),
        problem: tls.problem().map(|problem| problem.to_string()),
    })
}

fn access_log(snapshot: &Snapshot, service: &ServiceName) -> Option<AccessLogStats> {
    let mut routes = snapshot.routes.iter();
    let route = routes.find(|route| route.state.service == *service)?;
    let counts = &route.access_log.as_ref()?.counts;
    Some(AccessLogStats {
        written: counts.written.load(Relaxed),
        dropped: counts.dropped.load(Relaxed),
    })
}

fn odds(known: &Odds) -> OddsStats {
    let (candidate, of) = known.pair.parts;
    let names = &known.pair.strata;
    let side = |side| {
        let read = |(stratum, name): (usize, &str)| {
            let (errors, times) = known.read(side, stratum);
            DrawnIn {
                name: name.to_owned(),
                errors,
                latency: Histogram(times),
            }
        };
        let with_others = names.iter().map(String::as_str).chain([""]);
        let strata: Vec<DrawnIn> = with_others.enumerate().map(read).collect();
        DrawnAt {
            odds: known.number,
            candidate,
            of,
            errors: strata.iter().map(|one| one.errors).sum(),
            latency: strata
                .iter()
                .fold(Histogram::default(), |sum, one| sum.merge(&one.latency)),
            strata: if names.is_empty() { Vec::new() } else { strata },
        }
    };
    OddsStats {
        candidate: known.pair.candidate.clone(),
        stable: known.pair.stable.clone(),
        of_candidate: side(Side::Candidate),
        of_stable: side(Side::Stable),
    }
}

fn revision(known: &KnownRevision, shared: &Shared) -> RevisionStats {
    let state = &known.state;
    let mut counts = vec![0; BUCKETS];
    let mut total_us = 0;
    for shard in state.shards() {
        shard.latency.add_to(&mut counts, &mut total_us);
    }
    let used = counts
        .iter()
        .rposition(|count| *count > 0)
        .map_or(0, |last| last + 1);
    counts.truncate(used);
    let answers = state.answers();
    let drawn = Drawn {
        requests: state.sum(|shard| &shard.drawn.ended),
        errors: state.sum(|shard| &shard.drawn.failed),
    };
    let instances = known.endpoints.iter().map(|endpoint| InstanceStats {
        instance: endpoint.instance.clone(),
        address: endpoint.address,
        routed: endpoint.routed.load(Relaxed),
        ejected: endpoint.is_ejected(|| shared.now_ms()),
        refusals: endpoint.refusals(),
        healthy: endpoint.health.is_well(),
        probe_failures: endpoint.health.failures.load(Relaxed),
        in_flight: endpoint.in_flight.load(Relaxed),
        attempts: endpoint.attempts.load(Relaxed),
        failures: endpoint.failures.load(Relaxed),
    });
    RevisionStats {
        revision: state.id.clone(),
        track: known.track,
        weight: known.weight,
        in_flight: state.sum(|shard| &shard.in_flight),
        assigned: state.sum(|shard| &shard.assigned),
        first_attempts: drawn.requests + state.sum(|shard| &shard.chosen.ended),
        first_attempt_failures: drawn.errors + state.sum(|shard| &shard.chosen.failed),
        drawn: Some(drawn),
        errors: answers
            .iter()
            .filter(|(status, _)| *status >= 500)
            .map(|(_, count)| count)
            .sum(),
        answers,
        answered_by_stable: state.sum(|shard| &shard.answered_by_stable),
        connect_failures: state.sum(|shard| &shard.connect_failures),
        timeouts: state.sum(|shard| &shard.timeouts),
        retries: state.sum(|shard| &shard.retries),
        ejections: state.ejections.load(Relaxed),
        pending: state.gate.pending(),
        overflowed: state.gate.overflowed.load(Relaxed),
        cut_writes: state.sum(|shard| &shard.cut_writes),
        cut_answers: state.sum(|shard| &shard.cut_answers),
        total_us,
        latency: Histogram(counts),
        instances: instances.collect(),
    }
}

/// Open requests of one revision, or of all.
pub(crate) fn in_flight(shared: &Shared, only: Option<&RevisionId>) -> DrainStatus {
    let registry = shared.registry();
    let mut status = DrainStatus::default();
    for known in &registry.revisions {
        if only.is_some_and(|only| *only != known.state.id) {
            continue;
        }
        status.in_flight += known.state.sum(|shard| &shard.in_flight);
        for endpoint in &known.endpoints {
            status.instances.push(InstanceInFlight {
                instance: endpoint.instance.clone(),
                in_flight: endpoint.in_flight.load(Relaxed),
            });
        }
    }
    status
}
