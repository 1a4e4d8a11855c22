//! Copies of requests for the candidate, whose answers are thrown away.
//!
//! A copy is made beside the original and never in its way: it has connections of its own, leaves when the original's
//! body has been read, and what finds no place is dropped and counted. Nothing of it counts as the candidate's.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use cutover_model::RoutePolicy;
use cutover_model::routing::{Mirror, UpstreamProtocol};
use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use rand::Rng as _;
use tokio::time::timeout;

use crate::fields;
use crate::forwarded::Origin;
use crate::instance_body::InstanceBody;
use crate::mirror_compare::{Comparison, Side};
use crate::mirror_state::{MirrorState, Place};
use crate::pick;
use crate::pool;
use crate::request_body::RequestBody;
use crate::snapshot::{Revision, Route};
use crate::trace_context::Trace;
use crate::wire::Refusal;
use crate::worker::Worker;

/// What tells an instance that nobody waits for its answer.
const SHADOW: HeaderName = HeaderName::from_static("x-shadow-traffic");

/// How a route copies.
#[derive(Debug)]
pub(crate) struct Mirroring {
    percentage: u8,
    methods: Vec<Method>,
    max_body: usize,
    queue: u32,
    credentials: bool,
    compare: bool,
    state: Arc<MirrorState>,
}

/// A request's copy that has a place and waits for the original's body.
#[derive(Debug)]
pub(crate) struct Shadow {
    candidate: Arc<Revision>,
    parts: Parts,
    read: VecDeque<Bytes>,
    /// Bytes that may still come.
    left: usize,
    max_body: usize,
    side: Option<Side>,
    place: Place,
}

impl Mirroring {
    /// Nothing for a route that does not copy.
    ///
    /// # Errors
    /// If a method is none, the share is not from 1 to 100, or the instances speak HTTP/2: gRPC has trailers and a
    /// stream in each direction, which are not copied.
    pub(crate) fn compile(policy: &RoutePolicy, state: &Arc<MirrorState>) -> Result<Option<Self>, Refusal> {
        let Some(mirror) = &policy.mirror else {
            return Ok(None);
        };
        let invalid = |what: String| Refusal::InvalidTable { what };
        if policy.upstream == UpstreamProtocol::H2c {
            return Err(invalid(
                "requests to instances that speak HTTP/2 cannot be mirrored".to_owned(),
            ));
        }
        if !(1..=100).contains(&mirror.percentage) {
            return Err(invalid(format!("{} % cannot be mirrored", mirror.percentage)));
        }
        Ok(Some(Self {
            percentage: mirror.percentage,
            methods: methods(mirror).map_err(invalid)?,
            max_body: usize::try_from(mirror.max_body).unwrap_or(usize::MAX),
            queue: mirror.queue,
            credentials: mirror.credentials,
            compare: mirror.compare,
            state: Arc::clone(state),
        }))
    }

    fn begin(
        &self,
        route: &Route,
        worker: &Worker,
        assigned: &Revision,
        (client, trace): (&Origin, &Trace),
        parts: &Parts,
    ) -> Option<(Shadow, Option<Side>)> {
        let candidate = route.revisions.get(route.candidate?)?;
        if candidate.endpoints.is_empty() || candidate.state.id == assigned.state.id {
            return None;
        }
        let drawn = || worker.random.borrow_mut().random_range(0..100) < self.percentage;
        if !self.methods.contains(&parts.method) || !drawn() {
            return None;
        }
        if length(&parts.headers).is_some_and(|length| length > self.max_body) {
            self.state.too_long.fetch_add(1, Relaxed);
            return None;
        }
        let place = self.state.place(self.queue)?;
        let (original, side) = if self.compare {
            let (original, side) = Comparison::sides(&self.state, self.max_body);
            (Some(original), Some(side))
        } else {
            (None, None)
        };
        let mut parts = parts.clone();
        fields::to_instance(&mut parts.headers, client);
        trace.apply(&mut parts.headers);
        if !self.credentials {
            parts.headers.remove(AUTHORIZATION);
            parts.headers.remove(COOKIE);
        }
        parts.headers.insert(SHADOW, HeaderValue::from_static("true"));
        let shadow = Shadow {
            candidate: Arc::clone(candidate),
            parts,
            read: VecDeque::new(),
            left: self.max_body,
            max_body: self.max_body,
            side,
            place,
        };
        Some((shadow, original))
    }
}

fn methods(mirror: &Mirror) -> Result<Vec<Method>, String> {
    let methods = mirror.methods.iter().map(|text| {
        let method = Method::from_bytes(text.as_bytes()).ok();
        let method = method.filter(|method| *method != Method::CONNECT);
        method.ok_or_else(|| format!("the method {text} cannot be mirrored"))
    });
    methods.collect()
}

fn length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The copy of a client's request with these parts, if one is to be made; and where its original's
/// answer is to be noted, if the two are compared.
pub(crate) fn shadow(
    worker: &Worker,
    listen: SocketAddr,
    assigned: &Revision,
    told: (&Origin, &Trace),
    parts: &Parts,
) -> Option<(Shadow, Option<Side>)> {
    worker.with_snapshot(|snapshot| {
        let route = snapshot.route(listen)?;
        route
            .mirroring
            .as_ref()?
            .begin(route, worker, assigned, told, parts)
    })
}

impl Shadow {
    /// A part of the body has passed. Whether the copy is still to be made: not if that was too much.
    #[must_use]
    pub(crate) fn data(&mut self, data: &Bytes) -> bool {
        let left = self.left.checked_sub(data.len());
        match left {
            Some(left) => {
                self.left = left;
                self.read.push_back(data.clone());
            }
            None => {
                self.place.state().too_long.fetch_add(1, Relaxed);
            }
        }
        left.is_some()
    }

    /// The original is sent again: its body passes from the beginning.
    pub(crate) fn restart(&mut self) {
        self.read.clear();
        self.left = self.max_body;
    }

    /// The original's body is complete: the copy leaves.
    pub(crate) fn send(self, worker: Rc<Worker>) {
        self.place.state().sent.fetch_add(1, Relaxed);
        if let Some(side) = &self.side {
            side.sent();
        }
        tokio::task::spawn_local(async move {
            let state = Arc::clone(self.place.state());
            let limit = self.candidate.resilience.times.answer;
            let carried = timeout(limit, self.carry(&worker)).await;
            if !matches!(carried, Ok(Some(()))) {
                state.failed.fetch_add(1, Relaxed);
            }
        });
    }

    /// Sends it once and reads the answer to its end; nothing when that did not come.
    async fn carry(self, worker: &Worker) -> Option<()> {
        let Self {
            candidate,
            parts,
            read,
            max_body,
            mut side,
            place,
            ..
        } = self;
        let index = {
            let random = &mut *worker.random.borrow_mut();
            pick::endpoint(&candidate.endpoints, &[], || worker.shared.now_ms(), random)?
        };
        let endpoint = &candidate.endpoints[index];
        let limits = &worker.shared.limits;
        let mut lease = match worker.shadows.take(endpoint, UpstreamProtocol::Http1, true) {
            Some(lease) => lease,
            None => {
                let limit = candidate.resilience.times.connect;
                pool::connect(&worker.shadows, endpoint, UpstreamProtocol::Http1, limit)
                    .await
                    .ok()?
            }
        };
        let response = lease.send(&parts, None, RequestBody::whole(read)).await.ok()?;
        if let Some(side) = &mut side {
            side.status(response.status().as_u16());
        }
        let mut body = InstanceBody::new(response.into_body(), lease);
        let mut left = max_body;
        while let Some(frame) = poll_fn(|cx| body.poll_frame(cx)).await {
            let Ok(data) = frame.ok()?.into_data() else {
                continue;
            };
            if let Some(side) = &mut side {
                side.data(&data);
            }
            // More is not read: the connection goes, and the answer has been one.
            let Some(less) = left.checked_sub(data.len()) else {
                return Some(());
            };
            left = less;
        }
        if let Some(side) = side {
            side.end();
        }
        if let Some(lease) = body.release() {
            worker.shadows.put(lease, endpoint, limits);
        }
        drop(place);
        Some(())
    }
}
