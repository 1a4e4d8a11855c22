//! The sequential test on slow answers.

use cutover_analysis::{AnalysisState, DrawnAt, LOOK, Mode};
use cutover_model::{Metric, SlowAnswers, Span, Verdict};

use crate::world::{INTERVAL, World, count, max};

const FAST: u64 = 60_000;
/// More than 1.5 times as long as usual.
const SLOW: u64 = 120_000;

fn metric() -> Metric {
    Metric::Sequential {
        alpha: 0.001,
        margin: None,
        latency: Some(SlowAnswers::default()),
        history: false,
    }
}

/// Stable has answered 200 requests in 60 ms; nothing has been drawn.
fn world(mode: Mode, metrics: Vec<Metric>) -> World {
    let mut world = World::new(mode, metrics);
    world.template.failure_limit = 10;
    world.reading.candidate.odds = Some(Vec::new());
    world.stable(200, 0, FAST).reading.stable.as_mut().unwrap().odds = Some(Vec::new());
    world
}

/// So many requests, drawn with odds of `number` and `parts` of 10,000 for the candidate: of each side how many, failed
/// ones among them, and how long they took.
fn drawn(world: &mut World, number: u64, parts: u32, sides: [(u64, u64, u64); 2]) {
    let reading = &mut world.reading;
    let counters = [&mut reading.candidate, reading.stable.as_mut().unwrap()];
    for (counters, (requests, errors, us)) in counters.into_iter().zip(sides) {
        count(counters, requests, errors, us);
        let odds = counters.odds.as_mut().unwrap();
        if !odds.iter().any(|at| at.odds == number) {
            odds.push(DrawnAt {
                odds: number,
                candidate: parts,
                of: 10_000,
                ..DrawnAt::default()
            });
        }
        let at = odds.iter_mut().find(|at| at.odds == number).unwrap();
        at.errors += errors;
        for _ in 0..requests {
            at.latency.record(us);
        }
    }
}

#[test]
fn what_is_said_of_slow_answers() {
    let usual = "took over 94 ms";
    for (name, candidate, stable, verdict, because) in [
        (
            "slow without any error",
            (8, 0, SLOW),
            (60, 0, FAST),
            Some(Verdict::Failed),
            format!(
                "the candidate failed never, stable never, and {usual} 8 times, stable over 61 ms never; the chance of that, were they equally good, is below 1 in 1,000,000"
            ),
        ),
        (
            "a little slower is as good",
            (60, 0, 90_000),
            (60, 0, FAST),
            None,
            format!(
                "measurement 1 good: the candidate failed never, stable never, and {usual} never, stable over 61 ms never, as equally good versions may"
            ),
        ),
        (
            "both are slow",
            (60, 0, SLOW),
            (540, 0, SLOW),
            None,
            format!(
                "measurement 1 good: the candidate failed never, stable never, and {usual} 60 times, stable over 61 ms 540 times, as equally good versions may"
            ),
        ),
        (
            "failures count as before",
            (4, 4, FAST),
            (60, 0, FAST),
            Some(Verdict::Failed),
            format!(
                "the candidate failed 4 times, stable never, and {usual} never, stable over 61 ms never; the chance of that, were they equally good, is below 1 in 1,000"
            ),
        ),
        (
            "some of each",
            (4, 2, SLOW),
            (60, 0, FAST),
            None,
            "measurement 1 under way: 4 requests on the candidate so far, 2 failed".to_owned(),
        ),
    ] {
        let mut world = world(Mode::Background, vec![metric()]);
        world.begin();
        drawn(&mut world, 1, 1_000, [candidate, stable]);
        let said = if because.starts_with("measurement 1 good") {
            world.after(INTERVAL)
        } else {
            world.after(LOOK)
        };
        assert_eq!((said.verdict, said.because), (verdict, because), "{name}");
    }
}

#[test]
fn what_is_slow_is_frozen_when_the_first_analysis_begins() {
    let mut world = world(Mode::Background, vec![metric()]);
    world.template.min_requests = 1;
    world.begin();
    // Stable becomes slower for all that it answers; the candidate of the next step is not measured by that.
    drawn(&mut world, 1, 1_000, [(0, 0, SLOW), (300, 0, 300_000)]);
    world.after(LOOK);
    world.state = AnalysisState::default().continuing(&world.state);
    world.begin();
    drawn(&mut world, 1, 1_000, [(2, 0, SLOW), (0, 0, FAST)]);
    world.after(LOOK);
    let said = world.after(INTERVAL);
    let slow = "took over 94 ms 2 times, stable over 61 ms 300 times";
    assert!(said.because.contains(slow), "{}", said.because);
}

#[test]
fn each_answer_counts_with_the_share_that_it_was_drawn_with() {
    // Drawn at 50 %, over when the share is 1 %.
    for (parts, verdict) in [(5_000, None), (100, Some(Verdict::Failed))] {
        let mut world = world(Mode::Background, vec![metric()]);
        world.reading.candidate_share = 0.5;
        world.begin();
        world.reading.candidate_share = 0.01;
        world.after(LOOK);
        drawn(&mut world, 1, parts, [(6, 0, SLOW), (2, 0, SLOW)]);
        let said = world.after(LOOK);
        assert_eq!(said.verdict, verdict, "{parts}: {}", said.because);
        // The same of failures.
        let mut world = self::world(Mode::Background, vec![metric()]);
        world.begin();
        world.reading.candidate_share = 0.01;
        world.after(LOOK);
        drawn(&mut world, 1, parts, [(5, 5, FAST), (2, 2, FAST)]);
        let said = world.after(LOOK);
        assert_eq!(said.verdict, verdict, "{parts}: {}", said.because);
    }
}

#[test]
fn too_few_answers_of_stable_say_nothing_of_times_and_are_said() {
    let mut world = World::new(Mode::Background, vec![metric()]);
    world.reading.candidate.odds = Some(Vec::new());
    world.reading.stable.as_mut().unwrap().odds = Some(Vec::new());
    world.begin();
    drawn(&mut world, 1, 1_000, [(50, 0, SLOW), (90, 0, FAST)]);
    let said = world.after(INTERVAL);
    assert_eq!(
        said.because,
        "measurement 1 good: the candidate failed never, stable never, as equally good versions may; \
         stable has answered too few to say what is slow"
    );
    // Then it has; what was slow before is not held against the candidate.
    drawn(&mut world, 1, 1_000, [(0, 0, SLOW), (90, 0, FAST)]);
    world.after(LOOK);
    drawn(&mut world, 1, 1_000, [(2, 0, SLOW), (90, 0, FAST)]);
    let said = world.after(INTERVAL);
    assert!(
        said.because.contains("took over 94 ms 2 times"),
        "{}",
        said.because
    );
}

#[test]
fn a_restarted_source_is_counted_from_its_beginning_and_an_older_one_knows_no_odds() {
    let mut world = world(Mode::Background, vec![metric()]);
    world.begin();
    drawn(&mut world, 1, 1_000, [(4, 0, SLOW), (60, 0, FAST)]);
    assert_eq!(world.after(LOOK).verdict, None);
    let reading = &mut world.reading;
    for counters in [&mut reading.candidate, reading.stable.as_mut().unwrap()] {
        counters.epoch += 1;
        (counters.requests, counters.errors) = (0, 0);
        counters.odds = Some(Vec::new());
    }
    // Only one of the two was read after the restart: both are seen at the next look.
    let both = world.reading.clone();
    world.reading.stable.as_mut().unwrap().epoch -= 1;
    world.after(LOOK);
    world.reading = both;
    drawn(&mut world, 1, 1_000, [(4, 0, SLOW), (60, 0, FAST)]);
    let said = world.after(LOOK);
    assert_eq!(said.verdict, Some(Verdict::Failed), "{}", said.because);
    assert!(
        said.because.contains("took over 94 ms 8 times"),
        "{}",
        said.because
    );

    let mut older = World::new(Mode::Background, vec![metric()]);
    older.reading.candidate_share = 0.05;
    older.stable(200, 0, FAST).begin();
    let said = older.stable(40, 0, FAST).candidate(9, 3, SLOW).after(LOOK);
    assert_eq!(said.verdict, Some(Verdict::Failed));
    assert!(!said.because.contains("took"), "{}", said.because);
}

#[test]
fn what_an_older_version_has_kept_is_read() {
    let mut world = World::new(Mode::Background, vec![max(5.0)]);
    world.begin();
    let mut kept = serde_json::to_value(&world.state).unwrap();
    let kept = kept.as_object_mut().unwrap();
    kept.remove("seen");
    kept.remove("slow");
    world.state = serde_json::from_value(kept.clone().into()).unwrap();
    assert_eq!(world.after(Span::from_secs(1)).verdict, None);
    let metric: Metric = serde_json::from_str(r#"{"sequential": {"alpha": 0.001}}"#).unwrap();
    assert!(matches!(metric, Metric::Sequential { latency: None, .. }));
}
