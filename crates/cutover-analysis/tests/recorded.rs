//! Recordings and series as they stand in files, to what is said of them.

#![cfg(test)]

use cutover_analysis::{Classification, Judgement, Recording, Series, classify, judge};
use cutover_model::Verdict;
use serde_json::{Value, json};

fn judged(recording: Value) -> Judgement {
    let recording: Recording = serde_json::from_value(recording).unwrap();
    assert_eq!(recording.check(), Ok(()));
    judge(&recording)
}

/// Requests at 1, 2, 3 … ms, those of the candidate twenty times as slowly, for one in twenty is its own; `failed` names
/// those that failed, by their number from 0.
fn requests(side: &str, count: usize, failed: &[usize]) -> Vec<Value> {
    let pace = if side == "candidate" { 20 } else { 1 };
    (0..count)
        .map(|n| json!({"at_ms": pace * (n + 1), "revision": side, "ok": !failed.contains(&n)}))
        .collect()
}

fn both(candidate: (usize, &[usize]), stable: (usize, &[usize])) -> Value {
    let mut events = requests("candidate", candidate.0, candidate.1);
    events.extend(requests("stable", stable.0, stable.1));
    json!({"events": events, "weights": [{"at_ms": 0, "candidate": 0.05}]})
}

#[test]
fn the_third_failure_of_the_candidate_decides() {
    let found = judged(both((50, &[2, 5, 9, 20]), (500, &[])));
    assert_eq!(found.verdict, Verdict::Failed);
    assert_eq!((found.at_ms, found.candidate_requests), (Some(200.0), 10));
    assert!(
        (found.log_evidence - 7.5076).abs() < 1e-3,
        "{}",
        found.log_evidence
    );
    assert_eq!(
        found.reason,
        "the candidate failed 3 times, stable never; the chance of that, were they equally good, is below 1 in 1,000"
    );
}

#[test]
fn a_shared_outage_is_nobodys_fault() {
    // Every request fails for a while: 5 % of the failures are the candidate's, as 5 % of the requests are.
    let failed: Vec<usize> = (0..380).collect();
    let found = judged(both((20, &failed[..19]), (400, &failed)));
    assert_eq!(found.verdict, Verdict::Inconclusive, "{}", found.reason);
    assert!(found.log_evidence < 0.0);
}

#[test]
fn a_good_candidate_needs_enough_requests_to_be_called_good() {
    let few = judged(both((40, &[]), (800, &[])));
    assert_eq!(few.verdict, Verdict::Inconclusive);
    assert!(few.reason.contains("may still be"), "{}", few.reason);
    let many = judged(both((2_000, &[]), (38_000, &[])));
    assert_eq!(many.verdict, Verdict::Successful, "{}", many.reason);
    assert_eq!(many.candidate_requests, 2_000);
}

#[test]
fn no_candidate_no_stable_and_no_request_are_inconclusive() {
    for recording in [
        both((0, &[]), (100, &[1])),
        both((100, &[]), (0, &[])),
        both((0, &[]), (0, &[])),
    ] {
        assert_eq!(judged(recording).verdict, Verdict::Inconclusive);
    }
}

#[test]
fn the_share_is_that_of_the_assignment() {
    // Assigned at 5 %, over at 50 %: three failures suffice, as at 5 %.
    let event =
        |at: u32| json!({"at_ms": at, "completed_ms": 1000 + at, "revision": "candidate", "ok": false});
    let weights = json!([{"at_ms": 500, "candidate": 0.5}, {"at_ms": 0, "candidate": 0.05}]);
    let early = judged(json!({"events": [event(3), event(1), event(2)], "weights": weights}));
    assert_eq!((early.verdict, early.at_ms), (Verdict::Failed, Some(1003.0)));
    let late = judged(json!({"events": [event(501), event(502), event(503)], "weights": weights}));
    assert_eq!(late.verdict, Verdict::Inconclusive);
    // An event's own share wins.
    let mut own = event(501);
    own["candidate_weight"] = json!(0.001);
    let found = judged(json!({"events": [own.clone(), own], "weights": weights}));
    assert_eq!(found.verdict, Verdict::Failed);
}

#[test]
fn where_nothing_was_drawn_nothing_is_learned() {
    let failing = |n: usize| requests("candidate", n, &(0..n).collect::<Vec<_>>());
    for share in [0.0, 1.0] {
        let found = judged(json!({"events": failing(50), "weights": [{"at_ms": 0, "candidate": share}]}));
        assert!(
            found.log_evidence.abs() < 1e-9,
            "share {share}: {}",
            found.log_evidence
        );
    }
    assert!(judged(json!({"events": failing(50)})).log_evidence.abs() < 1e-9);
}

#[test]
fn the_sentence_says_what_was_left_out_and_what_cannot_be() {
    let failing = requests("candidate", 5, &[0, 1, 2, 3, 4]);
    let mut events = failing.clone();
    events.extend(requests("stable", 5, &[]));
    let undrawn = judged(json!({"events": events, "weights": [{"at_ms": 0, "candidate": 0}]}));
    assert!(
        undrawn.reason.contains("5 failures of the candidate left out"),
        "{}",
        undrawn.reason
    );
    let strange = judged(json!({"events": failing, "weights": [{"at_ms": 0, "candidate": 0.01}]}));
    assert!(
        strange
            .reason
            .contains("beware: 2 of 2 went to the candidate where about 0 were due"),
        "{}",
        strange.reason
    );
    let fair = judged(both((50, &[]), (950, &[])));
    assert!(!fair.reason.contains("beware"), "{}", fair.reason);
}

#[test]
fn whole_milliseconds_stay_whole() {
    let found = judged(both((3, &[0, 1, 2]), (0, &[])));
    assert_eq!(serde_json::to_value(&found).unwrap()["at_ms"], json!(60));
}

#[test]
fn of_a_session_the_first_failure_counts() {
    let mut recording = both((50, &[2, 5, 9, 20]), (500, &[]));
    for event in recording["events"].as_array_mut().unwrap() {
        if event["revision"] == "candidate" {
            event["session"] = json!("one heavy user");
        }
    }
    let found = judged(recording);
    assert_eq!(found.verdict, Verdict::Inconclusive);
    assert!(found.reason.contains("failed once"), "{}", found.reason);
}

#[test]
fn slow_answers_are_failures_of_their_own() {
    let slow = |threshold: Value| {
        let events: Vec<Value> = (0..60)
            .flat_map(|n| {
                [
                    json!({"at_ms": n, "revision": "stable", "ok": true, "latency_ms": 20.0}),
                    json!({"at_ms": n, "revision": "candidate", "ok": true, "latency_ms": 900.5}),
                ]
            })
            .collect();
        judged(json!({
            "events": events, "weights": [{"at_ms": 0, "candidate": 0.5}], "latency_threshold_ms": threshold,
        }))
    };
    let found = slow(json!(250));
    assert_eq!(found.verdict, Verdict::Failed);
    assert!(found.reason.contains("it was slow"), "{}", found.reason);
    assert_eq!(slow(Value::Null).log_evidence, 0.0);
}

#[test]
fn a_route_of_its_own_is_seen() {
    let mut events = requests("stable", 400, &(0..200).map(|n| n * 2).collect::<Vec<_>>());
    events.extend(requests(
        "candidate",
        20,
        &(0..10).map(|n| n * 2).collect::<Vec<_>>(),
    ));
    for event in &mut events {
        event["route"] = json!("/common");
    }
    for at in 401..406 {
        events.push(json!({"at_ms": at, "revision": "candidate", "ok": false, "route": "/rare"}));
    }
    let recording = json!({"events": events, "weights": [{"at_ms": 0, "candidate": 0.05}]});
    assert_eq!(judged(recording.clone()).verdict, Verdict::Inconclusive);
    let mut split = recording;
    split["strata"] = json!(["/common", "/rare"]);
    assert_eq!(judged(split).verdict, Verdict::Failed);
}

#[test]
fn what_is_no_share_is_refused_with_its_place() {
    let bad = |change: Value| {
        let mut recording = both((3, &[]), (3, &[]));
        for (key, value) in change.as_object().unwrap() {
            recording[key] = value.clone();
        }
        serde_json::from_value::<Recording>(recording)
            .unwrap()
            .check()
            .unwrap_err()
            .place
    };
    assert_eq!(bad(json!({"alpha": 0})), "alpha");
    assert_eq!(bad(json!({"alpha": 1.5})), "alpha");
    assert_eq!(bad(json!({"margin": -0.1})), "margin");
    assert_eq!(
        bad(json!({"weights": [{"at_ms": 0, "candidate": 1.01}]})),
        "weights[0].candidate"
    );
    assert_eq!(bad(json!({"strata": ["/a", "/a"]})), "strata[1]");
    let event = json!({"at_ms": 5, "completed_ms": 4, "revision": "stable", "ok": true});
    assert_eq!(bad(json!({"events": [event]})), "events[0].completed_ms");
    serde_json::from_value::<Recording>(json!({"events": [], "wieghts": []})).unwrap_err();
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a literal reads better without a borrow"
)]
fn series(change: Value) -> Series {
    let mut series = json!({
        "method": "mannWhitney",
        "experiment": [13.0, 14.1, 12.8, 15.2, 13.9, 14.4, 13.3, 14.8],
        "control": [10.0, 10.9, 9.8, 10.4, 10.2, 11.1, 9.9, 10.6],
    });
    for (key, value) in change.as_object().unwrap() {
        series[key] = value.clone();
    }
    serde_json::from_value(series).unwrap()
}

fn classified(change: Value) -> (Classification, bool) {
    let found = classify(&series(change));
    assert!(!found.reason.is_empty());
    (found.classification, found.critical_failure)
}

#[test]
fn series_are_classified() {
    use Classification::{High, Low, Nodata, Pass};
    let swapped = json!({
        "control": [13.0, 14.1, 12.8, 15.2, 13.9, 14.4, 13.3, 14.8],
        "experiment": [10.0, 10.9, 9.8, 10.4, 10.2, 11.1, 9.9, 10.6],
    });
    let with = |base: &Value, key: &str, value: Value| {
        let mut change = base.clone();
        change[key] = value;
        change
    };
    let same = json!({});
    for (change, expected) in [
        (same.clone(), (High, false)),
        (with(&same, "direction", json!("decrease")), (Pass, false)),
        (with(&same, "allowedIncrease", json!(1.5)), (Pass, false)),
        (with(&same, "criticalIncrease", json!(1.3)), (High, false)),
        (json!({"critical": true, "criticalIncrease": 1.3}), (High, true)),
        (json!({"critical": true, "criticalIncrease": 3.0}), (High, false)),
        (
            json!({"critical": true, "criticalIncrease": 1.3, "allowedIncrease": 1.5}),
            (Pass, false),
        ),
        (with(&same, "critical", json!(true)), (High, true)),
        (with(&same, "effectSizeMeasure", json!("cles")), (High, false)),
        (swapped.clone(), (Low, false)),
        (with(&swapped, "direction", json!("increase")), (Pass, false)),
        (with(&swapped, "allowedDecrease", json!(0.5)), (Pass, false)),
        (with(&swapped, "criticalDecrease", json!(0.8)), (Low, false)),
        (with(&swapped, "critical", json!(true)), (Low, true)),
        (
            json!({"experiment": [1, 2, 3], "control": [3, 1, 2]}),
            (Pass, false),
        ),
        (json!({"experiment": [7], "control": [7, 7]}), (Pass, false)),
        (json!({"experiment": []}), (Nodata, false)),
        (json!({"experiment": [], "critical": true}), (Nodata, true)),
        (json!({"experiment": [], "nanStrategy": "replace"}), (Pass, false)),
        (
            json!({"experiment": [], "nanStrategy": "replace", "mustHaveData": true}),
            (Nodata, false),
        ),
        (
            json!({"experiment": [9, 9, 9], "control": [3, 3, 3]}),
            (High, false),
        ),
        (
            json!({"experiment": [0, 0, 0], "control": [3, 3, 3]}),
            (Low, false),
        ),
        (
            json!({"experiment": [0, 1, 1, 1, 1], "control": [1, 1, 1, 1, 1]}),
            (Pass, false),
        ),
        (
            json!({"experiment": [null, null], "mustHaveData": true}),
            (Nodata, false),
        ),
        (
            json!({"control": [], "mustHaveData": true, "critical": true}),
            (Nodata, true),
        ),
        (
            json!({"experiment": [null, null, null], "control": [null, null, null], "nanStrategy": "replace"}),
            (Pass, false),
        ),
        (
            json!({"experiment": [4, 5, 6, 4, 5, 6, 5, 5], "control": [0, 0, 0, 0, 0, 0, 0, 0]}),
            (High, false),
        ),
    ] {
        assert_eq!(classified(change.clone()), expected, "{change}");
    }
}

#[test]
fn the_sentence_has_the_numbers() {
    let found = classify(&series(json!({})));
    assert_eq!(
        found.reason,
        "the candidate's are 1.34 times stable's mean; shifted by 3.5, with 98 % confidence by 2.6 to 4.6"
    );
}

#[test]
fn parameters_out_of_range_are_named() {
    for (key, value) in [
        ("confidence", json!(1.0)),
        ("tolerance", json!(2)),
        ("allowedIncrease", json!(-1)),
        ("method", json!("welch")),
    ] {
        assert_eq!(
            series(json!({ key: value })).problem().map(|(name, _)| name),
            Some(key)
        );
    }
    assert_eq!(series(json!({})).problem(), None);
}
