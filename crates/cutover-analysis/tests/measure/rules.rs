//! Every rule of assessment as a row: what is measured, what is tolerated, and the sentence that comes of it.

use cutover_analysis::{AnalysisState, Assessment, Counters, Mode, Reading, measure, queries_due};
use cutover_model::{AnalysisTemplate, DryRun, Metric, Span, Timestamp, Verdict};

use crate::world::{burn_rate, query, template};

/// One row. `seen` is a letter a measurement: `g`ood (nothing of 100 failed), `b`ad (10 of 100), `n`o data (nobody came, until
/// no more is waited for), `e`rror (the counters cannot be read).
struct Row {
    rule: &'static str,
    with: fn(&mut AnalysisTemplate),
    mode: Mode,
    seen: &'static str,
    verdict: Option<Verdict>,
    sentence: &'static str,
}

/// Measures letter by letter, each time through JSON as the journal keeps it, until there is a verdict.
fn assess(row: &Row) -> Assessment {
    let mut template = template();
    (row.with)(&mut template);
    let mut now = Timestamp::from_second(1_800_000_000).unwrap();
    let mut state = AnalysisState::default();
    let mut candidate = Counters {
        epoch: 1,
        ..Counters::default()
    };
    let mut step = |counted: Option<(u64, u64)>, now: Timestamp| {
        let reading = counted.map(|(requests, errors)| {
            candidate.requests += requests;
            candidate.errors += errors;
            Reading {
                candidate: candidate.clone(),
                stable: None,
                candidate_share: 0.1,
                // What a provider says is as good or bad as what is counted.
                answers: queries_due(&template, &state, now)
                    .iter()
                    .map(|_| {
                        if errors > 0 {
                            Err("it is down".to_owned())
                        } else {
                            Ok(0.5.into())
                        }
                    })
                    .collect(),
            }
        });
        let kept = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        let reading = reading.ok_or_else(|| "connection refused".to_owned());
        let (next, said) = measure(&template, row.mode, kept, reading, now);
        state = next;
        said
    };
    let mut said = step(Some((0, 0)), now);
    for letter in row.seen.chars() {
        if said.verdict.is_some() {
            break;
        }
        let (wait, counted) = match letter {
            'g' => (30, Some((100, 0))),
            'b' => (30, Some((100, 10))),
            'n' => (300, Some((0, 0))),
            'e' => (10, None),
            other => panic!("{other}"),
        };
        now = Span::from_secs(wait).after(now);
        said = step(counted, now);
    }
    said
}

const ROWS: &[Row] = &[
    Row {
        rule: "one good measurement",
        with: |_| (),
        mode: Mode::Inline,
        seen: "g",
        verdict: Some(Verdict::Successful),
        sentence: "errors 0 % (0 of 100), 5 % allowed",
    },
    Row {
        rule: "one bad measurement, and none is tolerated",
        with: |_| (),
        mode: Mode::Inline,
        seen: "b",
        verdict: Some(Verdict::Failed),
        sentence: "errors 10 % (10 of 100), more than 5 %",
    },
    Row {
        rule: "count: no verdict before all are taken",
        with: |t| t.count = 3,
        mode: Mode::Inline,
        seen: "gg",
        verdict: None,
        sentence: "measurement 2 of 3 good: errors 0 % (0 of 100), 5 % allowed",
    },
    Row {
        rule: "count: all are taken",
        with: |t| t.count = 3,
        mode: Mode::Inline,
        seen: "ggg",
        verdict: Some(Verdict::Successful),
        sentence: "errors 0 % (0 of 100), 5 % allowed",
    },
    Row {
        rule: "failureLimit: two are tolerated",
        with: |t| (t.count, t.failure_limit) = (5, 2),
        mode: Mode::Inline,
        seen: "bgbg",
        verdict: None,
        sentence: "measurement 4 of 5 good: errors 0 % (0 of 100), 5 % allowed",
    },
    Row {
        rule: "failureLimit: the second one is told as tolerated",
        with: |t| (t.count, t.failure_limit) = (5, 2),
        mode: Mode::Inline,
        seen: "bgb",
        verdict: None,
        sentence: "measurement 3 of 5 failed, 2 of 2 tolerated: errors 10 % (10 of 100), more than 5 %",
    },
    Row {
        rule: "failureLimit: the third fails it, in no matter what order",
        with: |t| (t.count, t.failure_limit) = (5, 2),
        mode: Mode::Inline,
        seen: "bgbgb",
        verdict: Some(Verdict::Failed),
        sentence: "errors 10 % (10 of 100), more than 5 %",
    },
    Row {
        rule: "failureLimit: good in spite of what was tolerated",
        with: |t| (t.count, t.failure_limit) = (4, 2),
        mode: Mode::Inline,
        seen: "gbgb",
        verdict: Some(Verdict::Successful),
        sentence: "2 of 4 good, the others tolerated; the last one failed, 2 of 2 tolerated: errors 10 % (10 of 100), more than 5 %",
    },
    Row {
        rule: "inconclusiveLimit: none is tolerated",
        with: |_| (),
        mode: Mode::Inline,
        seen: "n",
        verdict: Some(Verdict::Inconclusive),
        sentence: "it cannot be told: no requests",
    },
    Row {
        rule: "inconclusiveLimit: one is tolerated, and is none of count",
        with: |t| (t.count, t.inconclusive_limit) = (2, 1),
        mode: Mode::Inline,
        seen: "ngg",
        verdict: Some(Verdict::Successful),
        sentence: "errors 0 % (0 of 100), 5 % allowed",
    },
    Row {
        rule: "inconclusiveLimit: the second is one too many",
        with: |t| (t.count, t.inconclusive_limit) = (2, 1),
        mode: Mode::Inline,
        seen: "ngn",
        verdict: Some(Verdict::Inconclusive),
        sentence: "it cannot be told: no requests",
    },
    Row {
        rule: "inconclusiveLimit: does not end a guard",
        with: |_| (),
        mode: Mode::Background,
        seen: "nnn",
        verdict: None,
        sentence: "measurement 3 inconclusive: no requests",
    },
    Row {
        rule: "count: does not end a guard",
        with: |_| (),
        mode: Mode::Background,
        seen: "ggg",
        verdict: None,
        sentence: "measurement 3 good: errors 0 % (0 of 100), 5 % allowed",
    },
    Row {
        rule: "failureLimit: ends a guard",
        with: |t| t.failure_limit = 1,
        mode: Mode::Background,
        seen: "bgb",
        verdict: Some(Verdict::Failed),
        sentence: "errors 10 % (10 of 100), more than 5 %",
    },
    Row {
        rule: "consecutiveErrorLimit: four are tolerated",
        with: |_| (),
        mode: Mode::Inline,
        seen: "eeee",
        verdict: None,
        sentence: "there was nothing to measure by, 4 times in a row (4 tolerated): connection refused",
    },
    Row {
        rule: "consecutiveErrorLimit: the fifth is an Error, and no failure",
        with: |_| (),
        mode: Mode::Inline,
        seen: "eeeee",
        verdict: Some(Verdict::Error),
        sentence: "there was nothing to measure by, 5 times in a row (4 tolerated): connection refused",
    },
    Row {
        rule: "consecutiveErrorLimit: one that can be read ends the row",
        with: |t| t.count = 9,
        mode: Mode::Inline,
        seen: "eeeegeeee",
        verdict: None,
        sentence: "there was nothing to measure by, 4 times in a row (4 tolerated): connection refused",
    },
    Row {
        rule: "consecutiveErrorLimit: ends a guard too",
        with: |t| t.consecutive_error_limit = 0,
        mode: Mode::Background,
        seen: "e",
        verdict: Some(Verdict::Error),
        sentence: "there was nothing to measure by, 1 time in a row (0 tolerated): connection refused",
    },
    Row {
        rule: "consecutiveSuccessLimit: enough in a row, before count is reached",
        with: |t| (t.count, t.failure_limit, t.consecutive_success_limit) = (9, 8, 2),
        mode: Mode::Inline,
        seen: "gbgg",
        verdict: Some(Verdict::Successful),
        sentence: "2 good in a row; the last one: errors 0 % (0 of 100), 5 % allowed",
    },
    Row {
        rule: "consecutiveSuccessLimit: never so many in a row",
        with: |t| (t.count, t.failure_limit, t.consecutive_success_limit) = (4, 3, 2),
        mode: Mode::Inline,
        seen: "gbgb",
        verdict: Some(Verdict::Inconclusive),
        sentence: "it cannot be told: 4 were taken, and never 2 good in a row; the last one failed, 2 of 3 tolerated: errors 10 % (10 of 100), more than 5 %",
    },
    Row {
        rule: "consecutiveSuccessLimit: an inconclusive one ends the row",
        with: |t| (t.count, t.inconclusive_limit, t.consecutive_success_limit) = (3, 9, 2),
        mode: Mode::Inline,
        seen: "gng",
        verdict: None,
        sentence: "measurement 3 of 3 good: errors 0 % (0 of 100), 5 % allowed",
    },
    Row {
        rule: "consecutiveSuccessLimit: what could not be read ends the row",
        with: |t| (t.count, t.consecutive_success_limit) = (3, 2),
        mode: Mode::Inline,
        seen: "geg",
        verdict: None,
        sentence: "measurement 2 of 3 good: errors 0 % (0 of 100), 5 % allowed",
    },
    Row {
        rule: "consecutiveSuccessLimit: does not undo failureLimit",
        with: |t| (t.count, t.failure_limit, t.consecutive_success_limit) = (9, 1, 3),
        mode: Mode::Inline,
        seen: "bggb",
        verdict: Some(Verdict::Failed),
        sentence: "errors 10 % (10 of 100), more than 5 %",
    },
    Row {
        rule: "burnRate: faster than allowed fails",
        with: |t| t.metrics = vec![burn_rate(14.4)],
        mode: Mode::Inline,
        seen: "b",
        verdict: Some(Verdict::Failed),
        sentence: "errors 10 % (10 of 100), more than 1.44 %: 100.0 times the budget of 99.9 %",
    },
    Row {
        rule: "burnRate: what has not burnt since it began is a blip",
        with: |t| (t.metrics, t.count) = (vec![burn_rate(50.0)], 2),
        mode: Mode::Inline,
        seen: "gb",
        verdict: Some(Verdict::Successful),
        sentence: "errors 10 % (10 of 100), more than 5 %: 100.0 times the budget of 99.9 %, and 50.0 times since the analysis began, 50 allowed",
    },
    Row {
        rule: "burnRate: within the budget",
        with: |t| t.metrics = vec![burn_rate(14.4)],
        mode: Mode::Inline,
        seen: "g",
        verdict: Some(Verdict::Successful),
        sentence: "errors 0 % (0 of 100), 1.44 % allowed: 0.0 times the budget of 99.9 %",
    },
    Row {
        rule: "dryRun: what would have failed is told",
        with: |t| t.dry_run = vec![DryRun::All],
        mode: Mode::Inline,
        seen: "b",
        verdict: Some(Verdict::Successful),
        sentence: "dry run, it would have failed: errors 10 % (10 of 100), more than 5 %",
    },
    Row {
        rule: "dryRun: nobody waits for it",
        with: |t| t.dry_run = vec![DryRun::ErrorRate],
        mode: Mode::Inline,
        seen: "n",
        verdict: Some(Verdict::Successful),
        sentence: "dry run, no data: no requests",
    },
    Row {
        rule: "dryRun: the others decide",
        with: |t| {
            t.metrics.push(Metric::ErrorRate {
                max: None,
                max_ratio: Some(2.0),
            });
            t.metrics.push(query());
            t.dry_run = vec![DryRun::Query];
        },
        mode: Mode::Inline,
        seen: "b",
        verdict: Some(Verdict::Failed),
        sentence: "errors 10 % (10 of 100), more than 5 %; dry run, no data: it is down",
    },
    Row {
        rule: "dryRun: a provider of it that fails is no error",
        with: |t| {
            (t.consecutive_error_limit, t.failure_limit, t.count) = (0, 1, 1);
            t.metrics.push(query());
            t.dry_run = vec![DryRun::Query];
        },
        mode: Mode::Inline,
        seen: "b",
        verdict: Some(Verdict::Successful),
        sentence: "0 of 1 good, the others tolerated; the last one failed, 1 of 1 tolerated: errors 10 % (10 of 100), more than 5 %; dry run, no data: it is down",
    },
    Row {
        rule: "dryRun: does not fail early either",
        with: |t| (t.count, t.dry_run) = (9, vec![DryRun::ErrorRate]),
        mode: Mode::Background,
        seen: "bbb",
        verdict: None,
        sentence: "measurement 3 good: dry run, it would have failed: errors 10 % (10 of 100), more than 5 %",
    },
    Row {
        rule: "initialDelay: what comes before is not measured",
        with: |t| t.initial_delay = Span::from_mins(2),
        mode: Mode::Inline,
        seen: "bbb",
        verdict: None,
        sentence: "warming up for 30s",
    },
    Row {
        rule: "initialDelay: measured after it",
        with: |t| t.initial_delay = Span::from_secs(30),
        mode: Mode::Inline,
        seen: "bg",
        verdict: Some(Verdict::Successful),
        sentence: "errors 0 % (0 of 100), 5 % allowed",
    },
    Row {
        rule: "no metric tells nothing",
        with: |t| t.metrics.clear(),
        mode: Mode::Inline,
        seen: "g",
        verdict: Some(Verdict::Inconclusive),
        sentence: "it cannot be told: nothing is measured",
    },
];

#[test]
fn every_rule_has_its_verdict_and_its_sentence() {
    for row in ROWS {
        let said = assess(row);
        assert_eq!(
            (said.verdict, said.because.as_str()),
            (row.verdict, row.sentence),
            "{}",
            row.rule
        );
    }
}
