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
fn what_was_not_drawn_speaks_for_nobody() {
    // Two thousand good answers at 100 % say nothing of how the candidate compares.
    let mut recording = both((2_000, &[]), (38_000, &[]));
    recording["weights"] = json!([{"at_ms": 0, "candidate": 1.0}]);
    let found = judged(recording.clone());
    assert_eq!(found.verdict, Verdict::Inconclusive);
    assert_eq!(
        found.reason,
        "the candidate failed never, stable never; nothing was drawn: by `weights` and `candidate_weight` the candidate's share was always 0 or 1"
    );
    // Nor does a failing stable at 100 % speak for it.
    recording["weights"] = json!([{"at_ms": 0, "candidate": 0.05}, {"at_ms": 39_900, "candidate": 1.0}]);
    let mut late = recording["events"].as_array().unwrap().clone();
    late.extend((0..50).map(|n| json!({"at_ms": 50_000 + n, "revision": "stable", "ok": false})));
    recording["events"] = late.into();
    let found = judged(recording);
    assert_eq!(found.verdict, Verdict::Successful, "{}", found.reason);
    assert!(found.log_evidence.abs() < 1e-9, "{}", found.log_evidence);
}

/// The evidence by its formula, from nothing but the definition: events in the order of completion, each failure on
/// each δ, half pooled, half in equal parts to the routes and the rest.
fn by_the_formula(recording: &Value) -> (Verdict, f64) {
    const DELTA: [f64; 8] = [1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1000.0];
    let number = |value: &Value, key: &str| value[key].as_f64();
    let mut events = recording["events"].as_array().unwrap().clone();
    let share_of = |event: &Value| {
        number(event, "candidate_weight").unwrap_or_else(|| {
            let mut best = (f64::MIN, 0.0);
            for weight in recording["weights"].as_array().unwrap() {
                let at = number(weight, "at_ms").unwrap();
                if at <= number(event, "at_ms").unwrap() && at >= best.0 {
                    best = (at, number(weight, "candidate").unwrap());
                }
            }
            best.1
        })
    };
    events.sort_by(|a, b| {
        number(a, "at_ms")
            .unwrap()
            .total_cmp(&number(b, "at_ms").unwrap())
    });
    let mut sessions = std::collections::BTreeMap::new();
    for event in &events {
        if let Some(session) = event["session"].as_str() {
            sessions
                .entry(session.to_owned())
                .or_insert_with(|| share_of(event));
        }
    }
    let over = |event: &Value| {
        number(event, "completed_ms")
            .or_else(|| number(event, "at_ms"))
            .unwrap()
    };
    events.sort_by(|a, b| over(a).total_cmp(&over(b)));
    let routes: Vec<&str> = recording["strata"].as_array().map_or(vec![], |all| {
        all.iter().map(|route| route.as_str().unwrap()).collect()
    });
    // By kind (errors, slow answers), by stratum (pooled first, the rest last), by δ.
    let mut log = vec![vec![[0.0; 8]; routes.len() + 2]; 2];
    let mut counted = std::collections::BTreeSet::new();
    let limit = -number(recording, "alpha").unwrap().ln();
    let threshold = number(recording, "latency_threshold_ms");
    let evidence = |log: &Vec<Vec<[f64; 8]>>| {
        let mean = |all: &[f64; 8]| all.iter().map(|log| log.exp()).sum::<f64>() / 8.0;
        let kind = |strata: &Vec<[f64; 8]>| {
            let (pooled, split) = (mean(&strata[0]), strata[1..].iter().map(mean).sum::<f64>());
            if routes.is_empty() {
                pooled
            } else {
                f64::midpoint(pooled, split / (strata.len() - 1) as f64)
            }
        };
        let e = if threshold.is_some() {
            f64::midpoint(kind(&log[0]), kind(&log[1]))
        } else {
            kind(&log[0])
        };
        e.ln()
    };
    for event in &events {
        let session = event["session"].as_str();
        let share = session.map_or_else(|| share_of(event), |name| sessions[name]);
        let slow = matches!((threshold, number(event, "latency_ms")), (Some(t), Some(ms)) if ms > t);
        for (kind, bad) in [(0, event["ok"] == false), (1, slow)] {
            let again = session.is_some_and(|name| bad && !counted.insert((kind, name.to_owned())));
            if !bad || again || share <= 0.0 || share >= 1.0 {
                continue;
            }
            let place = routes
                .iter()
                .position(|route| event["route"] == **route)
                .unwrap_or(routes.len());
            for stratum in [0, 1 + place] {
                for (log, delta) in log[kind][stratum].iter_mut().zip(DELTA) {
                    let candidate = if event["revision"] == "candidate" {
                        delta.ln()
                    } else {
                        0.0
                    };
                    *log += candidate - (1.0 - share + share * delta).ln();
                }
            }
        }
        if evidence(&log) >= limit {
            return (Verdict::Failed, evidence(&log));
        }
    }
    (Verdict::Inconclusive, evidence(&log))
}

#[test]
fn any_recording_has_the_evidence_of_the_formula() {
    let mut dice = 0x9E37_79B9_7F4A_7C15u64;
    let mut throw = move |below: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        (dice >> 20) % below
    };
    let (mut failed, mut not) = (0, 0);
    for run in 0..400u32 {
        let share = |dice: u64| [0.0, 0.01, 0.05, 0.2, 0.5, 0.9, 1.0][dice as usize];
        let events: Vec<Value> = (0..throw(60))
            .map(|_| {
                let at = throw(1_000);
                let bad = throw(100) < 40;
                let mut event = json!({
                    "at_ms": at,
                    "revision": if throw(2) == 0 { "candidate" } else { "stable" },
                    "ok": !bad,
                });
                if throw(2) == 0 {
                    event["completed_ms"] = json!(at + throw(3_000));
                }
                if throw(2) == 0 {
                    event["latency_ms"] = json!(throw(400));
                }
                if throw(3) == 0 {
                    event["candidate_weight"] = json!(share(throw(7)));
                }
                if throw(2) == 0 {
                    event["route"] = json!(["/a", "/b", "/other"][throw(3) as usize]);
                }
                if throw(3) == 0 {
                    event["session"] = json!(throw(8).to_string());
                }
                event
            })
            .collect();
        let mut times: Vec<u64> = (0..throw(5)).map(|_| throw(1_000)).collect();
        times.dedup();
        let weights: Vec<Value> = times
            .into_iter()
            .map(|at| json!({"at_ms": at, "candidate": share(throw(7))}))
            .collect();
        let mut recording = json!({"alpha": 0.05, "events": events, "weights": weights});
        if run % 2 == 0 {
            recording["latency_threshold_ms"] = json!(200);
        }
        if run % 3 == 0 {
            recording["strata"] = json!(["/a", "/b"]);
        }
        let (verdict, log_evidence) = by_the_formula(&recording);
        let found = judged(recording.clone());
        assert!((found.log_evidence - log_evidence).abs() < 1e-6, "{recording}");
        assert_eq!(
            found.verdict == Verdict::Failed,
            verdict == Verdict::Failed,
            "{recording}"
        );
        if verdict == Verdict::Failed {
            failed += 1
        } else {
            not += 1
        }
    }
    assert!(failed > 40 && not > 40, "{failed} {not}");
}

#[test]
fn the_sentence_names_the_route_that_decided() {
    let event = |side: &str, route: &str, ok: bool, ms: u32| json!({"at_ms": 1, "revision": side, "ok": ok, "route": route, "latency_ms": ms, "candidate_weight": 0.05});
    // Of the failures elsewhere one in twenty is the candidate's; on one route they are all its own.
    let elsewhere = |ok: bool, ms: u32| {
        (0..100).map(move |n| {
            let side = if n % 20 == 0 { "candidate" } else { "stable" };
            event(side, "/home", ok, ms)
        })
    };
    let mut events: Vec<Value> = elsewhere(false, 10).collect();
    events.extend((0..6).map(|_| event("candidate", "/pay", false, 10)));
    let found = judged(json!({"events": events, "strata": ["/home", "/pay"]}));
    assert_eq!(found.verdict, Verdict::Failed, "{}", found.reason);
    assert!(
        found.reason.starts_with(
            "the candidate failed 9 times, stable 95 times (on /pay 4 times, stable never); the chance"
        ),
        "{}",
        found.reason
    );
    // The same of slow answers, beside failures that say nothing.
    let mut events: Vec<Value> = elsewhere(false, 10).chain(elsewhere(true, 900)).collect();
    events.extend((0..8).map(|_| event("candidate", "/pay", true, 900)));
    let found = judged(json!({"events": events, "strata": ["/home", "/pay"], "latency_threshold_ms": 500}));
    assert!(
        found.reason.starts_with(
            "the candidate failed 5 times, stable 95 times; it was slow 9 times, stable 95 times (on /pay 4 times, stable never); the"
        ),
        "{}",
        found.reason
    );
}

#[test]
fn without_one_side_the_counts_are_said_all_the_same() {
    let found = judged(both((0, &[]), (100, &[1, 2])));
    assert_eq!(
        found.reason,
        "the candidate failed never, stable 2 times; there is no request of the candidate that was drawn"
    );
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
    let many: Vec<String> = (0..1_001).map(|n| format!("/{n}")).collect();
    assert_eq!(bad(json!({"strata": many})), "strata");
    assert_eq!(bad(json!({"method": "guess"})), "method");
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

#[test]
fn points_that_are_missing_are_never_a_good_mark_where_there_must_be_some() {
    let silent =
        json!({"experiment": [null, "NaN", null], "nanStrategy": "replace", "direction": "increase"});
    assert_eq!(classified(silent.clone()), (Classification::Pass, false));
    let mut needed = silent;
    needed["mustHaveData"] = json!(true);
    needed["critical"] = json!(true);
    assert_eq!(classified(needed.clone()), (Classification::Nodata, true));
    needed["experiment"] = json!([null, 0.0, null]);
    assert_ne!(classified(needed).0, Classification::Nodata);
    assert_eq!(classified(json!({"control": ["NaN"]})).0, Classification::Nodata);
    serde_json::from_value::<Series>(json!({"method": "mannWhitney", "experiment": ["x"], "control": []}))
        .unwrap_err();
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

/// Kayenta's own tables (`ClassifierSuite.scala` in Spinnaker's repository): "Zero Mean: High Metric with Effect Size", "Low
/// Metric with Effect Size", "Critical Metric", "Pass Metric", "Tied Ranks With Zeros", "Critical Effect Size: High" and
/// "Pass". Where a mean is 0 the effect size is no number there, and is not asked about.
#[test]
fn a_mean_of_nothing_has_no_effect_size_as_in_kayenta() {
    use Classification::{High, Low, Pass};
    let sure = json!({"tolerance": 0.1, "confidence": 0.95});
    let (zeros, fifties) = (json!([0, 0, 0, 0, 0]), json!([54.9, 54.5, 55.1, 55.6, 57.4]));
    let strict = json!({"allowedIncrease": 1.2, "allowedDecrease": 0.8});
    let rates = json!([
        0.050_000_000_745_058_06,
        0.050_000_000_745_058_06,
        0.016_666_667_535_901_07,
        0.016_666_667_535_901_07,
        0.016_666_667_535_901_07,
        0.050_000_000_745_058_06,
        0.033_333_335_071_802_14,
        0.050_000_002_607_703_21,
        0.050_000_002_607_703_21,
        0.133_333_336_561_918_26,
    ]);
    let critical =
        json!({"critical": true, "criticalIncrease": 1.2, "criticalDecrease": 0.8, "nanStrategy": "replace"});
    let tens = json!([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let more = (json!([20, 22, 21, 25, 30]), json!([1, 2.2, 1.1, 2.5, 3]));
    let far = json!({"critical": true, "allowedIncrease": 5, "criticalIncrease": 13});
    let farther = json!({"critical": true, "allowedIncrease": 13, "criticalIncrease": 15});
    for (experiment, control, options, expected) in [
        (&fifties, &zeros, &strict, (High, false)),
        (&zeros, &fifties, &strict, (Low, false)),
        (&rates, &tens, &critical, (High, true)),
        (&zeros, &zeros, &strict, (Pass, false)),
        (&json!([10, 10, 10, 10, 10]), &zeros, &json!({}), (High, false)),
        (&more.0, &more.1, &far, (High, false)),
        (&more.0, &more.1, &farther, (Pass, false)),
        // No ratio of means, however much is allowed; the other measure has one.
        (&fifties, &zeros, &json!({"allowedIncrease": 100}), (High, false)),
        (&zeros, &fifties, &json!({"allowedDecrease": 0}), (Low, false)),
        (
            &json!([-3, -2, -4, -3, -2]),
            &zeros,
            &json!({"direction": "decrease"}),
            (Low, false),
        ),
        (
            &fifties,
            &zeros,
            &json!({"effectSizeMeasure": "cles", "allowedIncrease": 1}),
            (High, false),
        ),
    ] {
        let mut change = json!({"experiment": experiment, "control": control});
        for part in [&sure, options] {
            for (key, value) in part.as_object().unwrap() {
                change[key] = value.clone();
            }
        }
        assert_eq!(classified(change.clone()), expected, "{change}");
    }
    let found = classify(&series(json!({"experiment": fifties, "control": zeros})));
    assert!(
        found
            .reason
            .starts_with("the candidate's are 55.5 on average, stable's 0; shifted by 55.1,"),
        "{}",
        found.reason
    );
}

/// R's `wilcox.test` says "cannot compute confidence interval when all observations are tied", and Kayenta's
/// `MannWhitney.scala` with it. With one point more there is one.
#[test]
fn of_one_point_a_side_nothing_is_said() {
    use Classification::{High, Nodata};
    for (change, expected) in [
        (json!({"experiment": [9], "control": [3]}), (Nodata, false)),
        (
            json!({"experiment": [9, null], "control": ["NaN", 3], "critical": true}),
            (Nodata, true),
        ),
        (json!({"experiment": [9], "control": [3, 4]}), (High, false)),
    ] {
        assert_eq!(classified(change.clone()), expected, "{change}");
    }
    let found = classify(&series(json!({"experiment": [9], "control": [3]})));
    assert_eq!(found.reason, "there is one point a side: too few to compare");
}

/// `null` is what some writers say for a key that is not there.
#[test]
fn null_is_absent_and_a_session_may_be_a_number() {
    let mut recording = both((50, &[2, 5, 9, 20]), (500, &[]));
    let without = judged(recording.clone());
    for key in ["method", "alpha", "margin", "latency_threshold_ms", "strata"] {
        recording[key] = Value::Null;
    }
    for key in [
        "completed_ms",
        "latency_ms",
        "route",
        "session",
        "candidate_weight",
    ] {
        recording["events"][0][key] = Value::Null;
    }
    assert_eq!(judged(recording), without);
    for key in [
        "method",
        "tolerance",
        "confidence",
        "direction",
        "effectSizeMeasure",
        "allowedIncrease",
        "allowedDecrease",
        "critical",
        "criticalIncrease",
        "criticalDecrease",
        "mustHaveData",
        "nanStrategy",
    ] {
        assert_eq!(series(json!({ key: null })), series(json!({})), "{key}");
    }
    let event = |session: Value| json!({"at_ms": 1, "revision": "stable", "ok": true, "session": session});
    let recording = json!({"events": [event(json!(7)), event(json!("7")), event(json!(-1))]});
    let recording: Recording = serde_json::from_value(recording).unwrap();
    let sessions: Vec<_> = recording
        .events
        .iter()
        .map(|event| event.session.as_deref())
        .collect();
    assert_eq!(sessions, [Some("7"), Some("7"), Some("-1")]);
    serde_json::from_value::<Recording>(json!({"events": [event(json!([1]))]})).unwrap_err();
}

#[test]
fn the_sentence_has_the_numbers() {
    let great = classify(&series(
        json!({"experiment": [1e300, 2e300, 1.5e300], "control": [1, 2, 3]}),
    ));
    assert_eq!(
        great.reason,
        "the candidate's are 7.5e299 times stable's mean; shifted by 1.5e300, with 98 % confidence by 1e300 to 2e300"
    );
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
