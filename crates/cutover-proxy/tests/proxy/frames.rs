//! HTTP/2 frames written by hand: bad ones, and too many.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http2::Caller;
use crate::instance::Instance;
use crate::rig::{Rig, STABLE, eventually, resident_kib};
use crate::visitor::PATIENCE;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Literal fields, never indexed, without Huffman's code.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0x10);
        for text in [name, value] {
            bytes.push(u8::try_from(text.len()).unwrap());
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "a.test"),
];

fn headers(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(fields))
}

struct Peer {
    stream: TcpStream,
}

/// What the proxy said to something.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Reset(u32),
    Goaway(u32),
    /// The status, as the first byte of its field tells: an entry of the static table.
    Answer(u8),
    Closed,
}

impl Peer {
    async fn connect(addr: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        Self { stream }
    }

    async fn send(&mut self, bytes: &[u8]) {
        // The proxy may have hung up: what it said before is looked at.
        drop(self.stream.write_all(bytes).await);
    }

    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some((head[3], payload))
    }

    async fn said(&mut self) -> Said {
        let code = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
        let listen = async {
            loop {
                match self.next().await {
                    None => return Said::Closed,
                    Some((RST_STREAM, payload)) => return Said::Reset(code(&payload)),
                    Some((GOAWAY, payload)) => return Said::Goaway(code(&payload[4..8])),
                    Some((HEADERS, payload)) => return Said::Answer(payload[0]),
                    Some(_) => {}
                }
            }
        };
        timeout(PATIENCE, listen).await.unwrap()
    }
}

/// `:status 200`, `400` in the static table of HPACK.
const OK: Said = Said::Answer(0x88);
const BAD_REQUEST: Said = Said::Answer(0x8c);
const PROTOCOL_ERROR: u32 = 1;

async fn rig() -> (Rig, Instance) {
    let old = Instance::start("old");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    (rig, old)
}

#[tokio::test]
async fn malformed_requests_are_one_stream_s_matter_and_go_nowhere() {
    let (rig, old) = rig().await;
    let with = |more: &[(&'static str, &'static str)]| [&GET[..], more].concat();
    let without = |name: &str| {
        GET.into_iter()
            .filter(|(found, _)| *found != name)
            .collect::<Vec<_>>()
    };
    let replaced = |name: &'static str, value: &'static str| [without(name), vec![(name, value)]].concat();
    let late = [&[("x", "y")][..], &GET[..]].concat();
    for fields in [
        without(":method"),
        without(":scheme"),
        without(":path"),
        with(&[(":method", "GET")]),
        with(&[(":path", "/other")]),
        with(&[(":status", "200")]),
        with(&[(":unheard", "of")]),
        with(&[("X-Upper", "a")]),
        with(&[("connection", "close")]),
        with(&[("keep-alive", "1")]),
        with(&[("proxy-connection", "close")]),
        with(&[("transfer-encoding", "chunked")]),
        with(&[("upgrade", "websocket")]),
        with(&[("te", "gzip")]),
        with(&[("content-length", "5")]),
        with(&[("content-length", "x")]),
        with(&[("x", "a\r\nb: c")]),
        with(&[("x", "a\0b")]),
        with(&[("x y", "a")]),
        with(&[("x", " a")]),
        with(&[("host", "b.test")]),
        without(":authority"),
        replaced(":path", ""),
        replaced(":path", "*"),
        replaced(":path", "a"),
        replaced(":path", "http://b.test/"),
        replaced(":scheme", "ftp"),
        replaced(":authority", "u@a.test"),
        replaced(":authority", "a.test,b.test"),
        replaced(":method", "CONNECT"),
        late,
    ] {
        let mut peer = Peer::connect(rig.addr).await;
        peer.send(&headers(1, &fields)).await;
        let said = peer.said().await;
        let is_no = match &said {
            Said::Reset(_) | Said::Goaway(_) | Said::Closed => true,
            Said::Answer(_) => *said_status(&said) != 0x88,
        };
        assert!(is_no, "{fields:?}: {said:?}");
        assert_eq!(old.requests.load(SeqCst), 0, "{fields:?} was forwarded");
        if matches!(said, Said::Reset(_) | Said::Answer(_)) {
            peer.send(&headers(3, &GET)).await;
            let mut said = peer.said().await;
            // An answer to a malformed one may be followed by its reset.
            if matches!(said, Said::Reset(_)) {
                said = peer.said().await;
            }
            assert_eq!(said, OK, "the next request after {fields:?}");
            old.requests.store(0, SeqCst);
        }
    }
    rig.stop().await;
}

fn said_status(said: &Said) -> &u8 {
    match said {
        Said::Answer(status) => status,
        _ => &0,
    }
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_it_claims_is_no_body() {
    let (rig, old) = rig().await;
    let post = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "a.test"),
        ("content-length", "5"),
    ];
    for body in [&b"1234"[..], b"123456"] {
        let mut peer = Peer::connect(rig.addr).await;
        peer.send(&frame(HEADERS, END_HEADERS, 1, &block(&post))).await;
        peer.send(&frame(DATA, END_STREAM, 1, body)).await;
        let said = peer.said().await;
        assert!(
            said == Said::Reset(PROTOCOL_ERROR) || said == BAD_REQUEST,
            "{said:?}"
        );
    }
    assert_eq!(old.writes.load(SeqCst), 0);
    rig.stop().await;
}

#[tokio::test]
async fn bad_framing_ends_the_connection_and_nobody_else_s() {
    let (rig, old) = rig().await;
    let (mut other, _) = Caller::connect(rig.addr).await;
    other.get("/").await.unwrap();
    old.requests.store(0, SeqCst);
    let request = block(&GET);
    let half = headers(1, &GET)[..12].to_vec();
    for (what, bytes) in [
        ("data on no stream", frame(DATA, END_STREAM, 0, b"x")),
        ("data on a stream that is idle", frame(DATA, END_STREAM, 1, b"x")),
        (
            "a request on stream 0",
            frame(HEADERS, END_STREAM | END_HEADERS, 0, &request),
        ),
        (
            "a request on the server's stream",
            frame(HEADERS, END_STREAM | END_HEADERS, 2, &request),
        ),
        ("settings on a stream", frame(SETTINGS, 0, 1, &[])),
        ("settings of no length", frame(SETTINGS, 0, 0, &[0; 5])),
        ("an acknowledgement with content", frame(SETTINGS, 1, 0, &[0; 6])),
        ("a window of 2^31", frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0])),
        ("a frame size of 1", frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1])),
        ("a ping of seven bytes", frame(PING, 0, 0, &[0; 7])),
        ("a ping on a stream", frame(PING, 0, 1, &[0; 8])),
        ("a window update of nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        (
            "a window update of three bytes",
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
        ),
        (
            "a window beyond all bounds",
            [
                frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()),
                frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()),
            ]
            .concat(),
        ),
        ("a reset of an idle stream", frame(RST_STREAM, 0, 1, &[0; 4])),
        (
            "a promise from a client",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]),
        ),
        (
            "a continuation of nothing",
            frame(CONTINUATION, END_HEADERS, 1, &request),
        ),
        (
            "something amid a head",
            [
                frame(HEADERS, END_STREAM, 1, &request[..5]),
                frame(PING, 0, 0, &[0; 8]),
            ]
            .concat(),
        ),
        ("a frame that is too long", frame(DATA, 0, 1, &vec![0; 16_385])),
        (
            "padding beyond the frame",
            frame(HEADERS, END_STREAM | END_HEADERS | 8, 1, &[0xff, 0x82]),
        ),
        (
            "a head that is no HPACK",
            frame(
                HEADERS,
                END_STREAM | END_HEADERS,
                1,
                &[0xff, 0xff, 0xff, 0xff, 0xff],
            ),
        ),
        (
            "an index that is not there",
            frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0xfe]),
        ),
    ] {
        let mut peer = Peer::connect(rig.addr).await;
        peer.send(&bytes).await;
        let said = peer.said().await;
        assert!(
            matches!(said, Said::Goaway(1..) | Said::Closed | Said::Reset(1..)),
            "{what}: {said:?}"
        );
        assert_eq!(old.requests.load(SeqCst), 0, "{what}");
    }
    let mut peer = Peer::connect(rig.addr).await;
    peer.send(&half).await;
    drop(peer);
    assert_eq!(other.get("/").await.unwrap().2, "old");
    rig.stop().await;
}

/// Sends until the proxy hangs up or the flood is over; reads nothing.
async fn flood(addr: SocketAddr, first: &[u8], mut next: impl FnMut(u32) -> Vec<u8>) -> Peer {
    let mut peer = Peer::connect(addr).await;
    peer.send(first).await;
    for index in 0..200 {
        let batch: Vec<u8> = (0..100).flat_map(|n| next(index * 100 + n)).collect();
        let sent = timeout(Duration::from_millis(500), peer.stream.write_all(&batch)).await;
        // It has hung up, or takes no more while it is not read from: both bound what it costs.
        if !matches!(sent, Ok(Ok(()))) {
            break;
        }
    }
    peer
}

#[tokio::test]
async fn floods_are_survived_in_bounded_memory() {
    let (rig, old) = rig().await;
    let (mut other, _) = Caller::connect(rig.addr).await;
    other.get("/").await.unwrap();
    let before = resident_kib();
    let reset = |n: u32| {
        [
            headers(2 * n + 1, &GET),
            frame(RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes()),
        ]
        .concat()
    };
    let mut peers = vec![flood(rig.addr, &[], reset).await];
    let endless = frame(HEADERS, END_STREAM, 1, &block(&GET));
    let more = block(&[("x", &"y".repeat(100))]).repeat(20);
    peers.push(flood(rig.addr, &endless, |_| frame(CONTINUATION, 0, 1, &more)).await);
    peers.push(flood(rig.addr, &endless, |_| frame(CONTINUATION, 0, 1, &[])).await);
    peers.push(
        flood(rig.addr, &[], |_| {
            frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff])
        })
        .await,
    );
    peers.push(flood(rig.addr, &[], |_| frame(PING, 0, 0, &[7; 8])).await);
    peers.push(flood(rig.addr, &[], |n| headers(2 * n + 1, &GET)).await);
    let malformed = [&GET[..], &[("te", "gzip")]].concat();
    peers.push(flood(rig.addr, &[], |n| headers(2 * n + 1, &malformed)).await);
    assert_eq!(other.get("/").await.unwrap().2, "old");
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 48 * 1024, "{grown} KiB");
    // Resets are not passed on one by one.
    let reached = old.requests.load(SeqCst);
    assert!(
        reached < 10_000,
        "{reached} of 40,000 requests reached the instance"
    );
    drop(peers);
    eventually("nothing is left open", async || rig.in_flight(STABLE).await == 0).await;
    assert_eq!(other.get("/").await.unwrap().2, "old");
    rig.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_back_every_request_is_let_go() {
    let (rig, _old) = rig().await;
    let hold = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/hold"),
        (":authority", "a.test"),
    ];
    let mut peer = Peer::connect(rig.addr).await;
    let mut asked = 0;
    // Slowly enough that each is looked at before it is taken back.
    while asked < 1_000 {
        let stream = 2 * asked + 1;
        peer.send(&headers(stream, &hold)).await;
        asked += 1;
        let open = async || rig.in_flight(STABLE).await == 1;
        let gone = async || rig.client.stats().await.unwrap().connections == 0;
        eventually("it is open, or the connection has ended", async || {
            open().await || gone().await
        })
        .await;
        if gone().await {
            break;
        }
        peer.send(&frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()))
            .await;
        eventually("it is gone", async || rig.in_flight(STABLE).await == 0).await;
        if gone().await {
            break;
        }
    }
    assert!(asked < 300, "after {asked} requests");
    rig.stop().await;
}
