//! Where a metric is asked for when the proxy does not count it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{RevisionId, Span};

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
}

const fn timeout() -> Span {
    Span::from_secs(10)
}

impl Provider {
    /// The word for it in files and reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Prometheus { .. } => "prometheus",
            Self::Web { .. } => "web",
        }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &str {
        match self {
            Self::Prometheus { address, .. } => address,
            Self::Web { url, .. } => url,
        }
    }

    /// This provider with what the query is about filled in.
    #[must_use]
    pub fn about(&self, candidate: &RevisionId, stable: Option<&RevisionId>) -> Self {
        let fill = |text: &String| {
            let stable = stable.map(|stable| stable.version.to_string());
            text.replace("${candidate.version}", &candidate.version.to_string())
                .replace("${stable.version}", stable.as_deref().unwrap_or("none"))
                .replace("${service}", candidate.service.as_str())
        };
        let mut filled = self.clone();
        match &mut filled {
            Self::Prometheus { query, .. } => *query = fill(query),
            Self::Web { url, .. } => *url = fill(url),
        }
        filled
    }
}
