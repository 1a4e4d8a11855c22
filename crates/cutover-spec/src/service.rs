//! One deployable part.

use std::collections::BTreeMap;

use cutover_model::{DatabaseName, RoutePolicy, ServiceName, Smoke, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One deployable part: where it runs, how its health is seen, who sends it requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// Where its instances run.
    pub target: Target,
    /// How many; default 1, 1 to 1000.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: u32,
    /// Environment variables; values may hold `${env:NAME}`, `${file:path}`, `${service:name.url}` and `{version}`. One
    /// with `{version}` makes every version another configuration, so that the service is always replaced.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The databases it uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<DatabaseName>,
    /// Services that must be there before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<ServiceName>,
    /// Versions of other services that it can call and be called by, as SemVer requirements.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub compatible_with: BTreeMap<ServiceName, String>,
    /// How its health is seen.
    #[serde(default)]
    pub health: Health,
    /// Requests to the candidate alone, before it gets any others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub smoke: Vec<Smoke>,
    /// Who sends it requests; none for a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<Router>,
}

const fn one() -> u32 {
    1
}

/// What an environment may change of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceOverlay {
    /// Replaces how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: Option<u32>,
    /// Adds and replaces environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Replaces the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Replaces the router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<Router>,
}

/// Where instances run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Target {
    /// As local processes, under the supervisor.
    Process(ProcessTarget),
}

/// Local processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessTarget {
    /// Program and arguments; `{version}` is the release's version, `{port}` the instance's port.
    pub command: Vec<String>,
    /// Ports for instances, `20000-20999`; below 32768, so that outgoing connections do not sit on them. The
    /// instance gets its own in PORT. None for a worker that listens nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<PortRange>,
    /// Where it is started; default the folder of `cutover.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// What the program itself writes into the release's folder (logs, caches, uploads), as paths in it: no part of what
    /// is compared between releases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Between SIGTERM and SIGKILL; default 10s.
    #[serde(default = "grace")]
    pub stop_grace: Span,
}

const fn grace() -> Span {
    Span::from_secs(10)
}

/// First and last port, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("format" = "cutover-ports", "pattern" = "^ *[0-9]{1,5} *- *[0-9]{1,5} *$"))]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl TryFrom<String> for PortRange {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not a range of ports such as 20000-20999");
        let (first, last) = text.split_once('-').ok_or_else(refuse)?;
        let range = Self {
            first: first.trim().parse().map_err(|_| refuse())?,
            last: last.trim().parse().map_err(|_| refuse())?,
        };
        if range.first == 0 || range.first > range.last {
            Err(refuse())
        } else {
            Ok(range)
        }
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> Self {
        format!("{}-{}", range.first, range.last)
    }
}

/// How an instance's health is seen. `path`, `interval`, `rise`, `fall` are the short form of a readiness probe.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Health {
    /// Short form: the path of the readiness probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Short form: between two probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// Short form: successes in a row until it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub rise: Option<u32>,
    /// Short form: failures in a row until it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub fall: Option<u32>,
    /// Whether requests may be sent there. Without any probe an instance with a port is ready when it listens, one
    /// without when it has run for `minReady`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Probe>,
    /// Whether it must be started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Probe>,
    /// Until this succeeds once, the other two do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<Probe>,
    /// What a JSON answer with `status: degraded` counts as; default ready.
    #[serde(default)]
    pub degraded: Degraded,
    /// How long it must be ready in a row before it counts (Kubernetes' minReadySeconds); default 0s.
    #[serde(default)]
    pub min_ready: Span,
    /// How long a launch may take before it has failed; default 10m.
    #[serde(default = "progress_deadline")]
    pub progress_deadline: ProgressDeadline,
}

/// A span whose default is 10m.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ProgressDeadline(pub Span);

impl Default for ProgressDeadline {
    fn default() -> Self {
        Self(Span::from_mins(10))
    }
}

fn progress_deadline() -> ProgressDeadline {
    ProgressDeadline::default()
}

impl Health {
    /// The readiness probe, from either form.
    #[must_use]
    pub fn readiness(&self) -> Option<Probe> {
        self.readiness.clone().or_else(|| {
            self.path.clone().map(|path| Probe {
                path,
                period: self.interval.unwrap_or(Span::from_secs(2)),
                success_threshold: self.rise.unwrap_or(2),
                failure_threshold: self.fall.unwrap_or(3),
                ..Probe::default()
            })
        })
    }
}

/// What `degraded` counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Degraded {
    /// Requests may be sent there.
    #[default]
    Ready,
    /// They may not.
    NotReady,
}

/// An HTTP probe: a status from 200 to 399 passes; a JSON answer with a `status` must say `healthy`, `ok` or `UP`
/// (or `degraded`, see [`Degraded`]). Names and defaults are Kubernetes', but for the period's 2s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Probe {
    /// The path to get.
    pub path: String,
    /// Before the first probe; default 0s.
    pub initial_delay: Span,
    /// Between two probes; default 2s.
    pub period: Span,
    /// For one answer; default 1s.
    pub timeout: Span,
    /// Successes in a row until it passes; default 1.
    #[schemars(range(min = 1))]
    pub success_threshold: u32,
    /// Failures in a row until it fails; default 3.
    #[schemars(range(min = 1))]
    pub failure_threshold: u32,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            initial_delay: Span::ZERO,
            period: Span::from_secs(2),
            timeout: Span::from_secs(1),
            success_threshold: 1,
            failure_threshold: 3,
        }
    }
}

/// Who sends requests to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Router {
    /// The embedded proxy.
    Proxy(ProxyRouter),
}

impl Router {
    /// Where its clients connect.
    #[must_use]
    pub fn listen(&self) -> &str {
        match self {
            Self::Proxy(proxy) => &proxy.listen,
        }
    }

    /// How its requests are routed.
    #[must_use]
    pub const fn policy(&self) -> &RoutePolicy {
        match self {
            Self::Proxy(proxy) => &proxy.routing,
        }
    }
}

/// The embedded proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProxyRouter {
    /// Where clients connect, `127.0.0.1:8080`.
    pub listen: String,
    /// How requests are routed; default: by weight, at random.
    #[serde(default, skip_serializing_if = "RoutePolicy::is_default")]
    pub routing: RoutePolicy,
}
