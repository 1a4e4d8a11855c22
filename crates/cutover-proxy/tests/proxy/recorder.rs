//! An instance that notes every request whole, and answers by its path.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::rig::eventually;

#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// `/echo` answers the body, anything else its name; `/only/NAME` is only there if that is it. Nothing is answered
/// while it holds.
#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) addr: SocketAddr,
    name: &'static str,
    seen: Arc<Mutex<Vec<Seen>>>,
    holds: Arc<watch::Sender<bool>>,
}

impl Recorder {
    /// Serves for as long as the test's runtime.
    pub(crate) async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let recorder = Self {
            addr: listener.local_addr().unwrap(),
            name,
            seen: Arc::default(),
            holds: Arc::new(watch::Sender::new(false)),
        };
        let shared = recorder.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = shared.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(shared.clone(), request));
                    let connection = hyper::server::conn::http1::Builder::new();
                    drop(connection.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        recorder
    }

    pub(crate) fn hold(&self, holds: bool) {
        self.holds.send_replace(holds);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits for so many requests in all.
    pub(crate) async fn saw(&self, count: usize) -> Vec<Seen> {
        eventually("that many requests", async || self.seen().len() >= count).await;
        let seen = self.seen();
        assert_eq!(seen.len(), count, "no more than that");
        seen
    }
}

async fn answer(recorder: Recorder, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let path = parts.uri.path().to_owned();
    recorder.seen.lock().unwrap().push(Seen {
        method: parts.method.to_string(),
        path: path.clone(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    recorder
        .holds
        .subscribe()
        .wait_for(|holds| !*holds)
        .await
        .unwrap();
    let only = path.strip_prefix("/only/");
    let status = if only.is_some_and(|name| name != recorder.name) {
        404
    } else {
        200
    };
    let body = if path == "/echo" {
        body
    } else {
        Bytes::from_static(recorder.name.as_bytes())
    };
    let answer = Response::builder()
        .status(status)
        .header("x-backend-version", "its own");
    Ok(answer.body(Full::new(body)).unwrap())
}
