//! What crosses the admin socket as JSON.

use std::net::SocketAddr;

use cutover_model::{Fence, InstanceId, RevisionId, RouteTable, ServiceName, Span, Track, Weight};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `PUT /table`: serve by this table from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishRequest {
    /// Who writes.
    pub fence: Fence,
    /// The serial of the table that this one replaces; the publish is refused if another is served by then.
    pub expected_serial: u64,
    /// Whether a proxy that last obeyed another store may change hands. Never by default.
    #[serde(default)]
    pub adopt: bool,
    /// The new routes, all of them.
    pub table: RouteTable,
}

/// The confirmation that every worker serves by a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishReceipt {
    /// The serial of the table that is served now.
    pub serial: u64,
    /// When the last worker confirmed, in milliseconds since 1970.
    pub acknowledged_at_ms: u64,
    /// From the request until then, in microseconds.
    pub took_us: u64,
}

/// `POST /hold`: requests wait at the proxy, before it is decided which revision they are for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HoldRequest {
    /// Whose; all services' if not given.
    pub service: Option<ServiceName>,
    /// How many may wait; default 10,000. One more is answered 503.
    pub max_requests: u32,
    /// The bytes of their heads together; default 16 MiB.
    pub max_bytes: u64,
    /// How long each may wait; default 30s. Then it is answered 503.
    pub max_age: Span,
    /// After which they are released by themselves; never if not given. What is to end so is not kept for the next process,
    /// and changes nothing where requests are held without an end already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Span>,
}

impl Default for HoldRequest {
    fn default() -> Self {
        Self {
            service: None,
            max_requests: 10_000,
            max_bytes: 16 * 1024 * 1024,
            max_age: Span::from_secs(30),
            at_most: None,
        }
    }
}

/// `POST /release`: nothing waits any longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ReleaseRequest {
    /// Whose; all services' if not given.
    pub service: Option<ServiceName>,
    /// How many of those that wait go on a second; default 1,000. Whoever comes later goes on at once.
    pub per_second: u32,
    /// Only what was to end by itself ([`HoldRequest::at_most`]): what a person holds, stays held.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub only_timed: bool,
}

impl Default for ReleaseRequest {
    fn default() -> Self {
        Self {
            service: None,
            per_second: 1_000,
            only_timed: false,
        }
    }
}

/// What is held of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldView {
    /// The service.
    pub service: ServiceName,
    /// Whether requests are held.
    pub holding: bool,
    /// Requests that wait.
    pub waiting: u64,
}

/// Why the proxy did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Refusal {
    /// A newer lease has written before.
    #[error("generation {generation} is older than {last}, which wrote last")]
    StaleFence {
        /// The writer's generation.
        generation: u64,
        /// The newest seen.
        last: u64,
    },
    /// The proxy obeys another store.
    #[error("the proxy obeys store {owner}, not {store}")]
    ForeignStore {
        /// The writer's store.
        store: String,
        /// The store that the proxy obeys.
        owner: String,
    },
    /// Somebody else published in between.
    #[error("table {current} is served, not {expected}")]
    SerialConflict {
        /// What the writer believed.
        expected: u64,
        /// What is served.
        current: u64,
    },
    /// The table cannot be served.
    #[error("{what}")]
    InvalidTable {
        /// What is wrong with it.
        what: String,
    },
    /// An address of the table could not be bound.
    #[error("cannot listen on {listen}: {reason}")]
    CannotListen {
        /// The address.
        listen: String,
        /// What the system said.
        reason: String,
    },
    /// The table could not be written to disk, so it was not served either.
    #[error("cannot keep the table on disk at {path}: {reason}")]
    NotSaved {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// What is held could not be written to disk. It is held, or let go, all the same, until the process ends.
    #[error("requests are held or let go as asked, but that cannot be kept on disk at {path}: {reason}")]
    HoldNotSaved {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// A worker did not confirm in time: the table is on disk and will be served, or is served by now.
    #[error("not every worker confirmed table {serial} in time")]
    NotAcknowledged {
        /// The table's serial.
        serial: u64,
    },
    /// Another process has taken over; it answers at the same place.
    #[error("another proxy has taken over")]
    HandedOver,
    /// The request is not JSON of the expected form.
    #[error("{what}")]
    BadRequest {
        /// What is wrong with it.
        what: String,
    },
}

/// `GET /table`: what is served now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableView {
    /// Counts publishes; 0 before the first.
    pub serial: u64,
    /// Who wrote it; nobody before the first publish.
    pub fence: Option<Fence>,
    /// The routes.
    pub table: RouteTable,
}

/// `GET /inflight`: requests that are open now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainStatus {
    /// Open requests assigned to the revision, removed ones included until they are done.
    pub in_flight: u64,
    /// The same by the instance that works on them.
    pub instances: Vec<InstanceInFlight>,
}

/// Open requests of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceInFlight {
    /// The instance.
    pub instance: InstanceId,
    /// How many.
    pub in_flight: u64,
}

/// One socket that is accepted from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerView {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether the proxy bound it itself: then it goes when the proxy goes. Others belong to the parent.
    pub self_bound: bool,
}

/// `GET /stats`: counters since the start of the process. Callers take differences.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Which run counted: another number means that everything started again from zero.
    pub epoch: u64,
    /// Which process it is.
    #[serde(default)]
    pub pid: u32,
    /// Of which version of Cutover; not said by an older one.
    #[serde(default)]
    pub version: String,
    /// The served table's serial.
    pub serial: u64,
    /// How long the process has run, in milliseconds.
    pub uptime_ms: u64,
    /// Worker threads.
    pub workers: usize,
    /// Client connections that are open now.
    pub connections: u64,
    /// Of them, those that have said nothing yet, or nothing for a quarter of a second.
    #[serde(default)]
    pub idle_connections: u64,
    /// The sockets.
    pub listeners: Vec<ListenerView>,
    /// By service.
    pub routes: Vec<RouteStats>,
    /// By revision, removed ones included for a while.
    pub revisions: Vec<RevisionStats>,
    /// By the odds that requests were drawn with; not said by an older proxy.
    #[serde(default)]
    pub odds: Option<Vec<OddsStats>>,
}

/// What became of the requests that were drawn between two revisions with the same shares, however late they ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OddsStats {
    /// The candidate.
    pub candidate: RevisionId,
    /// Stable.
    pub stable: RevisionId,
    /// First attempts of those that fell on the candidate.
    pub of_candidate: cutover_analysis::DrawnAt,
    /// First attempts of those that fell on stable.
    pub of_stable: cutover_analysis::DrawnAt,
}

/// What happened at one route before a revision was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteStats {
    /// The service.
    pub service: ServiceName,
    /// Requests that arrived, well-formed or not.
    pub requests: u64,
    /// Answered with a 4xx by the proxy itself: the client's own fault.
    pub rejected: u64,
    /// Answered 503 because no revision has a share.
    pub unavailable: u64,
    /// Requests of clients whose session had named another revision: a share has changed, or a revision has gone.
    #[serde(default)]
    pub sessions_moved: u64,
    /// Retries that the budget did not allow.
    #[serde(default)]
    pub over_budget: u64,
    /// Whether requests are held.
    #[serde(default)]
    pub holding: bool,
    /// Requests that are held now.
    #[serde(default)]
    pub held: u64,
    /// Requests that were held so far.
    #[serde(default)]
    pub held_total: u64,
    /// Requests that could not be held, or not any longer.
    #[serde(default)]
    pub hold_overflowed: u64,
    /// Its TLS, if it has any.
    #[serde(default)]
    pub tls: Option<TlsStats>,
    /// Copies of its requests, if there ever was one to be made.
    #[serde(default)]
    pub mirror: Option<MirrorStats>,
    /// Its access log, if it has any.
    #[serde(default)]
    pub access_log: Option<AccessLogStats>,
}

/// What became of the copies of one route's requests. Nothing of it is in the candidate's own figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MirrorStats {
    /// That wait for their original's body, or are under way, now.
    pub open: u32,
    /// That were sent.
    pub sent: u64,
    /// Dropped, because as many as allowed were open.
    pub full: u64,
    /// Dropped, because the body was longer than allowed.
    pub too_long: u64,
    /// Of those sent: without an answer, or with one that broke off or did not come in time.
    pub failed: u64,
    /// Both answers had the same status and the same body.
    pub equal: u64,
    /// They differed by status.
    pub other_status: u64,
    /// They had the same status and another body.
    pub other_body: u64,
    /// One of the two did not come to its end, or was too long to be looked at.
    pub not_compared: u64,
}

/// One route's lines in its access log, since it has one. Others may write to the same file, and count their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessLogStats {
    /// Lines in the file.
    pub written: u64,
    /// Lines that are missing in it: the file could not be written, or not as fast as requests came.
    pub dropped: u64,
}

/// The certificates of one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsStats {
    /// How often they were loaded: one more each time that changed files are served.
    pub loads: u64,
    /// Why the files as they are now are not served, but those that were loaded last.
    pub problem: Option<String>,
}

/// What one revision did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionStats {
    /// The revision.
    pub revision: RevisionId,
    /// Its track in the last table that named it.
    pub track: Track,
    /// Its share now; none when it is not routed.
    pub weight: Weight,
    /// Open requests.
    pub in_flight: u64,
    /// Requests that were given to this revision.
    pub assigned: u64,
    /// Those whose first attempt has ended.
    pub first_attempts: u64,
    /// Those whose first attempt failed: a 5xx answer, a time-out, a refused, broken or cut connection.
    pub first_attempt_failures: u64,
    /// Those of both whose request was assigned at random; not said by an older proxy, which knows nothing else.
    #[serde(default)]
    pub drawn: Option<cutover_analysis::Drawn>,
    /// Answers by status code, also those that the proxy made in the revision's name (502, 504).
    pub answers: Vec<(u16, u64)>,
    /// Of these, how many have a 5xx status.
    pub errors: u64,
    /// Assigned here, but answered by stable because no instance here could be reached.
    pub answered_by_stable: u64,
    /// Attempts that could not connect.
    pub connect_failures: u64,
    /// Attempts without an answer in time.
    pub timeouts: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// How often an instance was left out for its answers.
    #[serde(default)]
    pub ejections: u64,
    /// Requests that wait for others of the revision to end.
    #[serde(default)]
    pub pending: u64,
    /// Requests that were turned back because too many were open.
    #[serde(default)]
    pub overflowed: u64,
    /// Requests that may not be repeated and were cut after they had been sent: the client got a 502.
    pub cut_writes: u64,
    /// Answers that broke off after their head.
    pub cut_answers: u64,
    /// Sum of answer times in microseconds.
    pub total_us: u64,
    /// Distribution of answer times, from the request's head to the answer's last byte from the instance; dense,
    /// the last zeros left out.
    pub latency: cutover_analysis::Histogram,
    /// By instance.
    pub instances: Vec<InstanceStats>,
}

/// What one instance did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStats {
    /// The instance.
    pub instance: InstanceId,
    /// Its address.
    pub address: SocketAddr,
    /// Whether the table that is served names it.
    pub routed: bool,
    /// Whether it is left out for a while, because it refused connections, for its answers or for what probes say.
    pub ejected: bool,
    /// Connections it has refused since it last took one.
    #[serde(default)]
    pub refusals: u32,
    /// What the proxy's own probes say; nothing if there are none.
    #[serde(default)]
    pub healthy: Option<bool>,
    /// Probes that failed.
    #[serde(default)]
    pub probe_failures: u64,
    /// Open requests.
    pub in_flight: u64,
    /// Attempts.
    pub attempts: u64,
    /// Attempts that failed, 5xx answers included.
    pub failures: u64,
}
