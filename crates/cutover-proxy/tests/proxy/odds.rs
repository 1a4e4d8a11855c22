//! First attempts by the odds that they were drawn with, and a judgement that rests on them.

use std::time::Duration;

use cutover_analysis::{AnalysisState, DrawnAt, DrawnIn, Mode, Reading, measure};
use cutover_model::{AnalysisTemplate, RevisionId, Span, Timestamp, Verdict};
use cutover_ports::MetricSource;
use cutover_proxy::{ClientError, ProxyRouter, PublishRequest, Refusal};
use futures::future::join_all;

use crate::http2::Caller;
use crate::instance::{Instance, Reserved};
use crate::rig::{CANDIDATE, Rig, STABLE, eventually, fence, policy, table};
use crate::visitor::Visitor;

/// What was drawn with so many parts for the candidate: of the candidate, and of stable.
async fn drawn(rig: &Rig, parts: u32) -> Option<(DrawnAt, DrawnAt)> {
    let all = rig.client.stats().await.unwrap().odds.unwrap();
    let found = all
        .into_iter()
        .find(|odds| odds.of_candidate.candidate == parts)?;
    assert_eq!(found.candidate, CANDIDATE.parse().unwrap());
    assert_eq!(found.stable, STABLE.parse().unwrap());
    assert_eq!(found.of_candidate.odds, found.of_stable.odds);
    Some((found.of_candidate, found.of_stable))
}

#[tokio::test]
async fn a_request_counts_by_the_share_that_it_was_drawn_with_however_late_it_ends() {
    let (old, new) = (Instance::start("old"), Instance::start("new"));
    let rig = Rig::start();
    let at = async |parts: u32| {
        let shares = [
            (STABLE, 10_000 - parts, &[old.addr][..]),
            (CANDIDATE, parts, &[new.addr][..]),
        ];
        rig.route(&shares).await;
    };
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    visitor.get("/").await.unwrap();
    assert_eq!(
        rig.client.stats().await.unwrap().odds,
        Some(Vec::new()),
        "nothing is drawn"
    );
    at(5_000).await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut visitor = Visitor::connect(rig.addr).await.unwrap();
        waiting.push(async move { visitor.get("/hold").await.unwrap().status });
    }
    let changed = async {
        eventually("all are on their way", async || {
            rig.in_flight(STABLE).await + rig.in_flight(CANDIDATE).await == 20
        })
        .await;
        at(100).await;
        old.release();
        new.release();
    };
    let (statuses, ()) = tokio::join!(join_all(waiting), changed);
    assert_eq!(statuses, [200; 20]);
    let (candidate, stable) = drawn(&rig, 5_000).await.unwrap();
    assert!(candidate.latency.count() > 0 && stable.latency.count() > 0);
    assert_eq!(candidate.latency.count() + stable.latency.count(), 20);
    let (candidate, stable) = drawn(&rig, 100).await.unwrap();
    assert_eq!(
        (candidate.of, candidate.latency.count() + stable.latency.count()),
        (10_000, 0)
    );
    rig.stop().await;
}

#[tokio::test]
async fn the_first_attempt_counts_although_stable_saved_it_and_so_does_a_client_that_gave_up() {
    let (nobody, old) = (Reserved::new(), Instance::start("old"));
    let rig = Rig::start();
    rig.route(&[(STABLE, 5_000, &[old.addr]), (CANDIDATE, 5_000, &[nobody.addr])])
        .await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    for _ in 0..40 {
        assert_eq!(visitor.get("/").await.unwrap().status, 200);
    }
    let (candidate, stable) = drawn(&rig, 5_000).await.unwrap();
    let assigned = rig.revision(CANDIDATE).await.assigned;
    assert_eq!(
        (candidate.errors, candidate.latency.count()),
        (assigned, assigned)
    );
    assert_eq!((stable.errors, stable.latency.count()), (0, 40 - assigned));
    // It waits for an answer that does not come, and leaves.
    rig.route(&[(STABLE, 9_999, &[old.addr]), (CANDIDATE, 1, &[nobody.addr])])
        .await;
    let (mut impatient, _connection) = Caller::connect(rig.addr).await;
    {
        let mut asked = std::pin::pin!(impatient.get("/hold"));
        tokio::select! {
            answer = &mut asked => panic!("it was answered: {answer:?}"),
            () = eventually("it waits", async || rig.in_flight(STABLE).await == 1) => {}
        }
    }
    eventually("it is counted", async || {
        drawn(&rig, 1)
            .await
            .is_some_and(|(_, stable)| stable.latency.count() == 1)
    })
    .await;
    assert_eq!(drawn(&rig, 1).await.unwrap().1.errors, 0);
    // What a rule decides is not drawn.
    let rule = policy(r#"{"rules": [{"match": {"headers": {"x-side": {"exact": "old"}}}, "to": "stable"}]}"#);
    rig.route_by(
        rule,
        &[(STABLE, 2, &[old.addr]), (CANDIDATE, 9_998, &[nobody.addr])],
    )
    .await;
    visitor
        .send(b"GET / HTTP/1.1\r\nHost: shop.test\r\nX-Side: old\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(visitor.answer().await.unwrap().body, "old");
    let (candidate, stable) = drawn(&rig, 9_998).await.unwrap();
    assert_eq!(candidate.latency.count() + stable.latency.count(), 0);
    rig.stop().await;
}

#[tokio::test]
async fn each_stratum_is_counted_for_itself() {
    let (old, new) = (Instance::start("old"), Instance::start("new"));
    let rig = Rig::start();
    let strata = policy(
        r#"{"strata": [{"name": "broken", "match": {"path": {"exact": "/status/500"}}},
            {"name": "held", "match": {"path": {"prefix": "/hold"}}}]}"#,
    );
    rig.route_by(
        strata,
        &[(STABLE, 5_000, &[old.addr]), (CANDIDATE, 5_000, &[new.addr])],
    )
    .await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    for path in ["/", "/status/500?x", "/status/500/", "/holder"] {
        for _ in 0..10 {
            visitor.get(path).await.unwrap();
        }
    }
    let (candidate, stable) = drawn(&rig, 5_000).await.unwrap();
    let sum = |name: &str, count: fn(&DrawnIn) -> u64| {
        let both = [&candidate, &stable].into_iter();
        both.flat_map(|side| &side.strata)
            .filter(|one| one.name == name)
            .map(count)
            .sum::<u64>()
    };
    let requests = |name: &str| sum(name, |one| one.latency.count());
    assert_eq!((requests("broken"), requests("held"), requests("")), (10, 10, 20));
    assert_eq!(sum("broken", |one| one.errors), 10);
    assert_eq!(
        candidate.latency.count() + stable.latency.count(),
        40,
        "all of them together too"
    );
    assert_eq!(
        candidate.errors + stable.errors,
        sum("broken", |one| one.errors) + sum("held", |one| one.errors) + sum("", |one| one.errors)
    );
    rig.stop().await;
}

#[tokio::test]
async fn more_strata_than_may_be_are_refused() {
    let old = Instance::start("old");
    let rig = Rig::start();
    let one =
        |index: usize| format!(r#"{{"name": "{index}", "match": {{"path": {{"exact": "/{index}"}}}}}}"#);
    let strata: Vec<String> = (0..9).map(one).collect();
    let mut table = table(rig.addr, &[(STABLE, 10_000, &[old.addr])]);
    table.services[0].policy = policy(&format!(r#"{{"strata": [{}]}}"#, strata.join(", ")));
    let request = PublishRequest {
        fence: fence("store", 1),
        expected_serial: 0,
        adopt: false,
        table,
    };
    let refused = rig.client.publish(&request).await.unwrap_err();
    let ClientError::Refused(Refusal::InvalidTable { what }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(what, "api has more than 8 strata");
    rig.stop().await;
}

/// A template as it stands in a file, but as JSON.
fn template() -> AnalysisTemplate {
    serde_json::from_str(r#"{"metrics": [{"sequential": {"latency": {}}}]}"#).unwrap()
}

#[tokio::test]
async fn a_slow_candidate_without_any_error_is_found_worse() {
    let (old, new) = (Instance::start("old"), Instance::start("new"));
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let ask = async |count: u32| {
        let visits = (0..count).map(async |_| {
            let mut visitor = Visitor::connect(rig.addr).await.unwrap();
            assert_eq!(visitor.get("/").await.unwrap().status, 200);
        });
        join_all(visits).await;
    };
    // What is usual: a few at a time, as they come later.
    for _ in 0..30 {
        ask(5).await;
    }
    let source = ProxyRouter::new(rig.client.socket());
    let (stable, candidate): (RevisionId, RevisionId) = (STABLE.parse().unwrap(), CANDIDATE.parse().unwrap());
    let read = async || Reading {
        candidate: source.counters(&candidate).await.unwrap(),
        stable: Some(source.counters(&stable).await.unwrap()),
        candidate_share: 0.25,
        answers: Vec::new(),
    };
    let (template, mut now) = (template(), Timestamp::UNIX_EPOCH);
    let begun = measure(
        &template,
        Mode::Background,
        AnalysisState::default(),
        Ok(read().await),
        now,
    );
    let mut state = begun.0;
    let usual = read().await.stable.unwrap().latency.quantile(0.99).unwrap();
    new.slow_down(Duration::from_micros(usual * 3) + Duration::from_millis(50));
    rig.route(&[(STABLE, 7_500, &[old.addr]), (CANDIDATE, 2_500, &[new.addr])])
        .await;
    let verdict = loop {
        ask(5).await;
        now = Span::from_secs(1).after(now);
        // As the journal keeps it.
        let kept = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        let (next, said) = measure(&template, Mode::Background, kept, Ok(read().await), now);
        state = next;
        assert_eq!(said.errors, 0);
        if said.verdict.is_some() {
            break said;
        }
        assert!(said.requests < 500, "{}", said.because);
    };
    assert_eq!(verdict.verdict, Some(Verdict::Failed));
    let because = verdict.because;
    assert!(
        because.starts_with("the candidate failed never, stable never, and took over "),
        "{because}"
    );
    assert!(
        because.ends_with("or 1 in 1,000") || because.contains("is below 1 in "),
        "{because}"
    );
    rig.stop().await;
}
