//! An `EventSource` as browsers have it (WHATWG HTML §9.2): it reads events, and when its connection ends it comes back
//! and says how far it got.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use cutover_model::routing::Drain;
use cutover_model::{RoutePolicy, Span};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::rig::{CANDIDATE, Rig, STABLE, eventually};
use crate::visitor::PATIENCE;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    /// `message` if the server names none.
    kind: String,
    data: String,
    last_id: String,
}

/// What an event stream means (§9.2.6), however its bytes are cut.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    after_return: bool,
    kind: String,
    data: String,
    id: String,
    last_id: String,
    retry: Option<Duration>,
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in bytes {
            let after_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\r' | b'\n' => {
                    let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                    events.extend(self.read_line(&line));
                }
                _ => self.line.push(*byte),
            }
        }
        events
    }

    fn read_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            return self.dispatch();
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => self.kind = value.to_owned(),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => self.id = value.to_owned(),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis);
            }
            // A comment has no name, and names that nobody knows mean nothing.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        self.last_id.clone_from(&self.id);
        let (mut kind, mut data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
        data.pop()?;
        if kind.is_empty() {
            kind.push_str("message");
        }
        Some(Event {
            kind,
            data,
            last_id: self.last_id.clone(),
        })
    }

    /// The connection has ended: half an event is none.
    fn restart(&mut self) {
        *self = Self {
            id: self.last_id.clone(),
            last_id: std::mem::take(&mut self.last_id),
            retry: self.retry,
            ..Self::default()
        };
    }
}

/// Reads the events of one address, for ever.
struct EventSource {
    addr: SocketAddr,
    body: Option<Incoming>,
    parser: Parser,
    ready: VecDeque<Event>,
    /// How often it has connected.
    connected: usize,
}

impl EventSource {
    fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            body: None,
            parser: Parser::default(),
            ready: VecDeque::new(),
            connected: 0,
        }
    }

    async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.read()).await.unwrap()
    }

    async fn read(&mut self) -> Event {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            let Some(body) = &mut self.body else {
                self.connect().await;
                continue;
            };
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.ready.extend(self.parser.feed(data));
                    }
                }
                Some(Err(_)) | None => {
                    self.body = None;
                    self.parser.restart();
                    sleep(self.parser.retry.unwrap_or(Duration::from_secs(3))).await;
                }
            }
        }
    }

    async fn connect(&mut self) {
        let stream = TcpStream::connect(self.addr).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::get("/events")
            .header("host", "a.test")
            .header("accept", "text/event-stream")
            .header("cache-control", "no-store");
        if !self.parser.last_id.is_empty() {
            request = request.header("last-event-id", &self.parser.last_id);
        }
        let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap());
        let answer = answer.await.unwrap();
        // Anything else would be the end of it: a browser does not come back then.
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        self.connected += 1;
        self.body = Some(answer.into_body());
    }
}

#[test]
fn the_examples_of_the_standard() {
    let read = |text: &str| {
        let whole = Parser::default().feed(text.as_bytes());
        let mut parser = Parser::default();
        let parts: Vec<_> = text.bytes().flat_map(|byte| parser.feed(&[byte])).collect();
        assert_eq!(whole, parts, "{text:?}");
        whole
            .into_iter()
            .map(|event| (event.kind, event.data, event.last_id))
            .collect::<Vec<_>>()
    };
    let event = |kind: &str, data: &str, id: &str| (kind.to_owned(), data.to_owned(), id.to_owned());
    assert_eq!(
        read("data: YHOO\ndata: +2\ndata: 10\n\n"),
        [event("message", "YHOO\n+2\n10", "")]
    );
    assert_eq!(
        read(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"),
        [
            event("message", "first event", "1"),
            event("message", "second event", ""),
            event("message", " third event", "")
        ]
    );
    assert_eq!(
        read("data\r\n\r\ndata\rdata\r\rdata:"),
        [event("message", "", ""), event("message", "\n", "")],
        "what is not ended is not there"
    );
    assert_eq!(read("event: add\ndata:1\n\n"), [event("add", "1", "")]);
}

/// An instance that tells what has happened so far, each event once, from the one on after that which a client has.
struct Feed {
    addr: SocketAddr,
    /// Set to end what is open, in the middle of an event.
    leave: CancellationToken,
}

impl Feed {
    async fn start(name: &'static str, happened: &watch::Sender<u64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let leave = CancellationToken::new();
        let left = leave.clone();
        let happened = happened.subscribe();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tell(stream, name, happened.clone(), left.clone()));
            }
        });
        Self { addr, leave }
    }
}

async fn tell(
    mut stream: TcpStream,
    name: &'static str,
    mut happened: watch::Receiver<u64>,
    left: CancellationToken,
) {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut asked).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let asked = String::from_utf8(asked).unwrap();
    let mut fields = asked.lines().filter_map(|line| line.split_once(": "));
    let known = fields.find(|(name, _)| name.eq_ignore_ascii_case("last-event-id"));
    let mut next = known.map_or(0, |(_, value)| value.parse().unwrap()) + 1;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    chunk(&mut stream, "retry: 1\n\n").await;
    loop {
        let last = *happened.borrow_and_update();
        while next <= last {
            chunk(
                &mut stream,
                &format!("id: {next}\nevent: {name}\ndata: {next}\n\n"),
            )
            .await;
            next += 1;
        }
        tokio::select! {
            biased;
            () = left.cancelled() => {
                chunk(&mut stream, &format!("id: {next}\nevent: {name}\ndata: {next}")).await;
                return;
            }
            changed = happened.changed() => if changed.is_err() { return },
        }
    }
}

async fn chunk(stream: &mut TcpStream, text: &str) {
    let text = format!("{:x}\r\n{text}\r\n", text.len());
    // Nobody may listen any more.
    drop(stream.write_all(text.as_bytes()).await);
}

#[tokio::test]
async fn a_browser_s_event_source_gets_each_event_once_across_a_switch() {
    let happened = watch::Sender::new(0);
    let (old, new) = (
        Feed::start("old", &happened).await,
        Feed::start("new", &happened).await,
    );
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let mut source = EventSource::new(rig.addr);
    let expect = async |source: &mut EventSource, kind: &str, from: u64, to: u64| {
        happened.send_replace(to);
        for number in from..=to {
            let expected = Event {
                kind: kind.to_owned(),
                data: number.to_string(),
                last_id: number.to_string(),
            };
            assert_eq!(source.next().await, expected);
        }
    };
    expect(&mut source, "old", 1, 5).await;
    rig.route(&[(CANDIDATE, 10_000, &[new.addr])]).await;
    // What is open stays where it is, and is still told what happens.
    expect(&mut source, "old", 6, 8).await;
    assert_eq!((source.connected, rig.in_flight(STABLE).await), (1, 1));
    old.leave.cancel();
    expect(&mut source, "new", 9, 12).await;
    assert_eq!((source.connected, rig.in_flight(CANDIDATE).await), (2, 1));
    eventually("the old one is done", async || rig.in_flight(STABLE).await == 0).await;
    new.leave.cancel();
    drop(source);
    rig.stop().await;
}

#[tokio::test]
async fn an_event_stream_ends_in_order_when_its_instance_has_left_for_long_enough() {
    let happened = watch::Sender::new(2);
    let (old, new) = (
        Feed::start("old", &happened).await,
        Feed::start("new", &happened).await,
    );
    let rig = Rig::start();
    let policy = || RoutePolicy {
        drain: Drain {
            event_streams: Some(Span::from_millis(50)),
            ..Drain::default()
        },
        ..RoutePolicy::default()
    };
    rig.route_by(policy(), &[(STABLE, 10_000, &[old.addr])]).await;
    let mut source = EventSource::new(rig.addr);
    for number in ["1", "2"] {
        assert_eq!(source.next().await.data, number);
    }
    rig.route_by(policy(), &[(CANDIDATE, 10_000, &[new.addr])]).await;
    eventually("it is ended", async || rig.in_flight(STABLE).await == 0).await;
    let cut = rig.revision(STABLE).await.cut_answers;
    assert_eq!(cut, 0, "an end in order");
    happened.send_replace(3);
    let event = source.next().await;
    assert_eq!((event.kind.as_str(), event.data.as_str()), ("new", "3"));
    assert_eq!(source.connected, 2);
    old.leave.cancel();
    new.leave.cancel();
    drop(source);
    rig.stop().await;
}
