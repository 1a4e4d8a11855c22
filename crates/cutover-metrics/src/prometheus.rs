//! Prometheus's HTTP API (<https://prometheus.io/docs/prometheus/latest/querying/api/>).

use cutover_model::{PrometheusQuery, Timestamp};
use serde::Deserialize;
use serde_json::{Number, Value};

use crate::http::Request;
use crate::series::list;

/// Prometheus gives 11,000 at most; some that speak its language give more.
const MOST_POINTS: usize = 100_000;

/// The moments of a range, in milliseconds since 1970. The last is the last whole step up to now, so that two queries that are
/// asked one after the other are about the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    first: i64,
    step: i64,
    count: usize,
}

impl Grid {
    /// None of an instant query.
    pub(crate) fn of(query: &PrometheusQuery, now: Timestamp) -> Option<Self> {
        let length = query.range?.as_millis();
        let step = query.step.unwrap_or(PrometheusQuery::STEP).as_millis().max(1);
        let count = (length / step).max(1);
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        let last = now.as_millisecond().div_euclid(step) * step;
        let back = i64::try_from(count - 1).unwrap_or(i64::MAX).saturating_mul(step);
        Some(Self {
            first: last.saturating_sub(back).max(0),
            step,
            count: usize::try_from(count).unwrap_or(usize::MAX),
        })
    }

    fn last(self) -> i64 {
        let steps = i64::try_from(self.count.saturating_sub(1)).unwrap_or(i64::MAX);
        self.first.saturating_add(self.step.saturating_mul(steps))
    }

    /// Where a value of this time, in seconds, stands.
    fn place(self, seconds: f64) -> Option<usize> {
        let index = ((seconds * 1_000.0) as i64 - self.first + self.step / 2).div_euclid(self.step);
        usize::try_from(index).ok().filter(|index| *index < self.count)
    }
}

pub(crate) fn request(query: &PrometheusQuery, grid: Option<Grid>) -> Request {
    let mut parameters = vec![("query", query.query.clone())];
    let path = match grid {
        None => "query",
        Some(grid) => {
            let seconds = |millis: i64| format!("{}.{:03}", millis / 1000, millis % 1000);
            parameters.push(("start", seconds(grid.first)));
            parameters.push(("end", seconds(grid.last())));
            parameters.push(("step", seconds(grid.step)));
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
/// `+Inf`) is null, and so is a moment of a range at which a series has no value.
pub(crate) fn result(answer: &Value, grid: Option<Grid>) -> Result<Value, String> {
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
        "matrix" => list(&data.result, |one| match grid {
            None => list(one.get("values")?, point),
            Some(grid) => placed(one.get("values")?, grid),
        })
        .ok_or_else(strange),
        _ => Err(strange()),
    }
}

/// Prometheus leaves out what is not there.
fn placed(values: &Value, grid: Grid) -> Option<Value> {
    if grid.count > MOST_POINTS {
        return None;
    }
    let mut found = vec![Value::Null; grid.count];
    for pair in values.as_array()? {
        let place = grid.place(pair.get(0)?.as_f64()?);
        if let Some(place) = place.and_then(|place| found.get_mut(place)) {
            *place = point(pair)?;
        }
    }
    Some(Value::Array(found))
}

/// `[1700000000.0, "0.25"]`.
fn point(pair: &Value) -> Option<Value> {
    let number: f64 = pair.get(1)?.as_str()?.parse().ok()?;
    Some(Number::from_f64(number).map_or(Value::Null, Value::Number))
}

#[cfg(test)]
mod tests {
    use cutover_model::Span;
    use serde_json::json;

    use super::*;

    fn answer(kind: &str, value: &Value) -> Value {
        json!({"status": "success", "data": {"resultType": kind, "result": value}})
    }

    #[test]
    fn the_values_of_a_range_stand_at_their_moments() {
        let query = |range, step| PrometheusQuery {
            address: String::new(),
            query: String::new(),
            range: Some(Span::from_secs(range)),
            step: Some(Span::from_secs(step)),
            headers: std::collections::BTreeMap::new(),
            timeout: Span::from_secs(1),
        };
        let now = Timestamp::from_second(1_700_000_059).unwrap();
        let grid = Grid::of(&query(180, 30), now).unwrap();
        assert_eq!(
            (grid.first, grid.last(), grid.count),
            (1_699_999_890_000, 1_700_000_040_000, 6)
        );
        let values = json!([
            [1_699_999_890, "1"],
            [1_699_999_950.0, "NaN"],
            [1_699_999_980, "-2.5"],
            [1_700_000_040, "+Inf"],
            [1_700_000_070, "9"],
        ]);
        let matrix = answer(
            "matrix",
            &json!([{"metric": {}, "values": values}, {"values": []}]),
        );
        assert_eq!(
            result(&matrix, Some(grid)),
            Ok(json!([
                [1.0, null, null, -2.5, null, null],
                [null, null, null, null, null, null]
            ]))
        );
        let strange = answer("matrix", &json!([{"values": [[1_699_999_890]]}]));
        assert!(result(&strange, Some(grid)).is_err());
        assert_eq!(Grid::of(&query(1, 30), now).map(|grid| grid.count), Some(1));
    }

    #[test]
    fn results_become_plain_values() {
        let of = |kind: &str, value: Value| result(&answer(kind, &value), None);
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
        assert!(result(&json!({"up": true}), None).is_err());
        assert_eq!(
            result(&json!({"status": "error", "error": "parse error"}), None),
            Err("parse error".to_owned())
        );
    }
}
