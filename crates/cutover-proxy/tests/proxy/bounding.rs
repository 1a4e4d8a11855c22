//! What bounds what a revision is given: circuits, probes, and requests that are held.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use cutover_model::Span;
use cutover_proxy::{HoldRequest, ReleaseRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::instance::Instance;
use crate::rig::{CANDIDATE, Rig, STABLE, eventually, policy};
use crate::visitor::{Answer, Visitor};

/// Asks on a connection of its own.
fn visit(addr: SocketAddr, path: &'static str) -> JoinHandle<Answer> {
    tokio::spawn(async move { Visitor::connect(addr).await.unwrap().get(path).await.unwrap() })
}

/// Answers `/ready` with 200 or 503, as it is told, and everything else with its name.
async fn moody(name: &'static str) -> (SocketAddr, Arc<AtomicBool>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let well = Arc::new(AtomicBool::new(true));
    let mood = Arc::clone(&well);
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let well = Arc::clone(&mood);
            tokio::spawn(async move {
                let mut text = Vec::new();
                while !text.ends_with(b"\r\n\r\n") && stream.read_buf(&mut text).await.is_ok_and(|n| n > 0) {}
                let status = if text.starts_with(b"GET /ready ") && !well.load(SeqCst) {
                    "503 Busy"
                } else {
                    "200 OK"
                };
                let length = name.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{name}"
                );
                drop(stream.write_all(answer.as_bytes()).await);
            });
        }
    });
    (addr, well, task)
}

async fn healthy(rig: &Rig, id: &str) -> Vec<Option<bool>> {
    let stats = rig.revision(id).await;
    stats.instances.iter().map(|instance| instance.healthy).collect()
}

#[tokio::test]
async fn a_full_revision_lets_some_wait_and_turns_the_rest_away() {
    let instance = Instance::start("x");
    let rig = Rig::start();
    let narrow = policy(r#"{"circuit": {"maxRequests": 2, "maxPending": 1, "pendingTimeout": "1m"}}"#);
    rig.route_by(narrow, &[(STABLE, 10_000, &[instance.addr])]).await;
    let open = [visit(rig.addr, "/hold"), visit(rig.addr, "/hold")];
    eventually("two are there", async || instance.requests.load(SeqCst) == 2).await;
    let waiting = visit(rig.addr, "/");
    eventually("one waits", async || rig.revision(STABLE).await.pending == 1).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    let answer = visitor.get("/").await.unwrap();
    assert_eq!((answer.status, answer.field("retry-after")), (503, Some("1")));
    let why = answer.field("proxy-status").unwrap();
    assert!(why.contains("connection_limit_reached"), "{why}");
    assert_eq!(instance.requests.load(SeqCst), 2, "it waits at the proxy");
    instance.release();
    for visit in open {
        assert_eq!(visit.await.unwrap().status, 200);
    }
    assert_eq!(waiting.await.unwrap().status, 200);
    assert_eq!(visitor.get("/").await.unwrap().status, 200);
    let stats = rig.revision(STABLE).await;
    assert_eq!((stats.overflowed, stats.pending), (1, 0));
    assert_eq!(
        (stats.first_attempts, stats.first_attempt_failures),
        (4, 0),
        "no fault of the revision"
    );
    assert_eq!(stats.answers, [(200, 4), (503, 1)]);
    let text = rig.client.metrics().await.unwrap();
    let counted = |line: &str| line.starts_with("cutover_circuit_overflow_total{") && line.ends_with(" 1");
    assert!(text.lines().any(counted), "{text}");
    rig.stop().await;
}

#[tokio::test]
async fn who_waits_too_long_for_a_place_is_turned_away_and_a_switched_connection_needs_none() {
    let instance = Instance::start("x");
    let rig = Rig::start();
    let narrow = policy(r#"{"circuit": {"maxRequests": 1, "maxPending": 9, "pendingTimeout": "50ms"}}"#);
    rig.route_by(narrow, &[(STABLE, 10_000, &[instance.addr])]).await;
    let mut socket = Visitor::connect(rig.addr).await.unwrap();
    let ask = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    socket.send(ask).await.unwrap();
    assert_eq!(socket.answer().await.unwrap().status, 101);
    let open = visit(rig.addr, "/hold");
    eventually("it is there", async || instance.requests.load(SeqCst) == 2).await;
    assert_eq!(visit(rig.addr, "/").await.unwrap().status, 503);
    instance.release();
    assert_eq!(open.await.unwrap().status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn probes_leave_an_instance_out_and_take_it_back() {
    let (addr, well, task) = moody("moody").await;
    let steady = Instance::start("steady");
    let rig = Rig::start();
    let probed = r#"{"health": {"path": "/ready", "interval": "20ms", "fastInterval": "10ms"}}"#;
    rig.route_by(policy(probed), &[(STABLE, 10_000, &[addr, steady.addr])])
        .await;
    eventually("both are probed", async || {
        healthy(&rig, STABLE).await == [Some(true), Some(true)]
    })
    .await;
    well.store(false, SeqCst);
    eventually("it is down", async || {
        healthy(&rig, STABLE).await == [Some(false), Some(true)]
    })
    .await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    for _ in 0..40 {
        assert_eq!(visitor.get("/").await.unwrap().body, "steady");
    }
    let stats = rig.revision(STABLE).await;
    assert!(
        stats.instances[0].probe_failures >= 3 && stats.instances[0].ejected,
        "{stats:?}"
    );
    well.store(true, SeqCst);
    eventually("it is back", async || {
        visit(rig.addr, "/").await.unwrap().body == "moody"
    })
    .await;
    rig.route(&[(STABLE, 10_000, &[addr, steady.addr])]).await;
    eventually("nobody probes any more", async || {
        healthy(&rig, STABLE).await == [None, None]
    })
    .await;
    task.abort();
    rig.stop().await;
}

#[tokio::test]
async fn stable_serves_for_a_candidate_that_is_down_and_the_candidate_is_charged() {
    let (addr, well, task) = moody("new").await;
    let old = Instance::start("old");
    let rig = Rig::start();
    let probed = r#"{"health": {"path": "/ready", "interval": "1h", "fastInterval": "10ms"}}"#;
    let shares: &[(&str, u32, &[SocketAddr])] = &[(STABLE, 5_000, &[old.addr]), (CANDIDATE, 5_000, &[addr])];
    rig.route_by(policy(probed), shares).await;
    well.store(false, SeqCst);
    // Within the hour: while two versions share the requests, probes are fast.
    eventually("it is down", async || {
        healthy(&rig, CANDIDATE).await == [Some(false)]
    })
    .await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    for _ in 0..60 {
        assert_eq!(visitor.get("/").await.unwrap().body, "old");
    }
    let candidate = rig.revision(CANDIDATE).await;
    assert!(candidate.assigned > 10, "{candidate:?}");
    assert_eq!(candidate.first_attempt_failures, candidate.assigned);
    assert_eq!(candidate.answered_by_stable, candidate.assigned);
    task.abort();
    rig.stop().await;
}

#[tokio::test]
async fn held_requests_go_to_whoever_is_routed_when_they_are_released() {
    let (old, new) = (Instance::start("old"), Instance::start("new"));
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let view = rig.client.hold(&HoldRequest::default()).await.unwrap();
    assert!(view.len() == 1 && view[0].holding);
    let reads: Vec<_> = (0..20).map(|_| visit(rig.addr, "/")).collect();
    let write = tokio::spawn({
        let addr = rig.addr;
        async move {
            Visitor::connect(addr)
                .await
                .unwrap()
                .post("/echo", "kept")
                .await
                .unwrap()
        }
    });
    let held = async || rig.client.stats().await.unwrap().routes[0].held;
    eventually("all wait", async || held().await == 21).await;
    rig.route(&[(CANDIDATE, 10_000, &[new.addr])]).await;
    assert_eq!(new.requests.load(SeqCst) + old.requests.load(SeqCst), 0);
    let faster = ReleaseRequest {
        per_second: 2_000,
        ..ReleaseRequest::default()
    };
    rig.client.release(&faster).await.unwrap();
    for read in reads {
        assert_eq!(read.await.unwrap().body, "new");
    }
    assert_eq!(write.await.unwrap().body, "kept");
    assert_eq!(old.requests.load(SeqCst), 0);
    let route = rig.client.stats().await.unwrap().routes.remove(0);
    assert_eq!((route.held, route.held_total, route.hold_overflowed), (0, 21, 0));
    assert!(!route.holding);
    rig.stop().await;
}

#[tokio::test]
async fn a_hold_is_bounded_in_count_and_age() {
    let instance = Instance::start("x");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[instance.addr])]).await;
    let mut request = HoldRequest {
        max_requests: 1,
        ..HoldRequest::default()
    };
    rig.client.hold(&request).await.unwrap();
    let first = visit(rig.addr, "/");
    let held = async || rig.client.stats().await.unwrap().routes[0].held;
    eventually("one waits", async || held().await == 1).await;
    let answer = visit(rig.addr, "/").await.unwrap();
    assert_eq!((answer.status, answer.field("retry-after")), (503, Some("1")));
    let why = answer.field("proxy-status").unwrap();
    assert!(why.contains("held"), "{why}");
    request.max_age = Span::from_millis(50);
    request.max_requests = 9;
    rig.client.hold(&request).await.unwrap();
    assert_eq!(visit(rig.addr, "/").await.unwrap().status, 503, "too old");
    assert_eq!(held().await, 1, "the first one has its own time");
    rig.client.release(&ReleaseRequest::default()).await.unwrap();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(visit(rig.addr, "/").await.unwrap().status, 200);
    assert_eq!(instance.requests.load(SeqCst), 2);
    rig.stop().await;
}

#[tokio::test]
async fn a_hold_that_nobody_releases_ends_by_itself_if_it_was_asked_to() {
    let instance = Instance::start("x");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[instance.addr])]).await;
    let short = HoldRequest {
        at_most: Some(Span::from_millis(100)),
        ..HoldRequest::default()
    };
    rig.client.hold(&short).await.unwrap();
    let kept = rig.folder.path().join("proxy-holds.json");
    assert!(!kept.exists(), "it is nothing for the next process");
    assert_eq!(visit(rig.addr, "/").await.unwrap().status, 200);
    let route = async || rig.client.stats().await.unwrap().routes.remove(0);
    eventually("it is over", async || !route().await.holding).await;
    // One that was begun again lasts as long as the second asks.
    rig.client.hold(&short).await.unwrap();
    rig.client.hold(&HoldRequest::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(route().await.holding);
    // What a person holds is neither shortened nor released by who holds for a moment.
    rig.client.hold(&short).await.unwrap();
    let timed = ReleaseRequest {
        only_timed: true,
        ..ReleaseRequest::default()
    };
    rig.client.release(&timed).await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(route().await.holding);
    rig.client.release(&ReleaseRequest::default()).await.unwrap();
    rig.client.hold(&short).await.unwrap();
    rig.client.release(&timed).await.unwrap();
    assert!(!route().await.holding);
    rig.stop().await;
}
