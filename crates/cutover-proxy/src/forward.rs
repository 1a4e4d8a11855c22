//! One request: assigned to a revision, tried on its instances, answered.
//!
//! What is repeated and what is not is decided here. A request of which nothing was sent may always go elsewhere; one
//! that was sent, only if it is idempotent, its body can be sent again, and the route's policy and budget allow it.
//! Everything else that breaks is a 502, and counted.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use cutover_model::routing::UpstreamProtocol;
use hyper::body::{Body, Incoming};
use hyper::header::{HOST, HeaderMap, HeaderValue, SET_COOKIE, UPGRADE};
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode, Version};
use rand::Rng as _;
use tokio::time::{Instant, sleep, timeout};

use crate::access_entry::{Pending, Served};
use crate::answer_body::{AnswerBody, Open};
use crate::answer_fields;
use crate::assign::{self, Assignment};
use crate::connection::Client;
use crate::exchange::Exchange;
use crate::fields;
use crate::grpc;
use crate::http2;
use crate::instance_body::InstanceBody;
use crate::instance_io::{Broken, Failure};
use crate::mirror;
use crate::mirror_compare::Side;
use crate::multiplexed::{self, TurnedAway};
use crate::outgoing::Outgoing;
use crate::own_answer::{close_after, plain, refuse, unavailable};
use crate::pool::{self, Lease};
use crate::proxy_status::{self, PROXY_STATUS};
use crate::request;
use crate::request_body::{BodyWatch, RequestBody};
use crate::resilience::RetryRule;
use crate::snapshot::Revision;
use crate::splice;
use crate::state::EndpointState;
use crate::trace_context::Trace;
use crate::waiting::{Late, Waits};
use crate::worker::Worker;

/// How often a connection may end before it looked at a request, until that is held against the instance.
const MAX_GOAWAYS: usize = 3;

/// How long a connection that turned a request away may take to let go of its body.
const GIVE_BACK: Duration = Duration::from_millis(100);

/// Between two rounds over instances all of which refuse connections.
const ROUND_PAUSE: Duration = Duration::from_millis(25);

/// What a request's way through the proxy needs besides the request itself.
struct Forwarding {
    worker: Rc<Worker>,
    client: Rc<Client>,
    exchange: Exchange,
    /// The cookie for the client.
    session: Option<HeaderValue>,
    /// For the log, if there is one: the trace as the instance is told it.
    trace: Option<HeaderValue>,
    watch: Option<Rc<BodyWatch>>,
    /// Whether doing it twice does no more than doing it once.
    repeatable: bool,
    /// The request without its body.
    parts: Parts,
    /// How its fields are written for an instance; nothing if they are an instance's already.
    outgoing: Option<Outgoing>,
    /// Whether it is sent over HTTP/2.
    http2: bool,
    /// How often a connection ended before it was looked at.
    goaways: usize,
    /// The client's half of a connection that is to change its protocol.
    upgrade: Option<OnUpgrade>,
    /// Where the answer is noted, to be compared with the one to a copy.
    compared: Option<Side>,
    tried: Vec<u64>,
    attempts: usize,
    lost: usize,
    /// How often it was sent again at the cost of the budget.
    resent: u32,
    give_up: Option<Instant>,
    /// Every instance refuses connections.
    unreached: bool,
    began: Instant,
}

/// How one attempt ended.
enum Attempt {
    Answered(Answer, Lease),
    /// It may go elsewhere: here is its body again.
    Unsent(RequestBody),
    /// The answer for the client.
    Failed(StatusCode, &'static str),
}

/// An instance's answer; without a body of its own, that is read from the connection.
type Answer = Response<Option<Incoming>>;

/// How it ended.
enum Outcome {
    Answered(Answer, Lease),
    Failed(StatusCode, &'static str),
    /// There was no place for it.
    TooMany,
}

/// Answers a request. Never fails: what goes wrong is an answer too.
pub(crate) async fn handle(
    worker: Rc<Worker>,
    client: Rc<Client>,
    mut request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    let limits = &worker.shared.limits;
    let mut why = proxy_status::REQUEST;
    // For the log, which counts what a request was held too.
    let mut arrived = None;
    if request.extensions().get::<OnUpgrade>().is_some() {
        client.state.stay_up();
    }
    let checked = if !client.state.begin() {
        Err(StatusCode::BAD_REQUEST)
    } else if client.http2 {
        http2::check(&mut request, limits).and_then(|()| request::check(&mut request, limits))
    } else {
        request::check(&mut request, limits)
    };
    // A host that is none may be a secret: `user:password@shop`.
    let host = match checked {
        Ok(()) => request.headers().get(HOST).cloned(),
        Err(_) => None,
    };
    let checked = match checked {
        Ok(()) if worker.shared.holds.load(Relaxed) => {
            why = proxy_status::HELD;
            arrived = Some(Instant::now());
            Box::pin(held(&worker, &client, &request)).await
        }
        other => other,
    };
    let mut logged = None;
    let assigned = worker.with_snapshot(|snapshot| {
        let route = snapshot.route(client.listen)?;
        route.state.requests.fetch_add(1, Relaxed);
        client.state.wait_for_reader(route.resilience.times.idle);
        if let Some(log) = &route.access_log {
            let sampled = log.is_sampled(worker.random.borrow_mut().random_range(0..100));
            let arrived = arrived.unwrap_or_else(Instant::now);
            logged = Some(Pending::new(log, sampled, arrived, &client, &request, host));
        }
        if checked.is_err() {
            route.state.rejected.fetch_add(1, Relaxed);
            return None;
        }
        let random = &mut *worker.random.borrow_mut();
        let picked = assign::assign(route, snapshot.generation(), &request, client.ip, random);
        if picked.is_none() {
            route.state.unavailable.fetch_add(1, Relaxed);
        }
        picked
    });
    let (draining, over) = (Rc::clone(&worker), Rc::clone(&client));
    // The rest of a body that nobody reads cannot be told from the next request.
    let unread = assigned.is_none() && !request.body().is_end_stream();
    let mut response = match (checked, assigned) {
        (Err(StatusCode::SERVICE_UNAVAILABLE), _) => {
            unavailable(&client, "requests are held, and no more of them can be\n", why)
        }
        (Err(status), _) => {
            let mut response = refuse(&client, status, "the request is not one that can be served\n");
            // `OPTIONS *` is answered, not refused.
            if !status.is_success() {
                response.headers_mut().insert(PROXY_STATUS, why);
            }
            response
        }
        (Ok(()), None) => unavailable(
            &client,
            "no version takes requests now\n",
            proxy_status::UNAVAILABLE,
        ),
        (Ok(()), Some(assignment)) => {
            // Kept here once, and not in what is awaited: each open request takes all of it from the processor's caches.
            let (mut forwarding, body) =
                Forwarding::new(worker, client, assignment, request, logged.is_some());
            match forwarding.enter(body).await {
                Outcome::Answered(answer, lease) => forwarding.answer(answer, lease),
                Outcome::Failed(status, text) => forwarding.fail(status, text),
                Outcome::TooMany => forwarding.too_many(),
            }
        }
    };
    if let Some(mut entry) = logged {
        let served = response.extensions_mut().remove::<Served>();
        entry.answered(response.status(), served);
        response.body_mut().log(entry);
    }
    if unread || draining.draining.get() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        close_after(&over, &mut response);
    }
    Ok(response)
}

/// Waits as long as the route's requests are held.
async fn held(worker: &Rc<Worker>, client: &Client, request: &Request<Incoming>) -> Result<(), StatusCode> {
    let route = worker.with_snapshot(|snapshot| {
        let route = snapshot.route(client.listen)?;
        route.state.hold.is_on().then(|| Arc::clone(&route.state))
    });
    let Some(route) = route else {
        return Ok(());
    };
    let fields = request.headers().iter();
    let fields: usize = fields
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |path| path.as_str().len());
    let parked = route.hold.park((fields + target) as u64).await;
    parked.map_err(|()| StatusCode::SERVICE_UNAVAILABLE)
}

impl Forwarding {
    /// Its body is sent beside it.
    fn new(
        worker: Rc<Worker>,
        client: Rc<Client>,
        assignment: Assignment,
        mut request: Request<Incoming>,
        logged: bool,
    ) -> (Self, RequestBody) {
        let bodyless = request.body().is_end_stream();
        let http2 = assignment.revision.upstream == UpstreamProtocol::H2c;
        let changes = bodyless && !http2 && request::asks_for_websocket(&request);
        let upgrade = changes.then(|| hyper::upgrade::on(&mut request));
        let (mut parts, incoming) = request.into_parts();
        parts.extensions.clear();
        parts.version = Version::HTTP_11;
        let trace = Trace::of(&parts.headers, &mut *worker.random.borrow_mut());
        let logged_trace = logged.then(|| trace.told(&parts.headers)).flatten();
        let shadow = if upgrade.is_none() {
            let told = (&client.origin, &trace);
            mirror::shadow(&worker, client.listen, &assignment.revision, told, &parts)
        } else {
            None
        };
        let outgoing = if http2 || upgrade.is_some() {
            fields::to_instance(&mut parts.headers, &client.origin);
            trace.apply(&mut parts.headers);
            if changes {
                fields::say_websocket(&mut parts.headers);
            }
            if http2 {
                multiplexed::address(&mut parts);
            }
            None
        } else {
            Some(Outgoing::new(&parts.headers, trace))
        };
        let repeatable = request::is_idempotent(&parts.method) && upgrade.is_none();
        let (shadow, compared) = shadow.map_or((None, None), |(shadow, side)| (Some(shadow), side));
        let (body, watch) = if bodyless {
            if let Some(shadow) = shadow {
                shadow.send(Rc::clone(&worker));
            }
            (RequestBody::Empty, None)
        } else {
            let watch = Rc::new(BodyWatch::new());
            if let Some(shadow) = shadow {
                watch.copy_to(shadow, Rc::clone(&worker));
            }
            let body = RequestBody::streaming(incoming, Rc::clone(&watch));
            (body, Some(watch))
        };
        let exchange = Exchange::new(Rc::clone(&worker), assignment.revision, assignment.draw);
        let forwarding = Self {
            began: exchange.started(),
            exchange,
            session: assignment.session,
            trace: logged_trace,
            worker,
            client,
            watch,
            repeatable,
            parts,
            outgoing,
            http2,
            goaways: 0,
            upgrade,
            compared,
            tried: Vec::new(),
            attempts: 0,
            lost: 0,
            resent: 0,
            give_up: None,
            unreached: false,
        };
        (forwarding, body)
    }

    fn too_many(mut self) -> Response<AnswerBody> {
        self.exchange
            .turned_back(StatusCode::SERVICE_UNAVAILABLE.as_u16());
        let mut response = unavailable(
            &self.client,
            "as many requests are open as may be\n",
            proxy_status::CIRCUIT,
        );
        if self.watch.is_some() {
            close_after(&self.client, &mut response);
        }
        response
    }

    async fn enter(&mut self, body: RequestBody) -> Outcome {
        if !self.exchange.enter_gate_now() && !Box::pin(self.exchange.enter_gate()).await {
            return Outcome::TooMany;
        }
        let down = |revision: &Revision| {
            let mut all = revision.endpoints.iter();
            all.all(|endpoint| endpoint.health.is_down())
        };
        // Nobody is well where it was assigned, and somebody is elsewhere.
        if down(self.exchange.serving())
            && let Some(stable) = self.stable_instead()
            && !down(&stable)
            && let Some(pass) = stable.state.gate.try_enter()
        {
            self.exchange.given_up();
            self.exchange.divert(stable, pass);
        }
        self.forward(body).await
    }

    async fn forward(&mut self, mut body: RequestBody) -> Outcome {
        loop {
            let Some(index) = self.worker.choose(self.exchange.serving(), &self.tried) else {
                if Box::pin(self.look_elsewhere()).await {
                    continue;
                }
                self.unreached = true;
                return Outcome::Failed(StatusCode::BAD_GATEWAY, "no instance can be reached\n");
            };
            let endpoint = self.exchange.enter(index);
            match self.attempt(&endpoint, body).await {
                Attempt::Answered(answer, _)
                    if !fields::is_well_framed(answer.headers(), answer.version()) =>
                {
                    self.exchange.attempt_failed();
                    return Outcome::Failed(StatusCode::BAD_GATEWAY, "the instance's answer is malformed\n");
                }
                Attempt::Answered(answer, lease) => {
                    endpoint.readmit();
                    let rule = self.exchange.serving().resilience.retries;
                    if rule.is_unwanted(answer.status().as_u16())
                        && let Some(again) = Box::pin(self.elsewhere(&endpoint)).await
                    {
                        body = again;
                        continue;
                    }
                    return Outcome::Answered(answer, lease);
                }
                Attempt::Unsent(again) => body = again,
                Attempt::Failed(status, text) => return Outcome::Failed(status, text),
            }
        }
    }

    /// Every instance of the revision was tried. Stable may serve what another revision cannot; otherwise there is a
    /// little patience for an instance that is being restarted.
    async fn look_elsewhere(&mut self) -> bool {
        let listen = self.client.listen;
        if let Some(newer) = self.worker.current(listen, &self.exchange.serving().state.id)
            && !Arc::ptr_eq(&newer, self.exchange.serving())
        {
            self.exchange.renew(newer);
            self.tried.clear();
            return true;
        }
        if let Some(stable) = self.stable_instead()
            && let Some(pass) = stable.state.gate.try_enter()
        {
            self.exchange.divert(stable, pass);
            self.tried.clear();
            return true;
        }
        let now = Instant::now();
        let patience = self.worker.shared.limits.connect_patience;
        if now >= *self.give_up.get_or_insert(now + patience) {
            return false;
        }
        sleep(ROUND_PAUSE).await;
        self.tried.clear();
        true
    }

    /// Stable, if it may serve what was assigned to another revision.
    fn stable_instead(&self) -> Option<Arc<Revision>> {
        if self.exchange.is_diverted() {
            return None;
        }
        let stable = self.worker.stable(self.client.listen)?;
        let other = stable.state.id != self.exchange.serving().state.id;
        (other && !stable.endpoints.is_empty()).then_some(stable)
    }

    async fn attempt(&mut self, endpoint: &Arc<EndpointState>, body: RequestBody) -> Attempt {
        self.attempts += 1;
        if self.attempts > 1 {
            self.exchange.shard().retries.fetch_add(1, Relaxed);
        }
        let resilience = &self.exchange.serving().resilience;
        let (rule, times) = (resilience.retries, resilience.times);
        // After a loss only a new connection tells whether the instance is there: the idle ones may all be dead.
        let spoken = self.exchange.serving().upstream;
        let pooled = if self.upgrade.is_some() || self.lost > 0 {
            None
        } else {
            let look = !self.repeatable || self.watch.is_some();
            self.worker.pool.take(endpoint, spoken, look)
        };
        let mut lease = match pooled {
            Some(lease) => lease,
            None => match Box::pin(self.connect(endpoint, times.connect)).await {
                Ok(lease) => lease,
                Err(error) => {
                    tracing::debug!(%error, instance = %endpoint.instance, "cannot connect");
                    self.refused(endpoint);
                    return Attempt::Unsent(body);
                }
            },
        };
        let as_client = self
            .outgoing
            .as_ref()
            .map(|outgoing| (outgoing, &self.client.origin));
        let waits = Waits {
            times,
            began: self.began,
            per_try: rule.per_try.filter(|_| self.repeatable),
        };
        let answer = {
            let sending = pin!(lease.send(&self.parts, as_client, body));
            let watch = self.watch.as_deref();
            waits.answer(&self.worker.alarms, sending, watch).await
        };
        let failure = match answer {
            Ok(Ok(answer)) => return Attempt::Answered(answer, lease),
            Ok(Err(failure)) => failure,
            Err(Late::Client) => {
                return Attempt::Failed(StatusCode::REQUEST_TIMEOUT, "the request's body did not come\n");
            }
            Err(late @ (Late::Instance | Late::Attempt)) => {
                self.exchange.shard().timeouts.fetch_add(1, Relaxed);
                self.exchange.attempt_failed();
                drop(lease);
                if late == Late::Attempt
                    && rule.on_timeout
                    && let Some(body) = Box::pin(self.again()).await
                    && self.may_resend(rule)
                {
                    self.tried.push(endpoint.key);
                    return Attempt::Unsent(body);
                }
                return Attempt::Failed(
                    StatusCode::GATEWAY_TIMEOUT,
                    "the instance did not answer in time\n",
                );
            }
        };
        if self.watch.as_ref().is_some_and(|watch| watch.client_fault.get()) {
            return Attempt::Failed(StatusCode::BAD_REQUEST, "the request's body is malformed\n");
        }
        Box::pin(self.failed(endpoint, &lease, failure)).await
    }

    async fn connect(&self, endpoint: &EndpointState, limit: Duration) -> io::Result<Lease> {
        if self.upgrade.is_some() {
            return pool::connect_to_change(endpoint, limit).await;
        }
        let spoken = self.exchange.serving().upstream;
        pool::connect(&self.worker.pool, endpoint, spoken, limit).await
    }

    /// There was no answer.
    async fn failed(&mut self, endpoint: &Arc<EndpointState>, lease: &Lease, failure: Failure) -> Attempt {
        let broken = match failure {
            Failure::Unsent => {
                // A connection that the instance had closed while it was idle says nothing about the instance.
                if !lease.reused {
                    self.refused(endpoint);
                }
                match self.body_again().await {
                    Some(body) => return Attempt::Unsent(body),
                    None => Broken::Ended,
                }
            }
            Failure::Broken(broken) => broken,
        };
        if let Some(how) = broken.turned_away()
            && let Some(body) = self.again().await
        {
            self.worker.pool.forget(endpoint, lease);
            return self.turned_away(endpoint, how, body);
        }
        self.lost(endpoint, lease.reused, &broken).await
    }

    /// The body again, for another instance, if there is one and the answer of this one may be thrown away.
    async fn elsewhere(&mut self, endpoint: &EndpointState) -> Option<RequestBody> {
        let rule = self.exchange.serving().resilience.retries;
        if !self.repeatable || self.resent >= rule.attempts {
            return None;
        }
        self.tried.push(endpoint.key);
        let another = self.worker.choose(self.exchange.serving(), &self.tried).is_some();
        let body = if another || self.stable_instead().is_some() {
            self.again().await
        } else {
            None
        };
        let body = body.filter(|_| self.may_resend(rule));
        if body.is_some() {
            self.exchange.attempt_failed();
        }
        body
    }

    /// Takes a retry from the budget, if policy and budget leave one.
    fn may_resend(&mut self, rule: RetryRule) -> bool {
        if self.resent >= rule.attempts {
            return false;
        }
        let (listen, now_ms) = (self.client.listen, self.worker.shared.now_ms());
        let allowed = self.worker.with_snapshot(|snapshot| {
            snapshot.route(listen).is_some_and(|route| {
                let requests = route.state.requests.load(Relaxed);
                let allowed = route.state.budget.take(rule, now_ms, requests);
                route.state.over_budget.fetch_add(u64::from(!allowed), Relaxed);
                allowed
            })
        });
        self.resent += u32::from(allowed);
        allowed
    }

    /// The body, if the request may be sent again and its body can be. Only what is repeatable may, and what goes over
    /// HTTP/2, where an instance may turn it away unread.
    async fn again(&self) -> Option<RequestBody> {
        if self.repeatable || self.http2 {
            self.body_again().await
        } else {
            None
        }
    }

    async fn body_again(&self) -> Option<RequestBody> {
        match &self.watch {
            None => Some(RequestBody::Empty),
            Some(watch) => timeout(GIVE_BACK, watch.again()).await.ok()?,
        }
    }

    fn turned_away(&mut self, endpoint: &EndpointState, how: TurnedAway, body: RequestBody) -> Attempt {
        self.goaways += 1;
        // A connection that ends says nothing about the instance; one that ends again and again does.
        if how == TurnedAway::Refused || self.goaways > MAX_GOAWAYS {
            self.exchange.attempt_failed();
            self.tried.push(endpoint.key);
        }
        Attempt::Unsent(body)
    }

    /// It was sent, and no answer came back.
    async fn lost(&mut self, endpoint: &EndpointState, reused: bool, broken: &Broken) -> Attempt {
        tracing::debug!(error = %broken, instance = %endpoint.instance, "a request was lost");
        self.lost += 1;
        let nonsense = broken.is_nonsense();
        // On a connection that was idle before, it may just have been closed: once, the same instance is tried afresh,
        // and nobody is charged.
        let free = reused && self.lost == 1;
        let rule = self.exchange.serving().resilience.retries;
        let again = if self.repeatable && !nonsense {
            self.again().await
        } else {
            None
        };
        let cut = again.is_none() && !nonsense;
        match again {
            Some(body) if free => Attempt::Unsent(body),
            Some(body) if rule.on_reset && self.may_resend(rule) => {
                self.exchange.attempt_failed();
                self.tried.push(endpoint.key);
                Attempt::Unsent(body)
            }
            _ => {
                self.exchange.attempt_failed();
                self.exchange
                    .shard()
                    .cut_writes
                    .fetch_add(u64::from(cut), Relaxed);
                Attempt::Failed(
                    StatusCode::BAD_GATEWAY,
                    "the instance broke off before it answered\n",
                )
            }
        }
    }

    fn refused(&mut self, endpoint: &Arc<EndpointState>) {
        self.exchange.shard().connect_failures.fetch_add(1, Relaxed);
        self.worker.shared.eject(endpoint);
        self.exchange.attempt_refused();
        self.tried.push(endpoint.key);
    }

    fn fail(mut self, status: StatusCode, text: &'static str) -> Response<AnswerBody> {
        let why = match status {
            _ if status.is_client_error() => proxy_status::REQUEST,
            StatusCode::GATEWAY_TIMEOUT => proxy_status::LATE,
            _ if self.unreached => proxy_status::UNAVAILABLE,
            _ => proxy_status::BROKEN,
        };
        if status.is_client_error() {
            let listen = self.client.listen;
            self.worker.with_snapshot(|snapshot| {
                if let Some(route) = snapshot.route(listen) {
                    route.state.rejected.fetch_add(1, Relaxed);
                }
            });
            let mut response = refuse(&self.client, status, text);
            response.headers_mut().insert(PROXY_STATUS, why);
            return response;
        }
        self.exchange.answered(status.as_u16());
        let mut response = plain(&self.client, status, text);
        response.headers_mut().insert(PROXY_STATUS, why);
        if let Some(served) = self.served() {
            response.extensions_mut().insert(served);
        }
        // The rest of a body that is still coming cannot be told from the next request.
        if self.watch.is_some_and(|watch| !watch.complete.get()) {
            close_after(&self.client, &mut response);
        }
        response
    }

    fn answer(mut self, mut response: Answer, lease: Lease) -> Response<AnswerBody> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.switch_protocols(response);
        }
        self.exchange.answered(response.status().as_u16());
        if let Some(side) = &mut self.compared {
            side.status(response.status().as_u16());
        }
        let times = self.exchange.serving().resilience.times;
        let mut open = Open::WhileItMoves(times.idle);
        if fields::is_event_stream(response.headers()) {
            self.exchange.count_answer();
            self.exchange.leave_gate();
            open = Open::UntilItsInstanceLeaves(times.event_streams);
        }
        let grpc = self.http2 && grpc::is_answer(response.headers());
        if grpc {
            // An answer without a body has its status in its head.
            if let Some(status) = grpc::failure(response.headers()) {
                self.exchange.answered(status);
            }
            if !self.client.http2 {
                grpc::announce_trailers(response.headers_mut());
            }
        }
        fields::to_client(response.status(), response.headers_mut());
        answer_fields::tell(response.headers_mut(), &self.exchange);
        give_session(response.headers_mut(), self.session.take());
        response.extensions_mut().clear();
        if let Some(served) = self.served() {
            response.extensions_mut().insert(served);
        }
        *response.version_mut() = Version::HTTP_11;
        let uploading = self.watch.as_ref().is_some_and(|watch| !watch.complete.get());
        let hangs_up = uploading && lease.as_io().is_some_and(|io| !io.stays_open());
        let connection = Arc::clone(&self.client.state);
        let mut response = response.map(|incoming| {
            let body = InstanceBody::new(incoming, lease);
            AnswerBody::from_instance(connection, body, self.watch, self.exchange, grpc, open)
                .compared(self.compared)
        });
        // Nobody will take the rest of the body, and a client that hears of it need not send it.
        if hangs_up {
            close_after(&self.client, &mut response);
        }
        response
    }

    /// Who served it, if somebody wants to know.
    fn served(&self) -> Option<Served> {
        Some(Served {
            revision: Arc::clone(self.exchange.serving()),
            instance: self.exchange.endpoint().cloned(),
            attempts: self.attempts,
            trace: self.trace.clone()?,
        })
    }

    fn switch_protocols(mut self, mut response: Answer) -> Response<AnswerBody> {
        let headers = response.headers();
        let is_asked_for = fields::is_all(headers, &UPGRADE, request::WEBSOCKET);
        let Some(from_client) = self.upgrade.take().filter(|_| is_asked_for) else {
            self.exchange.attempt_failed();
            return self.fail(
                StatusCode::BAD_GATEWAY,
                "the instance switched protocols unasked\n",
            );
        };
        self.client.state.switch();
        self.exchange.answered(StatusCode::SWITCHING_PROTOCOLS.as_u16());
        self.exchange.count_answer();
        self.exchange.leave_gate();
        let from_instance = hyper::upgrade::on(&mut response);
        let session = self.session.take();
        let served = self.served();
        let mut switched = Response::new(AnswerBody::text(Arc::clone(&self.client.state), ""));
        *switched.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *switched.headers_mut() = std::mem::take(response.headers_mut());
        if let Some(served) = served {
            switched.extensions_mut().insert(served);
        }
        fields::to_client(switched.status(), switched.headers_mut());
        answer_fields::tell(switched.headers_mut(), &self.exchange);
        give_session(switched.headers_mut(), session);
        fields::say_websocket(switched.headers_mut());
        tokio::task::spawn_local(splice::splice(from_client, from_instance, self.exchange));
        switched
    }
}

fn give_session(headers: &mut HeaderMap, session: Option<HeaderValue>) {
    if let Some(cookie) = session {
        headers.append(SET_COOKIE, cookie);
    }
}
