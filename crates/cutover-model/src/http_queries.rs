//! What the metrics providers that speak HTTP are asked.
//!
//! References (`${env:NAME}`, `${file:path}`) stay as they are written: whoever asks looks them up, at the last moment.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Span;

/// Prometheus, by an instant query or, with `range`, by a range query. The result is a number for a scalar, a list of
/// numbers for a vector, a list of lists for a matrix, which a range query always gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrometheusQuery {
    /// Its address, `http://127.0.0.1:9090`.
    pub address: String,
    /// PromQL. `${candidate.version}`, `${stable.version}` and `${service}` are filled in.
    pub query: String,
    /// Looks back so far, up to now; default: only now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Span>,
    /// Between two values of a range; default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Span>,
    /// Fields of the request; values may hold `${env:NAME}` and `${file:path}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// For the answer; default 10s.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

impl PrometheusQuery {
    /// Between two values of a range, unless the file says otherwise.
    pub const STEP: Span = Span::from_secs(30);
}

/// Anybody who answers with JSON; the result is the whole answer, or the part of it that `path` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebQuery {
    /// Where. `${candidate.version}`, `${stable.version}` and `${service}` are filled in.
    pub url: String,
    /// Sent by a POST; default: a GET without a body. `${candidate.version}`, `${stable.version}` and `${service}` are
    /// filled in; secrets belong into `headers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The part of the answer that is the result, `/data/0/value` (a JSON pointer); what is not there is no data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Fields of the request; values may hold `${env:NAME}` and `${file:path}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// For the answer; default 10s.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

/// Graphite, by its render API. The result is a list of lists of numbers, one for each series; missing points are null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GraphiteQuery {
    /// Its address, `http://127.0.0.1:8080`.
    pub address: String,
    /// A target. `${candidate.version}`, `${stable.version}` and `${service}` are filled in.
    pub query: String,
    /// Looks back so far, up to now; default 5m.
    #[serde(default = "range")]
    pub range: Span,
    /// Fields of the request; values may hold `${env:NAME}` and `${file:path}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// For the answer; default 10s.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

/// InfluxDB 2, by Flux. The result is a list of numbers: the `_value` of each row, of all tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InfluxDbQuery {
    /// Its address, `http://127.0.0.1:8086`.
    pub address: String,
    /// The organization, by its name.
    pub org: String,
    /// Flux. `${candidate.version}`, `${stable.version}` and `${service}` are filled in.
    pub query: String,
    /// Fields of the request, `Authorization` among them; values may hold `${env:NAME}` and `${file:path}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// For the answer; default 10s.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

/// Datadog, by its API of time series. The result is a list of lists of numbers, one for each series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatadogQuery {
    /// The address of its API; default `https://api.datadoghq.com`. Each site has its own.
    #[serde(default = "datadog")]
    pub address: String,
    /// A query. `${candidate.version}`, `${stable.version}` and `${service}` are filled in.
    pub query: String,
    /// Looks back so far, up to now; default 5m.
    #[serde(default = "range")]
    pub range: Span,
    /// Fields of the request, `DD-API-KEY` and `DD-APPLICATION-KEY` among them; values may hold `${env:NAME}` and
    /// `${file:path}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// For the answer; default 10s.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

/// New Relic, by NRQL through NerdGraph. The result is a list of objects, `result[0].count`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRelicQuery {
    /// The address of its API; default `https://api.newrelic.com`. In the EU it is `https://api.eu.newrelic.com`.
    #[serde(default = "new_relic")]
    pub address: String,
    /// The number of the account.
    pub account: u64,
    /// NRQL. `${candidate.version}`, `${stable.version}` and `${service}` are filled in.
    pub query: String,
    /// Fields of the request, `API-Key` among them; values may hold `${env:NAME}` and `${file:path}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// For the answer; default 10s.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

/// Amazon CloudWatch, one metric. The result is a list of numbers, the newest last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloudWatchQuery {
    /// The region, `eu-central-1`.
    pub region: String,
    /// The namespace, `AWS/ApplicationELB`.
    pub namespace: String,
    /// The metric, `HTTPCode_Target_5XX_Count`.
    pub metric_name: String,
    /// Its dimensions. `${candidate.version}`, `${stable.version}` and `${service}` are filled in in the values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, String>,
    /// `Average`, `Sum`, `Minimum`, `Maximum`, `SampleCount`, or a percentile such as `p99`.
    pub statistic: String,
    /// What each value is the statistic of; 1s, 5s, 10s, 20s, 30s or whole minutes, default 60s.
    #[serde(default = "period")]
    pub period: Span,
    /// Looks back so far, up to now; default 5m.
    #[serde(default = "range")]
    pub range: Span,
    /// The id of the access key: a reference, `${env:AWS_ACCESS_KEY_ID}`.
    pub access_key_id: String,
    /// The access key: a reference, `${env:AWS_SECRET_ACCESS_KEY}`.
    pub secret_access_key: String,
    /// The token of temporary keys: a reference, `${env:AWS_SESSION_TOKEN}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<String>,
    /// The address of its API; default `https://monitoring.REGION.amazonaws.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// For the answer; default 10s.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

const fn timeout() -> Span {
    Span::from_secs(10)
}

const fn range() -> Span {
    Span::from_mins(5)
}

const fn period() -> Span {
    Span::from_secs(60)
}

fn datadog() -> String {
    "https://api.datadoghq.com".to_owned()
}

fn new_relic() -> String {
    "https://api.newrelic.com".to_owned()
}
