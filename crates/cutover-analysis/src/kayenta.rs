//! Several metrics of one release as a score from 0 to 100, as Kayenta's judge computes it.
//!
//! Each metric is classified for itself ([`classify`]); of each group the share that passes is its score, and the score
//! of the whole is their mean by the groups' weights (`WeightedSumScorer.scala` and `ThresholdScoreClassifier.scala` of
//! Spinnaker's repository, 2025). One thing is not Kayenta's: there, a group without any data counts 100, so that a
//! metrics system that fell silent makes a perfect score. Here such a group has no score and no part in that of the
//! whole, and the whole is Marginal at best: nobody knows.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::recording::or_null;
use crate::series::{Classification, Comparison, Series, classify};
use crate::words::{count, number};

/// From this share of metrics without data on, in per cent, nothing can be said of the whole.
const MOST_WITHOUT_DATA: f64 = 50.0;

/// The metrics of a release, and how they make one score.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Canary {
    /// Always `kayenta`.
    pub method: String,
    /// At least one.
    pub metrics: Vec<CanaryMetric>,
    /// Parts of 100 by group. Groups without one share what is left in equal parts.
    #[serde(default, deserialize_with = "or_null")]
    pub group_weights: BTreeMap<String, f64>,
    /// What a score is called.
    #[serde(default, deserialize_with = "or_null")]
    pub thresholds: ScoreThresholds,
}

/// One metric: two series, a name, and the groups that it counts in.
#[derive(Debug, Clone, PartialEq)]
pub struct CanaryMetric {
    /// Its name, which no other has.
    pub name: String,
    /// At least one.
    pub groups: Vec<String>,
    /// What is compared, and how.
    pub series: Series,
}

impl<'de> Deserialize<'de> for CanaryMetric {
    /// The fields of a series, with two more.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(from)?;
        let mut take = |key: &str| fields.remove(key).unwrap_or_default();
        let wrong = |key: &str, error: &dyn std::fmt::Display| {
            D::Error::custom(format!("`{key}` of a metric: {error}"))
        };
        let name = take("name");
        let name: String = serde_json::from_value(name).map_err(|error| wrong("name", &error))?;
        let groups = Option::deserialize(take("groups")).map_err(|error| wrong("groups", &error))?;
        let series = serde_json::from_value(Value::Object(fields));
        Ok(Self {
            series: series.map_err(|error| D::Error::custom(format!("the metric {name}: {error}")))?,
            groups: groups.unwrap_or_default(),
            name,
        })
    }
}

/// From which score on a release is called so.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScoreThresholds {
    /// Pass; default 95.
    #[serde(default = "pass")]
    pub pass: f64,
    /// Marginal; default 75.
    #[serde(default = "marginal")]
    pub marginal: f64,
}

const fn pass() -> f64 {
    95.0
}

const fn marginal() -> f64 {
    75.0
}

impl Default for ScoreThresholds {
    fn default() -> Self {
        Self {
            pass: pass(),
            marginal: marginal(),
        }
    }
}

/// Kayenta's words for a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ScoreClassification {
    /// Good.
    Pass,
    /// Neither good nor bad enough: a person decides.
    Marginal,
    /// Bad.
    Fail,
}

/// What is said of the whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// From 0 to 100, rounded to two places.
    pub score: f64,
    /// The word.
    pub classification: ScoreClassification,
    /// In one sentence.
    pub reason: String,
    /// In the order of their names.
    pub groups: Vec<GroupScore>,
    /// In their own order.
    pub metrics: Vec<MetricScore>,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupScore {
    /// Its name.
    pub name: String,
    /// The share of its metrics that pass, in per cent; none where none of them has data.
    pub score: Option<f64>,
    /// Its part of 100.
    pub weight: f64,
}

/// One metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricScore {
    /// Its name.
    pub name: String,
    /// The groups that it counts in.
    pub groups: Vec<String>,
    /// The word.
    pub classification: Classification,
    /// Whether the release fails whatever the other metrics say.
    pub critical_failure: bool,
    /// In one sentence with numbers.
    pub reason: String,
}

impl Canary {
    /// What is wrong and where: `metrics[2].tolerance`; none when they can be scored.
    #[must_use]
    pub fn problem(&self) -> Option<(String, String)> {
        let at = |place: &str, problem: &str| Some((place.to_owned(), problem.to_owned()));
        if self.method != "kayenta" {
            return at("method", "must be kayenta");
        }
        if self.metrics.is_empty() {
            return at("metrics", "must not be empty");
        }
        let mut names = BTreeSet::new();
        for (index, metric) in self.metrics.iter().enumerate() {
            if !names.insert(&metric.name) {
                return at(&format!("metrics[{index}].name"), "is that of another metric too");
            }
            if metric.groups.is_empty() {
                return at(
                    &format!("metrics[{index}].groups"),
                    "must name a group, or the metric counts for nothing",
                );
            }
            if let Some((place, problem)) = metric.series.problem() {
                return at(&format!("metrics[{index}].{place}"), problem);
            }
        }
        let groups = self.groups();
        for (name, weight) in &self.group_weights {
            let place = format!("groupWeights.{name}");
            if !groups.contains(name.as_str()) {
                return at(&place, "is the weight of a group that no metric is in");
            }
            if !(0.0..=100.0).contains(weight) {
                return at(&place, "must be from 0 to 100");
            }
        }
        let sum: f64 = self.group_weights.values().sum();
        let all_weighed = self.group_weights.len() == groups.len();
        if sum > 100.0 + 1e-9 || (all_weighed && sum < 100.0 - 1e-9) {
            return at("groupWeights", "must come to 100");
        }
        let ScoreThresholds { pass, marginal } = self.thresholds;
        if !(0.0..=100.0).contains(&pass) || !(0.0..=pass).contains(&marginal) {
            return at(
                "thresholds",
                "must be from 0 to 100, and `marginal` not above `pass`",
            );
        }
        None
    }

    fn groups(&self) -> BTreeSet<&str> {
        let groups = self.metrics.iter().flat_map(|metric| &metric.groups);
        groups.map(String::as_str).collect()
    }

    /// What a group without a weight of its own has.
    fn rest(&self) -> f64 {
        let groups = self.groups();
        let without = groups
            .iter()
            .filter(|name| !self.group_weights.contains_key(**name));
        let left = 100.0 - self.group_weights.values().sum::<f64>();
        left / (without.count().max(1) as f64)
    }
}

/// How a metric counts in its groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    For,
    Against,
    NotAtAll,
}

/// Without data a metric counts for nothing, unless there must be some.
const fn counts(metric: &CanaryMetric, found: &Comparison) -> Counts {
    match found.classification {
        Classification::Pass => Counts::For,
        Classification::High | Classification::Low => Counts::Against,
        Classification::Nodata if metric.series.must_have_data && found.silent => Counts::Against,
        Classification::Nodata => Counts::NotAtAll,
    }
}

/// Scores the metrics of a release.
///
/// A critical failure makes it 0, and so do metrics without data where they are half of all or more.
#[must_use]
pub fn score(canary: &Canary) -> Score {
    let found: Vec<Comparison> = canary
        .metrics
        .iter()
        .map(|metric| classify(&metric.series))
        .collect();
    let both = || canary.metrics.iter().zip(&found);
    let rest = canary.rest();
    let group = |name: &str| {
        let of = both().filter(|(metric, _)| metric.groups.iter().any(|group| group == name));
        let counted: Vec<Counts> = of.map(|(metric, found)| counts(metric, found)).collect();
        let how_many = |which: Counts| counted.iter().filter(|one| **one == which).count();
        let (good, bad) = (how_many(Counts::For), how_many(Counts::Against));
        GroupScore {
            name: name.to_owned(),
            score: (good + bad > 0).then(|| good as f64 / (good + bad) as f64 * 100.0),
            weight: canary.group_weights.get(name).copied().unwrap_or(rest),
        }
    };
    let groups: Vec<GroupScore> = canary.groups().into_iter().map(group).collect();
    let silent = both()
        .filter(|(metric, found)| counts(metric, found) == Counts::NotAtAll)
        .count();
    let all = found.len();
    let critical = both().find(|(_, found)| found.critical_failure);
    let (score, classification, reason) = if let Some((metric, found)) = critical {
        let reason = format!("{} fails, and is critical: {}", metric.name, found.reason);
        (0.0, ScoreClassification::Fail, reason)
    } else if silent as f64 / all as f64 * 100.0 >= MOST_WITHOUT_DATA {
        let reason = format!("{silent} of {} have no data", count(all as u64, "metric"));
        (0.0, ScoreClassification::Fail, reason)
    } else {
        summary(canary.thresholds, &groups)
    };
    let metrics = canary
        .metrics
        .iter()
        .zip(found)
        .map(|(metric, found)| MetricScore {
            name: metric.name.clone(),
            groups: metric.groups.clone(),
            classification: found.classification,
            critical_failure: found.critical_failure,
            reason: found.reason,
        });
    Score {
        score,
        classification,
        reason,
        metrics: metrics.collect(),
        groups,
    }
}

fn summary(thresholds: ScoreThresholds, groups: &[GroupScore]) -> (f64, ScoreClassification, String) {
    let (mut sum, mut weights) = (0.0, 0.0);
    for group in groups {
        if let Some(score) = group.score {
            sum += score * group.weight;
            weights += group.weight;
        }
    }
    let silent: Vec<&str> = groups
        .iter()
        .filter(|group| group.score.is_none())
        .map(|group| group.name.as_str())
        .collect();
    if weights <= 0.0 {
        let reason = "no group that has a weight has data".to_owned();
        return (0.0, ScoreClassification::Fail, reason);
    }
    let score = (sum / weights * 100.0).round() / 100.0;
    let ScoreThresholds { pass, marginal } = thresholds;
    let by_score = if score >= pass {
        ScoreClassification::Pass
    } else if score >= marginal {
        ScoreClassification::Marginal
    } else {
        ScoreClassification::Fail
    };
    let mut reason = format!(
        "the score is {}; from {} on it passes, from {} on it is marginal",
        number(score),
        number(pass),
        number(marginal)
    );
    if silent.is_empty() {
        return (score, by_score, reason);
    }
    reason.push_str(&format!(
        "; of {} there is no data, so it cannot pass",
        silent.join(", ")
    ));
    let at_best = match by_score {
        ScoreClassification::Pass => ScoreClassification::Marginal,
        other => other,
    };
    (score, at_best, reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Series that are classified so.
    fn series(as_what: &str) -> Value {
        let (low, high) = (json!([10, 11, 9, 10, 12, 8]), json!([20, 22, 19, 21, 24, 18]));
        match as_what {
            "Pass" => json!({"experiment": low, "control": low}),
            "High" => json!({"experiment": high, "control": low}),
            "Low" => json!({"experiment": low, "control": high}),
            "Nodata" => json!({"experiment": [], "control": low}),
            other => panic!("{other} is no classification"),
        }
    }

    fn scored(metrics: &[(&str, &[&str], Value)], more: &Value) -> Score {
        let written: Vec<Value> = metrics
            .iter()
            .enumerate()
            .map(|(index, (what, groups, options))| {
                let mut metric = series(what);
                metric["name"] = json!(format!("metric {index}"));
                metric["groups"] = json!(groups);
                for (key, value) in options.as_object().into_iter().flatten() {
                    metric[key] = value.clone();
                }
                metric
            })
            .collect();
        let mut canary = json!({"method": "kayenta", "metrics": written});
        for (key, value) in more.as_object().into_iter().flatten() {
            canary[key] = value.clone();
        }
        let canary: Canary = serde_json::from_value(canary).unwrap();
        assert_eq!(canary.problem(), None);
        let found = score(&canary);
        for (found, (what, ..)) in found.metrics.iter().zip(metrics) {
            assert_eq!(format!("{:?}", found.classification), *what);
        }
        found
    }

    /// The tables of Kayenta's `ScorerSuite.scala`, but for the groups without data.
    #[test]
    fn scores_are_kayentas() {
        let (a, b, none): (&[&str], &[&str], Value) = (&["a"], &["b"], Value::Null);
        let critical = json!({"critical": true});
        let equal = json!({"groupWeights": {"a": 50, "b": 50}});
        for (metrics, more, expected) in [
            (vec![("Pass", a, none.clone())], none.clone(), 100.0),
            (vec![("High", a, none.clone())], none.clone(), 0.0),
            (vec![("Nodata", a, none.clone())], none.clone(), 0.0),
            (
                vec![("Pass", a, none.clone()), ("High", a, none.clone())],
                none.clone(),
                50.0,
            ),
            (
                vec![
                    ("Pass", a, none.clone()),
                    ("High", a, none.clone()),
                    ("Low", a, none.clone()),
                ],
                none.clone(),
                33.33,
            ),
            (
                vec![
                    ("Pass", a, none.clone()),
                    ("Pass", a, none.clone()),
                    ("High", b, none.clone()),
                ],
                json!({"groupWeights": {"a": 75, "b": 25}}),
                75.0,
            ),
            (
                vec![
                    ("Pass", a, none.clone()),
                    ("High", a, none.clone()),
                    ("High", b, none.clone()),
                ],
                equal.clone(),
                25.0,
            ),
            (
                vec![
                    ("Pass", a, none.clone()),
                    ("Nodata", a, none.clone()),
                    ("High", b, none.clone()),
                ],
                equal,
                50.0,
            ),
            (
                vec![("Pass", a, none.clone()), ("High", a, critical.clone())],
                none.clone(),
                0.0,
            ),
            (
                vec![("Low", a, none.clone()), ("Pass", a, critical.clone())],
                none.clone(),
                50.0,
            ),
            (
                vec![("Pass", a, none.clone()), ("Nodata", a, critical)],
                none.clone(),
                0.0,
            ),
            (
                vec![
                    ("High", a, none.clone()),
                    ("Low", a, none.clone()),
                    ("Pass", a, none.clone()),
                    ("High", b, none.clone()),
                ],
                json!({"groupWeights": {"a": 15, "b": 85}}),
                5.0,
            ),
            // What must have data and has none is a failure, and not one of those without data.
            (
                vec![
                    ("Pass", a, none.clone()),
                    ("Nodata", a, json!({"mustHaveData": true})),
                ],
                none.clone(),
                50.0,
            ),
            // Too few points are not none.
            (
                vec![
                    ("Pass", a, none.clone()),
                    ("Pass", a, none.clone()),
                    (
                        "Nodata",
                        a,
                        json!({"mustHaveData": true, "experiment": [1], "control": [2]}),
                    ),
                ],
                none.clone(),
                100.0,
            ),
            // A group without a weight has what is left; a metric may be in several.
            (
                vec![("Pass", &["a", "b"], none.clone()), ("High", b, none)],
                json!({"groupWeights": {"a": 80}}),
                90.0,
            ),
        ] {
            let found = scored(&metrics, &more);
            assert!((found.score - expected).abs() < 1e-9, "{metrics:?}: {found:?}");
        }
    }

    #[test]
    fn a_group_that_fell_silent_is_no_perfect_score() {
        let none = Value::Null;
        let metrics: [(&str, &[&str], Value); 3] = [
            ("Pass", &["errors"], none.clone()),
            ("Pass", &["errors"], none.clone()),
            ("Nodata", &["latency"], none),
        ];
        let found = scored(&metrics, &json!({"groupWeights": {"errors": 40, "latency": 60}}));
        assert_eq!(
            (found.score, found.classification),
            (100.0, ScoreClassification::Marginal)
        );
        assert_eq!(
            found.reason,
            "the score is 100; from 95 on it passes, from 75 on it is marginal; of latency there is no data, so it cannot pass"
        );
        let groups: Vec<_> = found
            .groups
            .iter()
            .map(|group| (group.name.as_str(), group.score, group.weight))
            .collect();
        assert_eq!(groups, [("errors", Some(100.0), 40.0), ("latency", None, 60.0)]);
    }

    #[test]
    fn a_score_has_a_word() {
        let none = || Value::Null;
        let metrics: Vec<(&str, &[&str], Value)> = vec![
            ("Pass", &["a"], none()),
            ("Pass", &["a"], none()),
            ("Pass", &["a"], none()),
            ("High", &["a"], none()),
        ];
        for (thresholds, word) in [
            (json!({"pass": 75}), ScoreClassification::Pass),
            (json!(null), ScoreClassification::Marginal),
            (json!({"marginal": 75.01}), ScoreClassification::Fail),
        ] {
            let found = scored(&metrics, &json!({"thresholds": thresholds}));
            assert_eq!((found.score, found.classification), (75.0, word));
        }
    }

    #[test]
    fn what_cannot_be_scored_is_named() {
        let metric = |name: &str, groups: Value| json!({"name": name, "groups": groups, "experiment": [1], "control": [1]});
        let of = |canary: Value| {
            let canary: Canary = serde_json::from_value(canary).unwrap();
            canary.problem().map(|(place, _)| place)
        };
        let with = |more: Value| {
            let mut canary = json!({"method": "kayenta", "metrics": [metric("x", json!(["a"]))]});
            for (key, value) in more.as_object().unwrap() {
                canary[key] = value.clone();
            }
            of(canary)
        };
        assert_eq!(with(json!({})), None);
        for (more, place) in [
            (json!({"method": "judge"}), "method"),
            (json!({"metrics": []}), "metrics"),
            (
                json!({"metrics": [metric("x", json!(null))]}),
                "metrics[0].groups",
            ),
            (
                json!({"metrics": [metric("x", json!(["a"])), metric("x", json!(["a"]))]}),
                "metrics[1].name",
            ),
            (json!({"groupWeights": {"a": 60}}), "groupWeights"),
            (json!({"groupWeights": {"b": 60}}), "groupWeights.b"),
            (json!({"groupWeights": {"a": -1}}), "groupWeights.a"),
            (json!({"thresholds": {"pass": 60}}), "thresholds"),
        ] {
            assert_eq!(with(more.clone()).as_deref(), Some(place), "{more}");
        }
        let mut metric = metric("x", json!(["a"]));
        metric["tolerance"] = json!(7);
        assert_eq!(
            with(json!({"metrics": [metric.clone()]})).as_deref(),
            Some("metrics[0].tolerance")
        );
        metric["tolerence"] = json!(0.1);
        let unknown = serde_json::from_value::<CanaryMetric>(metric).unwrap_err();
        assert!(unknown.to_string().contains("tolerence"), "{unknown}");
    }
}
