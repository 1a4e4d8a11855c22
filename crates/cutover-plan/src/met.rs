//! What clients met of an upgrade: the sum of what the router counted between the records of it.

use cutover_model::{ServiceChange, TrafficCounts};
use serde::{Deserialize, Serialize};

/// What clients met of an upgrade since it began.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Met {
    /// Requests, whoever they were given to.
    pub served: u64,
    /// Requests that failed, without the error answers of the candidate itself.
    pub failed: u64,
    /// Requests that reached the candidate.
    pub exposed: u64,
    /// Failed ones among them.
    pub candidate_errors: u64,
    /// Whether the router was started again meanwhile: what it had counted since the record before is not in it.
    pub at_least: bool,
    /// The last record.
    pub last: TrafficCounts,
}

impl Met {
    /// Nothing yet: the router stands here.
    pub(crate) fn from_now(counts: &TrafficCounts) -> Self {
        Self {
            last: counts.clone(),
            ..Self::default()
        }
    }

    /// With what was counted since the last record.
    pub(crate) fn count(&mut self, services: &[ServiceChange], counts: &TrafficCounts) {
        let again = counts.epoch != self.last.epoch;
        self.at_least |= again;
        let before = if again {
            TrafficCounts::default()
        } else {
            std::mem::take(&mut self.last)
        };
        for now in &counts.revisions {
            let then = before.of(&now.revision);
            // A revision that was forgotten and came again counts from nothing.
            let since = |now: u64, then: u64| now.checked_sub(then).unwrap_or(now);
            let (requests, failed) = (since(now.requests, then.0), since(now.failed, then.1));
            let new = services
                .iter()
                .any(|change| change.from != change.to && change.to.as_ref() == Some(&now.revision));
            self.served += requests;
            if new {
                self.exposed += requests;
                self.candidate_errors += failed;
            } else {
                self.failed += failed;
            }
        }
        self.failed += counts
            .unanswered
            .checked_sub(before.unanswered)
            .unwrap_or(counts.unanswered);
        self.last = counts.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_model::RevisionCounts;

    fn counts(epoch: u64, of: &[(&str, u64, u64)], unanswered: u64) -> TrafficCounts {
        let revisions = of.iter().map(|(revision, requests, failed)| RevisionCounts {
            revision: revision.parse().unwrap(),
            requests: *requests,
            failed: *failed,
        });
        TrafficCounts {
            epoch,
            revisions: revisions.collect(),
            unanswered,
        }
    }

    fn services() -> [ServiceChange; 1] {
        [ServiceChange {
            service: "api".parse().unwrap(),
            from: Some(OLD.parse().unwrap()),
            to: Some(NEW.parse().unwrap()),
            replicas: 1,
            listen: None,
            policy: cutover_model::routing::RoutePolicy::default(),
            header_routes: Vec::new(),
            slot: None,
        }]
    }

    const OLD: &str = "api@1.0.0#aaaaaa";
    const NEW: &str = "api@1.1.0#bbbbbb";

    #[test]
    fn differences_are_summed_and_a_restarted_router_counts_from_nothing() {
        let services = services();
        let mut met = Met::from_now(&counts(1, &[(OLD, 500, 7)], 2));
        met.count(&services, &counts(1, &[(OLD, 590, 8), (NEW, 10, 3)], 2));
        assert_eq!(
            (met.served, met.failed, met.exposed, met.candidate_errors),
            (100, 1, 10, 3)
        );
        assert!(!met.at_least);
        met.count(&services, &counts(2, &[(OLD, 5, 0), (NEW, 5, 1)], 1));
        assert_eq!(
            (met.served, met.failed, met.exposed, met.candidate_errors),
            (110, 2, 15, 4)
        );
        assert!(met.at_least);
        met.count(&services, &counts(2, &[(NEW, 6, 1)], 1));
        assert_eq!((met.served, met.exposed, met.candidate_errors), (111, 16, 4));
    }
}
