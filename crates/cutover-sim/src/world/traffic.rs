//! Requests: most are only counted, a few are followed from their arrival to their answer.

use std::collections::BTreeMap;

use cutover_analysis::Counters;
use cutover_model::{InstanceState, RevisionId, RouteTable};

use crate::Invariant;
use crate::world::World;

/// Requests in a second and service.
const RATE: u64 = 40;

/// A request that is followed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) instance: u64,
    pub(crate) ends_at: u64,
}

/// Requests and what became of them.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) open: Vec<Request>,
    pub(crate) counters: BTreeMap<RevisionId, Counters>,
    pub(crate) sent: u64,
    /// Cut by an instance that died.
    pub(crate) broken: u64,
    /// Cut by a drain whose deadline had passed.
    pub(crate) cut: u64,
    /// Answered 503 because the service was out.
    pub(crate) refused: u64,
}

impl Traffic {
    pub(crate) fn open_on(&self, instance: u64) -> u64 {
        self.open
            .iter()
            .filter(|request| request.instance == instance)
            .count() as u64
    }

    fn take(&mut self, instance: u64) -> u64 {
        let before = self.open.len();
        self.open.retain(|request| request.instance != instance);
        (before - self.open.len()) as u64
    }

    pub(crate) fn broken(&mut self, instance: u64) {
        self.broken += self.take(instance);
    }

    pub(crate) fn cut(&mut self, instance: u64) {
        self.cut += self.take(instance);
    }
}

impl World {
    /// Requests arrive and are answered for this long.
    pub(crate) fn serve(&mut self, ms: u64) {
        let now = self.true_ms;
        self.traffic.open.retain(|request| request.ends_at > now);
        if self.router.table.services.is_empty() {
            return;
        }
        if ms >= 50 {
            self.count(ms);
        }
        let followed = if ms >= 50 {
            2
        } else {
            usize::from(self.random.chance(250))
        };
        for _ in 0..followed {
            self.arrive();
        }
    }

    fn count(&mut self, ms: u64) {
        for route in &self.router.table.services {
            for routed in &route.revisions {
                let n = RATE * ms * u64::from(routed.weight.parts()) / 10_000_000;
                if n == 0 {
                    continue;
                }
                let quality = self.quality.get(&routed.revision).copied().unwrap_or_default();
                let counters = self.traffic.counters.entry(routed.revision.clone()).or_default();
                counters.epoch = 1;
                counters.requests += n;
                counters.errors += n * u64::from(quality.errors) / 1_000;
                counters.total_us += n * 10;
                if counters.latency.0.is_empty() {
                    counters.latency.0.resize(11, 0);
                }
                counters.latency.0[10] += n;
            }
        }
    }

    /// One request, by the table that the worker it meets serves by.
    fn arrive(&mut self) {
        let between = self.router.transit.is_some() && self.random.chance(500);
        let Some((instance, ms)) = self.pick(between) else {
            return;
        };
        self.traffic.sent += 1;
        match instance {
            Picked::Nobody => self.traffic.refused += 1,
            Picked::Lost(what) => self.violate(Invariant::I2, what),
            Picked::Unready(what) => self.violate(Invariant::I1, what),
            Picked::Dead => self.traffic.broken += 1,
            Picked::Instance(instance) => {
                let ends_at = self.true_ms + ms;
                self.traffic.open.push(Request { instance, ends_at });
            }
        }
    }

    fn pick(&mut self, between: bool) -> Option<(Picked, u64)> {
        let long = match self.random.index(20) {
            0 => self.random.between(5_000, 50_000),
            1..=4 => self.random.between(500, 5_000),
            _ => self.random.between(5, 300),
        };
        let (which, share, dice) = (
            self.random.index(64),
            self.random.count(0, 9_999),
            self.random.index(1_024),
        );
        let table: &RouteTable = match &self.router.transit {
            Some(transit) if between => &transit.table,
            _ => &self.router.table,
        };
        let route = table.services.get(which % table.services.len().max(1))?;
        let mut left = share;
        let routed = route.revisions.iter().find(|routed| {
            let parts = routed.weight.parts();
            let hit = left < parts;
            left = left.saturating_sub(parts);
            hit
        });
        let Some(routed) = routed else {
            return Some((self.nobody(&route.service), long));
        };
        let Some(endpoint) = routed.endpoints.get(dice % routed.endpoints.len().max(1)) else {
            return Some((
                Picked::Unready(format!("{} has requests and no endpoint", routed.revision)),
                long,
            ));
        };
        let picked = match self.target.get(&endpoint.instance) {
            None => Picked::Lost(format!(
                "a request is sent to {}, which is gone",
                endpoint.instance
            )),
            Some(one) => match one.state {
                InstanceState::Ready => Picked::Instance(one.number),
                InstanceState::Stopping => {
                    Picked::Lost(format!("a request is sent to {}, which is ending", one.id))
                }
                _ if one.was_ready => Picked::Dead,
                _ => Picked::Unready(format!("a request is sent to {}, which was never ready", one.id)),
            },
        };
        Some((picked, long))
    }

    /// No revision has weight: fine while the plan says that there is a pause, or nothing has ever served.
    fn nobody(&self, service: &cutover_model::ServiceName) -> Picked {
        let Some(current) = &self.current else {
            return Picked::Nobody;
        };
        let served = current.plan.initial.of(service).next().is_some();
        if current.plan.report.downtime || !served {
            Picked::Nobody
        } else {
            Picked::Lost(format!("{service} has no revision with weight"))
        }
    }
}

enum Picked {
    Instance(u64),
    Nobody,
    Dead,
    Unready(String),
    Lost(String),
}
