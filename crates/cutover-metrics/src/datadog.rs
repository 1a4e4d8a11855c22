//! Datadog's API of time series (<https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points>).

use cutover_model::{DatadogQuery, Timestamp};
use serde_json::Value;

use crate::http::{Request, said};
use crate::series;

pub(crate) fn request(query: &DatadogQuery, now: Timestamp) -> Request {
    let (from, to) = series::seconds(now, query.range);
    Request {
        url: format!("{}/api/v1/query", query.address.trim_end_matches('/')),
        query: vec![
            ("from", from.to_string()),
            ("to", to.to_string()),
            ("query", query.query.clone()),
        ],
        headers: query.headers.clone(),
        timeout: query.timeout,
        ..Request::default()
    }
}

/// `{"status": "ok", "series": [{"pointlist": [[1700000000000, 0.25], …]}]}` as lists of the values. A query that fails
/// may have the status 200 and say so in its `status`.
pub(crate) fn result(answer: &Value) -> Result<Value, String> {
    let strange = || "it is not Datadog's answer".to_owned();
    if answer.get("status").and_then(Value::as_str) != Some("ok") {
        return Err(said(answer).unwrap_or_else(strange));
    }
    let point = |pair: &Value| series::number(pair.get(1)?);
    let found = series::list(answer.get("series").unwrap_or(&Value::Null), |one| {
        series::list(one.get("pointlist")?, point)
    });
    found.ok_or_else(strange)
}
