//! What is wrong with 1.2.0, on purpose.
//!
//! Counted, not random: whoever sends forty requests to one process sees ten errors and four slow answers, always.
//! Probes and smoke tests do not see it. That is what makes the release interesting: it looks well until it is used.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One in this many fails.
const ERROR_EVERY: u64 = 4;
/// One in this many is slow.
const SLOW_EVERY: u64 = 10;

pub(crate) const SLOWNESS: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Answered with 500, before anything is done.
    Error,
    /// Answered well, [`SLOWNESS`] late.
    Slow,
}

/// Counts the requests of one process.
#[derive(Debug)]
pub(crate) struct Faults {
    faulty: bool,
    requests: AtomicU64,
}

impl Faults {
    pub(crate) fn new(faulty: bool) -> Self {
        Self {
            faulty,
            requests: AtomicU64::new(0),
        }
    }

    /// What happens to the next request for `path`.
    pub(crate) fn next(&self, path: &str) -> Fault {
        if !self.faulty || !(path.starts_with("/api/users") || path == "/api/test") {
            return Fault::None;
        }
        // The two remainders differ in parity, so no request is both.
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        if request % ERROR_EVERY == ERROR_EVERY - 1 {
            Fault::Error
        } else if request % SLOW_EVERY == 4 {
            Fault::Slow
        } else {
            Fault::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_forty_requests_ten_fail_and_four_are_slow() {
        let faults = Faults::new(true);
        let seen: Vec<Fault> = (0..40).map(|_| faults.next("/api/users/1")).collect();
        assert_eq!(seen.iter().filter(|fault| **fault == Fault::Error).count(), 10);
        assert_eq!(seen.iter().filter(|fault| **fault == Fault::Slow).count(), 4);
    }

    #[test]
    fn probes_and_smoke_tests_see_nothing_of_it() {
        let faults = Faults::new(true);
        for path in ["/health", "/ready", "/metrics", "/api/version", "/api/db/ping"] {
            assert!((0..20).all(|_| faults.next(path) == Fault::None), "{path}");
        }
    }

    #[test]
    fn a_good_release_has_none() {
        let faults = Faults::new(false);
        assert!((0..100).all(|_| faults.next("/api/users") == Fault::None));
    }
}
