//! A query of Prometheus over a stretch of time, as points on a grid.

use std::collections::BTreeMap;

use cutover_model::{Span, Timestamp};
use cutover_ports::PortError;
use serde_json::Value;

use crate::HttpQueries;
use crate::http::{Request, Secrets, json};

/// What Prometheus is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeQuery {
    /// Where it is: `http://127.0.0.1:9090`.
    pub address: String,
    /// An expression of one series.
    pub query: String,
    /// Fields of the request; with `${env:…}` and `${file:…}`.
    pub headers: BTreeMap<String, String>,
    /// The end. The last point is at the last whole step before it, so that two queries have the same grid.
    pub until: Timestamp,
    /// How far back.
    pub since: Span,
    /// Between two points; at least a millisecond.
    pub step: Span,
    /// How long an answer may take.
    pub timeout: Span,
}

/// The times of the points, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grid {
    first: i64,
    step: i64,
    count: usize,
}

impl RangeQuery {
    /// How many points there can be; at least one.
    #[must_use]
    pub const fn points(&self) -> u64 {
        match self.since.as_millis().checked_div(self.step.as_millis()) {
            None | Some(0) => 1,
            Some(whole) => whole,
        }
    }

    fn grid(&self) -> Grid {
        let step = i64::try_from(self.step.as_millis()).unwrap_or(i64::MAX).max(1);
        let count = self.points();
        let last = self.until.as_millisecond().div_euclid(step) * step;
        let back = i64::try_from(count - 1).unwrap_or(i64::MAX).saturating_mul(step);
        Grid {
            first: last.saturating_sub(back).max(0),
            step,
            count: usize::try_from(count).unwrap_or(usize::MAX),
        }
    }
}

impl HttpQueries {
    /// The values at each step, the oldest first; none where there is none, or no finite number.
    ///
    /// # Errors
    /// When Prometheus cannot be asked, or the query gives more than one series.
    pub async fn query_range(&self, asked: &RangeQuery) -> Result<Vec<Option<f64>>, PortError> {
        let grid = asked.grid();
        let seconds = |millis: i64| format!("{}.{:03}", millis / 1_000, millis % 1_000);
        let last = grid.first + grid.step * (grid.count as i64 - 1);
        let (start, end, step) = (seconds(grid.first), seconds(last), seconds(grid.step));
        let request = Request {
            url: format!("{}/api/v1/query_range", asked.address.trim_end_matches('/')),
            query: vec![
                ("query", asked.query.clone()),
                ("start", start),
                ("end", end),
                ("step", step),
            ],
            headers: asked.headers.clone(),
            timeout: asked.timeout,
            ..Request::default()
        };
        let read = |body: &[u8]| points(&json(body)?, grid).map(Value::from);
        let found = self.http.ask(request, Secrets::default(), read).await?;
        let values = found.as_array().into_iter().flatten();
        Ok(values.map(Value::as_f64).collect())
    }
}

/// `{"status": "success", "data": {"resultType": "matrix", "result": [{"values": [[1700000000, "0.25"], …]}]}}`. A point
/// that is missing has no entry there.
fn points(answer: &Value, grid: Grid) -> Result<Vec<Option<f64>>, String> {
    let strange = || "it is not Prometheus's answer to a range".to_owned();
    let series = answer.pointer("/data/result").and_then(Value::as_array);
    let series = series.ok_or_else(strange)?;
    let mut found = vec![None; grid.count];
    let [one] = series.as_slice() else {
        return match series.len() {
            0 => Ok(found),
            more => Err(format!(
                "the query gives {more} series, and must give one: such as sum(…) of them"
            )),
        };
    };
    for pair in one.get("values").and_then(Value::as_array).ok_or_else(strange)? {
        let at = pair.get(0).and_then(Value::as_f64).ok_or_else(strange)?;
        let value = pair.get(1).and_then(Value::as_str).ok_or_else(strange)?;
        let value: f64 = value.parse().map_err(|_| strange())?;
        let index = ((at * 1_000.0) as i64 - grid.first + grid.step / 2).div_euclid(grid.step);
        let place = usize::try_from(index).ok().and_then(|index| found.get_mut(index));
        if let Some(place) = place {
            *place = Some(value).filter(|value| value.is_finite());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn points_stand_on_their_places() {
        let asked = RangeQuery {
            address: String::new(),
            query: String::new(),
            headers: BTreeMap::new(),
            until: Timestamp::from_second(1_700_000_059).unwrap(),
            since: Span::from_mins(3),
            step: Span::from_secs(30),
            timeout: Span::from_secs(1),
        };
        let grid = asked.grid();
        assert_eq!(
            grid,
            Grid {
                first: 1_699_999_890_000,
                step: 30_000,
                count: 6
            }
        );
        let answer =
            |result: Value| json!({"status": "success", "data": {"resultType": "matrix", "result": result}});
        let values = json!([
            [1_699_999_890, "1"],
            [1_699_999_950.0, "NaN"],
            [1_699_999_980, "-2.5"],
            [1_700_000_040, "+Inf"]
        ]);
        assert_eq!(
            points(&answer(json!([{"metric": {}, "values": values}])), grid),
            Ok(vec![Some(1.0), None, None, Some(-2.5), None, None])
        );
        assert_eq!(points(&answer(json!([])), grid), Ok(vec![None; 6]));
        let two = points(&answer(json!([{"values": []}, {"values": []}])), grid);
        assert!(two.unwrap_err().contains("2 series"));
        assert!(points(&json!({"data": {"result": 3}}), grid).is_err());
        let short = RangeQuery {
            since: Span::from_secs(1),
            ..asked
        };
        assert_eq!((short.points(), short.grid().count), (1, 1));
    }
}
