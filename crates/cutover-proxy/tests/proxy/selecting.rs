//! What decides before the weights do, and beside them: rules, sessions, turns, and the choice of an instance.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::SeqCst;

use cutover_model::RoutePolicy;
use cutover_ports::MetricSource;
use cutover_proxy::ProxyRouter;

use crate::instance::Instance;
use crate::rig::{CANDIDATE, Rig, STABLE, Share, publish, table};
use crate::visitor::{Answer, Visitor};

async fn route(rig: &Rig, policy: &str, shares: &[Share<'_>]) {
    let policy: RoutePolicy = serde_json::from_str(policy).unwrap();
    let mut table = table(rig.addr, shares);
    table.services[0].policy = policy;
    publish(&rig.client, table).await;
}

async fn ask(visitor: &mut Visitor, fields: &str) -> Answer {
    let text = format!("GET / HTTP/1.1\r\nHost: shop.test\r\n{fields}\r\n");
    visitor.send(text.as_bytes()).await.unwrap();
    visitor.answer().await.unwrap()
}

#[tokio::test]
async fn rules_come_before_the_weights_and_a_side_without_instances_is_passed_over() {
    let (old, new) = (Instance::start("old"), Instance::start("new"));
    let rig = Rig::start();
    let rules = r#"{"rules": [
        {"match": {"cookies": {"group": {"exact": "a"}}}, "to": "stable"},
        {"match": {"headers": {"x-canary": {"regex": "yes|1"}}}, "to": "candidate"},
        {"match": {"cookies": {"group": {"exact": "b"}}}, "to": "candidate"}]}"#;
    // A weight of none: only rules reach the candidate.
    let candidate: [SocketAddr; 1] = [new.addr];
    route(
        &rig,
        rules,
        &[(STABLE, 10_000, &[old.addr]), (CANDIDATE, 0, &candidate)],
    )
    .await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    for (fields, body) in [
        ("", "old"),
        ("X-Canary: yes\r\n", "new"),
        ("X-Canary: yes please\r\n", "old"),
        ("Cookie: x=1; group=b\r\n", "new"),
        ("Cookie: group=a\r\nX-Canary: 1\r\n", "old"),
    ] {
        assert_eq!(ask(&mut visitor, fields).await.body, body, "{fields}");
    }
    let stats = rig.revision(CANDIDATE).await;
    assert_eq!((stats.first_attempts, stats.drawn.unwrap().requests), (2, 0));
    let router = ProxyRouter::new(rig.folder.path().join("proxy.sock"));
    let counters = router.counters(&CANDIDATE.parse().unwrap()).await.unwrap();
    assert_eq!((counters.requests, counters.drawn().requests), (2, 0));
    let counters = router.counters(&STABLE.parse().unwrap()).await.unwrap();
    assert_eq!((counters.requests, counters.drawn().requests), (3, 2));
    route(&rig, rules, &[(STABLE, 10_000, &[old.addr])]).await;
    assert_eq!(ask(&mut visitor, "X-Canary: yes\r\n").await.body, "old");
    rig.stop().await;
}

#[tokio::test]
async fn a_table_with_a_rule_that_cannot_be_understood_is_refused() {
    let rig = Rig::start();
    let mut table = table(rig.addr, &[]);
    table.services[0].policy =
        serde_json::from_str(r#"{"rules": [{"match": {"path": {"regex": "("}}, "to": "stable"}]}"#).unwrap();
    let request = cutover_proxy::PublishRequest {
        fence: crate::rig::fence("store", 1),
        expected_serial: 0,
        adopt: false,
        table,
    };
    let refused = rig.client.publish(&request).await.unwrap_err();
    assert!(
        matches!(
            refused,
            cutover_proxy::ClientError::Refused(cutover_proxy::Refusal::InvalidTable { .. })
        ),
        "{refused}"
    );
    rig.stop().await;
}

/// The cookie to send back, of an answer that gives one.
fn session(answer: &Answer) -> String {
    let cookie = answer.field("set-cookie").unwrap();
    assert!(
        cookie.contains("; Max-Age=60; Path=/; HttpOnly; SameSite=Lax") && !cookie.contains("Secure"),
        "{cookie}"
    );
    let (pair, _) = cookie.split_once(';').unwrap();
    assert!(
        pair.starts_with("cutover-session=1.") && pair.contains(".1.api@"),
        "{pair}"
    );
    format!("Cookie: other=1; {pair}\r\n")
}

#[tokio::test]
async fn clients_with_a_session_stay_and_only_those_that_a_share_needs_move() {
    let (old, new) = (Instance::start("old"), Instance::start("new"));
    let rig = Rig::start();
    let policy = r#"{"sticky": {"cookie": {"maxAge": "60s"}}}"#;
    let shares = |weight: u32| {
        let (old, new) = (old.addr, new.addr);
        [(STABLE, 10_000 - weight, [old]), (CANDIDATE, weight, [new])]
    };
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    let mut clients: Vec<(String, String)> = Vec::new();
    let mut on_candidate = 0;
    // Up and down: at each weight every client comes three times.
    for weight in [1_000, 3_000, 3_000, 6_000, 10_000, 2_000, 0] {
        let shares = shares(weight);
        let shares: Vec<Share<'_>> = shares
            .iter()
            .map(|(id, w, at)| (*id, *w, at.as_slice()))
            .collect();
        route(&rig, policy, &shares).await;
        if clients.is_empty() {
            for _ in 0..300 {
                let answer = ask(&mut visitor, "").await;
                clients.push((session(&answer), answer.body));
            }
        }
        let mut moved = BTreeMap::new();
        for (cookie, side) in &mut clients {
            for _ in 0..3 {
                let answer = ask(&mut visitor, cookie).await;
                assert_eq!(answer.status, 200);
                let change = (side.clone(), answer.body.clone());
                *moved.entry(change).or_insert(0) += 1;
                *cookie = session(&answer);
                *side = answer.body;
            }
        }
        let now = clients.iter().filter(|(_, side)| side == "new").count();
        let change =
            |from: &str, to: &str| moved.get(&(from.to_owned(), to.to_owned())).copied().unwrap_or(0);
        if now >= on_candidate {
            assert_eq!(change("new", "old"), 0, "nobody goes back while the share rises");
            if on_candidate > 0 {
                assert_eq!(change("old", "new"), now - on_candidate, "each moves once");
            }
        } else {
            assert_eq!(change("old", "new"), 0, "nobody comes while the share falls");
        }
        let expected = 300.0 * f64::from(weight) / 10_000.0;
        let tolerance = 5.0 * (expected * (1.0 - f64::from(weight) / 10_000.0)).sqrt();
        #[expect(clippy::cast_precision_loss, reason = "a few hundred clients")]
        let distance = (now as f64 - expected).abs();
        assert!(distance <= tolerance, "{weight}: {now} of 300 clients");
        on_candidate = now;
    }
    // Only the first requests were drawn.
    let drawn = rig.revision(STABLE).await.drawn.unwrap().requests
        + rig.revision(CANDIDATE).await.drawn.unwrap().requests;
    assert_eq!(drawn, 300);
    assert!(rig.client.stats().await.unwrap().routes[0].sessions_moved > 0);
    rig.stop().await;
}

#[tokio::test]
async fn of_a_session_the_first_request_and_the_first_failure_count() {
    let (old, new) = (Instance::start("old"), Instance::start("new"));
    let rig = Rig::start();
    let policy = r#"{"sticky": {"cookie": {"maxAge": "60s"}}}"#;
    // These have their sessions from before there was a candidate.
    route(&rig, policy, &[(STABLE, 10_000, &[old.addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.push(session(&ask(&mut visitor, "").await));
    }
    let shares: [Share<'_>; 2] = [(STABLE, 5_000, &[old.addr]), (CANDIDATE, 5_000, &[new.addr])];
    route(&rig, policy, &shares).await;
    let drawn = async |rig: &Rig| {
        let all = rig.client.stats().await.unwrap().odds.unwrap();
        let both = [&all[0].of_candidate, &all[0].of_stable];
        (
            both.map(|side| side.latency.count()),
            both.map(|side| side.errors),
        )
    };
    let mut on_candidate = 0;
    for cookie in &mut clients {
        let answer = ask(&mut visitor, cookie).await;
        on_candidate += u64::from(answer.body == "new");
        *cookie = session(&answer);
    }
    let seen = [on_candidate, 40 - on_candidate];
    assert_eq!(drawn(&rig).await, (seen, [0, 0]), "each was drawn anew, once");
    // What fails later is a failure of its session, once, however often it fails.
    for cookie in clients.iter().chain(&clients) {
        let bad = format!("GET /status/500 HTTP/1.1\r\nHost: shop.test\r\n{cookie}\r\n");
        visitor.send(bad.as_bytes()).await.unwrap();
        assert_eq!(visitor.answer().await.unwrap().status, 500);
    }
    assert_eq!(drawn(&rig).await, (seen, seen));
    let stats = [rig.revision(CANDIDATE).await, rig.revision(STABLE).await];
    let failures = stats.each_ref().map(|stats| stats.first_attempt_failures);
    assert_eq!(
        failures,
        seen.map(|sessions| 2 * sessions),
        "every request counts where all do"
    );
    assert_eq!(stats.map(|stats| stats.drawn.unwrap().errors), seen);
    rig.stop().await;
}

#[tokio::test]
async fn a_forged_session_is_none_and_a_valid_one_outlives_the_proxy() {
    let (old, new) = (Instance::start("old"), Instance::start("new"));
    let rig = Rig::start();
    let policy = r#"{"sticky": {"cookie": {"maxAge": "60s"}}}"#;
    let shares: [Share<'_>; 2] = [(STABLE, 5_000, &[old.addr]), (CANDIDATE, 5_000, &[new.addr])];
    route(&rig, policy, &shares).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    let first = ask(&mut visitor, "").await;
    let cookie = session(&first);
    let forged = cookie.replace("=1.", "=1.0");
    let answer = ask(&mut visitor, &forged).await;
    assert_ne!(session(&answer), forged, "it is given a new one");
    assert_eq!(
        rig.revision(STABLE).await.drawn.unwrap().requests
            + rig.revision(CANDIDATE).await.drawn.unwrap().requests,
        2
    );
    drop(visitor);
    let folder = rig.stop().await;
    let listener = cutover_os::bind_listener("127.0.0.1:0".parse().unwrap()).unwrap();
    let rig = Rig::start_on(listener, folder, |_| {});
    route(&rig, policy, &shares).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    let answer = ask(&mut visitor, &cookie).await;
    assert_eq!((session(&answer), answer.body), (cookie, first.body));
    rig.stop().await;
}

#[tokio::test]
async fn one_address_has_one_place() {
    let (old, new) = (Instance::start("old"), Instance::start("new"));
    let rig = Rig::start();
    let shares: [Share<'_>; 2] = [(STABLE, 5_000, &[old.addr]), (CANDIDATE, 5_000, &[new.addr])];
    route(&rig, r#"{"sticky": {"source": {}}}"#, &shares).await;
    let mut bodies = std::collections::BTreeSet::new();
    for _ in 0..30 {
        let mut visitor = Visitor::connect(rig.addr).await.unwrap();
        let answer = ask(&mut visitor, "").await;
        assert_eq!(answer.field("set-cookie"), None);
        bodies.insert(answer.body);
    }
    assert_eq!(bodies.len(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn turns_are_exact_to_one_request_over_all_workers_and_tables() {
    let (old, new) = (Instance::start("old"), Instance::start("new"));
    let rig = Rig::start();
    let shares: [Share<'_>; 2] = [(STABLE, 9_500, &[old.addr]), (CANDIDATE, 500, &[new.addr])];
    let mut fresh = 0;
    for n in 1..=200u32 {
        // A new table every seven requests does not begin a new round, a new connection may be another worker's.
        if n % 7 == 1 {
            route(&rig, r#"{"split": "smooth"}"#, &shares).await;
        }
        let mut visitor = Visitor::connect(rig.addr).await.unwrap();
        fresh += u32::from(ask(&mut visitor, "").await.body == "new");
        let (low, high) = (n / 20, n.div_ceil(20));
        assert!((low..=high).contains(&fresh), "{fresh} of {n}");
    }
    assert_eq!(rig.revision(CANDIDATE).await.drawn.unwrap().requests, 0);
    rig.stop().await;
}

#[tokio::test]
async fn round_robin_is_even_over_all_workers() {
    let instances = [Instance::start("a"), Instance::start("b"), Instance::start("c")];
    let rig = Rig::start();
    let addrs: Vec<SocketAddr> = instances.iter().map(|instance| instance.addr).collect();
    let count = || {
        instances
            .each_ref()
            .map(|instance| instance.requests.load(SeqCst))
    };
    route(
        &rig,
        r#"{"balance": {"by": "roundRobin"}}"#,
        &[(STABLE, 10_000, &addrs)],
    )
    .await;
    for _ in 0..30 {
        let mut visitor = Visitor::connect(rig.addr).await.unwrap();
        ask(&mut visitor, "").await;
    }
    assert_eq!(count(), [10, 10, 10]);
    rig.stop().await;
}
