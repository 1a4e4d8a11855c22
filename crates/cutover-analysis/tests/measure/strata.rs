//! The sequential test by route, and against what stable was before.

use cutover_analysis::{AnalysisState, DrawnAt, DrawnIn, LOOK, Mode};
use cutover_model::{Metric, SlowAnswers, Verdict};

use crate::world::{INTERVAL, World, count, sequential};

const FAST: u64 = 60_000;
const SLOW: u64 = 120_000;

/// A source that counts `checkout` and `search` for themselves, and has drawn nothing yet.
fn world(metric: Metric) -> World {
    let mut world = World::new(Mode::Background, vec![metric]);
    world.template.failure_limit = 10;
    world.reading.candidate.odds = Some(Vec::new());
    world.stable(200, 0, FAST).reading.stable.as_mut().unwrap().odds = Some(Vec::new());
    world
}

/// So many requests of one stratum, drawn at 5 %: of each side how many, failed ones among them, and how long they took.
fn drawn(world: &mut World, stratum: &str, sides: [(u64, u64, u64); 2]) {
    let reading = &mut world.reading;
    let counters = [&mut reading.candidate, reading.stable.as_mut().unwrap()];
    for (counters, (requests, errors, us)) in counters.into_iter().zip(sides) {
        count(counters, requests, errors, us);
        let odds = counters.odds.as_mut().unwrap();
        if odds.is_empty() {
            let named = ["checkout", "search", ""].map(|name| DrawnIn {
                name: name.to_owned(),
                ..DrawnIn::default()
            });
            odds.push(DrawnAt {
                odds: 1,
                candidate: 500,
                of: 10_000,
                strata: named.into(),
                ..DrawnAt::default()
            });
        }
        let at = odds.last_mut().unwrap();
        let one = at.strata.iter_mut().find(|one| one.name == stratum).unwrap();
        at.errors += errors;
        one.errors += errors;
        for _ in 0..requests {
            at.latency.record(us);
            one.latency.record(us);
        }
    }
}

#[test]
fn a_failure_that_only_one_route_has_is_seen_among_those_that_both_share() {
    let mut world = world(sequential());
    world.begin();
    // Elsewhere one request in a hundred fails, of both.
    drawn(&mut world, "", [(300, 3, FAST), (5_700, 57, FAST)]);
    let said = world.after(LOOK);
    assert_eq!(said.verdict, None, "{}", said.because);
    drawn(&mut world, "checkout", [(3, 3, FAST), (57, 0, FAST)]);
    let said = world.after(LOOK);
    assert_eq!(said.verdict, None, "{}", said.because);
    drawn(&mut world, "checkout", [(2, 2, FAST), (38, 0, FAST)]);
    let said = world.after(LOOK);
    assert_eq!(said.verdict, Some(Verdict::Failed), "{}", said.because);
    assert_eq!(
        said.because,
        "the candidate failed 8 times, stable 57 times (on checkout 5 times, stable never); the chance of that, were they equally good, is below 1 in 90,000"
    );
}

#[test]
fn slow_answers_of_one_route_are_seen_too_and_the_evidence_goes_over_to_the_next_analysis() {
    let times = |world: &mut World| {
        // Both share many slow ones elsewhere.
        drawn(world, "", [(40, 0, SLOW), (760, 0, SLOW)]);
        drawn(world, "search", [(3, 0, SLOW), (57, 0, FAST)]);
    };
    let mut world = world(Metric::Sequential {
        alpha: 0.001,
        margin: None,
        latency: Some(SlowAnswers::default()),
        history: false,
    });
    world.begin();
    times(&mut world);
    assert_eq!(world.after(LOOK).verdict, None);
    world.state = AnalysisState::default().continuing(&world.state);
    world.begin();
    drawn(&mut world, "search", [(3, 0, SLOW), (57, 0, FAST)]);
    let said = world.after(LOOK);
    assert_eq!(said.verdict, Some(Verdict::Failed), "{}", said.because);
    assert!(
        said.because
            .contains("stable over 61 ms 760 times (on search 6 times, stable never)"),
        "{}",
        said.because
    );
}

/// A source that learns of its strata in the middle counts from there on: what was bet on once is not bet on again.
#[test]
fn strata_that_come_later_begin_with_what_there_is() {
    let mut world = world(sequential());
    world.begin();
    drawn(&mut world, "checkout", [(4, 2, FAST), (40, 1, FAST)]);
    let told = world.reading.clone();
    for counters in [
        &mut world.reading.candidate,
        world.reading.stable.as_mut().unwrap(),
    ] {
        counters.odds.as_mut().unwrap()[0].strata.clear();
    }
    assert_eq!(world.after(LOOK).verdict, None);
    let before = world.state.log_e();
    world.reading = told;
    assert_eq!(world.after(LOOK).verdict, None);
    assert!((world.state.log_e() - before).abs() < 1e-9);
    assert_eq!(world.after(LOOK).verdict, None);
    assert!((world.state.log_e() - before).abs() < 1e-9);
}

fn with_history() -> Metric {
    Metric::Sequential {
        alpha: 0.001,
        margin: None,
        latency: None,
        history: true,
    }
}

#[test]
fn after_an_outage_of_both_the_candidate_is_held_against_what_stable_was() {
    let failures_needed = |metric: Metric| {
        let mut world = World::new(Mode::Background, vec![metric]);
        world.template.failure_limit = 10;
        // One in a thousand failed before.
        world.stable(15_000, 20, FAST).begin();
        // What both share counts for neither; but from then on many failures of the candidate are explained by stable's.
        world.candidate(20, 2, FAST).stable(180, 20, FAST);
        assert_eq!(world.after(LOOK).verdict, None);
        for failures in 1.. {
            let said = world.candidate(10, 1, FAST).stable(90, 0, FAST).after(LOOK);
            if said.verdict.is_some() {
                assert_eq!(said.verdict, Some(Verdict::Failed));
                return (failures, said.because);
            }
        }
        unreachable!()
    };
    let (alone, _) = failures_needed(sequential());
    let (with_it, because) = failures_needed(with_history());
    assert!(with_it < alone, "{with_it} {alone}");
    assert!(
        because.contains("where stable failed in at most 0.1 % before the shift; the chance of that"),
        "{because}"
    );
}

#[test]
fn without_a_history_it_is_said() {
    let mut world = World::new(Mode::Background, vec![with_history()]);
    world.reading.stable.as_mut().unwrap().requests = 500;
    world.begin();
    let said = world.candidate(40, 0, FAST).stable(360, 0, FAST).after(INTERVAL);
    assert!(
        said.because
            .ends_with("stable has answered too few to compare with before the shift"),
        "{}",
        said.because
    );
}
