//! The analysis from outside: readings in, verdicts out.
//!
//! Long because every rule of assessment has its test here, on one pretended router.

#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]

use cutover_analysis::{AnalysisState, Assessment, Counters, Drawn, LOOK, Mode, Reading, measure, terminate};
use cutover_model::{AnalysisTemplate, Baseline, Metric, Span, Timestamp, Verdict};
use proptest::prelude::*;

/// An analysis with the counters and the clock of a pretended router.
struct World {
    template: AnalysisTemplate,
    mode: Mode,
    state: AnalysisState,
    now: Timestamp,
    reading: Reading,
}

impl World {
    fn new(mode: Mode, metrics: Vec<Metric>) -> Self {
        let counters = |requests| Counters {
            epoch: 7,
            requests,
            ..Counters::default()
        };
        Self {
            template: AnalysisTemplate {
                interval: Span::from_secs(30),
                initial_delay: Span::ZERO,
                count: 1,
                failure_limit: 0,
                inconclusive_limit: 0,
                consecutive_success_limit: 0,
                baseline: Baseline::Stable,
                dry_run: Vec::new(),
                consecutive_error_limit: 4,
                min_requests: 30,
                metrics,
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

    fn candidate(&mut self, requests: u64, errors: u64, us: u64) -> &mut Self {
        count(&mut self.reading.candidate, requests, errors, us);
        self
    }

    fn stable(&mut self, requests: u64, errors: u64, us: u64) -> &mut Self {
        count(self.reading.stable.as_mut().unwrap(), requests, errors, us);
        self
    }

    /// Reads after so long, through JSON as the journal keeps it.
    fn after(&mut self, span: Span) -> Assessment {
        self.now = span.after(self.now);
        self.read(Ok(self.reading.clone()))
    }

    fn read(&mut self, reading: Result<Reading, String>) -> Assessment {
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

    fn begin(&mut self) -> &mut Self {
        assert_eq!(self.after(Span::ZERO).verdict, None);
        self
    }
}

fn count(to: &mut Counters, requests: u64, errors: u64, us: u64) {
    to.requests += requests;
    to.errors += errors;
    to.total_us += requests * us;
    for _ in 0..requests {
        to.latency.record(us);
    }
}

fn max(percent: f64) -> Metric {
    Metric::ErrorRate {
        max: Some(percent),
        max_ratio: None,
    }
}

fn ratio(times: f64) -> Metric {
    Metric::ErrorRate {
        max: None,
        max_ratio: Some(times),
    }
}

fn p99_ratio(times: f64) -> Metric {
    Metric::Latency {
        quantile: 0.99,
        max: None,
        max_ratio: Some(times),
    }
}

fn sequential() -> Metric {
    Metric::Sequential {
        alpha: 0.001,
        margin: None,
    }
}

const INTERVAL: Span = Span::from_secs(30);

#[test]
fn what_was_counted_before_the_analysis_does_not_matter() {
    let mut world = World::new(Mode::Inline, vec![max(5.0)]);
    world.candidate(1_000, 900, 1_000);
    let said = world.begin().candidate(100, 1, 1_000).after(INTERVAL);
    assert_eq!(said.verdict, Some(Verdict::Successful));
    assert_eq!(said.because, "errors 1.0 % (1 of 100), 5 % allowed");
    assert_eq!((said.requests, said.errors), (100, 1));
}

#[test]
fn over_the_threshold_is_failed_and_at_it_is_not() {
    for (errors, verdict) in [(5, Verdict::Successful), (10, Verdict::Failed)] {
        let mut world = World::new(Mode::Inline, vec![max(5.0)]);
        let said = world.begin().candidate(100, errors, 1_000).after(INTERVAL);
        assert_eq!(said.verdict, Some(verdict), "{errors}: {}", said.because);
    }
}

#[test]
fn just_over_the_threshold_is_waited_for_and_then_failed() {
    let mut world = World::new(Mode::Inline, vec![max(5.0)]);
    world.begin();
    let said = world.candidate(30, 2, 1_000).after(INTERVAL);
    assert_eq!(
        said.because,
        "waiting for requests: errors 6.7 % (2 of 30), more than 5 %, by few enough to be chance"
    );
    assert!(said.verdict.is_none() && said.needed.is_some());
    let mut better = World::new(Mode::Inline, vec![max(5.0)]);
    better.begin().candidate(30, 2, 1_000).after(INTERVAL);
    let said = better.candidate(20, 0, 1_000).after(LOOK);
    assert_eq!(said.verdict, Some(Verdict::Successful));
    world.now = said.until.unwrap_or(world.now);
    let said = world.after(Span::from_mins(5));
    assert_eq!(said.verdict, Some(Verdict::Failed));
}

#[test]
fn a_candidate_that_fails_hard_does_not_wait_for_the_interval_nor_for_min_requests() {
    let mut world = World::new(Mode::Background, vec![max(5.0)]);
    world.template.failure_limit = 3;
    let said = world
        .begin()
        .stable(100, 0, 1_000)
        .candidate(12, 9, 1_000)
        .after(LOOK);
    assert_eq!(said.verdict, Some(Verdict::Failed));
    assert_eq!(said.because, "errors 75 % (9 of 12), more than 5 %");
    assert!(said.is_hard_failure());
}

#[test]
fn a_long_good_time_does_not_hide_that_it_fails_hard_now() {
    let mut world = World::new(Mode::Background, vec![max(5.0)]);
    world.template.interval = Span::from_mins(5);
    let said = world
        .begin()
        .candidate(10_000, 10, 1_000)
        .after(Span::from_mins(4));
    assert_eq!(said.verdict, None);
    let said = world.candidate(20, 20, 1_000).stable(180, 0, 1_000).after(LOOK);
    assert_eq!(said.verdict, Some(Verdict::Failed));
    assert!(said.is_hard_failure());
}

#[test]
fn an_outage_that_both_share_is_no_hard_failure() {
    let mut world = World::new(Mode::Background, vec![max(5.0), ratio(1.5), sequential()]);
    let said = world
        .begin()
        .stable(180, 150, 1_000)
        .candidate(20, 17, 1_000)
        .after(LOOK);
    assert_eq!(said.verdict, None, "{}", said.because);
    assert!(!said.is_hard_failure());
}

#[test]
fn with_few_failures_tolerated_a_moderate_failure_waits_for_its_measurement() {
    let mut world = World::new(Mode::Background, vec![max(5.0)]);
    world.template.failure_limit = 1;
    let said = world.begin().candidate(100, 20, 1_000).after(LOOK);
    assert_eq!(said.verdict, None);
    let said = world.after(INTERVAL);
    assert_eq!(said.verdict, None);
    assert!(said.measured);
    assert_eq!(
        said.because,
        "measurement 1 failed, 1 of 1 tolerated: errors 20 % (20 of 100), more than 5 %"
    );
    // The second one is one too many, and that needs no waiting.
    let said = world.candidate(100, 20, 1_000).after(LOOK);
    assert_eq!(said.verdict, Some(Verdict::Failed));
}

#[test]
fn the_failure_limit_is_strict() {
    let mut world = World::new(Mode::Inline, vec![max(5.0)]);
    world.template.failure_limit = 2;
    world.template.count = 5;
    world.begin();
    for (failing, verdict) in [
        (true, None),
        (false, None),
        (true, None),
        (false, None),
        (false, Some(Verdict::Successful)),
    ] {
        let errors = if failing { 10 } else { 0 };
        let said = world.candidate(100, errors, 1_000).after(INTERVAL);
        assert_eq!(said.verdict, verdict, "{}", said.because);
        assert!(said.measured);
    }
}

#[test]
fn too_few_requests_are_waited_for_and_then_it_is_inconclusive() {
    let mut world = World::new(Mode::Inline, vec![max(5.0)]);
    let said = world.begin().candidate(12, 0, 1_000).after(INTERVAL);
    assert_eq!(said.verdict, None);
    assert_eq!(said.needed, Some(18));
    assert!(!said.measured);
    assert_eq!(said.because, "waiting for requests: 12 of 30 requests");
    let until = said.until.unwrap();

    let mut patient = World::new(Mode::Inline, vec![max(5.0)]);
    patient.begin().candidate(12, 0, 1_000).after(INTERVAL);
    let said = patient.candidate(18, 0, 1_000).after(LOOK);
    assert_eq!(said.verdict, Some(Verdict::Successful));

    world.now = until;
    let said = world.after(Span::ZERO);
    assert_eq!(said.verdict, Some(Verdict::Inconclusive));
    assert_eq!(said.because, "it cannot be told: 12 of 30 requests");
}

#[test]
fn no_request_at_all_is_never_successful() {
    for metric in [max(5.0), ratio(1.5), p99_ratio(1.5), sequential()] {
        for min_requests in [0, 30] {
            let mut world = World::new(Mode::Inline, vec![metric.clone()]);
            world.template.min_requests = min_requests;
            world.begin();
            let mut last = world.after(INTERVAL);
            for _ in 0..20 {
                if last.verdict.is_some() {
                    break;
                }
                last = world.after(INTERVAL);
            }
            assert_eq!(
                last.verdict,
                Some(Verdict::Inconclusive),
                "{metric:?} {min_requests}"
            );
        }
    }
}

#[test]
fn a_guard_goes_on_where_it_cannot_tell() {
    let mut world = World::new(Mode::Background, vec![max(5.0)]);
    world.begin();
    for _ in 0..50 {
        assert_eq!(world.after(INTERVAL).verdict, None);
    }
    let said = world.candidate(100, 50, 1_000).after(LOOK);
    assert_eq!(said.verdict, Some(Verdict::Failed));
}

#[test]
fn provider_errors_are_apart_from_failures() {
    let mut world = World::new(Mode::Background, vec![max(5.0)]);
    world.begin();
    for round in 0..2 {
        for _ in 0..4 {
            world.now = Span::from_secs(10).after(world.now);
            assert_eq!(world.read(Err("connection refused".into())).verdict, None);
            // Asked again at once is still the same outage.
            assert!(!world.read(Err("connection refused".into())).measured);
        }
        if round == 0 {
            // One that works forgives them all.
            assert_eq!(world.after(LOOK).verdict, None);
        }
    }
    world.now = Span::from_secs(10).after(world.now);
    let said = world.read(Err("connection refused".into()));
    assert_eq!(said.verdict, Some(Verdict::Error));
    assert_eq!(
        said.because,
        "there was nothing to measure by, 5 times in a row (4 tolerated): connection refused"
    );
    // It stays so, without a new line for each try, until it works again; what was counted meanwhile is judged then.
    world.now = Span::from_secs(10).after(world.now);
    let said = world.read(Err("connection refused".into()));
    assert_eq!((said.verdict, said.measured), (Some(Verdict::Error), false));
    assert_eq!(world.after(LOOK).verdict, None);
    let said = world.candidate(100, 60, 1_000).after(INTERVAL);
    assert_eq!(said.verdict, Some(Verdict::Failed), "{}", said.because);
}

fn query() -> Metric {
    Metric::Query {
        provider: cutover_model::Provider::Web {
            url: "http://127.0.0.1/".to_owned(),
            headers: std::collections::BTreeMap::new(),
            timeout: Span::from_secs(1),
        },
        success_condition: Some("result < 1".to_owned()),
        failure_condition: None,
    }
}

impl World {
    /// Answers the queries that are due after so long, then reads.
    fn answered(&mut self, span: Span, answer: Result<f64, &str>) -> Assessment {
        let now = span.after(self.now);
        let due = cutover_analysis::queries_due(&self.template, &self.state, now).len();
        let answer = answer
            .map(|value| serde_json::json!(value))
            .map_err(str::to_owned);
        self.reading.answers = vec![answer; due];
        let said = self.after(span);
        self.reading.answers.clear();
        said
    }
}

#[test]
fn a_query_is_asked_once_a_measurement_and_judged_beside_the_counters() {
    let mut world = World::new(Mode::Inline, vec![query(), max(5.0)]);
    world.template.count = 2;
    world.begin();
    let interval = world.template.interval;
    let soon = LOOK.after(world.now);
    assert!(cutover_analysis::queries_due(&world.template, &world.state, soon).is_empty());
    let said = world
        .candidate(40, 0, 1_000)
        .stable(400, 0, 1_000)
        .answered(interval, Ok(0.5));
    assert_eq!((said.verdict, said.measured), (None, true), "{}", said.because);
    let said = world
        .candidate(40, 0, 1_000)
        .stable(400, 0, 1_000)
        .answered(interval, Ok(1.5));
    assert_eq!(said.verdict, Some(Verdict::Failed));
    assert_eq!(
        said.because,
        "the result is 1.5, and it should be that result < 1"
    );
}

#[test]
fn a_provider_that_dies_is_an_error_and_never_a_failure() {
    let mut world = World::new(Mode::Background, vec![query()]);
    world.begin();
    let interval = world.template.interval;
    let said = world.answered(interval, Err("connection refused"));
    assert_eq!((said.verdict, said.measured), (None, true), "{}", said.because);
    // It comes back: it goes on, and what was before is forgotten.
    assert_eq!(world.answered(Span::from_secs(10), Ok(0.5)).verdict, None);
    for _ in 0..4 {
        let wait = interval.max(Span::from_secs(10));
        assert_eq!(world.answered(wait, Err("connection refused")).verdict, None);
    }
    let said = world.answered(Span::from_secs(10), Err("connection refused"));
    assert_eq!(said.verdict, Some(Verdict::Error), "{}", said.because);
}

#[test]
fn the_warm_up_is_not_counted() {
    let mut world = World::new(Mode::Inline, vec![max(5.0)]);
    world.template.initial_delay = Span::from_mins(1);
    let said = world.after(Span::ZERO);
    assert_eq!(said.because, "warming up for 1m");
    assert_eq!(world.candidate(50, 50, 1_000).after(INTERVAL).verdict, None);
    assert_eq!(world.after(INTERVAL).verdict, None);
    let said = world.candidate(50, 0, 1_000).after(INTERVAL);
    assert_eq!(said.verdict, Some(Verdict::Successful));
}

#[test]
fn more_errors_than_stable_must_not_be_chance() {
    for (candidate, stable, verdict) in [
        // One error is no evidence, whatever the ratio.
        ((100, 1), (900, 0), Verdict::Successful),
        ((100, 3), (900, 9), Verdict::Successful),
        ((100, 12), (900, 9), Verdict::Failed),
        // Both bad alike.
        ((100, 30), (900, 270), Verdict::Successful),
    ] {
        let mut world = World::new(Mode::Inline, vec![ratio(1.5)]);
        world.begin();
        world.candidate(candidate.0, candidate.1, 1_000);
        let said = world.stable(stable.0, stable.1, 1_000).after(INTERVAL);
        assert_eq!(
            said.verdict,
            Some(verdict),
            "{candidate:?} {stable:?}: {}",
            said.because
        );
    }
}

#[test]
fn a_slow_candidate_is_failed_and_one_slow_answer_is_not() {
    for (slow, verdict) in [
        (1, Verdict::Successful),
        (2, Verdict::Successful),
        (20, Verdict::Failed),
    ] {
        let mut world = World::new(Mode::Inline, vec![p99_ratio(1.5)]);
        world
            .begin()
            .candidate(100 - slow, 0, 20_000)
            .candidate(slow, 0, 90_000);
        let said = world.stable(900, 0, 20_000).after(INTERVAL);
        assert_eq!(said.verdict, Some(verdict), "{slow}: {}", said.because);
    }
}

#[test]
fn a_slow_candidate_is_told_in_numbers() {
    let mut world = World::new(Mode::Inline, vec![p99_ratio(1.5)]);
    let said = world
        .begin()
        .candidate(100, 0, 60_000)
        .stable(900, 0, 20_000)
        .after(INTERVAL);
    assert_eq!(
        said.because,
        "p99 61 ms, stable 20 ms: more than 1.5 times (100 of 100 over 31 ms)"
    );
}

#[test]
fn a_bound_on_the_answer_time_needs_no_stable() {
    let metric = Metric::Latency {
        quantile: 0.9,
        max: Some(Span::from_millis(50)),
        max_ratio: None,
    };
    for (us, verdict) in [(40_000, Verdict::Successful), (80_000, Verdict::Failed)] {
        let mut world = World::new(Mode::Inline, vec![metric.clone()]);
        world.reading.stable = None;
        let said = world.begin().candidate(100, 0, us).after(INTERVAL);
        assert_eq!(said.verdict, Some(verdict), "{}", said.because);
    }
}

#[test]
fn where_the_split_leaves_stable_nothing_its_past_stands_in() {
    let mut world = World::new(Mode::Inline, vec![p99_ratio(1.5)]);
    world.reading.candidate_share = 1.0;
    let said = world
        .stable(900, 0, 20_000)
        .begin()
        .candidate(100, 0, 60_000)
        .after(INTERVAL);
    assert_eq!(said.verdict, Some(Verdict::Failed));
    assert!(said.because.contains("stable before"), "{}", said.because);
}

#[test]
fn with_nothing_to_compare_a_comparison_is_inconclusive() {
    for metric in [ratio(1.5), p99_ratio(1.5), sequential()] {
        let mut world = World::new(Mode::Inline, vec![metric]);
        world.reading.stable = None;
        let said = world.begin().candidate(100, 0, 1_000).after(INTERVAL);
        assert_eq!(said.verdict, Some(Verdict::Inconclusive), "{}", said.because);
    }
}

#[test]
fn the_worst_metric_speaks() {
    let mut world = World::new(Mode::Inline, vec![max(5.0), p99_ratio(1.5)]);
    // Too few requests on stable for the comparison, but the threshold is broken.
    let said = world
        .begin()
        .candidate(100, 20, 1_000)
        .stable(3, 0, 1_000)
        .after(INTERVAL);
    assert_eq!(said.verdict, Some(Verdict::Failed));
    let mut world = World::new(Mode::Inline, vec![max(5.0), p99_ratio(1.5)]);
    let said = world
        .begin()
        .candidate(100, 0, 1_000)
        .stable(3, 0, 1_000)
        .after(INTERVAL);
    assert_eq!((said.verdict, said.needed), (None, Some(27)), "{}", said.because);
}

#[test]
fn the_sequential_test_speaks_at_any_look() {
    let mut world = World::new(Mode::Background, vec![sequential()]);
    world.template.failure_limit = 10;
    world.reading.candidate_share = 0.05;
    world.begin();
    let said = world.stable(40, 0, 1_000).candidate(2, 2, 1_000).after(LOOK);
    assert_eq!(said.verdict, None);
    let said = world.candidate(1, 1, 1_000).after(LOOK);
    assert_eq!(said.verdict, Some(Verdict::Failed), "{}", said.because);
    assert_eq!(
        said.because,
        "the candidate failed 3 times, stable never; the chance of that, were they equally good, is below 1 in 1,000"
    );
}

#[test]
fn a_step_is_held_until_there_is_evidence_for_the_candidate() {
    let with_margin = Metric::Sequential {
        alpha: 0.001,
        margin: Some(1.0),
    };
    let mut world = World::new(Mode::Inline, vec![with_margin.clone()]);
    let said = world
        .begin()
        .candidate(100, 0, 1_000)
        .stable(900, 0, 1_000)
        .after(INTERVAL);
    assert_eq!(said.verdict, None, "{}", said.because);
    assert!(said.because.contains("it may still be 6."), "{}", said.because);
    assert!(
        said.needed.is_some_and(|needed| (600..1_600).contains(&needed)),
        "{said:?}"
    );
    let said = world
        .candidate(900, 0, 1_000)
        .stable(8_100, 0, 1_000)
        .after(INTERVAL);
    assert_eq!(said.verdict, Some(Verdict::Successful), "{}", said.because);
    assert!(said.because.contains("worse, 1 % allowed"), "{}", said.because);
    // A guard does not wait: it is there to fail.
    let mut guard = World::new(Mode::Background, vec![with_margin]);
    let said = guard
        .begin()
        .candidate(100, 0, 1_000)
        .stable(900, 0, 1_000)
        .after(INTERVAL);
    assert!(said.measured && said.verdict.is_none(), "{}", said.because);
}

#[test]
fn what_could_not_be_told_is_no_measurement_that_was_asked_for() {
    let mut world = World::new(Mode::Inline, vec![max(5.0)]);
    world.template.inconclusive_limit = 1;
    world.begin();
    let said = world.after(Span::from_secs(300));
    assert!(said.measured && said.verdict.is_none(), "{}", said.because);
    let said = world.candidate(100, 0, 1_000).after(INTERVAL);
    assert_eq!(said.verdict, Some(Verdict::Successful), "{}", said.because);
}

#[test]
fn where_stable_fails_too_the_candidate_must_be_worse() {
    for (errors, verdict, words) in [
        (8, Verdict::Successful, "no worse than that"),
        (21, Verdict::Failed, "worse than that"),
    ] {
        let mut world = World::new(Mode::Inline, vec![max(5.0)]);
        let said = world
            .begin()
            .candidate(100, errors, 1_000)
            .stable(900, 72, 1_000)
            .after(INTERVAL);
        assert_eq!(said.verdict, Some(verdict), "{}", said.because);
        assert!(
            said.because.contains("stable fails too: 8.0 %"),
            "{}",
            said.because
        );
        assert!(said.because.ends_with(words), "{}", said.because);
    }
}

#[test]
fn the_evidence_of_an_upgrade_goes_on_from_analysis_to_analysis() {
    let mut world = World::new(Mode::Background, vec![sequential()]);
    world.reading.candidate_share = 0.05;
    world.begin();
    let said = world.stable(40, 0, 1_000).candidate(2, 2, 1_000).after(LOOK);
    assert_eq!(said.verdict, None);
    world.state = AnalysisState::default().continuing(&world.state);
    world.mode = Mode::Inline;
    world.begin();
    let said = world.candidate(1, 1, 1_000).after(LOOK);
    assert_eq!(said.verdict, Some(Verdict::Failed), "{}", said.because);
    assert!(said.because.contains("failed 3 times"), "{}", said.because);
}

#[test]
fn after_a_switch_at_once_the_time_before_is_the_baseline() {
    let after_a_minute = || {
        let mut world = World::new(Mode::Background, vec![]);
        world.template.baseline = Baseline::PreSwitch;
        world.template = world.template.clone().effective();
        world.reading.candidate_share = 0.0;
        world.begin();
        for second in 0..60 {
            let said = world.stable(50, u64::from(second % 2 == 0), 20_000).after(LOOK);
            assert_eq!(said.verdict, None);
        }
        let said = world.after(Span::ZERO);
        assert_eq!(
            said.because,
            "before: 3000 requests in 1m, 30 failed, 20 ms on average"
        );
        // The switch; the step that waits for a verdict goes on with what was taken down.
        world.state = AnalysisState::default().continuing(&world.state);
        world.mode = Mode::Inline;
        world.reading.candidate_share = 1.0;
        world.begin();
        world
    };
    for (requests, errors, us, verdict, words) in [
        (
            1_500,
            15,
            25_000,
            Verdict::Successful,
            "50.0 requests a second, before it 50.0",
        ),
        (1_500, 60, 25_000, Verdict::Failed, "more than 1.5 times"),
        (
            1_500,
            15,
            130_000,
            Verdict::Failed,
            "130 ms on average, before it 20 ms: longer by more than 100 ms",
        ),
        (
            300,
            3,
            20_000,
            Verdict::Failed,
            "10.0 requests a second, before it 50.0: less than 0.5 times as many",
        ),
        (0, 0, 0, Verdict::Failed, "less than 0.5 times as many"),
    ] {
        let mut world = after_a_minute();
        let said = world.candidate(requests, errors, us).after(INTERVAL);
        assert_eq!(said.verdict, Some(verdict), "{}", said.because);
        assert!(said.because.ends_with(words), "{}", said.because);
    }
    // A break does not wait for the end of the measurement.
    let said = after_a_minute().candidate(50, 25, 20_000).after(LOOK);
    assert_eq!(said.verdict, Some(Verdict::Failed), "{}", said.because);
    assert!(said.is_hard_failure());
}

#[test]
fn only_what_was_assigned_at_random_is_evidence() {
    let mut world = World::new(Mode::Background, vec![sequential()]);
    world.template.failure_limit = 10;
    world.reading.candidate_share = 0.05;
    world.begin();
    let drawn = |world: &mut World, requests, errors| {
        world.reading.candidate.drawn = Some(Drawn { requests, errors });
    };
    // Twenty failures, all of them where a rule sent the request.
    drawn(&mut world, 500, 0);
    let said = world.stable(40, 0, 1_000).candidate(20, 20, 1_000).after(LOOK);
    assert_eq!(said.verdict, None, "{}", said.because);
    let said = world.after(INTERVAL);
    assert!(said.because.contains("assigned at random"), "{}", said.because);
    // Three more, drawn.
    drawn(&mut world, 503, 3);
    let said = world.candidate(3, 3, 1_000).after(LOOK);
    assert_eq!(said.verdict, Some(Verdict::Failed), "{}", said.because);
    assert!(said.because.contains("failed 3 times"), "{}", said.because);
}

#[test]
fn a_changed_share_is_never_held_against_the_candidate() {
    // The share fell from 50 % to 1 % between two looks: the failures may all have been assigned at 50 %.
    let mut world = World::new(Mode::Background, vec![sequential()]);
    world.reading.candidate_share = 0.5;
    world.begin();
    world.reading.candidate_share = 0.01;
    let said = world.candidate(8, 4, 1_000).stable(8, 1, 1_000).after(LOOK);
    assert_eq!(said.verdict, None, "{}", said.because);
    // From now on they are assigned at 1 %.
    let said = world.candidate(8, 3, 1_000).after(LOOK);
    assert_eq!(said.verdict, Some(Verdict::Failed));
}

#[test]
fn a_restart_of_the_source_loses_no_evidence_and_invents_none() {
    let mut world = World::new(Mode::Inline, vec![max(5.0), p99_ratio(1.5)]);
    world.begin().candidate(40, 1, 1_000).stable(360, 1, 1_000);
    world.after(LOOK);
    for counters in [Some(&mut world.reading.candidate), world.reading.stable.as_mut()] {
        *counters.unwrap() = Counters {
            epoch: 8,
            ..Counters::default()
        };
    }
    let said = world.candidate(20, 1, 1_000).stable(180, 0, 1_000).after(LOOK);
    assert_eq!((said.verdict, said.requests, said.errors), (None, 60, 2));
    let said = world
        .candidate(20, 0, 1_000)
        .stable(180, 0, 1_000)
        .after(INTERVAL);
    assert_eq!(said.verdict, Some(Verdict::Successful));
    assert!(
        said.because.contains("errors 2.5 % (1 of 40)"),
        "{}",
        said.because
    );
    assert_eq!(said.requests, 80);
}

#[test]
fn a_source_that_forgets_a_revision_for_a_moment_is_not_believed() {
    let mut world = World::new(Mode::Background, vec![max(5.0)]);
    world.begin().candidate(20, 0, 1_000);
    world.after(LOOK);
    let kept = std::mem::take(&mut world.reading.candidate);
    world.after(LOOK);
    world.reading.candidate = kept;
    let said = world.candidate(20, 0, 1_000).after(LOOK);
    assert_eq!((said.requests, said.errors), (40, 0));
    let said = world.after(INTERVAL);
    assert_eq!(
        said.because,
        "measurement 1 good: errors 0 % (0 of 40), 5 % allowed"
    );
}

#[test]
fn a_candidate_that_the_source_does_not_know_yet_is_counted_from_its_first_request() {
    let mut world = World::new(Mode::Inline, vec![max(5.0)]);
    world.reading.candidate = Counters::default();
    world.begin();
    world.reading.candidate.epoch = 7;
    world.candidate(30, 0, 1_000).stable(300, 0, 1_000);
    let said = world.after(INTERVAL);
    assert_eq!((said.verdict, said.requests), (Some(Verdict::Successful), 30));
}

#[test]
fn an_analysis_that_is_ended_is_inconclusive() {
    let mut world = World::new(Mode::Inline, vec![max(5.0)]);
    world.begin().candidate(100, 0, 1_000).after(LOOK);
    let said = terminate(&world.state, "its deadline passed");
    assert_eq!(said.verdict, Some(Verdict::Inconclusive));
    assert_eq!(
        said.because,
        "ended before it had a verdict: its deadline passed; 0 measurements so far, 100 requests on the candidate, 0 failed"
    );
}

#[test]
fn a_state_is_small_and_unknown_fields_of_a_newer_one_are_ignored() {
    let mut world = World::new(Mode::Background, vec![p99_ratio(1.5)]);
    for us in (1_000..100_000).step_by(97) {
        world.candidate(1, 0, us).stable(1, 0, us);
    }
    world.begin();
    let json = serde_json::to_string(&world.state).unwrap();
    assert!(json.len() < 3_000, "{} bytes: {json}", json.len());
    let newer = json.replacen('{', "{\"newer\":1,", 1);
    assert_eq!(
        serde_json::from_str::<AnalysisState>(&newer).unwrap(),
        world.state
    );
    assert_eq!(
        serde_json::from_str::<AnalysisState>("{}").unwrap(),
        AnalysisState::default()
    );
}

/// Marsaglia's xorshift64.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A guard over ten minutes at ten requests a second, 10 % on the candidate, each look a second. Answers how many of
/// the runs were failed.
fn failed_runs(metrics: &[Metric], runs: u32, candidate: (f64, f64), stable: (f64, f64)) -> u32 {
    let mut dice = Dice(0x2545_F491_4F6C_DD1D);
    let mut failed = 0;
    for _ in 0..runs {
        let mut world = World::new(Mode::Background, metrics.to_vec());
        world.begin();
        for _ in 0..600 {
            for _ in 0..10 {
                let on_candidate = dice.throw() < 0.1;
                let (error_rate, scale) = if on_candidate { candidate } else { stable };
                let errors = u64::from(dice.throw() < error_rate);
                // A long tail: the p99 is far from the median.
                let us = (scale * 5_000.0 / dice.throw().max(1e-6).sqrt()) as u64;
                if on_candidate {
                    world.candidate(1, errors, us);
                } else {
                    world.stable(1, errors, us);
                }
            }
            world.now = LOOK.after(world.now);
            let state = std::mem::take(&mut world.state);
            let (state, said) = measure(
                &world.template,
                world.mode,
                state,
                Ok(world.reading.clone()),
                world.now,
            );
            world.state = state;
            if said.verdict.is_some() {
                assert_eq!(said.verdict, Some(Verdict::Failed));
                failed += 1;
                break;
            }
        }
    }
    failed
}

#[test]
fn a_release_as_good_as_stable_is_hardly_ever_failed() {
    // Per run: 20 measurements of each comparison at a chance of at most 1 in 1,000, early looks, the sequential test.
    let metrics = [max(5.0), ratio(1.5), p99_ratio(1.5), sequential()];
    let failed = failed_runs(&metrics, 100, (0.005, 1.0), (0.005, 1.0));
    assert!(failed <= 3, "{failed} of 100");
}

#[test]
fn a_worse_release_is_failed() {
    let failed = failed_runs(&[max(5.0)], 20, (0.2, 1.0), (0.001, 1.0));
    assert_eq!(failed, 20, "a fifth of its requests fail");
    let failed = failed_runs(&[p99_ratio(1.5)], 20, (0.001, 6.0), (0.001, 1.0));
    assert!(failed >= 19, "six times as slow: {failed} of 20");
    let failed = failed_runs(&[sequential()], 20, (0.1, 1.0), (0.001, 1.0));
    assert_eq!(failed, 20, "a hundred times as many errors");
}

proptest! {
    #[test]
    fn nothing_panics_and_the_state_can_always_be_kept(
        looks in prop::collection::vec(
            (0u64..4, 0u64..50, 0u64..60, 0u64..500, 0u64..60, prop::num::f64::ANY, 0u64..40_000, any::<bool>()), 1..40,
        ),
        inline in any::<bool>(), min_requests in 0u64..40, limit in 0u32..3, bound in 0.0f64..100.0,
    ) {
        let mode = if inline { Mode::Inline } else { Mode::Background };
        let mut world = World::new(mode, vec![
            max(bound), ratio(bound / 10.0), p99_ratio(bound / 10.0), sequential(),
        ]);
        world.template.min_requests = min_requests;
        world.template.failure_limit = limit;
        for (epoch, requests, errors, more, stable_errors, share, millis, known) in looks {
            let counters = |requests: u64, errors: u64| {
                let mut counters = Counters { epoch, ..Counters::default() };
                count(&mut counters, requests, errors.min(requests), 1_000 + millis);
                counters
            };
            world.reading = Reading {
                candidate: counters(requests, errors),
                stable: known.then(|| counters(more, stable_errors)),
                candidate_share: share,
                answers: Vec::new(),
            };
            let said = world.after(Span::from_millis(millis));
            prop_assert!(said.errors <= said.requests);
            prop_assert!(!said.because.contains("NaN") && !said.because.contains("inf"), "{}", said.because);
            prop_assert!(world.state.log_e().is_finite());
            if said.verdict.is_some() { break; }
        }
    }
}
