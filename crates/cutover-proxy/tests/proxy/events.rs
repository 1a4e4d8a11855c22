//! Answers that come piece by piece: events, and the trailers at the end.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::rig::{Rig, STABLE};
use crate::visitor::{PATIENCE, Visitor};

/// Answers one request with this head, then with what it is told, piece by piece.
async fn teller(head: &'static str) -> (SocketAddr, mpsc::UnboundedSender<String>, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (tell, mut told) = mpsc::unbounded_channel::<String>();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut asked).await.unwrap();
        }
        stream.write_all(head.as_bytes()).await.unwrap();
        while let Some(piece) = told.recv().await {
            stream.write_all(piece.as_bytes()).await.unwrap();
        }
        String::from_utf8(asked).unwrap()
    });
    (addr, tell, task)
}

const EVENTS: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Each event must arrive before the next is sent.
async fn events_arrive(http2: bool) {
    let (addr, tell, _task) = teller(EVENTS).await;
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[addr])]).await;
    let stream = TokioIo::new(TcpStream::connect(rig.addr).await.unwrap());
    let request = Request::get("http://a.test/events").header("host", "a.test");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let answer = if http2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        timeout(PATIENCE, sender.send_request(request))
            .await
            .unwrap()
            .unwrap()
    } else {
        let (mut sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        timeout(PATIENCE, sender.send_request(request))
            .await
            .unwrap()
            .unwrap()
    };
    let mut body = answer.into_body();
    for n in 0..20 {
        let event = format!("data: {n}\n\n");
        tell.send(format!("{:x}\r\n{event}\r\n", event.len())).unwrap();
        let frame = timeout(PATIENCE, body.frame()).await.unwrap().unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), event);
    }
    tell.send("0\r\n\r\n".to_owned()).unwrap();
    let rest = timeout(PATIENCE, body.collect()).await.unwrap().unwrap();
    assert!(rest.to_bytes().is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn each_event_arrives_before_the_next_is_sent() {
    events_arrive(false).await;
}

#[tokio::test]
async fn each_event_arrives_before_the_next_is_sent_over_http_2() {
    events_arrive(true).await;
}

#[tokio::test]
async fn trailers_pass_over_http_1_to_who_asks_for_them() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n";
    let (addr, tell, task) = teller(head).await;
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    let ask = b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE, close\r\n\r\n";
    visitor.send(ask).await.unwrap();
    tell.send("2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n".to_owned()).unwrap();
    drop(tell);
    let answer = String::from_utf8(visitor.rest(PATIENCE).await.unwrap()).unwrap();
    assert!(answer.ends_with("2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n"), "{answer}");
    let asked = task.await.unwrap().to_lowercase();
    assert!(
        asked.contains("\r\nte: trailers\r\n") && asked.contains("\r\nconnection: te\r\n"),
        "{asked}"
    );
    rig.stop().await;
}
