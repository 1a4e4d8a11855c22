//! A connection that changes its protocol.

use crate::instance::Instance;
use crate::rig::{Rig, STABLE, eventually};
use crate::visitor::Visitor;

#[tokio::test]
async fn an_upgraded_connection_carries_bytes_both_ways_and_counts_as_open() {
    let old = Instance::start("old");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    let ask = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
    visitor.send(ask).await.unwrap();
    let answer = visitor.answer().await.unwrap();
    assert_eq!(
        (answer.status, answer.field("upgrade")),
        (101, Some("websocket")),
        "{answer:?}"
    );
    visitor
        .send(b"HTTP/1.1 200 echoed\r\nContent-Length: 4\r\n\r\nping")
        .await
        .unwrap();
    assert_eq!(visitor.answer().await.unwrap().body, "ping");
    assert_eq!(rig.in_flight(STABLE).await, 1);
    assert_eq!(
        rig.revision(STABLE).await.answers,
        [(101, 1)],
        "counted when it switched, not when it ends"
    );
    drop(visitor);
    eventually("it is closed", async || rig.in_flight(STABLE).await == 0).await;
    rig.stop().await;
}

#[tokio::test]
async fn an_upgrade_with_a_body_is_an_ordinary_request() {
    let old = Instance::start("old");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    let ask = b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello";
    visitor.send(ask).await.unwrap();
    assert_eq!(visitor.answer().await.unwrap().body, "hello");
    assert_eq!(visitor.get("/").await.unwrap().body, "old");
    rig.stop().await;
}
