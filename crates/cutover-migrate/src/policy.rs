//! How long and how often a lock is tried, and how long a statement may run.

use std::time::Duration;

use cutover_model::Span;

/// The ladder of lock attempts.
///
/// A statement that waits for a lock on a table makes everybody else wait behind it. So it waits briefly, gives up,
/// lets the others through, and tries again a little longer and a little later: the ladder that GitLab's migration
/// helpers use. With the defaults it gives up after about six minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockPolicy {
    /// How often a statement that could not get its lock is tried; at least 1.
    pub tries: u32,
    /// How long the first try waits for a lock.
    pub first_timeout: Span,
    /// How long the last try waits.
    pub last_timeout: Span,
    /// The pause after the first try.
    pub first_pause: Span,
    /// The pause before the last try.
    pub last_pause: Span,
    /// How long one statement of a file may run, the wait for its locks included; none: as long as it takes.
    pub statement_timeout: Option<Span>,
    /// How long another migrator on the same database is waited for.
    pub wait_for_migrator: Span,
    /// How long a transaction of somebody else may be open before it is named in advance.
    pub long_transaction: Span,
}

impl Default for LockPolicy {
    fn default() -> Self {
        Self {
            tries: 40,
            first_timeout: Span::from_millis(500),
            last_timeout: Span::from_secs(5),
            first_pause: Span::from_millis(200),
            last_pause: Span::from_secs(13),
            statement_timeout: None,
            wait_for_migrator: Span::from_secs(30),
            long_transaction: Span::from_secs(60),
        }
    }
}

impl LockPolicy {
    /// How long a try waits, counted from 1.
    #[must_use]
    pub fn timeout(&self, attempt: u32) -> Duration {
        self.rung(self.first_timeout, self.last_timeout, attempt)
    }

    /// The pause after a try, counted from 1.
    #[must_use]
    pub fn pause(&self, attempt: u32) -> Duration {
        self.rung(self.first_pause, self.last_pause, attempt)
    }

    fn rung(&self, first: Span, last: Span, attempt: u32) -> Duration {
        let (first, last) = (first.as_millis(), last.as_millis().max(first.as_millis()));
        let steps = u64::from(self.tries.saturating_sub(1).max(1));
        let at = u64::from(attempt.saturating_sub(1)).min(steps);
        Duration::from_millis(first + (last - first) * at / steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_grows_and_ends_after_about_six_minutes() {
        let policy = LockPolicy::default();
        assert_eq!(policy.timeout(1), Duration::from_millis(500));
        assert_eq!(policy.timeout(40), Duration::from_secs(5));
        assert!(policy.pause(2) > policy.pause(1));
        let whole: Duration = (1..=40)
            .map(|attempt| policy.timeout(attempt) + policy.pause(attempt))
            .sum();
        assert!((300..420).contains(&whole.as_secs()), "{whole:?}");
    }
}
