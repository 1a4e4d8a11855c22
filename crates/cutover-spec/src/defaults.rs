//! What a canary does when the file says nothing.

use cutover_model::routing::RouteRule;
use cutover_model::{AnalysisTemplate, Baseline, Metric, SlowAnswers, Span};

use crate::{Canary, CanaryStep, HeaderMatch, PauseStep};

/// The shares of a canary without steps, in per cent.
const WEIGHTS: [u8; 5] = [10, 25, 50, 75, 100];

/// How long each of them is held.
const HOLD: Span = Span::from_mins(5);

/// What is measured when a canary names no analysis: at any moment, failed by the sequential test when the candidate fails
/// more often than stable or takes more than 1.5 times as long; every 30s, failed when more than 5 % of its requests fail or its p99 is over 1.5 times stable's,
/// judged from 30 requests on.
#[must_use]
pub fn default_analysis() -> AnalysisTemplate {
    AnalysisTemplate {
        interval: Span::from_secs(30),
        initial_delay: Span::ZERO,
        count: 1,
        failure_limit: 0,
        inconclusive_limit: 0,
        consecutive_success_limit: 0,
        baseline: Baseline::Stable,
        dry_run: Vec::new(),
        args: std::collections::BTreeMap::new(),
        consecutive_error_limit: 4,
        min_requests: 30,
        metrics: vec![
            Metric::Sequential {
                alpha: 0.001,
                margin: None,
                latency: Some(SlowAnswers::default()),
                history: false,
            },
            Metric::ErrorRate {
                max: Some(5.0),
                max_ratio: None,
            },
            Metric::Latency {
                quantile: 0.99,
                max: None,
                max_ratio: Some(1.5),
            },
        ],
    }
}

/// What watches the old version while the schema changes under it, for damage that both versions share and no comparison
/// with the candidate can show: failed when more than 5 % of its requests fail and more than twice as many as before, or
/// when its answers take a second longer. Blindness is no verdict here: it only guards.
#[must_use]
pub fn stable_guard() -> AnalysisTemplate {
    AnalysisTemplate {
        interval: Span::from_secs(10),
        baseline: Baseline::PreSwitch,
        consecutive_error_limit: u32::MAX,
        metrics: vec![Metric::Change {
            max_error_ratio: 2.0,
            min_error_rate: 5.0,
            max_avg_increase: Span::from_secs(1),
            // Its share of the requests falls as the candidate's rises.
            min_request_ratio: 0.0,
        }],
        ..default_analysis()
    }
}

impl Canary {
    /// The rules of all header routes, in the order of the steps that set them.
    #[must_use]
    pub fn header_rules(&self) -> Vec<RouteRule> {
        let routes = self.steps.iter().filter_map(|step| match step {
            CanaryStep::SetHeaderRoute(route) => Some(&route.when),
            _ => None,
        });
        routes.flatten().map(HeaderMatch::rule).collect()
    }

    /// Whether a step says how much is copied.
    #[must_use]
    pub fn sets_mirror(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| matches!(step, CanaryStep::SetMirrorRoute(_)))
    }

    /// The steps as written, or 10, 25, 50, 75 and 100 % with a pause of 5m each.
    #[must_use]
    pub fn effective_steps(&self) -> Vec<CanaryStep> {
        if !self.steps.is_empty() {
            return self.steps.clone();
        }
        WEIGHTS
            .into_iter()
            .flat_map(|weight| {
                [
                    CanaryStep::SetWeight(weight),
                    CanaryStep::Pause(PauseStep { duration: Some(HOLD) }),
                ]
            })
            .collect()
    }
}
