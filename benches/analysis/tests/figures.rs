//! A small part of the benchmark, fast enough for every day.

#![cfg(test)]

use analysis_bench::figures::{Figures, explained, releases};
use analysis_bench::rules::{Flagger, Ours, Setting};
use analysis_bench::tune::plain;
use analysis_bench::world::{RATIO, Scenario, Twist};

const ALPHA: f64 = 0.001;

#[test]
fn good_releases_are_left_alone_whatever_happens_to_both() {
    for twist in [
        Twist::Drift,
        Twist::JumpingShare,
        Twist::SharedOutage,
        Twist::HeavySessions,
    ] {
        let scenario = Scenario {
            name: "good",
            rate: 10.0,
            stable: 0.009,
            candidate: 0.009,
            slower: 1.0,
            twist,
        };
        let all = releases(scenario, &|| Box::new(Ours::sequential(ALPHA)), 0, 60);
        let figures = Figures::of(&all);
        assert!(figures.back <= explained(60, ALPHA) + 1, "{twist:?}: {figures:?}");
    }
}

#[test]
fn a_release_that_is_as_slow_as_allowed_is_left_alone_and_a_slower_one_is_not() {
    for twist in [Twist::Drift, Twist::JumpingShare, Twist::SharedOutage] {
        let scenario = |slower| Scenario {
            name: "slow",
            rate: 10.0,
            stable: 0.005,
            candidate: 0.005,
            slower,
            twist,
        };
        let all = |slower| {
            let all = releases(scenario(slower), &|| Box::new(Ours::with_times(ALPHA)), 0, 60);
            Figures::of(&all)
        };
        let allowed = all(RATIO);
        assert!(allowed.back <= explained(60, ALPHA) + 1, "{twist:?}: {allowed:?}");
        let slow = all(5.0);
        assert!(slow.back >= 57, "{twist:?}: {slow:?}");
    }
}

#[test]
fn a_bad_release_is_caught_in_a_fifth_of_what_a_rule_lets_through() {
    let rule = Setting {
        max: 0.01,
        limit: 5,
        interval: 60,
    };
    let bad = plain(100.0, 0.001, 0.1);
    let ours = Figures::of(&releases(bad, &|| Box::new(Ours::new(1.0)), 0, 20));
    let theirs = Figures::of(&releases(bad, &|| Box::new(Flagger::new(rule)), 0, 20));
    assert_eq!(ours.back, 20);
    assert!(
        ours.median.unwrap() * 5 <= theirs.median.unwrap(),
        "{ours:?} {theirs:?}"
    );
}

#[test]
fn what_nobody_asked_is_not_promoted() {
    let figures = Figures::of(&releases(
        plain(0.05, 0.005, 0.005),
        &|| Box::new(Ours::new(1.0)),
        0,
        4,
    ));
    assert_eq!(figures.held, 4, "{figures:?}");
}

#[test]
fn a_failure_that_only_one_route_has_is_found_by_route() {
    let scenario = Scenario {
        twist: Twist::OneRoute,
        ..plain(100.0, 0.009, 0.009)
    };
    let pooled = Figures::of(&releases(scenario, &|| Box::new(Ours::sequential(ALPHA)), 0, 20));
    let by_route = Figures::of(&releases(
        scenario,
        &|| Box::new(Ours::sequential(ALPHA).by_route()),
        0,
        20,
    ));
    assert_eq!(by_route.back, 20, "{by_route:?}");
    let (all, one) = (pooled.median.unwrap_or(u64::MAX), by_route.median.unwrap());
    assert!(one * 2 < all, "{pooled:?} {by_route:?}");
}

#[test]
fn history_finds_more_where_few_requests_come_and_a_shared_outage_does_not_trip_it() {
    let bad = plain(1.0, 0.001, 0.1);
    let alone = Figures::of(&releases(bad, &|| Box::new(Ours::sequential(ALPHA)), 0, 60));
    let history: &(dyn Fn() -> Box<dyn analysis_bench::release::Detector> + Sync) =
        &|| Box::new(Ours::sequential(ALPHA).with_history());
    let both = Figures::of(&releases(bad, history, 0, 60));
    assert!(both.median < alone.median, "{both:?} {alone:?}");
    let outage = Scenario {
        twist: Twist::SharedOutage,
        ..plain(10.0, 0.001, 0.001)
    };
    let figures = Figures::of(&releases(outage, history, 0, 200));
    assert!(figures.back <= 3, "{figures:?}");
}
