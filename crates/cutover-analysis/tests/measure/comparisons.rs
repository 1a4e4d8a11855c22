//! The candidate beside stable.

use cutover_analysis::Mode;
use cutover_model::{Metric, Span, Verdict};

use crate::world::{INTERVAL, World, max, p99_ratio, ratio, sequential};

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
