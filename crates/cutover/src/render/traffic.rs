//! What the router counted, as it is shown: given by the caller, never fetched here.

use cutover_model::{ServiceName, Version, Weight};
use serde::Serialize;

/// One revision in one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sample {
    /// Its version.
    pub(crate) version: Version,
    /// Its ready instances.
    pub(crate) instances: u32,
    /// Its share of the requests; none for a worker.
    pub(crate) weight: Option<Weight>,
    /// Requests a second, lately.
    pub(crate) req_per_s: f64,
    /// Failed ones among them, in per cent.
    pub(crate) error_percent: f64,
    /// The 99th percentile of the answer times, in milliseconds; none without requests.
    pub(crate) p99_ms: Option<f64>,
}

/// Both revisions of one service.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceTraffic {
    /// The service.
    pub(crate) service: ServiceName,
    /// What served before.
    pub(crate) stable: Option<Sample>,
    /// What is to take over.
    pub(crate) candidate: Option<Sample>,
}

/// All services that change. Empty: nothing was measured, and the wanted state is shown instead.
pub(crate) type Traffic = Vec<ServiceTraffic>;
