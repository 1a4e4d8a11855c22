//! A connection that changes its protocol.

use std::net::SocketAddr;

use cutover_model::routing::Drain;
use cutover_model::{RoutePolicy, Span};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};
use tokio_util::sync::CancellationToken;

use crate::instance::Instance;
use crate::rig::{CANDIDATE, Rig, STABLE, eventually};
use crate::visitor::{PATIENCE, Visitor};

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

/// What is said in a protocol that nobody knows here could not be looked at: one is asked for, and one is taken.
#[tokio::test]
async fn no_other_protocol_than_the_one_that_is_known_is_changed_to() {
    let ask = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n\
               Upgrade: WebSocket, h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";
    let rig = Rig::start();
    for (protocol, status) in [
        ("websocket", 101),
        ("WebSocket", 101),
        ("h2c", 502),
        ("websocket, h2c", 502),
    ] {
        let (addr, asked) = switching(protocol).await;
        rig.route(&[(STABLE, 10_000, &[addr])]).await;
        let mut visitor = Visitor::connect(rig.addr).await.unwrap();
        visitor.send(ask.as_bytes()).await.unwrap();
        let answer = visitor.answer().await.unwrap();
        assert_eq!(answer.status, status, "{protocol:?}");
        assert_eq!(answer.field("upgrade"), (status == 101).then_some("websocket"));
        let asked = asked.await.unwrap();
        assert!(
            asked.contains("upgrade: websocket\r\n") && !asked.contains("h2"),
            "{asked}"
        );
    }
    rig.stop().await;
}

/// Says to one client that it speaks this from here on; what it was asked, in small letters.
async fn switching(protocol: &'static str) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let answer =
            format!("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: {protocol}\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap().to_ascii_lowercase()
    });
    (addr, asked)
}

/// A server of WebSockets: says its name, then sends back what it gets; told to leave, it says so to everybody.
struct Echoes {
    addr: SocketAddr,
    leave: CancellationToken,
}

impl Echoes {
    async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let leave = CancellationToken::new();
        let left = leave.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(stream, name, left.clone()));
            }
        });
        Self { addr, leave }
    }
}

async fn echo(stream: TcpStream, name: &'static str, left: CancellationToken) {
    let mut socket = accept_async(stream).await.unwrap();
    socket.send(Message::text(name)).await.unwrap();
    loop {
        tokio::select! {
            said = socket.next() => match said {
                Some(Ok(said)) if said.is_text() || said.is_binary() => socket.send(said).await.unwrap(),
                Some(Ok(_)) => {}
                // Closed by the client, and answered.
                _ => return,
            },
            () = left.cancelled() => {
                let frame = CloseFrame { code: CloseCode::Away, reason: "bye".into() };
                socket.close(Some(frame)).await.unwrap();
                while let Some(Ok(_)) = socket.next().await {}
                return;
            }
        }
    }
}

type Socket = WebSocketStream<TcpStream>;

async fn connect(addr: SocketAddr) -> Socket {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (socket, answer) = client_async("ws://a.test/ws", stream).await.unwrap();
    assert_eq!(answer.status(), 101);
    socket
}

async fn next(socket: &mut Socket) -> Message {
    timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn a_websocket_client_is_served_across_a_switch_and_hears_why_it_ends() {
    let (old, new) = (Echoes::start("old").await, Echoes::start("new").await);
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let mut first = connect(rig.addr).await;
    assert_eq!(next(&mut first).await, Message::text("old"));
    let large = Message::binary(Bytes::from(vec![7; 300 * 1024]));
    for said in [Message::text("ä"), large, Message::text("")] {
        first.send(said.clone()).await.unwrap();
        assert_eq!(next(&mut first).await, said);
    }
    first
        .send(Message::Ping(Bytes::from_static(b"there?")))
        .await
        .unwrap();
    assert_eq!(
        next(&mut first).await,
        Message::Pong(Bytes::from_static(b"there?"))
    );

    rig.route(&[(CANDIDATE, 10_000, &[new.addr])]).await;
    first.send(Message::text("still")).await.unwrap();
    assert_eq!(next(&mut first).await, Message::text("still"));
    assert_eq!(rig.in_flight(STABLE).await, 1, "it is waited for");
    let mut second = connect(rig.addr).await;
    assert_eq!(next(&mut second).await, Message::text("new"));

    old.leave.cancel();
    let Message::Close(Some(why)) = next(&mut first).await else {
        panic!("it is closed in order");
    };
    assert_eq!((why.code, why.reason.as_str()), (CloseCode::Away, "bye"));
    assert!(
        timeout(PATIENCE, first.next()).await.unwrap().is_none(),
        "the end, not an error"
    );
    eventually("the old one is done", async || rig.in_flight(STABLE).await == 0).await;
    second.close(None).await.unwrap();
    while let Some(said) = timeout(PATIENCE, second.next()).await.unwrap() {
        assert!(said.unwrap().is_close());
    }
    eventually("the client has closed it", async || {
        rig.in_flight(CANDIDATE).await == 0
    })
    .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_websocket_is_cut_when_its_instance_has_left_for_long_enough() {
    let (old, new) = (Echoes::start("old").await, Echoes::start("new").await);
    let rig = Rig::start();
    let policy = || RoutePolicy {
        drain: Drain {
            web_sockets: Some(Span::from_millis(50)),
            ..Drain::default()
        },
        ..RoutePolicy::default()
    };
    rig.route_by(policy(), &[(STABLE, 10_000, &[old.addr])]).await;
    let mut first = connect(rig.addr).await;
    assert_eq!(next(&mut first).await, Message::text("old"));
    rig.route_by(policy(), &[(CANDIDATE, 10_000, &[new.addr])]).await;
    let end = timeout(PATIENCE, first.next()).await.unwrap();
    assert!(end.is_none_or(|said| said.is_err()), "nobody said why");
    eventually("nothing is open", async || rig.in_flight(STABLE).await == 0).await;
    let mut second = connect(rig.addr).await;
    assert_eq!(next(&mut second).await, Message::text("new"));
    rig.stop().await;
}
