//! Clients that speak HTTP/2, without TLS: the other kinds are told apart by their first bytes.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::instance::Instance;
use crate::rig::{Rig, STABLE, eventually};
use crate::visitor::{PATIENCE, Visitor, Wire};

type Answer = hyper::Result<(StatusCode, hyper::HeaderMap, String)>;

/// One connection with many requests.
#[derive(Clone)]
pub(crate) struct Caller {
    sender: SendRequest<Full<Bytes>>,
}

impl Caller {
    pub(crate) async fn over(stream: impl Wire + 'static) -> (Self, JoinHandle<hyper::Result<()>>) {
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        (Self { sender }, tokio::spawn(connection))
    }

    pub(crate) async fn connect(addr: SocketAddr) -> (Self, JoinHandle<hyper::Result<()>>) {
        Self::over(TcpStream::connect(addr).await.unwrap()).await
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Answer {
        let asked = async {
            let answer = self.sender.send_request(request).await?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok((
                head.status,
                head.headers,
                String::from_utf8(body.to_vec()).unwrap(),
            ))
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let request = Request::get(format!("http://a.test{path}"));
        self.send(request.body(Full::default()).unwrap()).await
    }
}

#[tokio::test]
async fn requests_of_both_versions_on_one_listener() {
    let old = Instance::start("old");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let (mut caller, _) = Caller::connect(rig.addr).await;
    let (status, fields, body) = caller.get("/").await.unwrap();
    assert_eq!((status.as_u16(), body.as_str()), (200, "old"));
    assert_eq!(fields["x-backend-version"], "1.0.0");
    let post = Request::post("http://a.test:81/echo")
        .body(Full::from("a body"))
        .unwrap();
    assert_eq!(caller.send(post).await.unwrap().2, "a body");
    let cookies = Request::get("http://a.test:81/fields")
        .header("cookie", "a=1")
        .header("cookie", "b=2");
    let (_, _, seen) = caller.send(cookies.body(Full::default()).unwrap()).await.unwrap();
    for field in [
        r#""host": "a.test:81""#,
        r#""cookie": "a=1; b=2""#,
        r#""x-forwarded-for": "127.0.0.1""#,
        r#""x-forwarded-proto": "http""#,
        r#""forwarded": "for=127.0.0.1;proto=http""#,
        r#""traceparent": "00-"#,
    ] {
        assert!(seen.contains(field), "{field} in {seen}");
    }
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    assert_eq!(visitor.get("/").await.unwrap().body, "old");
    rig.stop().await;
}

#[tokio::test]
async fn a_request_of_http_1_may_come_letter_by_letter() {
    let old = Instance::start("old");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    // It begins as the preface of HTTP/2 does.
    for letter in b"PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" {
        visitor.send(&[*letter]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(visitor.answer().await.unwrap().body, "hi");
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    visitor.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await.unwrap();
    let answer = visitor.rest(PATIENCE).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", answer.escape_ascii());
    assert_eq!(old.requests.load(std::sync::atomic::Ordering::SeqCst), 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_stop_lets_open_streams_finish_and_tells_the_client_to_go() {
    let old = Instance::start("old");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let (caller, connection) = Caller::connect(rig.addr).await;
    let (_idle, idle) = Caller::connect(rig.addr).await;
    let held: Vec<_> = (0..20)
        .map(|_| {
            let mut caller = caller.clone();
            tokio::spawn(async move { caller.get("/hold").await })
        })
        .collect();
    eventually("all are open", async || rig.in_flight(STABLE).await == 20).await;
    let stopping = tokio::spawn(rig.stop());
    // The idle one is told within its part of the window, while the other still waits.
    drop(tokio::time::timeout(PATIENCE, idle).await.unwrap());
    assert!(!connection.is_finished());
    old.release();
    for answer in held {
        let (status, fields, body) = answer.await.unwrap().unwrap();
        assert_eq!((status.as_u16(), body.as_str()), (200, "old"));
        assert!(!fields.contains_key("connection"));
    }
    drop(tokio::time::timeout(PATIENCE, connection).await.unwrap());
    stopping.await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_ends() {
    let old = Instance::start("old");
    let rig = Rig::start_with(|options| options.limits.head_timeout = Duration::from_millis(300));
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let (mut caller, connection) = Caller::connect(rig.addr).await;
    caller.get("/").await.unwrap();
    drop(tokio::time::timeout(PATIENCE, connection).await.unwrap());
    assert!(caller.get("/").await.is_err());
    rig.stop().await;
}

#[tokio::test]
async fn what_the_two_names_of_a_host_disagree_on_goes_nowhere() {
    let old = Instance::start("old");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let (mut caller, _) = Caller::connect(rig.addr).await;
    let request = |builder: hyper::http::request::Builder| builder.body(Full::default()).unwrap();
    for (refused, status) in [
        (
            request(Request::get("http://a.test/").header("host", "b.test")),
            400,
        ),
        (
            request(
                Request::get("http://a.test/")
                    .header("content-length", "0")
                    .header("content-length", "0"),
            ),
            400,
        ),
        (request(Request::get("http://u@a.test/")), 400),
        (
            request(Request::options("http://a.test/").header("max-forwards", "0")),
            204,
        ),
    ] {
        let shown = format!("{refused:?}");
        assert_eq!(caller.send(refused).await.unwrap().0.as_u16(), status, "{shown}");
    }
    assert_eq!(old.requests.load(std::sync::atomic::Ordering::SeqCst), 0);
    // A refused request is one stream's matter.
    assert_eq!(caller.get("/").await.unwrap().2, "old");
    rig.stop().await;
}
