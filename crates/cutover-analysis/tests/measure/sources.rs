//! Where the readings come from: errors, queries, restarts; and the state that is kept between them.

use cutover_analysis::{AnalysisState, Counters, LOOK, Mode};
use cutover_model::{Span, Verdict};

use crate::world::{INTERVAL, World, max, p99_ratio, query};

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

#[test]
fn points_of_both_are_told_apart() {
    let test = serde_json::json!({"mannWhitney": {
        "candidate": {"web": {"url": "http://127.0.0.1/new"}},
        "stable": {"web": {"url": "http://127.0.0.1/old"}},
        "direction": "increase",
    }});
    let metric: cutover_model::Metric = serde_json::from_value(test).unwrap();
    let say = |candidate: serde_json::Value, stable: serde_json::Value| {
        let mut world = World::new(Mode::Inline, vec![metric.clone(), query()]);
        world.begin();
        let end = INTERVAL.after(world.now);
        assert_eq!(
            cutover_analysis::queries_due(&world.template, &world.state, end).len(),
            3
        );
        let answers = vec![Ok(candidate), Ok(stable), Ok(serde_json::json!(0.5))];
        let said = world
            .candidate(40, 0, 1_000)
            .stable(400, 0, 1_000)
            .answers(INTERVAL, answers);
        (said.verdict, said.because)
    };
    let low: Vec<f64> = (0..20).map(|at| 10.0 + f64::from(at % 5)).collect();
    let high: Vec<f64> = low.iter().map(|point| point * 2.0).collect();
    let list = |points: &[f64]| serde_json::json!([points]);
    let (verdict, because) = say(list(&high), list(&low));
    assert_eq!(verdict, Some(Verdict::Failed));
    assert!(
        because.starts_with("higher than stable: the candidate's are 2.00 times"),
        "{because}"
    );
    // More is worse here, less is not; rows of one column are a series as well.
    let rows: Vec<_> = high
        .iter()
        .map(|point| serde_json::json!({"ms": point}))
        .collect();
    assert_eq!(say(list(&low), rows.into()).0, Some(Verdict::Successful));
    assert_eq!(say(list(&low), list(&low)).0, Some(Verdict::Successful));
    let (verdict, because) = say(serde_json::json!({"up": true}), list(&low));
    assert_eq!(
        (verdict, because.as_str()),
        (
            Some(Verdict::Inconclusive),
            "it cannot be told: the candidate's points: the result is no list of numbers"
        )
    );
    let (verdict, because) = say(serde_json::json!([[1], [2]]), list(&low));
    assert!(
        verdict == Some(Verdict::Inconclusive) && because.contains("2 series"),
        "{because}"
    );
    assert_eq!(
        say(serde_json::json!([]), list(&low)).0,
        None,
        "no points: it is waited for"
    );
}
