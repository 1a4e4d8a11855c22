//! How long to wait before something that ended is started again.

use std::time::Duration;

/// Doubles with every failure up to a longest wait, and starts over after a good run.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    good_run: Duration,
    failures: u32,
    /// The first failure after a good run costs no wait.
    first_is_free: bool,
}

impl Backoff {
    /// For instances: 100 ms, doubling to 30 s, over after a minute of health.
    pub(crate) const fn for_instances() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(30),
            good_run: Duration::from_secs(60),
            failures: 0,
            first_is_free: false,
        }
    }

    /// For sidecars: their clients wait in the listening socket, so the first restart is immediate.
    pub(crate) const fn for_sidecars() -> Self {
        Self {
            first: Duration::from_millis(50),
            longest: Duration::from_secs(5),
            good_run: Duration::from_secs(10),
            failures: 0,
            first_is_free: true,
        }
    }

    /// The wait after a run that was good for so long.
    pub(crate) fn after(&mut self, good_for: Duration) -> Duration {
        if good_for >= self.good_run {
            self.failures = 0;
        }
        let failures = self.failures;
        self.failures = self.failures.saturating_add(1);
        let doublings = match (self.first_is_free, failures) {
            (true, 0) => return Duration::ZERO,
            (true, _) => failures - 1,
            (false, _) => failures,
        };
        self.first
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_a_limit_and_starts_over_after_a_good_run() {
        let mut backoff = Backoff::for_instances();
        let bad = Duration::from_secs(1);
        let waits: Vec<u128> = (0..10).map(|_| backoff.after(bad).as_millis()).collect();
        assert_eq!(
            waits,
            [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]
        );
        for _ in 0..100 {
            assert_eq!(backoff.after(bad), Duration::from_secs(30));
        }
        assert_eq!(backoff.after(Duration::from_secs(60)), Duration::from_millis(100));
    }

    #[test]
    fn a_sidecar_comes_back_at_once_the_first_time() {
        let mut backoff = Backoff::for_sidecars();
        let waits: Vec<u128> = (0..4)
            .map(|_| backoff.after(Duration::ZERO).as_millis())
            .collect();
        assert_eq!(waits, [0, 50, 100, 200]);
    }
}
