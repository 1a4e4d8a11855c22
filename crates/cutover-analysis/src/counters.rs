//! What a router counts for one revision.

use serde::{Deserialize, Serialize};

use crate::{DrawnAt, Histogram};

/// Cumulative counts of one revision since its router started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Which run of the source counted: another number means it started again from zero. 0 with no requests is a
    /// revision that the source does not know.
    pub epoch: u64,
    /// Requests that the split assigned to the revision and whose first attempt has ended.
    pub requests: u64,
    /// Those whose first attempt failed: a 5xx answer, a time-out, a broken or refused connection. A retry that saved
    /// the request does not take it back.
    pub errors: u64,
    /// Sum of answer times in microseconds.
    pub total_us: u64,
    /// Distribution of answer times.
    pub latency: Histogram,
    /// Those of the above that were assigned at random; none where all of them were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<Drawn>,
    /// The same by the odds that they were drawn with, cumulative like all else; none where the source does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub odds: Option<Vec<DrawnAt>>,
}

/// Requests that were assigned by a draw with the split's chances, each for itself. Where a rule, a session or a turn
/// decided, nothing follows from which side a failure fell on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Drawn {
    /// Those whose first attempt has ended.
    pub requests: u64,
    /// Those whose first attempt failed.
    pub errors: u64,
}

impl Counters {
    /// What was assigned at random.
    #[must_use]
    pub fn drawn(&self) -> Drawn {
        self.drawn.unwrap_or(Drawn {
            requests: self.requests,
            errors: self.errors,
        })
    }

    /// The failed share, from 0 to 1; none of no requests.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }

    /// What was counted since `earlier`, both cumulative and of one source. When the source started again in between,
    /// that is what it has counted since then: what it counted between `earlier` and its end is lost.
    ///
    /// There are never more errors than requests in it: a source that is read while it counts may show the error of a
    /// request that it does not show yet. What was counted by odds is left out: it is told apart by run, not by difference.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        if self.restarted_after(earlier) {
            return Self {
                errors: self.errors.min(self.requests),
                odds: None,
                ..self.clone()
            };
        }
        let requests = self.requests.saturating_sub(earlier.requests);
        Self {
            epoch: self.epoch,
            requests,
            errors: self.errors.saturating_sub(earlier.errors).min(requests),
            total_us: self.total_us.saturating_sub(earlier.total_us),
            latency: self.latency.minus(&earlier.latency),
            drawn: self.drawn.map(|now| {
                let before = earlier.drawn();
                Drawn {
                    requests: now.requests.saturating_sub(before.requests),
                    errors: now.errors.saturating_sub(before.errors),
                }
            }),
            odds: None,
        }
    }

    /// Both together, for instance of two routers.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        Self {
            epoch: self.epoch.max(other.epoch),
            requests: self.requests.saturating_add(other.requests),
            errors: self.errors.saturating_add(other.errors),
            total_us: self.total_us.saturating_add(other.total_us),
            latency: self.latency.merge(&other.latency),
            drawn: (self.drawn.is_some() || other.drawn.is_some()).then(|| {
                let (one, two) = (self.drawn(), other.drawn());
                Drawn {
                    requests: one.requests.saturating_add(two.requests),
                    errors: one.errors.saturating_add(two.errors),
                }
            }),
            // Numbers of odds are one source's own.
            odds: None,
        }
    }

    /// Whether the source says that it does not know the revision.
    pub(crate) const fn is_unknown(&self) -> bool {
        self.epoch == 0 && self.requests == 0
    }

    /// Whether the source started again from zero after `earlier` was read.
    pub(crate) const fn restarted_after(&self, earlier: &Self) -> bool {
        self.epoch != earlier.epoch || self.requests < earlier.requests || self.errors < earlier.errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(epoch: u64, requests: u64, errors: u64) -> Counters {
        Counters {
            epoch,
            requests,
            errors,
            ..Counters::default()
        }
    }

    #[test]
    fn differences_survive_a_restart_of_the_source() {
        let early = counters(1, 100, 7);
        assert_eq!(counters(1, 130, 8).since(&early), counters(1, 30, 1));
        assert_eq!(counters(2, 5, 1).since(&early), counters(2, 5, 1));
        // The same epoch with smaller numbers is a restart too: nothing ever counts down.
        assert_eq!(counters(1, 5, 1).since(&early), counters(1, 5, 1));
    }

    #[test]
    fn an_error_whose_request_is_not_counted_yet_is_left_out() {
        let since = counters(1, 101, 9).since(&counters(1, 100, 7));
        assert_eq!((since.requests, since.errors), (1, 1));
        assert_eq!(counters(2, 0, 1).since(&counters(1, 9, 0)).errors, 0);
    }

    #[test]
    fn without_a_number_of_their_own_all_were_drawn() {
        let all = counters(1, 10, 3);
        let drawn = |requests, errors| Some(Drawn { requests, errors });
        assert_eq!(Some(all.drawn()), drawn(10, 3));
        let some = Counters {
            drawn: drawn(12, 3),
            ..counters(1, 30, 9)
        };
        assert_eq!(some.since(&all).drawn, drawn(2, 0));
        assert_eq!(all.merge(&some).drawn, drawn(22, 6));
        assert_eq!(all.merge(&all).drawn, None);
    }

    #[test]
    fn no_requests_have_no_error_rate() {
        assert_eq!(Counters::default().error_rate(), None);
        assert_eq!(counters(1, 4, 1).error_rate(), Some(0.25));
    }
}
