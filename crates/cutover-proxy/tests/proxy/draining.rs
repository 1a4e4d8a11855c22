//! What is open, when it ends, and how the proxy leaves.

use cutover_ports::Router;

use crate::instance::Instance;
use crate::rig::{CANDIDATE, Rig, STABLE, eventually};
use crate::visitor::Visitor;

#[tokio::test]
async fn open_requests_of_a_removed_revision_are_counted_down_to_zero() {
    let (old, new) = (Instance::start("old"), Instance::start("new"));
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let visits: Vec<_> = (0..7)
        .map(|_| {
            let addr = rig.addr;
            tokio::spawn(async move { Visitor::connect(addr).await.unwrap().get("/hold").await.unwrap() })
        })
        .collect();
    eventually("all are open", async || rig.in_flight(STABLE).await == 7).await;
    rig.route(&[(CANDIDATE, 10_000, &[new.addr])]).await;
    assert_eq!(rig.in_flight(STABLE).await, 7, "still open after it was removed");
    let router = cutover_proxy::ProxyRouter::new(rig.client.socket());
    let open: u64 = router.read().await.unwrap().in_flight.values().sum();
    assert_eq!(open, 7, "by instance too");
    assert_eq!(
        Visitor::connect(rig.addr)
            .await
            .unwrap()
            .get("/")
            .await
            .unwrap()
            .body,
        "new"
    );
    old.release();
    for visit in visits {
        assert_eq!(visit.await.unwrap().body, "old");
    }
    eventually("none is open", async || rig.in_flight(STABLE).await == 0).await;
    assert_eq!(rig.revision(STABLE).await.answers, [(200, 7)]);
    rig.stop().await;
}

#[tokio::test]
async fn a_client_that_gives_up_is_no_longer_open_and_no_failure() {
    let old = Instance::start("old");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    visitor
        .send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    eventually("it is open", async || rig.in_flight(STABLE).await == 1).await;
    drop(visitor);
    // hyper notices a client that is gone when it next looks at the connection.
    old.release();
    eventually("it is closed", async || rig.in_flight(STABLE).await == 0).await;
    assert_eq!(rig.revision(STABLE).await.first_attempt_failures, 0);
    rig.stop().await;
}

#[tokio::test]
async fn a_graceful_stop_finishes_what_is_open_and_closes_idle_connections_in_order() {
    let old = Instance::start("old");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let mut idle = Visitor::connect(rig.addr).await.unwrap();
    assert!(!idle.get("/").await.unwrap().closes());
    let mut half = Visitor::connect(rig.addr).await.unwrap();
    half.get("/").await.unwrap();
    let mut open = Visitor::connect(rig.addr).await.unwrap();
    open.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    eventually("it is open", async || rig.in_flight(STABLE).await == 1).await;
    half.send(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    let mut busy = Visitor::connect(rig.addr).await.unwrap();
    let stop = tokio::spawn(rig.stop());
    while !busy.get("/").await.unwrap().closes() {}
    assert!(
        idle.rest(std::time::Duration::from_secs(10)).await.is_ok(),
        "idle: closed"
    );
    half.send(b"st: a\r\n\r\n").await.unwrap();
    let answer = half.answer().await.unwrap();
    assert!(
        answer.status == 200 && answer.closes(),
        "half a request is not cut: {answer:?}"
    );
    assert!(!stop.is_finished(), "one is still open");
    old.release();
    let answer = open.answer().await.unwrap();
    assert!(answer.body == "old" && answer.closes());
    stop.await.unwrap();
}
