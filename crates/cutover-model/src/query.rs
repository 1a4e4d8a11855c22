//! Where a metric is asked for when the proxy does not count it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DatabaseName, RevisionId, Span};

/// Somebody who measures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Provider {
    /// Prometheus, by an instant query. A scalar's result is a number, a vector's a list of numbers.
    #[serde(rename_all = "camelCase")]
    Prometheus {
        /// Its address, `http://127.0.0.1:9090`.
        address: String,
        /// PromQL. `${candidate.version}`, `${stable.version}` and `${service}` are filled in.
        query: String,
        /// Fields of the request; values may hold `${env:NAME}` and `${file:path}`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, String>,
        /// For the answer; default 10s.
        #[serde(default = "timeout")]
        timeout: Span,
    },
    /// Anybody who answers a GET with JSON; the result is the whole answer.
    #[serde(rename_all = "camelCase")]
    Web {
        /// Where. `${candidate.version}`, `${stable.version}` and `${service}` are filled in.
        url: String,
        /// Fields of the request; values may hold `${env:NAME}` and `${file:path}`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, String>,
        /// For the answer; default 10s.
        #[serde(default = "timeout")]
        timeout: Span,
    },
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
            Self::Prometheus { .. } => "prometheus",
            Self::Web { .. } => "web",
            Self::Sql { .. } => "sql",
            Self::Command { .. } => "command",
            Self::Logs { .. } => "logs",
            Self::Resources {} => "resources",
        }
    }

    /// The key of its address and what it is, where it is asked over HTTP.
    #[must_use]
    pub fn address(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Prometheus { address, .. } => Some(("address", address)),
            Self::Web { url, .. } => Some(("url", url)),
            Self::Sql { .. } | Self::Command { .. } | Self::Logs { .. } | Self::Resources {} => None,
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
            Self::Prometheus { query, .. } | Self::Sql { query, .. } => vec![query],
            Self::Web { url, .. } => vec![url],
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
