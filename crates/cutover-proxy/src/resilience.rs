//! What a route asks about failures and time, compiled for the way of a request.

use std::time::Duration;

use cutover_model::RoutePolicy;
use cutover_model::routing::{ActiveHealth, OutlierDetection, RetryOn};

/// Of one route, the same for all its revisions.
#[derive(Debug, Default)]
pub(crate) struct Resilience {
    pub(crate) retries: RetryRule,
    pub(crate) times: Times,
    pub(crate) outliers: OutlierDetection,
    /// Requests that wait for one of their revision to end, and for how long.
    pub(crate) max_pending: u32,
    pub(crate) pending_timeout: Duration,
    /// Open requests of one revision; [`OPEN_PER_INSTANCE`] for each of its instances if not given.
    max_requests: Option<u32>,
    pub(crate) health: Option<ActiveHealth>,
}

/// What Envoy allows a cluster.
const OPEN_PER_INSTANCE: u64 = 1024;

/// What is sent again, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryRule {
    /// Attempts after the first that was sent.
    pub(crate) attempts: u32,
    pub(crate) per_try: Option<Duration>,
    pub(crate) on_reset: bool,
    /// By one attempt's own time-out.
    pub(crate) on_timeout: bool,
    pub(crate) on_gateway_error: bool,
    pub(crate) on_server_error: bool,
    pub(crate) budget_percent: u8,
    pub(crate) min_per_second: u32,
}

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) connect: Duration,
    pub(crate) answer: Duration,
    pub(crate) idle: Duration,
    /// How long a changed protocol, and an event stream, may stay on an instance that has left.
    pub(crate) web_sockets: Option<Duration>,
    pub(crate) event_streams: Option<Duration>,
}

impl Resilience {
    pub(crate) fn compile(policy: &RoutePolicy) -> Self {
        let retries = &policy.retries;
        let on = |reason| retries.retry_on.contains(&reason);
        let (on_gateway_error, on_server_error) = (on(RetryOn::GatewayError), on(RetryOn::ServerError));
        Self {
            retries: RetryRule {
                attempts: retries.attempts,
                per_try: retries.per_try_timeout.map(|span| span.as_duration()),
                on_reset: on(RetryOn::Reset),
                // A time-out would be a 504.
                on_timeout: on(RetryOn::Timeout) || on_gateway_error || on_server_error,
                on_gateway_error,
                on_server_error,
                budget_percent: retries.budget_percent,
                min_per_second: retries.min_per_second,
            },
            times: Times {
                connect: policy.timeouts.connect.as_duration(),
                answer: policy.timeouts.answer.as_duration(),
                idle: policy.timeouts.idle.as_duration(),
                web_sockets: policy.drain.web_sockets.map(|span| span.as_duration()),
                event_streams: policy.drain.event_streams.map(|span| span.as_duration()),
            },
            outliers: policy.outlier_detection.clone(),
            max_pending: policy.circuit.max_pending,
            pending_timeout: policy.circuit.pending_timeout.as_duration(),
            max_requests: policy.circuit.max_requests,
            health: policy.health.clone(),
        }
    }

    /// Open requests that a revision of so many instances may have.
    pub(crate) fn most_open(&self, instances: usize) -> u64 {
        let usual = OPEN_PER_INSTANCE * instances.max(1) as u64;
        self.max_requests.map_or(usual, u64::from)
    }
}

impl Default for RetryRule {
    fn default() -> Self {
        Resilience::compile(&RoutePolicy::default()).retries
    }
}

impl Default for Times {
    fn default() -> Self {
        Resilience::compile(&RoutePolicy::default()).times
    }
}

impl RetryRule {
    /// Whether an answer with this status is a reason to try another instance.
    pub(crate) fn is_unwanted(self, status: u16) -> bool {
        self.on_server_error && status >= 500 || self.on_gateway_error && matches!(status, 502..=504)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(on: &str) -> RetryRule {
        let policy = format!(r#"{{"retries": {{"retryOn": {on}}}}}"#);
        Resilience::compile(&serde_json::from_str(&policy).unwrap()).retries
    }

    #[test]
    fn reasons() {
        let standard = RetryRule::default();
        assert!(standard.on_reset && !standard.on_timeout && !standard.is_unwanted(503));
        let gateway = rule(r#"["gatewayError"]"#);
        assert!(gateway.is_unwanted(502) && gateway.is_unwanted(504) && !gateway.is_unwanted(500));
        assert!(
            gateway.on_timeout && !gateway.on_reset,
            "a time-out would be a 504"
        );
        let all = rule(r#"["5xx"]"#);
        assert!(all.is_unwanted(500) && all.is_unwanted(599) && !all.is_unwanted(499));
    }
}
