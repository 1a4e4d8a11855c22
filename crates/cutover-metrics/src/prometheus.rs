//! Prometheus's HTTP API (<https://prometheus.io/docs/prometheus/latest/querying/api/>).

use cutover_model::{PrometheusQuery, Timestamp};
use serde::Deserialize;
use serde_json::{Number, Value};

use crate::http::Request;
use crate::series::{list, window};

pub(crate) fn request(query: &PrometheusQuery, now: Timestamp) -> Request {
    let mut parameters = vec![("query", query.query.clone())];
    let path = match query.range {
        None => "query",
        Some(range) => {
            let (start, end) = window(now, range);
            let step = query.step.unwrap_or(PrometheusQuery::STEP).as_millis();
            let seconds = |millis: i64| format!("{}.{:03}", millis / 1000, millis % 1000);
            parameters.push(("start", seconds(start)));
            parameters.push(("end", seconds(end)));
            parameters.push(("step", format!("{}.{:03}", step / 1000, step % 1000)));
            "query_range"
        }
    };
    Request {
        url: format!("{}/api/v1/{path}", query.address.trim_end_matches('/')),
        query: parameters,
        headers: query.headers.clone(),
        timeout: query.timeout,
        ..Request::default()
    }
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

/// A scalar as a number, a vector as a list of numbers, a matrix as a list of lists. What is no finite number (`NaN`,
/// `+Inf`) is null.
pub(crate) fn result(answer: &Value) -> Result<Value, String> {
    let answer =
        Answer::deserialize(answer).map_err(|error| format!("it is not Prometheus's answer: {error}"))?;
    let data = match answer.data {
        Some(data) if answer.status == "success" => data,
        _ => return Err(answer.error.unwrap_or_else(|| "it gives no result".to_owned())),
    };
    let strange = || format!("a {} of this form is not known", data.result_type);
    match data.result_type.as_str() {
        "scalar" => point(&data.result).ok_or_else(strange),
        "vector" => list(&data.result, |one| point(one.get("value")?)).ok_or_else(strange),
        "matrix" => list(&data.result, |one| list(one.get("values")?, point)).ok_or_else(strange),
        _ => Err(strange()),
    }
}

/// `[1700000000.0, "0.25"]`.
fn point(pair: &Value) -> Option<Value> {
    let number: f64 = pair.get(1)?.as_str()?.parse().ok()?;
    Some(Number::from_f64(number).map_or(Value::Null, Value::Number))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn results_become_plain_values() {
        let of = |kind: &str, value: Value| {
            result(&json!({"status": "success", "data": {"resultType": kind, "result": value}}))
        };
        assert_eq!(of("scalar", json!([1.5, "0.25"])), Ok(json!(0.25)));
        assert_eq!(of("vector", json!([])), Ok(json!([])));
        assert_eq!(
            of(
                "vector",
                json!([{"metric": {}, "value": [1, "2"]}, {"metric": {}, "value": [1, "NaN"]}])
            ),
            Ok(json!([2.0, null]))
        );
        assert_eq!(
            of(
                "matrix",
                json!([{"metric": {}, "values": [[1, "2"], [2, "+Inf"]]}])
            ),
            Ok(json!([[2.0, null]]))
        );
        assert!(of("string", json!([1, "x"])).unwrap_err().contains("string"));
        assert!(of("vector", json!([{"value": [1]}])).is_err());
        assert!(result(&json!({"up": true})).is_err());
        assert_eq!(
            result(&json!({"status": "error", "error": "parse error"})),
            Err("parse error".to_owned())
        );
    }
}
