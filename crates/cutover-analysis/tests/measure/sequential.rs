//! The sequential test, and what is evidence for it.

use cutover_analysis::{AnalysisState, Drawn, LOOK, Mode};
use cutover_model::{Metric, Verdict};

use crate::world::{INTERVAL, World, sequential};

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
        latency: None,
        history: false,
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
