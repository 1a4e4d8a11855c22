//! What a route's policy says about failing instances: retries and their budget, time-outs, ejection.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::hygiene::answering;
use crate::instance::Instance;
use crate::rig::{CANDIDATE, Rig, STABLE, eventually, policy};
use crate::visitor::Visitor;

const FAILURE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbad";

/// Sends these bytes after each request's head, and then nothing more.
async fn beginning(bytes: &'static [u8]) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.read(&mut [0; 4096]).await);
            drop(stream.write_all(bytes).await);
            open.push(stream);
        }
    });
    (addr, task)
}

#[tokio::test]
async fn an_unwanted_answer_is_tried_elsewhere_but_never_for_a_write() {
    let (bad, asked, task) = answering(FAILURE).await;
    let good = Instance::start("good");
    let rig = Rig::start();
    let retrying = r#"{"retries": {"retryOn": ["gatewayError"]}, "outlierDetection": {"consecutive5xx": 0}}"#;
    rig.route_by(policy(retrying), &[(STABLE, 10_000, &[bad, good.addr])])
        .await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    for _ in 0..60 {
        assert_eq!(visitor.get("/").await.unwrap().body, "good");
    }
    let stats = rig.revision(STABLE).await;
    let first = asked.load(SeqCst);
    assert!(first > 0);
    assert_eq!((stats.retries, stats.first_attempt_failures), (first, first));
    assert_eq!(stats.answers, [(200, 60)], "the client never sees the others");
    let mut failed = 0;
    for _ in 0..60 {
        // It hangs up before it has read the body: perhaps its answer is lost on the way.
        failed += u64::from(visitor.post("/echo", "x").await.unwrap().status >= 500);
    }
    assert_eq!(asked.load(SeqCst) - first, failed, "each write once");
    assert!(failed > 0);
    task.abort();
    rig.stop().await;
}

#[tokio::test]
async fn stable_serves_what_the_only_candidate_fails_and_the_candidate_is_charged() {
    let (bad, asked, task) = answering(FAILURE).await;
    let old = Instance::start("old");
    let rig = Rig::start();
    let shares: &[(&str, u32, &[SocketAddr])] = &[(STABLE, 5_000, &[old.addr]), (CANDIDATE, 5_000, &[bad])];
    rig.route_by(policy(r#"{"retries": {"retryOn": ["5xx"]}}"#), shares)
        .await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    for _ in 0..100 {
        let answer = visitor.get("/").await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "old"));
    }
    let (stable, candidate) = (rig.revision(STABLE).await, rig.revision(CANDIDATE).await);
    assert_eq!(candidate.assigned, asked.load(SeqCst));
    assert!(candidate.assigned > 20, "{candidate:?}");
    assert_eq!(candidate.first_attempt_failures, candidate.assigned);
    assert_eq!(candidate.answered_by_stable, candidate.assigned);
    assert_eq!((stable.first_attempt_failures, stable.ejections), (0, 0));
    assert_eq!(candidate.ejections, 0, "the only one is never left out");
    task.abort();
    rig.stop().await;
}

#[tokio::test]
async fn the_budget_bounds_what_is_sent_again() {
    let (bad, asked, task) = answering(FAILURE).await;
    let good = Instance::start("good");
    let rig = Rig::start();
    let retrying = r#"{"retries": {"retryOn": ["gatewayError"], "budgetPercent": 10, "minPerSecond": 1},
        "outlierDetection": {"consecutive5xx": 0}}"#;
    rig.route_by(policy(retrying), &[(STABLE, 10_000, &[bad, good.addr])])
        .await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    let mut failed = 0;
    for _ in 0..200 {
        failed += u64::from(visitor.get("/").await.unwrap().status == 503);
    }
    let stats = rig.client.stats().await.unwrap();
    let retries = asked.load(SeqCst) - failed;
    // Ten for ten seconds, and a tenth of 200; more only if the test takes longer than the window.
    let windows = stats.uptime_ms / 10_000 + 1;
    assert!((20..=30 * windows).contains(&retries), "{retries}");
    assert_eq!(stats.routes[0].over_budget, failed);
    assert!(failed > 0);
    task.abort();
    rig.stop().await;
}

#[tokio::test]
async fn an_attempt_has_its_own_time_and_all_together_have_theirs() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = Instance::start("good");
    let rig = Rig::start();
    let waiting = r#"{"retries": {"perTryTimeout": "150ms", "retryOn": ["timeout"]}, "timeouts": {"answer": "30s"},
        "outlierDetection": {"consecutive5xx": 0}}"#;
    let addr = silent.local_addr().unwrap();
    rig.route_by(policy(waiting), &[(STABLE, 10_000, &[addr, good.addr])])
        .await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    for _ in 0..12 {
        assert_eq!(visitor.get("/").await.unwrap().body, "good");
    }
    let stats = rig.revision(STABLE).await;
    assert!(stats.timeouts > 0 && stats.retries == stats.timeouts, "{stats:?}");
    let together = r#"{"retries": {"attempts": 10, "perTryTimeout": "150ms", "retryOn": ["timeout"]},
        "timeouts": {"answer": "400ms"}}"#;
    rig.route_by(policy(together), &[(STABLE, 10_000, &[addr])]).await;
    let began = tokio::time::Instant::now();
    assert_eq!(visitor.get("/").await.unwrap().status, 504);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(400), "{took:?}");
    let again = rig.revision(STABLE).await;
    assert!(again.retries - stats.retries < 4, "{again:?}");
    rig.stop().await;
}

#[tokio::test]
async fn an_idempotent_write_is_sent_again_with_its_body() {
    let (rude, asked, task) = answering(b"").await;
    let good = Instance::start("good");
    let rig = Rig::start();
    rig.route_by(
        policy(r#"{"outlierDetection": {"consecutive5xx": 0}}"#),
        &[(STABLE, 10_000, &[rude, good.addr])],
    )
    .await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    for round in 0..40 {
        let put = format!("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\nbody {round:02}");
        visitor.send(put.as_bytes()).await.unwrap();
        let answer = visitor.answer().await.unwrap();
        assert_eq!((answer.status, answer.body), (200, format!("body {round:02}")));
    }
    assert!(asked.load(SeqCst) > 0);
    assert_eq!(rig.revision(STABLE).await.cut_writes, 0);
    task.abort();
    rig.stop().await;
}

#[tokio::test]
async fn who_fails_five_times_in_a_row_is_left_out_and_counted() {
    let (bad, asked, task) = answering(FAILURE).await;
    let good = Instance::start("good");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[bad, good.addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    while rig.revision(STABLE).await.ejections == 0 {
        visitor.get("/").await.unwrap();
        assert!(asked.load(SeqCst) <= 5, "not left out after five");
    }
    assert_eq!(asked.load(SeqCst), 5);
    for _ in 0..50 {
        assert_eq!(visitor.get("/").await.unwrap().body, "good");
    }
    let stats = rig.revision(STABLE).await;
    let out: Vec<bool> = stats.instances.iter().map(|instance| instance.ejected).collect();
    assert_eq!((asked.load(SeqCst), out), (5, vec![true, false]));
    let text = rig.client.metrics().await.unwrap();
    let counted = text
        .lines()
        .any(|line| line.starts_with("cutover_ejections_total{") && line.ends_with(" 1"));
    assert!(counted, "{text}");
    task.abort();
    rig.stop().await;
}

#[tokio::test]
async fn a_left_out_instance_is_back_after_its_time() {
    let (bad, asked, task) = answering(FAILURE).await;
    let good = Instance::start("good");
    let rig = Rig::start();
    let soon = r#"{"outlierDetection": {"consecutive5xx": 2, "baseEjectionTime": "100ms"}}"#;
    rig.route_by(policy(soon), &[(STABLE, 10_000, &[bad, good.addr])])
        .await;
    eventually("it is tried again", async || {
        Visitor::connect(rig.addr).await.unwrap().get("/").await.unwrap();
        asked.load(SeqCst) > 4
    })
    .await;
    assert!(rig.revision(STABLE).await.ejections >= 2);
    task.abort();
    rig.stop().await;
}

#[tokio::test]
async fn silence_in_an_answer_ends_it_but_an_event_stream_may_be_silent() {
    let (half, half_task) = beginning(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
    let (events, events_task) =
        beginning(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await;
    let rig = Rig::start();
    let impatient = || policy(r#"{"timeouts": {"idle": "200ms"}}"#);
    rig.route_by(impatient(), &[(STABLE, 10_000, &[half])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    visitor.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let came = visitor.rest(Duration::from_secs(10)).await.unwrap();
    assert!(came.ends_with(b"hello"));
    let stats = rig.revision(STABLE).await;
    assert_eq!((stats.cut_answers, stats.timeouts), (1, 1));
    rig.route_by(impatient(), &[(STABLE, 10_000, &[events])]).await;
    let mut listener = Visitor::connect(rig.addr).await.unwrap();
    listener.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let came = listener.rest(Duration::from_millis(900)).await.unwrap_err();
    assert!(String::from_utf8(came).unwrap().contains("data: 1"));
    half_task.abort();
    events_task.abort();
    rig.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endless = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        drop(stream.read(&mut [0; 4096]).await);
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await);
        while stream.write_all(&[b'x'; 65_536]).await.is_ok() {}
    });
    let rig = Rig::start();
    rig.route_by(
        policy(r#"{"timeouts": {"idle": "300ms"}}"#),
        &[(STABLE, 10_000, &[endless])],
    )
    .await;
    let mut client = TcpStream::connect(rig.addr).await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    eventually("it is open", async || rig.in_flight(STABLE).await == 1).await;
    eventually("it is given up", async || rig.in_flight(STABLE).await == 0).await;
    assert_eq!(
        rig.revision(STABLE).await.cut_answers,
        0,
        "not the instance's fault"
    );
    drop(client);
    task.await.unwrap();
    rig.stop().await;
}
