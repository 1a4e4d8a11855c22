//! Connections on which nothing happens for a while, and what is said on them afterwards.

use std::time::Duration;

use crate::instance::Instance;
use crate::rig::{Rig, STABLE, eventually};
use crate::visitor::Visitor;

/// So soon that it happens in the middle of everything.
fn start() -> Rig {
    Rig::start_with(|options| options.limits.rest_after = Duration::from_millis(1))
}

async fn idle(rig: &Rig) -> u64 {
    rig.client.stats().await.unwrap().idle_connections
}

#[tokio::test]
async fn a_connection_rests_between_requests_and_none_is_lost() {
    let instance = Instance::start("here");
    let rig = start();
    rig.route(&[(STABLE, 10_000, &[instance.addr])]).await;
    let mut visitors = Vec::new();
    for _ in 0..8 {
        visitors.push(Visitor::connect(rig.addr).await.unwrap());
    }
    eventually("they have said nothing yet", async || idle(&rig).await == 8).await;
    for _ in 0..3 {
        for visitor in &mut visitors {
            assert_eq!(visitor.get("/").await.unwrap().body, "here");
            assert_eq!(visitor.post("/echo", "word").await.unwrap().body, "word");
        }
        eventually("they rest", async || idle(&rig).await == 8).await;
    }
    // In parts, in which no head may be looked for from the beginning.
    for visitor in &mut visitors {
        for part in ["GET / HT", "TP/1.1\r\nHost: a\r\n", "\r", "\n"] {
            visitor.send(part.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(visitor.answer().await.unwrap().body, "here");
        visitor.send(b"GET  / HTTP/1.1\r\n").await.unwrap();
        assert_eq!(visitor.answer().await.unwrap().status, 400);
    }
    eventually("they are closed", async || {
        let stats = rig.client.stats().await.unwrap();
        (stats.connections, stats.idle_connections) == (0, 0)
    })
    .await;
    rig.stop().await;
}

/// The beginning of a request is in the proxy's memory when the one before it ends, and no byte of it in the kernel's.
#[tokio::test]
async fn a_request_that_begins_in_the_same_bytes_as_the_end_of_the_one_before_is_served() {
    let instance = Instance::start("here");
    let rig = start();
    rig.route(&[(STABLE, 10_000, &[instance.addr])]).await;
    let write = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nword";
    for before in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ] {
        for cut in [1, 20, write.len() - 8, write.len() - 4, write.len() - 1] {
            let mut visitor = Visitor::connect(rig.addr).await.unwrap();
            let (part, rest) = write.split_at(cut);
            visitor.send(format!("{before}{part}").as_bytes()).await.unwrap();
            assert_eq!(visitor.answer().await.unwrap().body, "here");
            // A connection that was opened later has come to rest: this one had the time for it.
            let mut other = Visitor::connect(rig.addr).await.unwrap();
            assert_eq!(other.get("/").await.unwrap().body, "here");
            eventually("the other one rests", async || idle(&rig).await == 1).await;
            visitor.send(rest.as_bytes()).await.unwrap();
            assert_eq!(
                visitor.answer().await.unwrap().body,
                "word",
                "{before:?} cut at {cut}"
            );
            drop((visitor, other));
            eventually("both are gone", async || {
                rig.client.stats().await.unwrap().connections == 0
            })
            .await;
        }
    }
    rig.stop().await;
}

/// hyper keeps the socket for the protocol that was asked for, also when nothing came of it.
#[tokio::test]
async fn a_connection_on_which_another_protocol_was_asked_for_in_vain_stays() {
    let instance = Instance::start("here");
    let rig = start();
    rig.route(&[(STABLE, 10_000, &[instance.addr])]).await;
    for ask in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        "Upgrade: h2c\r\n",
    ] {
        let mut visitor = Visitor::connect(rig.addr).await.unwrap();
        for _ in 0..3 {
            visitor
                .send(format!("GET / HTTP/1.1\r\nHost: a\r\n{ask}\r\n").as_bytes())
                .await
                .unwrap();
            assert_eq!(visitor.answer().await.unwrap().body, "here");
            let mut other = Visitor::connect(rig.addr).await.unwrap();
            assert_eq!(other.get("/").await.unwrap().body, "here");
            eventually("the other one rests", async || idle(&rig).await == 1).await;
            drop(other);
            eventually("it is gone", async || {
                rig.client.stats().await.unwrap().connections == 1
            })
            .await;
        }
        assert_eq!(visitor.get("/").await.unwrap().body, "here");
        drop(visitor);
        eventually("it is gone", async || {
            rig.client.stats().await.unwrap().connections == 0
        })
        .await;
    }
    rig.stop().await;
}

/// A pause that is about as long as it takes until a connection rests, so that they meet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_while_the_connection_is_laid_down_is_answered() {
    let instance = Instance::start("here");
    let rig = start();
    rig.route(&[(STABLE, 10_000, &[instance.addr])]).await;
    let mut visits = Vec::new();
    for number in 0..16_u64 {
        let addr = rig.addr;
        visits.push(tokio::spawn(async move {
            let mut visitor = Visitor::connect(addr).await.unwrap();
            for round in 0..200_u64 {
                let body = format!("{number}/{round}");
                assert_eq!(visitor.post("/echo", &body).await.unwrap().body, body);
                tokio::time::sleep(Duration::from_micros((number * 211 + round * 97) % 3_000)).await;
            }
        }));
    }
    for visit in visits {
        visit.await.unwrap();
    }
    assert_eq!(rig.revision(STABLE).await.answers, [(200, 3_200)]);
    rig.stop().await;
}

#[tokio::test]
async fn silence_ends_when_a_head_takes_too_long() {
    let instance = Instance::start("here");
    let rig = Rig::start_with(|options| {
        options.limits.rest_after = Duration::from_millis(1);
        options.limits.head_timeout = Duration::from_millis(300);
    });
    rig.route(&[(STABLE, 10_000, &[instance.addr])]).await;
    let mut rested = Visitor::connect(rig.addr).await.unwrap();
    assert_eq!(rested.get("/").await.unwrap().body, "here");
    let mut half = Visitor::connect(rig.addr).await.unwrap();
    half.send(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
    let silent = Visitor::connect(rig.addr).await.unwrap();
    eventually("all three are gone", async || {
        rig.client.stats().await.unwrap().connections == 0
    })
    .await;
    for mut visitor in [rested, half, silent] {
        assert!(visitor.answer().await.is_err());
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_stop_leaves_those_that_rest_and_serves_those_that_have_begun() {
    let instance = Instance::start("here");
    let rig = start();
    rig.route(&[(STABLE, 10_000, &[instance.addr])]).await;
    let mut rested = Visitor::connect(rig.addr).await.unwrap();
    assert_eq!(rested.get("/").await.unwrap().body, "here");
    let mut begun = Visitor::connect(rig.addr).await.unwrap();
    assert_eq!(begun.get("/").await.unwrap().body, "here");
    eventually("both rest", async || idle(&rig).await == 2).await;
    begun.send(b"GET / HTTP/1.1\r\nHost: a").await.unwrap();
    eventually("one has begun", async || idle(&rig).await == 1).await;
    let stop = tokio::spawn(rig.stop());
    assert!(rested.answer().await.is_err(), "it is closed");
    begun.send(b"\r\n\r\n").await.unwrap();
    let answer = begun.answer().await.unwrap();
    assert!(answer.body == "here" && answer.closes());
    stop.await.unwrap();
}
