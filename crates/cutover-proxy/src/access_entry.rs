//! What is known of one request when it is over, and its line in the access log.

use std::io::{self, Write as _};
use std::net::IpAddr;
use std::sync::Arc;

use hyper::header::{HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use tokio::time::Instant;

use crate::access_log::RouteLog;
use crate::connection::Client;
use crate::snapshot::Revision;
use crate::state::EndpointState;
use crate::wall_clock;

/// More of a client's text than this does not go into a line, in bytes.
const LONGEST: usize = 1024;

/// Few lines are longer, in bytes.
const USUAL: usize = 384;

/// What its line says. Values of the request are kept as they came, which keeps what was read from the connection in
/// memory too: only as long as the request is open.
#[derive(Debug)]
pub(crate) struct Entry {
    ended_ms: u64,
    took_us: u64,
    client: IpAddr,
    http2: bool,
    /// Nothing if its head could not be parsed.
    asked: Option<(Method, Uri)>,
    host: Option<HeaderValue>,
    agent: Option<HeaderValue>,
    status: Option<StatusCode>,
    answer_bytes: u64,
    cut: bool,
    served: Option<Served>,
}

/// Who answered.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) revision: Arc<Revision>,
    pub(crate) instance: Option<Arc<EndpointState>>,
    pub(crate) attempts: usize,
    /// The `traceparent` that it was sent with.
    pub(crate) trace: HeaderValue,
}

/// A request that may get a line. It is written when this is dropped: after the answer's last byte, or when the client
/// has gone.
#[derive(Debug)]
pub(crate) struct Pending {
    log: RouteLog,
    sampled: bool,
    arrived: Instant,
    entry: Entry,
}

impl Pending {
    /// `host` is the one of a request that is well-formed.
    pub(crate) fn new<B>(
        log: &RouteLog,
        sampled: bool,
        arrived: Instant,
        client: &Client,
        request: &Request<B>,
        host: Option<HeaderValue>,
    ) -> Box<Self> {
        Box::new(Self {
            log: log.clone(),
            sampled,
            arrived,
            entry: Entry {
                ended_ms: 0,
                took_us: 0,
                client: client.ip,
                http2: client.http2,
                asked: Some((request.method().clone(), request.uri().clone())),
                host,
                agent: request.headers().get(USER_AGENT).cloned(),
                status: None,
                answer_bytes: 0,
                cut: false,
                served: None,
            },
        })
    }

    /// One whose head could not be parsed, and what was said to it.
    pub(crate) fn unread(log: &RouteLog, client: &Client, status: StatusCode) -> Self {
        Self {
            log: log.clone(),
            sampled: true,
            arrived: Instant::now(),
            entry: Entry {
                ended_ms: 0,
                took_us: 0,
                client: client.ip,
                http2: client.http2,
                asked: None,
                host: None,
                agent: None,
                status: Some(status),
                answer_bytes: 0,
                cut: false,
                served: None,
            },
        }
    }

    /// The answer's head is known. What the proxy itself says no to is always logged.
    pub(crate) fn answered(&mut self, status: StatusCode, served: Option<Served>) {
        self.sampled |= status.is_server_error() || served.is_none();
        self.entry.status = Some(status);
        self.entry.served = served;
    }

    pub(crate) fn carried(&mut self, bytes: usize) {
        self.entry.answer_bytes += bytes as u64;
    }

    pub(crate) fn cut(&mut self) {
        self.sampled = true;
        self.entry.cut = true;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.sampled {
            self.entry.ended_ms = wall_clock::now_ms();
            self.entry.took_us = u64::try_from(self.arrived.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.log.put(self.entry.line());
        }
    }
}

impl Entry {
    /// The line, with its end.
    pub(crate) fn line(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(USUAL);
        // Writing to a Vec cannot fail.
        self.write(&mut line).unwrap_or_default();
        line.push(b'\n');
        line
    }

    fn write(&self, out: &mut Vec<u8>) -> io::Result<()> {
        write!(
            out,
            "{{\"timeMs\":{},\"tookUs\":{},\"client\":\"{}\",\"protocol\":\"{}\"",
            self.ended_ms,
            self.took_us,
            self.client,
            if self.http2 { "HTTP/2" } else { "HTTP/1.1" },
        )?;
        if let Some((method, uri)) = &self.asked {
            write!(out, ",\"method\":")?;
            text(out, method.as_str().as_bytes())?;
            write!(out, ",\"path\":")?;
            text(out, uri.path().as_bytes())?;
        }
        for (name, value) in [("host", &self.host), ("userAgent", &self.agent)] {
            if let Some(value) = value {
                write!(out, ",\"{name}\":")?;
                text(out, value.as_bytes())?;
            }
        }
        match self.status {
            Some(status) => {
                let (status, bytes) = (status.as_u16(), self.answer_bytes);
                write!(out, ",\"status\":{status},\"answerBytes\":{bytes}")?;
            }
            None => write!(out, ",\"status\":null")?,
        }
        if self.cut {
            write!(out, ",\"cut\":true")?;
        }
        if let Some(served) = &self.served {
            let (revision, attempts) = (&served.revision.state.id, served.attempts);
            write!(out, ",\"revision\":\"{revision}\",\"attempts\":{attempts}")?;
            if let Some(instance) = &served.instance {
                write!(out, ",\"instance\":")?;
                text(out, instance.instance.to_string().as_bytes())?;
            }
            // The id of the trace alone: of its parts the second.
            if let Some(id) = served.trace.as_bytes().split(|byte| *byte == b'-').nth(1) {
                write!(out, ",\"trace\":")?;
                text(out, id)?;
            }
        }
        out.push(b'}');
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self {
            ended_ms: 1,
            took_us: 2,
            client: IpAddr::from([127, 0, 0, 1]),
            http2: false,
            asked: Some((Method::GET, Uri::from_static("/a?token=secret"))),
            host: Some(HeaderValue::from_static("a.test")),
            agent: Some(HeaderValue::from_bytes(b"\"\\\x80").unwrap()),
            status: Some(StatusCode::OK),
            answer_bytes: 3,
            cut: false,
            served: None,
        }
    }
}

/// A JSON string of whatever bytes a client sent.
fn text(out: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    let bytes = bytes.get(..LONGEST).unwrap_or(bytes);
    Ok(serde_json::to_writer(out, &*String::from_utf8_lossy(bytes))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_without_the_query() {
        let text = String::from_utf8(Entry::sample().line()).unwrap();
        assert!(!text.contains("secret"), "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["path"], "/a");
        assert_eq!(value["status"], 200);
        assert_eq!(value["userAgent"], "\"\\\u{fffd}");
    }

    #[test]
    fn long_texts_are_cut() {
        let path = format!("/{}", "x".repeat(10_000));
        let entry = Entry {
            asked: Some((Method::GET, path.parse().unwrap())),
            status: None,
            ..Entry::sample()
        };
        let line = entry.line();
        assert!(line.len() < 2_000);
        assert!(serde_json::from_slice::<serde_json::Value>(&line).unwrap()["status"].is_null());
    }
}
