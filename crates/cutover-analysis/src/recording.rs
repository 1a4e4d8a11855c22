//! What was recorded of a release: each request with its revision, for a judgement without any upgrade.

use std::collections::BTreeMap;
use std::fmt;

use cutover_model::Verdict;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Requests to both revisions, and how the split went between them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// Always `sequential`; absent: the same.
    #[serde(default)]
    pub method: Option<String>,
    /// The chance of failing an equally good release, in all; between 0 and 1, default 0.001.
    #[serde(default = "alpha", deserialize_with = "alpha_or_null")]
    pub alpha: f64,
    /// The requests, in any order: they are judged in the order of their completion.
    pub events: Vec<RecordedEvent>,
    /// The candidate's share of the requests from a moment on. Before the first one it has none.
    #[serde(default, deserialize_with = "or_null")]
    pub weights: Vec<RecordedWeight>,
    /// An answer that took longer is slow, in milliseconds; frozen before the first request. Absent: times are ignored.
    #[serde(default)]
    pub latency_threshold_ms: Option<f64>,
    /// Routes that are looked at for themselves, besides all together; at most [`MOST_STRATA`]. Absent: all together only.
    #[serde(default, deserialize_with = "or_null")]
    pub strata: Vec<String>,
    /// How much more often than stable the candidate may fail and still be called good, as a difference of shares
    /// between 0 and 1; default 0.01.
    #[serde(default = "margin", deserialize_with = "margin_or_null")]
    pub margin: f64,
}

/// So many routes are looked at for themselves. Each gets an equal part of half the weight; with more of them none could
/// ever decide.
pub const MOST_STRATA: usize = 1_000;

const fn alpha() -> f64 {
    0.001
}

const fn margin() -> f64 {
    0.01
}

/// `null` is what some writers say for a key that is not there.
pub(crate) fn or_null<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn alpha_or_null<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_else(alpha))
}

fn margin_or_null<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_else(margin))
}

/// A name that some writers have as a number.
fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    struct Name;

    impl Visitor<'_> for Name {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a number")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_string<E: Error>(self, text: String) -> Result<String, E> {
            Ok(text)
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<String, E> {
            Ok(number.to_string())
        }
    }

    struct Named(String);

    impl<'de> Deserialize<'de> for Named {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            from.deserialize_any(Name).map(Self)
        }
    }

    Ok(Option::<Named>::deserialize(from)?.map(|named| named.0))
}

/// One request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedEvent {
    /// When it was assigned to its revision, in milliseconds.
    pub at_ms: f64,
    /// When it was over; absent: when it was assigned.
    #[serde(default)]
    pub completed_ms: Option<f64>,
    /// The revision it was assigned to.
    pub revision: Side,
    /// Whether the first attempt there went well.
    pub ok: bool,
    /// How long it took.
    #[serde(default)]
    pub latency_ms: Option<f64>,
    /// Its route.
    #[serde(default)]
    pub route: Option<String>,
    /// Its session, where a session stays with its revision: then the session was drawn, not the request.
    #[serde(default, deserialize_with = "name")]
    pub session: Option<String>,
    /// The candidate's share when it was assigned, 0 to 1; absent: that of `weights`.
    #[serde(default)]
    pub candidate_weight: Option<f64>,
}

impl RecordedEvent {
    pub(crate) fn over_ms(&self) -> f64 {
        self.completed_ms.unwrap_or(self.at_ms)
    }
}

/// Which revision a request was assigned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    /// The old one.
    Stable,
    /// The new one.
    Candidate,
}

/// The split from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedWeight {
    /// From when, in milliseconds.
    pub at_ms: f64,
    /// The candidate's share, 0 to 1.
    pub candidate: f64,
}

/// What a recording says of the candidate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// Failed, Successful, or Inconclusive: too little to say either.
    pub verdict: Verdict,
    /// When: the completion of the request that decided, or of the last one. None of no request.
    #[serde(serialize_with = "whole_or_not")]
    pub at_ms: Option<f64>,
    /// Requests of the candidate that were over by then.
    pub candidate_requests: u64,
    /// The evidence against the candidate then, as a natural logarithm: failed at −ln α.
    pub log_evidence: f64,
    /// In one sentence with numbers.
    pub reason: String,
}

/// A whole number of milliseconds without a fraction, as it came.
fn whole_or_not<S: serde::Serializer>(ms: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match ms {
        None => to.serialize_none(),
        Some(ms) if ms.fract() == 0.0 && ms.abs() < EXACT => to.serialize_i64(*ms as i64),
        Some(ms) => to.serialize_f64(*ms),
    }
}

/// What is wrong with a recording, and where: `events[3].candidate_weight`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfitRecording {
    /// The place.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

impl Recording {
    /// Refuses what is no share, no time, or no route.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), UnfitRecording> {
        let refuse = |place: String, problem: &str| {
            Err(UnfitRecording {
                place,
                problem: problem.to_owned(),
            })
        };
        if self
            .method
            .as_deref()
            .is_some_and(|method| method != "sequential")
        {
            return refuse(
                "method".to_owned(),
                "must be sequential, or mannWhitney with two series",
            );
        }
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            return refuse("alpha".to_owned(), "must be between 0 and 1");
        }
        if !(self.margin > 0.0 && self.margin < 1.0) {
            return refuse("margin".to_owned(), "must be between 0 and 1");
        }
        if self
            .latency_threshold_ms
            .is_some_and(|ms| ms.is_nan() || ms < 0.0)
        {
            return refuse("latency_threshold_ms".to_owned(), "must not be negative");
        }
        if self.strata.len() > MOST_STRATA {
            return refuse("strata".to_owned(), "must be 1,000 routes at most");
        }
        let mut seen = BTreeMap::new();
        for (index, route) in self.strata.iter().enumerate() {
            if seen.insert(route, index).is_some() {
                return refuse(format!("strata[{index}]"), "is named twice");
            }
        }
        for (index, weight) in self.weights.iter().enumerate() {
            if !(0.0..=1.0).contains(&weight.candidate) {
                return refuse(
                    format!("weights[{index}].candidate"),
                    "must be a share from 0 to 1",
                );
            }
        }
        for (index, event) in self.events.iter().enumerate() {
            if event
                .candidate_weight
                .is_some_and(|share| !(0.0..=1.0).contains(&share))
            {
                return refuse(
                    format!("events[{index}].candidate_weight"),
                    "must be a share from 0 to 1",
                );
            }
            if event.completed_ms.is_some_and(|over| over < event.at_ms) {
                return refuse(
                    format!("events[{index}].completed_ms"),
                    "must not be before its assignment",
                );
            }
            if event.latency_ms.is_some_and(|ms| ms < 0.0) {
                return refuse(format!("events[{index}].latency_ms"), "must not be negative");
            }
        }
        Ok(())
    }
}
