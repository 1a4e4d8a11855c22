//! Metrics providers: those that are asked over HTTP, the application's databases, commands, and what its instances write and
//! use.
//!
//! One adapter for the port [`cutover_ports::QuerySource`], a file a provider; `http.rs` is what those over HTTP share, and the
//! binary's webhooks with them. Owns nothing but where it stopped counting: a controller that comes after this one begins anew there.
//! It must not know what a result means; conditions are judged by `cutover-analysis`. A failure here is the provider's, never the
//! release's.

mod ask;
mod cloud_watch;
mod command;
mod datadog;
mod graphite;
mod http;
mod influxdb;
mod logs;
mod new_relic;
mod prometheus;
mod resources;
mod series;
mod signature;
mod source;
mod sql;
mod web;

pub use ask::HttpQueries;
pub use command::Commands;
pub use http::{Client, Resolve, Secrets, cause};
pub use source::{DatabaseOf, Providers};

use cutover_model::Diagnostic;
use cutover_ports::PortError;

/// Somebody could not be asked.
fn failed(whom: &str, what: &str) -> PortError {
    let message = format!("{whom} cannot be asked: {what}");
    PortError::transient(Diagnostic::error("metrics.unavailable", message).help("cutover check"))
}
