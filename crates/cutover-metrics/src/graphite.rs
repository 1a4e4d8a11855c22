//! Graphite's render API (<https://graphite.readthedocs.io/en/latest/render_api.html>).

use cutover_model::GraphiteQuery;
use serde_json::Value;

use crate::http::Request;
use crate::series;

pub(crate) fn request(query: &GraphiteQuery) -> Request {
    Request {
        url: format!("{}/render", query.address.trim_end_matches('/')),
        query: vec![
            ("target", query.query.clone()),
            ("format", "json".to_owned()),
            ("from", format!("-{}s", query.range.as_millis() / 1000)),
            ("until", "now".to_owned()),
        ],
        headers: query.headers.clone(),
        timeout: query.timeout,
        ..Request::default()
    }
}

/// `[{"target": …, "datapoints": [[0.25, 1700000000], [null, 1700000060]]}]` as lists of the values.
pub(crate) fn result(answer: &Value) -> Result<Value, String> {
    let point = |pair: &Value| series::number(pair.get(0)?);
    series::list(answer, |one| series::list(one.get("datapoints")?, point))
        .ok_or_else(|| "it is not Graphite's answer".to_owned())
}
