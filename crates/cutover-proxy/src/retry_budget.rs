//! How many requests may be sent again, so that retries do not make an overload worse.
//!
//! A share of the requests of the last ten seconds, and some every second besides (the shape of tower's and linkerd's
//! budgets). Counting requests costs the way of a request nothing: their total is looked at once a second.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::resilience::RetryRule;
use crate::shared::Shared;

const WINDOW_MS: u64 = 10_000;
const SAMPLE: Duration = Duration::from_secs(1);

/// Of one route.
#[derive(Debug, Default)]
pub(crate) struct RetryBudget(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    /// Retries so far.
    retries: u64,
    /// Totals once a second, the first from the beginning of the window or just before it.
    samples: VecDeque<Sample>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    at_ms: u64,
    requests: u64,
    retries: u64,
}

impl RetryBudget {
    fn window(&self) -> MutexGuard<'_, Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers how many requests there were until now.
    fn sample(&self, now_ms: u64, requests: u64) {
        let mut window = self.window();
        let retries = window.retries;
        window.samples.push_back(Sample {
            at_ms: now_ms,
            requests,
            retries,
        });
        window.forget(now_ms);
    }

    /// Takes one retry, if there is one left. `requests` is the route's total.
    pub(crate) fn take(&self, rule: RetryRule, now_ms: u64, requests: u64) -> bool {
        let mut window = self.window();
        window.forget(now_ms);
        // Younger than the window, all of it is within the window.
        let begin = now_ms.saturating_sub(WINDOW_MS);
        let before = window.samples.front().filter(|first| first.at_ms <= begin);
        let before = before.copied().unwrap_or_default();
        let share = requests.saturating_sub(before.requests) * u64::from(rule.budget_percent) / 100;
        let always = u64::from(rule.min_per_second) * WINDOW_MS / 1_000;
        if window.retries - before.retries >= share + always {
            return false;
        }
        window.retries += 1;
        true
    }
}

impl Window {
    fn forget(&mut self, now_ms: u64) {
        let begin = now_ms.saturating_sub(WINDOW_MS);
        while self.samples.get(1).is_some_and(|next| next.at_ms <= begin) {
            self.samples.pop_front();
        }
    }
}

/// Looks at the totals until the process stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(SAMPLE);
    loop {
        ticks.tick().await;
        let now_ms = shared.now_ms();
        for route in &shared.registry().routes {
            route.budget.sample(now_ms, route.requests.load(Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &RetryBudget, rule: RetryRule, now_ms: u64, requests: u64) -> usize {
        (0..10_000)
            .take_while(|_| budget.take(rule, now_ms, requests))
            .count()
    }

    #[test]
    fn a_share_of_the_last_ten_seconds_and_some_always() {
        let rule = RetryRule {
            budget_percent: 20,
            min_per_second: 10,
            ..RetryRule::default()
        };
        let budget = RetryBudget::default();
        assert_eq!(taken(&budget, rule, 0, 1), 100, "ten a second");
        budget.sample(1_000, 100);
        assert_eq!(taken(&budget, rule, 1_500, 150), 30, "a fifth of all 150");
        for second in 2..=20 {
            budget.sample(second * 1_000, second * 100);
        }
        // Since 10 s: 1,000 requests.
        assert_eq!(taken(&budget, rule, 20_000, 2_000), 100 + 200);
        assert_eq!(taken(&budget, rule, 20_500, 2_050), 10, "of 50 requests");
        for second in 21..=31 {
            budget.sample(second * 1_000, 2_050);
        }
        assert_eq!(taken(&budget, rule, 31_000, 2_050), 100, "the old ones are over");
    }

    #[test]
    fn none_at_all_if_none_are_wanted() {
        let rule = RetryRule {
            budget_percent: 0,
            min_per_second: 0,
            ..RetryRule::default()
        };
        assert!(!RetryBudget::default().take(rule, 0, 1_000_000));
    }
}
