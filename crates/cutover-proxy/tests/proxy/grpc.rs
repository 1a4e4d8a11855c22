//! gRPC through the proxy: a real client and a real server, and what counts as a failure of the server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use bytes::{Buf, BufMut};
use cutover_model::RoutePolicy;
use cutover_model::routing::UpstreamProtocol;
use hyper::body::Incoming;
use hyper::http::uri::PathAndQuery;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinHandle;
use tokio_stream::{Stream, StreamExt};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, ServerStreamingService, UnaryService};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use crate::rig::{CANDIDATE, Rig, STABLE};
use crate::visitor::Visitor;

/// Messages are bytes as they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = src.remaining();
        Ok(Some(src.copy_to_bytes(length).to_vec()))
    }
}

/// Answers with what it is asked; a message `status N` is answered with that status.
struct Echo;

type Ready<T> = std::future::Ready<Result<Response<T>, Status>>;

impl UnaryService<Vec<u8>> for Echo {
    type Response = Vec<u8>;
    type Future = Ready<Vec<u8>>;

    fn call(&mut self, request: Request<Vec<u8>>) -> Self::Future {
        let text = String::from_utf8(request.into_inner()).unwrap();
        std::future::ready(match text.strip_prefix("status ") {
            Some(code) => Err(Status::new(Code::from(code.parse::<i32>().unwrap()), "as asked")),
            None => Ok(Response::new(text.into_bytes())),
        })
    }
}

/// A hundred messages, then a status of UNAVAILABLE if it is asked for one.
struct Count;

impl ServerStreamingService<Vec<u8>> for Count {
    type Response = Vec<u8>;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Vec<u8>, Status>> + Send>>;
    type Future = Ready<Self::ResponseStream>;

    fn call(&mut self, request: Request<Vec<u8>>) -> Self::Future {
        let end = (request.into_inner() == b"fail").then(|| Err(Status::unavailable("as asked")));
        let messages = (0..100_u32).map(|n| Ok(n.to_string().into_bytes())).chain(end);
        let stream: Self::ResponseStream = Box::pin(tokio_stream::iter(messages));
        std::future::ready(Ok(Response::new(stream)))
    }
}

struct Server {
    addr: SocketAddr,
    connections: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, SeqCst);
                let service = service_fn(async |request: hyper::Request<Incoming>| {
                    let answer = match request.uri().path() {
                        "/test/Echo" => Grpc::new(Raw).unary(Echo, request).await,
                        _ => Grpc::new(Raw).server_streaming(Count, request).await,
                    };
                    Ok::<_, Infallible>(answer)
                });
                tokio::spawn(
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self {
            addr,
            connections,
            task,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn h2c() -> RoutePolicy {
    RoutePolicy {
        upstream: UpstreamProtocol::H2c,
        ..RoutePolicy::default()
    }
}

async fn client(rig: &Rig) -> tonic::client::Grpc<Channel> {
    let channel = Channel::from_shared(format!("http://{}", rig.addr))
        .unwrap()
        .connect()
        .await
        .unwrap();
    tonic::client::Grpc::new(channel)
}

async fn echo(client: &mut tonic::client::Grpc<Channel>, text: &str) -> Result<String, Code> {
    client.ready().await.unwrap();
    let request = Request::new(text.as_bytes().to_vec());
    let answer = client
        .unary(request, PathAndQuery::from_static("/test/Echo"), Raw)
        .await;
    answer
        .map(|answer| String::from_utf8(answer.into_inner()).unwrap())
        .map_err(|status| status.code())
}

async fn count(client: &mut tonic::client::Grpc<Channel>, text: &str) -> (usize, Option<Code>) {
    client.ready().await.unwrap();
    let request = Request::new(text.as_bytes().to_vec());
    let path = PathAndQuery::from_static("/test/Count");
    let mut messages = client
        .server_streaming(request, path, Raw)
        .await
        .unwrap()
        .into_inner();
    let mut came = 0;
    loop {
        match messages.next().await {
            Some(Ok(_)) => came += 1,
            Some(Err(status)) => return (came, Some(status.code())),
            None => return (came, None),
        }
    }
}

#[tokio::test]
async fn calls_and_streams_pass_and_the_server_s_failures_are_the_revision_s() {
    let server = Server::start().await;
    let rig = Rig::start();
    rig.route_by(h2c(), &[(STABLE, 10_000, &[server.addr])]).await;
    let mut client = client(&rig).await;
    assert_eq!(echo(&mut client, "hello").await.unwrap(), "hello");
    let long = "x".repeat(300_000);
    assert_eq!(echo(&mut client, &long).await.unwrap(), long);
    assert_eq!(count(&mut client, "all").await, (100, None));
    // NOT_FOUND and PERMISSION_DENIED are answers.
    assert_eq!(echo(&mut client, "status 5").await, Err(Code::NotFound));
    assert_eq!(echo(&mut client, "status 7").await, Err(Code::PermissionDenied));
    let before = rig.revision(STABLE).await;
    assert_eq!(
        (before.answers, before.first_attempt_failures),
        (vec![(200, 5)], 0)
    );
    assert_eq!(echo(&mut client, "status 13").await, Err(Code::Internal));
    assert_eq!(echo(&mut client, "status 4").await, Err(Code::DeadlineExceeded));
    assert_eq!(count(&mut client, "fail").await, (100, Some(Code::Unavailable)));
    let after = rig.revision(STABLE).await;
    assert_eq!(after.answers, [(200, 5), (500, 1), (503, 1), (504, 1)]);
    assert_eq!((after.first_attempt_failures, after.errors), (3, 3));
    rig.stop().await;
}

#[tokio::test]
async fn many_calls_share_few_connections() {
    let server = Server::start().await;
    let rig = Rig::start();
    rig.route_by(h2c(), &[(STABLE, 10_000, &[server.addr])]).await;
    let client = client(&rig).await;
    let calls: Vec<_> = (0..80)
        .map(|n| {
            let mut client = client.clone();
            tokio::spawn(async move { echo(&mut client, &n.to_string()).await })
        })
        .collect();
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), n.to_string());
    }
    let after_the_burst = server.connections.load(SeqCst);
    let mut client = client;
    for _ in 0..50 {
        echo(&mut client, "x").await.unwrap();
    }
    assert_eq!(
        server.connections.load(SeqCst),
        after_the_burst,
        "no call opened another"
    );
    rig.stop().await;
}

/// An instance that turns away what comes, as its first answer; then it behaves.
async fn refuser(kind: u8, payload: Vec<u8>) -> (SocketAddr, JoinHandle<u32>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut turned = 0;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut preface = [0; 24];
            stream.read_exact(&mut preface).await.unwrap();
            stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
            loop {
                let mut head = [0; 9];
                if stream.read_exact(&mut head).await.is_err() {
                    break;
                }
                let mut rest = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
                stream.read_exact(&mut rest).await.unwrap();
                // The whole body has come: nothing was looked at.
                if head[3] == 0 && head[4] & 1 == 1 {
                    turned += 1;
                    let stream_id = if kind == 3 { &head[5..9] } else { &[0; 4] };
                    let frame = [
                        &[0, 0, u8::try_from(payload.len()).unwrap(), kind, 0],
                        stream_id,
                        &payload,
                    ]
                    .concat();
                    stream.write_all(&frame).await.unwrap();
                    if turned == 1 && kind == 7 {
                        break;
                    }
                    if turned == 1 {
                        return turned;
                    }
                }
            }
            if turned > 0 {
                return turned;
            }
        }
    });
    (addr, task)
}

#[tokio::test]
async fn a_call_that_an_instance_turns_away_unread_goes_to_another() {
    // REFUSED_STREAM for the stream; GOAWAY with no stream looked at.
    for (kind, payload) in [(3, vec![0, 0, 0, 7]), (7, vec![0; 8])] {
        let (busy, turned) = refuser(kind, payload).await;
        let server = Server::start().await;
        let rig = Rig::start();
        rig.route_by(h2c(), &[(STABLE, 10_000, &[busy, server.addr])])
            .await;
        let mut client = client(&rig).await;
        for n in 0..200 {
            assert_eq!(
                echo(&mut client, &n.to_string()).await.unwrap(),
                n.to_string(),
                "kind {kind}"
            );
            if turned.is_finished() {
                break;
            }
        }
        assert_eq!(turned.await.unwrap(), 1, "the first was asked, too");
        assert_eq!(rig.revision(STABLE).await.cut_writes, 0);
        rig.stop().await;
    }
}

#[tokio::test]
async fn an_instance_that_is_not_there_is_passed_over() {
    let server = Server::start().await;
    let gone = crate::instance::Reserved::new();
    let rig = Rig::start();
    rig.route_by(
        h2c(),
        &[(STABLE, 5_000, &[server.addr]), (CANDIDATE, 5_000, &[gone.addr])],
    )
    .await;
    let mut client = client(&rig).await;
    for _ in 0..20 {
        assert_eq!(echo(&mut client, "x").await.unwrap(), "x");
    }
    assert!(rig.revision(CANDIDATE).await.answered_by_stable > 0);
    rig.stop().await;
}

#[tokio::test]
async fn a_client_of_http_1_gets_the_trailers_too() {
    let server = Server::start().await;
    let rig = Rig::start();
    rig.route_by(h2c(), &[(STABLE, 10_000, &[server.addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    let call = b"POST /test/Echo HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nContent-Type: application/grpc\r\n\
        Connection: close, TE\r\nContent-Length: 7\r\n\r\n\0\0\0\0\x02hi";
    visitor.send(call).await.unwrap();
    let answer = String::from_utf8(visitor.rest(crate::visitor::PATIENCE).await.unwrap()).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("0\r\ngrpc-status: 0\r\n\r\n"),
        "{answer}"
    );
    rig.stop().await;
}
