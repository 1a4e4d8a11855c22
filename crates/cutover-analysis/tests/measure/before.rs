//! The time before a switch as the baseline.

use cutover_analysis::{AnalysisState, Counters, LOOK, Mode};
use cutover_model::{Baseline, Span, Verdict};

use crate::world::{INTERVAL, World, change, max};

/// A minute of 50 requests a second before the switch, and the switch.
fn after_a_minute() -> World {
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
}

#[test]
fn after_a_switch_at_once_the_time_before_is_the_baseline() {
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
fn after_a_restart_of_the_source_the_rate_is_that_since_the_restart() {
    let mut world = after_a_minute();
    let quiet = Span::from_secs(25);
    world.candidate(1_250, 0, 20_000).after(quiet);
    // The proxy changes places with its successor, which counts from zero.
    world.reading.candidate = Counters {
        epoch: 8,
        ..Counters::default()
    };
    world.reading.stable.as_mut().unwrap().epoch = 8;
    let said = world.candidate(5, 0, 20_000).after(Span::from_millis(100));
    assert_eq!(said.verdict, None, "{}", said.because);
    let said = world.candidate(245, 0, 20_000).after(Span::from_millis(4_900));
    assert_ne!(said.verdict, Some(Verdict::Failed), "{}", said.because);
}

/// A canary: ten minutes in which both have half of 100 requests a second, of which one in a thousand fails; then all.
fn after_a_canary() -> World {
    let mut world = World::new(Mode::Background, vec![max(5.0), change()]);
    world.reading.candidate_share = 0.5;
    world.begin();
    for second in 0..600 {
        let errors = u64::from(second % 20 == 0);
        let said = world
            .stable(50, errors, 20_000)
            .candidate(50, errors, 20_000)
            .after(LOOK);
        assert_eq!(said.verdict, None, "{}", said.because);
    }
    world.reading.candidate_share = 1.0;
    let said = world.stable(5, 0, 20_000).candidate(95, 0, 20_000).after(LOOK);
    assert_eq!(said.verdict, None, "{}", said.because);
    world
}

#[test]
fn a_canary_with_all_requests_is_held_against_stable_until_then() {
    // 0.4 %, far below the bound of 5 %; no measurement of 30 s would need to show it.
    let mut world = after_a_canary();
    let mut seconds = 0;
    let said = loop {
        seconds += 1;
        let said = world
            .candidate(100, u64::from(seconds % 5 < 2), 20_000)
            .after(LOOK);
        if said.verdict.is_some() || seconds > 600 {
            break said;
        }
    };
    assert_eq!(said.verdict, Some(Verdict::Failed), "{}", said.because);
    assert!(seconds < 300, "{seconds}");
    assert!(
        said.because.contains(" since it has all requests; up to 0.2 % is as before, and the chance to see this of that is below 1 in 1,000"),
        "{}",
        said.because
    );
    // As good as before: it goes on, through half an hour of the soak.
    let mut world = after_a_canary();
    for second in 0..1_800 {
        let said = world
            .candidate(100, u64::from(second % 10 == 0), 20_000)
            .after(LOOK);
        assert_eq!(said.verdict, None, "{}", said.because);
    }
    // And one that becomes worse then is still found.
    let found =
        (0..300).any(|_| world.candidate(100, 2, 20_000).after(LOOK).verdict == Some(Verdict::Failed));
    assert!(found);
}

#[test]
fn before_it_has_all_requests_a_change_says_nothing() {
    let mut world = World::new(Mode::Inline, vec![change()]);
    world.reading.candidate_share = 0.5;
    world.begin();
    let said = world
        .stable(500, 0, 20_000)
        .candidate(500, 400, 20_000)
        .after(INTERVAL);
    assert_eq!(said.verdict, None);
    assert_eq!(
        said.because,
        "waiting for data: it does not have all requests yet"
    );
    let said = world.after(Span::from_secs(300));
    assert_eq!(said.verdict, Some(Verdict::Inconclusive));
    // Beside another metric it is silent.
    let mut world = World::new(Mode::Background, vec![max(5.0), change()]);
    world.reading.candidate_share = 0.5;
    world.begin();
    let said = world
        .stable(500, 0, 20_000)
        .candidate(500, 0, 20_000)
        .after(INTERVAL);
    assert_eq!(
        said.because,
        "measurement 1 good: errors 0 % (0 of 500), 5 % allowed"
    );
}

#[test]
fn an_analysis_that_begins_at_all_requests_compares_with_all_that_stable_counted() {
    let mut world = World::new(Mode::Inline, vec![change()]);
    world.template.count = 2;
    world.reading.candidate_share = 1.0;
    world.begin();
    let said = world.candidate(1_000, 0, 20_000).after(INTERVAL);
    assert_eq!(said.verdict, None, "{}", said.because);
    let said = world.candidate(1_000, 100, 20_000).after(INTERVAL);
    assert_eq!(said.verdict, Some(Verdict::Failed), "{}", said.because);
    assert!(
        said.because.contains("(100 of 2000) since it has all requests"),
        "{}",
        said.because
    );
}
