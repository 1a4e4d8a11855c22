//! What clients meet in this moment of an upgrade, from the proxy's own counters. What they met of all of it is in the journal.

use std::collections::VecDeque;

use cutover_model::{Plan, RevisionId, ServiceName};
use cutover_proxy::{Client, ProxyRouter, RevisionStats, Stats};
use tokio::time::Instant;

use crate::render::{Sample, ServiceTraffic, Traffic};

/// Rates are over so many samples, a second apart.
const WINDOW: usize = 5;

/// Reads the counters, and takes differences.
pub(crate) struct Meter {
    client: Client,
    moves: Vec<Move>,
    window: VecDeque<(Instant, Stats)>,
}

struct Move {
    service: ServiceName,
    from: Option<RevisionId>,
    to: Option<RevisionId>,
}

impl Meter {
    /// Of the services that move.
    pub(crate) fn new(proxy: &ProxyRouter, plan: &Plan) -> Self {
        let client = proxy.client().clone();
        let moves = plan
            .services
            .iter()
            .filter(|change| change.from != change.to && change.listen.is_some())
            .map(|change| Move {
                service: change.service.clone(),
                from: change.from.clone(),
                to: change.to.clone(),
            });
        Self {
            client,
            moves: moves.collect(),
            window: VecDeque::new(),
        }
    }

    /// What both revisions do now; nothing when the proxy does not answer.
    pub(crate) async fn sample(&mut self) -> Traffic {
        let Ok(now) = self.client.stats().await else {
            return Traffic::new();
        };
        let at = Instant::now();
        if self
            .window
            .back()
            .is_some_and(|(_, last)| last.epoch != now.epoch)
        {
            self.window.clear();
        }
        self.window.push_back((at, now));
        if self.window.len() > WINDOW + 1 {
            self.window.pop_front();
        }
        self.moves
            .iter()
            .map(|one| ServiceTraffic {
                service: one.service.clone(),
                stable: one.from.as_ref().and_then(|id| self.revision(id)),
                candidate: one.to.as_ref().and_then(|id| self.revision(id)),
            })
            .collect()
    }

    fn revision(&self, id: &RevisionId) -> Option<Sample> {
        let ((then_at, then), (now_at, now)) = (self.window.front()?, self.window.back()?);
        let now = revision(now, id)?;
        let seconds = now_at.duration_since(*then_at).as_secs_f64();
        let before = revision(then, id);
        let since = |of: fn(&RevisionStats) -> u64| of(now).saturating_sub(before.map_or(0, of));
        let requests = since(|stats| stats.first_attempts);
        let errors = since(|stats| stats.first_attempt_failures);
        let latency = match before {
            Some(before) => now.latency.minus(&before.latency),
            None => now.latency.clone(),
        };
        let routed = now.instances.iter().filter(|one| one.routed).count();
        Some(Sample {
            version: id.version.clone(),
            instances: u32::try_from(routed).unwrap_or(u32::MAX),
            weight: Some(now.weight),
            req_per_s: if seconds > 0.0 {
                requests as f64 / seconds
            } else {
                0.0
            },
            error_percent: if requests > 0 {
                100.0 * errors as f64 / requests as f64
            } else {
                0.0
            },
            p99_ms: latency.quantile(0.99).map(|us| us as f64 / 1000.0),
        })
    }
}

fn revision<'a>(stats: &'a Stats, id: &RevisionId) -> Option<&'a RevisionStats> {
    stats.revisions.iter().find(|one| one.revision == *id)
}
