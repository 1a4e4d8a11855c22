//! Answers that come before the request's body has: what becomes of the rest of it, and of the connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::http2::Caller;
use crate::rig::{Rig, STABLE, eventually, policy};
use crate::visitor::Visitor;

/// What an instance does with a body of which it has read nothing when it answers.
#[derive(Clone, Copy)]
enum Then {
    Reads,
    HangsUp,
}

/// Answers as soon as it has a head, and counts the bytes of bodies that it reads afterwards.
async fn answering_early(answer: &'static str, then: Then) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let read = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&read);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answer, then, Arc::clone(&count)));
        }
    });
    (addr, read)
}

async fn serve(mut stream: TcpStream, answer: &'static str, then: Then, count: Arc<AtomicU64>) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else {
                return;
            };
            head.push(byte);
        }
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if matches!(then, Then::HangsUp) {
            return;
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.split("content-length: ").nth(1);
        let length = length.map_or(0, |rest| rest.split('\r').next().unwrap().parse().unwrap());
        let mut body = (&mut stream).take(length);
        let mut part = [0; 4096];
        while let Ok(read @ 1..) = body.read(&mut part).await {
            count.fetch_add(read as u64, SeqCst);
        }
    }
}

const DENIED: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno";
const SIZE: usize = 200_000;

fn head(length: usize) -> String {
    format!("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

#[tokio::test]
async fn the_rest_of_the_body_goes_on_and_the_connection_serves_the_next_request() {
    let rig = Rig::start();
    for answer in [DENIED, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"] {
        let (addr, read) = answering_early(answer, Then::Reads).await;
        rig.route(&[(STABLE, 10_000, &[addr])]).await;
        let mut visitor = Visitor::connect(rig.addr).await.unwrap();
        let body = "x".repeat(SIZE);
        visitor.send(head(SIZE).as_bytes()).await.unwrap();
        visitor.send(&body.as_bytes()[..1_000]).await.unwrap();
        let early = visitor.answer().await.unwrap();
        assert!(
            answer.contains(&early.status.to_string()) && !early.closes(),
            "{}",
            early.head
        );
        assert_eq!(rig.in_flight(STABLE).await, 1, "it is still worked on");
        visitor.send(&body.as_bytes()[1_000..]).await.unwrap();
        // Twice, so that the second answer is not one to bytes of the body.
        for _ in 0..2 {
            let next = visitor.get("/next").await.unwrap();
            assert_eq!((next.status, next.closes()), (early.status, false));
        }
        assert_eq!(read.load(SeqCst), SIZE as u64);
        eventually("nothing is open", async || rig.in_flight(STABLE).await == 0).await;
    }
    let stats = rig.revision(STABLE).await;
    assert_eq!((stats.assigned, stats.cut_answers, stats.cut_writes), (6, 0, 0));
    assert_eq!(stats.answers, [(202, 3), (401, 3)]);
    rig.stop().await;
}

#[tokio::test]
async fn the_rest_of_a_body_of_http2_goes_on_too() {
    let rig = Rig::start();
    let (addr, read) = answering_early(DENIED, Then::Reads).await;
    rig.route(&[(STABLE, 10_000, &[addr])]).await;
    let (mut caller, _) = Caller::connect(rig.addr).await;
    for round in 1..=2 {
        let body = Full::new(Bytes::from(vec![b'x'; SIZE]));
        let request = Request::post("http://a.test/upload").body(body).unwrap();
        assert_eq!(caller.send(request).await.unwrap().0, 401);
        eventually("all of it is there", async || {
            read.load(SeqCst) == round * SIZE as u64
        })
        .await;
    }
    rig.stop().await;
}

/// Sends all of it before it looks at the answer, as simple clients do.
async fn sends_all(rig: &Rig, head: &str, size: usize) -> (u16, bool) {
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    visitor.send(head.as_bytes()).await.unwrap();
    let part = vec![b'x'; 64 * 1024];
    for _ in 0..size / part.len() {
        visitor.send(&part).await.expect("the client may send on");
    }
    let answer = visitor.answer().await.expect("its answer is there");
    assert!(
        visitor.rest(Duration::from_secs(10)).await.is_ok(),
        "it is closed"
    );
    (answer.status, answer.closes())
}

#[tokio::test]
async fn an_answer_reaches_a_client_that_is_sending_though_nobody_reads_it() {
    const MUCH: usize = 8 * 1024 * 1024;
    let rig = Rig::start();
    let closes = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
    let (addr, _) = answering_early(closes, Then::HangsUp).await;
    rig.route(&[(STABLE, 10_000, &[addr])]).await;
    assert_eq!(sends_all(&rig, &head(MUCH), MUCH).await, (413, true));
    let (addr, _) = answering_early(DENIED, Then::HangsUp).await;
    rig.route(&[(STABLE, 10_000, &[addr])]).await;
    assert_eq!(sends_all(&rig, &head(MUCH), MUCH).await.0, 401);
    // The proxy's own, and the parser's.
    for fields in ["Host: a b\r\n", "Host: a\r\nX(: 1\r\n"] {
        let head = format!("POST / HTTP/1.1\r\n{fields}Content-Length: {MUCH}\r\n\r\n");
        assert_eq!(sends_all(&rig, &head, MUCH).await, (400, true), "{fields:?}");
    }
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(sends_all(&rig, chunked, MUCH).await, (400, true), "no chunks");
    rig.route(&[(STABLE, 0, &[])]).await;
    assert_eq!(sends_all(&rig, &head(MUCH), MUCH).await, (503, true));
    eventually("nobody is left", async || {
        rig.client.stats().await.unwrap().connections == 0
    })
    .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_is_not_waited_for_for_ever() {
    let rig = Rig::start();
    let (addr, read) = answering_early(DENIED, Then::Reads).await;
    rig.route_by(
        policy(r#"{"timeouts":{"idle":"200ms"}}"#),
        &[(STABLE, 10_000, &[addr])],
    )
    .await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    visitor.send(head(SIZE).as_bytes()).await.unwrap();
    visitor.send(&[b'x'; 1_000]).await.unwrap();
    assert_eq!(visitor.answer().await.unwrap().status, 401);
    assert_eq!(
        visitor.rest(Duration::from_secs(10)).await,
        Ok(Vec::new()),
        "it is closed"
    );
    assert_eq!(read.load(SeqCst), 1_000);
    eventually("nothing is open", async || rig.in_flight(STABLE).await == 0).await;
    assert_eq!(rig.revision(STABLE).await.answers, [(401, 1)]);
    rig.stop().await;
}

#[tokio::test]
async fn an_upload_that_its_client_gives_up_after_the_answer_hurts_nobody() {
    let rig = Rig::start();
    let (addr, _) = answering_early(DENIED, Then::Reads).await;
    rig.route(&[(STABLE, 10_000, &[addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    visitor.send(head(SIZE).as_bytes()).await.unwrap();
    assert_eq!(visitor.answer().await.unwrap().status, 401);
    drop(visitor);
    eventually("nothing is open", async || rig.in_flight(STABLE).await == 0).await;
    let stats = rig.revision(STABLE).await;
    assert_eq!((stats.first_attempt_failures, stats.cut_answers), (0, 0));
    rig.stop().await;
}
