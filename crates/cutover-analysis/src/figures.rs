//! What a service says of itself in four figures, against bounds.

use cutover_model::Verdict;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::words;

/// The figures of a service since its start. Others in the same answer are not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
pub struct Figures {
    /// Requests answered.
    #[serde(default, deserialize_with = "count")]
    pub total_requests: Option<u64>,
    /// Those answered with an error.
    #[serde(default, deserialize_with = "count")]
    pub total_errors: Option<u64>,
    /// The errors in per cent of the requests.
    #[serde(default)]
    pub error_rate_percent: Option<f64>,
    /// The mean time of an answer in milliseconds.
    #[serde(default)]
    pub avg_response_time_ms: Option<f64>,
}

/// A count, by a service that knows no whole numbers as well: `100.0`.
fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match Value::deserialize(from)? {
        Value::Null => Ok(None),
        Value::Number(number) => {
            let float = number
                .as_f64()
                .filter(|float| float.fract() == 0.0 && (0.0..EXACT).contains(float));
            let count = number.as_u64().or_else(|| float.map(|float| float as u64));
            count
                .map(Some)
                .ok_or_else(|| D::Error::custom(format!("{number} is no count")))
        }
        other => Err(D::Error::custom(format!("{other} is no count"))),
    }
}

/// The bounds that figures are held against; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FigureBounds {
    /// Errors in per cent.
    pub max_error_rate: Option<f64>,
    /// The mean time of an answer in milliseconds.
    pub max_avg_ms: Option<f64>,
}

impl Figures {
    /// What cannot be true of any service; none when they can be judged.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let errors = self.total_requests.zip(self.total_errors);
        let rate = self.error_rate_percent;
        if errors.is_some_and(|(requests, errors)| errors > requests) {
            Some("`total_errors` is more than `total_requests`")
        } else if rate.is_some_and(|rate| !(0.0..=100.0).contains(&rate)) {
            Some("`error_rate_percent` must be from 0 to 100")
        } else if self.avg_response_time_ms.is_some_and(|mean| mean < 0.0) {
            Some("`avg_response_time_ms` must not be negative")
        } else {
            None
        }
    }

    fn errors(&self) -> Option<f64> {
        match (self.total_requests, self.total_errors) {
            (Some(0), _) => None,
            (Some(requests), Some(errors)) => Some(errors as f64 / requests as f64 * 100.0),
            _ => self.error_rate_percent,
        }
    }

    fn is_silent(&self) -> bool {
        self.total_requests == Some(0)
    }

    /// What happened since `earlier`, a look at the same process. A service that started again in between has nothing but
    /// what it counted since then.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let (Some(requests), Some(before)) = (self.total_requests, earlier.total_requests) else {
            return *self;
        };
        let errors = self.total_errors.zip(earlier.total_errors);
        if requests < before || errors.is_some_and(|(now, then)| now < then) {
            return *self;
        }
        let all = requests - before;
        let time = |figures: &Self, count: u64| figures.avg_response_time_ms.map(|mean| mean * count as f64);
        Self {
            total_requests: Some(all),
            total_errors: errors.map(|(now, then)| now - then),
            error_rate_percent: None,
            avg_response_time_ms: time(self, requests)
                .zip(time(earlier, before))
                .filter(|_| all > 0)
                .map(|(now, then)| ((now - then) / all as f64).max(0.0)),
        }
    }
}

/// Holds figures against bounds: the verdict, and one sentence with numbers. What a bound is about but the service does
/// not say is inconclusive, and so is a service that answered nobody.
#[must_use]
pub fn judge_figures(figures: &Figures, bounds: &FigureBounds) -> (Verdict, String) {
    if figures.is_silent() {
        return (Verdict::Inconclusive, "it answered no request".to_owned());
    }
    let parts = [
        (
            bounds.max_error_rate,
            figures.errors(),
            ("errors", "errors are not told"),
            (|value| words::percent(value / 100.0)) as fn(f64) -> String,
        ),
        (
            bounds.max_avg_ms,
            figures.avg_response_time_ms,
            ("mean answer time", "the mean answer time is not told"),
            |value| words::time((value * 1_000.0) as u64),
        ),
    ];
    let mut verdict = Verdict::Successful;
    let mut said = Vec::new();
    for (bound, value, (name, untold), word) in parts {
        let Some(bound) = bound else { continue };
        match value {
            None => {
                said.push(untold.to_owned());
                if verdict == Verdict::Successful {
                    verdict = Verdict::Inconclusive;
                }
            }
            Some(value) if value > bound => {
                said.push(format!("{name} {}, more than {}", word(value), word(bound)));
                verdict = Verdict::Failed;
            }
            Some(value) => said.push(format!("{name} {}, {} allowed", word(value), word(bound))),
        }
    }
    let requests = figures
        .total_requests
        .map(|count| format!(" ({})", words::count(count, "request")));
    (
        verdict,
        format!("{}{}", said.join("; "), requests.unwrap_or_default()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(requests: u64, errors: u64, mean: f64) -> Figures {
        Figures {
            total_requests: Some(requests),
            total_errors: Some(errors),
            error_rate_percent: None,
            avg_response_time_ms: Some(mean),
        }
    }

    const BOUNDS: FigureBounds = FigureBounds {
        max_error_rate: Some(5.0),
        max_avg_ms: Some(500.0),
    };

    #[test]
    fn every_bound_is_held() {
        for (found, verdict, sentence) in [
            (
                figures(1_000, 50, 500.0),
                Verdict::Successful,
                "errors 5.0 %, 5.0 % allowed; mean answer time 500 ms, 500 ms allowed (1000 requests)",
            ),
            (
                figures(1_000, 51, 20.0),
                Verdict::Failed,
                "errors 5.1 %, more than 5.0 %; mean answer time 20 ms, 500 ms allowed (1000 requests)",
            ),
            (
                figures(1_000, 0, 501.0),
                Verdict::Failed,
                "errors 0 %, 5.0 % allowed; mean answer time 501 ms, more than 500 ms (1000 requests)",
            ),
            (
                figures(0, 0, 0.0),
                Verdict::Inconclusive,
                "it answered no request",
            ),
        ] {
            assert_eq!(judge_figures(&found, &BOUNDS), (verdict, sentence.to_owned()));
        }
        let rate_only = Figures {
            error_rate_percent: Some(7.5),
            ..Figures::default()
        };
        assert_eq!(judge_figures(&rate_only, &BOUNDS).0, Verdict::Failed);
        assert_eq!(
            judge_figures(&Figures::default(), &BOUNDS),
            (
                Verdict::Inconclusive,
                "errors are not told; the mean answer time is not told".to_owned()
            )
        );
    }

    #[test]
    fn counts_and_what_cannot_be_true() {
        let read = |text: &str| serde_json::from_str::<Figures>(text);
        let found = read(r#"{"total_requests":100.0,"total_errors":null,"more":[]}"#).unwrap();
        assert_eq!((found.total_requests, found.total_errors), (Some(100), None));
        for text in [
            r#"{"total_requests":-1}"#,
            r#"{"total_requests":1.5}"#,
            r#"{"total_requests":1e300}"#,
            r#"{"total_errors":"7"}"#,
        ] {
            assert!(read(text).unwrap_err().to_string().contains("no count"), "{text}");
        }
        for (text, part) in [
            (r#"{"total_requests":1,"total_errors":2}"#, Some("total_errors")),
            (r#"{"error_rate_percent":-0.5}"#, Some("error_rate_percent")),
            (r#"{"avg_response_time_ms":-1}"#, Some("avg_response_time_ms")),
            (
                r#"{"total_requests":2,"total_errors":2,"avg_response_time_ms":0}"#,
                None,
            ),
        ] {
            let problem = read(text).unwrap().problem();
            assert_eq!(problem.is_some(), part.is_some(), "{text}");
            assert!(
                problem.unwrap_or_default().contains(part.unwrap_or_default()),
                "{problem:?}"
            );
        }
    }

    #[test]
    fn a_window_is_what_happened_in_it() {
        let window = figures(1_100, 60, 30.0).since(&figures(1_000, 50, 10.0));
        assert_eq!(
            (window.total_requests, window.total_errors),
            (Some(100), Some(10))
        );
        assert!((window.avg_response_time_ms.unwrap() - 230.0).abs() < 1e-9);
        let restarted = figures(5, 1, 3.0);
        assert_eq!(restarted.since(&figures(1_000, 50, 10.0)), restarted);
        assert_eq!(
            figures(9, 0, 1.0).since(&figures(9, 0, 1.0)).total_requests,
            Some(0)
        );
    }
}
