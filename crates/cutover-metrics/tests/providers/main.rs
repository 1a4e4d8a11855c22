//! Providers against a real Prometheus, and against recorded answers of the others.

#![cfg(test)]

mod cloud_watch;
mod datadog;
mod graphite;
mod influxdb;
mod new_relic;
mod prometheus;
mod refusals;
mod server;
mod web;

use std::sync::Arc;

use cutover_metrics::HttpQueries;
use cutover_model::{Provider, Span, Timestamp};
use cutover_ports::Clock;
use cutover_spec::Reference;
use serde_json::Value;

/// 2027-01-15T08:00:00Z.
const NOW: i64 = 1_800_000_000;

#[derive(Debug)]
struct Stopped;

#[async_trait::async_trait]
impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }

    async fn sleep(&self, _: Span) {
        unreachable!("nothing here waits");
    }
}

/// Everybody's secret is `s3cret`, and `MISSING` is not set.
fn queries() -> HttpQueries {
    let look_up = |reference: &Reference| match reference {
        Reference::Env(name) if name == "MISSING" => None,
        Reference::Env(name) if name == "ID" => Some("AKIDEXAMPLE".to_owned()),
        _ => Some("s3cret".to_owned()),
    };
    let resolve = move |text: &str| cutover_spec::resolve(text, &look_up);
    HttpQueries::new(Arc::new(resolve), Arc::new(Stopped))
}

/// A provider as the file writes it.
fn provider(value: Value) -> Provider {
    serde_json::from_value(value).unwrap()
}
