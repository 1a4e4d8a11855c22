//! One pretended router, its clock and the analysis that reads it.

use cutover_analysis::{AnalysisState, Assessment, Counters, Mode, Reading, measure};
use cutover_model::{AnalysisTemplate, Baseline, Metric, Span, Timestamp, Verdict};

/// An analysis with the counters and the clock of a pretended router.
pub(crate) struct World {
    pub(crate) template: AnalysisTemplate,
    pub(crate) mode: Mode,
    pub(crate) state: AnalysisState,
    pub(crate) now: Timestamp,
    pub(crate) reading: Reading,
}

impl World {
    pub(crate) fn new(mode: Mode, metrics: Vec<Metric>) -> Self {
        let counters = |requests| Counters {
            epoch: 7,
            requests,
            ..Counters::default()
        };
        Self {
            template: AnalysisTemplate {
                metrics,
                ..template()
            },
            mode,
            state: AnalysisState::default(),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            // Both have been serving for a while.
            reading: Reading {
                candidate: counters(500),
                stable: Some(counters(5_000)),
                candidate_share: 0.1,
                answers: Vec::new(),
            },
        }
    }

    pub(crate) fn candidate(&mut self, requests: u64, errors: u64, us: u64) -> &mut Self {
        count(&mut self.reading.candidate, requests, errors, us);
        self
    }

    pub(crate) fn stable(&mut self, requests: u64, errors: u64, us: u64) -> &mut Self {
        count(self.reading.stable.as_mut().unwrap(), requests, errors, us);
        self
    }

    /// Reads after so long, through JSON as the journal keeps it.
    pub(crate) fn after(&mut self, span: Span) -> Assessment {
        self.now = span.after(self.now);
        self.read(Ok(self.reading.clone()))
    }

    pub(crate) fn read(&mut self, reading: Result<Reading, String>) -> Assessment {
        let json = serde_json::to_string(&self.state).unwrap();
        let state = serde_json::from_str(&json).unwrap();
        let (state, assessment) = measure(&self.template, self.mode, state, reading, self.now);
        self.state = state;
        assert!(!assessment.because.is_empty());
        let is_final = assessment
            .verdict
            .is_some_and(|verdict| verdict != Verdict::Error);
        assert_eq!(is_final, assessment.next.is_none());
        assert!(assessment.next.is_none_or(|next| next > self.now));
        assessment
    }

    pub(crate) fn begin(&mut self) -> &mut Self {
        assert_eq!(self.after(Span::ZERO).verdict, None);
        self
    }
}

pub(crate) fn count(to: &mut Counters, requests: u64, errors: u64, us: u64) {
    to.requests += requests;
    to.errors += errors;
    to.total_us += requests * us;
    for _ in 0..requests {
        to.latency.record(us);
    }
}

pub(crate) fn max(percent: f64) -> Metric {
    Metric::ErrorRate {
        max: Some(percent),
        max_ratio: None,
    }
}

pub(crate) fn burn_rate(max: f64) -> Metric {
    Metric::BurnRate { objective: 99.9, max }
}

pub(crate) fn ratio(times: f64) -> Metric {
    Metric::ErrorRate {
        max: None,
        max_ratio: Some(times),
    }
}

pub(crate) fn p99_ratio(times: f64) -> Metric {
    Metric::Latency {
        quantile: 0.99,
        max: None,
        max_ratio: Some(times),
    }
}

pub(crate) fn sequential() -> Metric {
    Metric::Sequential {
        alpha: 0.001,
        margin: None,
        latency: None,
        history: false,
    }
}

pub(crate) fn change() -> Metric {
    Metric::Change {
        max_error_ratio: 1.5,
        min_error_rate: 0.0,
        max_avg_increase: Span::from_millis(100),
        min_request_ratio: 0.5,
    }
}

pub(crate) const INTERVAL: Span = Span::from_secs(30);

pub(crate) fn query() -> Metric {
    Metric::Query {
        provider: cutover_model::Provider::Web(cutover_model::WebQuery {
            url: "http://127.0.0.1/".to_owned(),
            body: None,
            path: None,
            headers: std::collections::BTreeMap::new(),
            timeout: Span::from_secs(1),
        }),
        success_condition: Some("result < 1".to_owned()),
        failure_condition: None,
    }
}

impl World {
    /// Answers the queries that are due after so long, then reads.
    pub(crate) fn answered(&mut self, span: Span, answer: Result<f64, &str>) -> Assessment {
        let now = span.after(self.now);
        let due = cutover_analysis::queries_due(&self.template, &self.state, now).len();
        let answer = answer
            .map(|value| serde_json::json!(value))
            .map_err(str::to_owned);
        self.answers(span, vec![answer; due])
    }

    /// The next look, with these answers of providers.
    pub(crate) fn answers(
        &mut self,
        span: Span,
        answers: Vec<Result<serde_json::Value, String>>,
    ) -> Assessment {
        self.reading.answers = answers;
        let said = self.after(span);
        self.reading.answers.clear();
        said
    }
}

/// One good measurement is asked for, and nothing is tolerated.
pub(crate) fn template() -> AnalysisTemplate {
    AnalysisTemplate {
        interval: Span::from_secs(30),
        initial_delay: Span::ZERO,
        count: 1,
        failure_limit: 0,
        inconclusive_limit: 0,
        consecutive_error_limit: 4,
        consecutive_success_limit: 0,
        baseline: Baseline::Stable,
        dry_run: Vec::new(),
        args: std::collections::BTreeMap::new(),
        min_requests: 30,
        metrics: vec![Metric::ErrorRate {
            max: Some(5.0),
            max_ratio: None,
        }],
    }
}
