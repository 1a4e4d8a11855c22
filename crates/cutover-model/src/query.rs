//! Where a metric is asked for when the proxy does not count it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    CloudWatchQuery, DatabaseName, DatadogQuery, GraphiteQuery, InfluxDbQuery, NewRelicQuery,
    PrometheusQuery, RevisionId, Span, WebQuery,
};

/// Somebody who measures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Provider {
    /// Prometheus, by PromQL.
    Prometheus(PrometheusQuery),
    /// Anybody who answers with JSON.
    Web(WebQuery),
    /// Graphite, by a target.
    Graphite(GraphiteQuery),
    /// InfluxDB 2, by Flux.
    #[serde(rename = "influxdb")]
    InfluxDb(InfluxDbQuery),
    /// Datadog, by a query of time series.
    Datadog(DatadogQuery),
    /// New Relic, by NRQL.
    NewRelic(NewRelicQuery),
    /// Amazon CloudWatch, one metric.
    CloudWatch(Box<CloudWatchQuery>),
    /// A query of a database of the application, in a transaction that only reads. The result is a list of rows, each a map
    /// by the columns' names.
    #[serde(rename_all = "camelCase")]
    Sql {
        /// Which of the `databases`.
        database: DatabaseName,
        /// One statement. `${candidate.version}`, `${stable.version}` and `${service}` are filled in: they hold nothing that a
        /// text in quotes could end with.
        query: String,
        /// For the answer; default 10s.
        #[serde(default = "timeout")]
        timeout: Span,
    },
    /// A program. The result is its `exitCode`, and as `output` what it printed: JSON, or else text.
    #[serde(rename_all = "camelCase")]
    Command {
        /// Program and arguments; a program with a `/` in it is one in the folder of `cutover.yaml`.
        #[schemars(length(min = 1))]
        command: Vec<String>,
        /// What it finds beside `PATH`, `HOME` and the like and `CANDIDATE_VERSION`, `STABLE_VERSION` and `SERVICE`; values may
        /// hold `${env:NAME}` and `${file:path}`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        environment: BTreeMap<String, String>,
        /// For its end; it is ended then with all that it started. Default 30s.
        #[serde(default = "command_timeout")]
        timeout: Span,
    },
    /// The lines that instances have written since the measurement began. The result has for `candidate` and `stable` the
    /// `lines`, the `matching` ones among them, and their `share` (0 to 1).
    #[serde(rename_all = "camelCase")]
    Logs {
        /// A regular expression.
        pattern: String,
    },
    /// What instances use. The result has for `candidate` and `stable` the `instances`, and of each of these on average the `cpu`
    /// since the measurement began (1 is one core) and the `memoryBytes` now.
    #[serde(rename_all = "camelCase")]
    Resources {},
}

const fn timeout() -> Span {
    Span::from_secs(10)
}

const fn command_timeout() -> Span {
    Span::from_secs(30)
}

impl Provider {
    /// The word for it in files and reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Prometheus(_) => "prometheus",
            Self::Web(_) => "web",
            Self::Graphite(_) => "graphite",
            Self::InfluxDb(_) => "influxdb",
            Self::Datadog(_) => "datadog",
            Self::NewRelic(_) => "newRelic",
            Self::CloudWatch(_) => "cloudWatch",
            Self::Sql { .. } => "sql",
            Self::Command { .. } => "command",
            Self::Logs { .. } => "logs",
            Self::Resources {} => "resources",
        }
    }

    /// Whether it tells what came since the measurement began: then it must be asked at that moment, too.
    #[must_use]
    pub const fn counts(&self) -> bool {
        matches!(self, Self::Logs { .. } | Self::Resources {})
    }

    /// The texts in which something is filled in.
    pub fn texts(&mut self) -> Vec<&mut String> {
        match self {
            Self::Prometheus(one) => vec![&mut one.query],
            Self::Web(one) => std::iter::once(&mut one.url).chain(&mut one.body).collect(),
            Self::Graphite(one) => vec![&mut one.query],
            Self::InfluxDb(one) => vec![&mut one.query],
            Self::Datadog(one) => vec![&mut one.query],
            Self::NewRelic(one) => vec![&mut one.query],
            Self::CloudWatch(one) => one.dimensions.values_mut().collect(),
            Self::Sql { query, .. } => vec![query],
            Self::Command { command, .. } => command.iter_mut().collect(),
            Self::Logs { pattern } => vec![pattern],
            Self::Resources {} => Vec::new(),
        }
    }

    /// This provider with what the query is about filled in.
    #[must_use]
    pub fn about(&self, candidate: &RevisionId, stable: Option<&RevisionId>) -> Self {
        let version = candidate.version.to_string();
        let stable = stable.map_or_else(|| "none".to_owned(), |stable| stable.version.to_string());
        let mut filled = self.clone();
        for text in filled.texts() {
            *text = text
                .replace("${candidate.version}", &version)
                .replace("${stable.version}", &stable)
                .replace("${service}", candidate.service.as_str());
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn provider(value: Value) -> Provider {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_the_query_is_about_is_filled_in_everywhere_but_in_headers() {
        let text = "${service} ${candidate.version} ${stable.version}";
        let keys = json!({"region": "x", "namespace": text, "metricName": "m", "statistic": "Sum",
            "accessKeyId": "${env:A}", "secretAccessKey": "${env:B}", "dimensions": {"v": text}});
        let candidate = "api@1.1.0#a1".parse().unwrap();
        let stable = "api@1.0.0#b2".parse().unwrap();
        for (written, at) in [
            (
                json!({"prometheus": {"address": "a", "query": text}}),
                vec!["/prometheus/query"],
            ),
            (
                json!({"web": {"url": text, "body": text, "headers": {"a": text}}}),
                vec!["/web/url", "/web/body"],
            ),
            (
                json!({"graphite": {"address": "a", "query": text}}),
                vec!["/graphite/query"],
            ),
            (
                json!({"influxdb": {"address": "a", "org": text, "query": text}}),
                vec!["/influxdb/query"],
            ),
            (json!({"datadog": {"query": text}}), vec!["/datadog/query"]),
            (
                json!({"newRelic": {"account": 1, "query": text}}),
                vec!["/newRelic/query"],
            ),
            (json!({"cloudWatch": keys}), vec!["/cloudWatch/dimensions/v"]),
            (
                json!({"sql": {"database": "main", "query": text}}),
                vec!["/sql/query"],
            ),
            (
                json!({"command": {"command": [text, text], "environment": {"A": text}}}),
                vec!["/command/command/0", "/command/command/1"],
            ),
            (json!({"logs": {"pattern": text}}), vec!["/logs/pattern"]),
        ] {
            let written = provider(written);
            let mut expected = serde_json::to_value(&written).unwrap();
            for at in at {
                *expected.pointer_mut(at).unwrap() = json!("api 1.1.0 1.0.0");
            }
            let filled = written.about(&candidate, Some(&stable));
            assert_eq!(serde_json::to_value(&filled).unwrap(), expected);
            assert!(expected.get(written.name()).is_some(), "{expected}");
            assert_eq!(provider(expected), filled);
        }
    }

    #[test]
    fn what_earlier_versions_stored_is_still_read() {
        for old in [
            json!({"prometheus": {"address": "http://a", "query": "up", "timeout": "10s"}}),
            json!({"web": {"url": "http://a", "headers": {"a": "b"}, "timeout": "1s"}}),
        ] {
            assert_eq!(serde_json::to_value(provider(old.clone())).unwrap(), old);
        }
        assert!(serde_json::from_value::<Provider>(json!({"web": {"url": "http://a", "uri": ""}})).is_err());
    }
}
