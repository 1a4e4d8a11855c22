//! Requests, errors and durations of this process. Probes and scrapes are not counted: they would dilute the rest.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::server::Shop;

/// Upper bounds in seconds.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: AtomicU64,
    errors: AtomicU64,
    micros: AtomicU64,
    buckets: [AtomicU64; BUCKETS.len()],
}

impl Metrics {
    pub(crate) fn record(&self, status: StatusCode, took: Duration) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if status.is_server_error() {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(
            u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        if let Some(bucket) = BUCKETS.iter().position(|bound| took.as_secs_f64() <= *bound) {
            self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn json(&self) -> Value {
        let requests = self.requests.load(Ordering::Relaxed);
        let errors = self.errors.load(Ordering::Relaxed);
        let millis = self.micros.load(Ordering::Relaxed) as f64 / 1000.0;
        let each = |total: f64| {
            if requests == 0 {
                0.0
            } else {
                total / requests as f64
            }
        };
        json!({
            "total_requests": requests,
            "total_errors": errors,
            "error_rate_percent": each(errors as f64 * 100.0),
            "avg_response_time_ms": each(millis),
        })
    }

    fn prometheus(&self, version: &str, environment: &str, uptime: Duration) -> String {
        let labels = format!(
            "version=\"{}\",environment=\"{}\"",
            escape(version),
            escape(environment)
        );
        let requests = self.requests.load(Ordering::Relaxed);
        let errors = self.errors.load(Ordering::Relaxed);
        let seconds = self.micros.load(Ordering::Relaxed) as f64 / 1e6;
        let mut text = format!(
            "# HELP shop_requests_total Requests answered, probes not counted.\n\
             # TYPE shop_requests_total counter\n\
             shop_requests_total{{{labels}}} {requests}\n\
             # HELP shop_errors_total Requests answered with 500 or above.\n\
             # TYPE shop_errors_total counter\n\
             shop_errors_total{{{labels}}} {errors}\n\
             # HELP shop_uptime_seconds Seconds since this process started.\n\
             # TYPE shop_uptime_seconds gauge\n\
             shop_uptime_seconds{{{labels}}} {}\n\
             # HELP shop_request_duration_seconds Time from the request's head to the answer's head.\n\
             # TYPE shop_request_duration_seconds histogram\n",
            uptime.as_secs()
        );
        let mut below = 0;
        for (bound, bucket) in BUCKETS.iter().zip(&self.buckets) {
            below += bucket.load(Ordering::Relaxed);
            let _ = writeln!(
                text,
                "shop_request_duration_seconds_bucket{{{labels},le=\"{bound}\"}} {below}"
            );
        }
        let _ = write!(
            text,
            "shop_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} {requests}\n\
             shop_request_duration_seconds_sum{{{labels}}} {seconds}\n\
             shop_request_duration_seconds_count{{{labels}}} {requests}\n"
        );
        text
    }
}

fn escape(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// `/metrics`: Prometheus's text, or four numbers as JSON for whoever accepts `application/json`.
pub(crate) async fn metrics(State(shop): State<Arc<Shop>>, headers: HeaderMap) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if accept.contains("application/json") {
        return Json(shop.metrics.json()).into_response();
    }
    let version = shop.config.version.to_string();
    let text = shop
        .metrics
        .prometheus(&version, &shop.config.environment, shop.started.elapsed());
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_served_is_no_error_and_no_time() {
        let numbers = Metrics::default().json();
        assert_eq!(numbers["error_rate_percent"], 0.0);
        assert_eq!(numbers["avg_response_time_ms"], 0.0);
    }

    #[test]
    fn both_forms_tell_the_same() {
        let metrics = Metrics::default();
        metrics.record(StatusCode::OK, Duration::from_millis(2));
        metrics.record(StatusCode::NOT_FOUND, Duration::from_millis(4));
        metrics.record(StatusCode::INTERNAL_SERVER_ERROR, Duration::from_secs(9));
        metrics.record(StatusCode::OK, Duration::from_millis(994));

        let numbers = metrics.json();
        assert_eq!(numbers["total_requests"], 4);
        assert_eq!(numbers["total_errors"], 1);
        assert_eq!(numbers["error_rate_percent"], 25.0);
        assert_eq!(numbers["avg_response_time_ms"], 2500.0);

        let text = metrics.prometheus("1.0.0", "blue", Duration::from_secs(3));
        for line in [
            "shop_requests_total{version=\"1.0.0\",environment=\"blue\"} 4",
            "shop_errors_total{version=\"1.0.0\",environment=\"blue\"} 1",
            "shop_request_duration_seconds_bucket{version=\"1.0.0\",environment=\"blue\",le=\"0.005\"} 2",
            "shop_request_duration_seconds_bucket{version=\"1.0.0\",environment=\"blue\",le=\"2.5\"} 3",
            "shop_request_duration_seconds_bucket{version=\"1.0.0\",environment=\"blue\",le=\"+Inf\"} 4",
            "shop_request_duration_seconds_sum{version=\"1.0.0\",environment=\"blue\"} 10",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
