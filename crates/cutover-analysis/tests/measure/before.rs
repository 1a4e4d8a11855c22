//! The time before a switch as the baseline.

use cutover_analysis::{AnalysisState, Counters, LOOK, Mode};
use cutover_model::{Baseline, Span, Verdict};

use crate::world::{INTERVAL, World};

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
