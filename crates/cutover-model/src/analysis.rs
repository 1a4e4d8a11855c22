//! What a user asks to be measured. How it is judged lives in `cutover-analysis`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Provider, Span};

/// Metrics measured at an interval into a verdict. Names and defaults are Argo Rollouts', except where noted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnalysisTemplate {
    /// Between two measurements; default 30s.
    #[serde(default = "defaults::interval")]
    pub interval: Span,
    /// Before the first measurement: the warm-up; default none.
    #[serde(default)]
    pub initial_delay: Span,
    /// How many measurements an inline analysis takes; default 1. A background analysis goes on until its end.
    #[serde(default = "defaults::count")]
    #[schemars(range(min = 1))]
    pub count: u32,
    /// Failed measurements that are tolerated; one more fails the analysis. Default 0.
    #[serde(default)]
    pub failure_limit: u32,
    /// Inconclusive measurements that are tolerated by an inline analysis before it waits for a person; default 0.
    #[serde(default)]
    pub inconclusive_limit: u32,
    /// Provider errors in a row that are tolerated; default 4.
    #[serde(default = "defaults::consecutive_error_limit")]
    pub consecutive_error_limit: u32,
    /// So many good measurements in a row are asked of an inline analysis, of the `count` that it takes at most; default 0:
    /// it is good when `count` were taken and no more failed than are tolerated.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub consecutive_success_limit: u32,
    /// Requests on the candidate below which thresholds and ratios are inconclusive; default 30 (with fewer, one
    /// error is over 3 %).
    #[serde(default = "defaults::min_requests")]
    pub min_requests: u64,
    /// Metrics that are measured and told, but decide nothing; default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// What is measured; at least one.
    pub metrics: Vec<Metric>,
}

/// Which metrics only try themselves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DryRun {
    /// All of them.
    #[serde(rename = "*")]
    All,
    /// `errorRate`.
    ErrorRate,
    /// `latency`.
    Latency,
    /// `sequential`.
    Sequential,
    /// `query`.
    Query,
}

impl AnalysisTemplate {
    /// Whether a metric of it decides nothing.
    #[must_use]
    pub fn is_dry(&self, metric: &Metric) -> bool {
        self.dry_run.iter().any(|dry| match dry {
            DryRun::All => true,
            DryRun::ErrorRate => matches!(metric, Metric::ErrorRate { .. }),
            DryRun::Latency => matches!(metric, Metric::Latency { .. }),
            DryRun::Sequential => matches!(metric, Metric::Sequential { .. }),
            DryRun::Query => matches!(metric, Metric::Query { .. }),
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it in this form")]
const fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// One thing that is measured, on the proxy's own counters or by somebody else, and the bound it must keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Metric {
    /// The candidate's share of failed requests (5xx answers, time-outs, broken connections).
    #[serde(rename_all = "camelCase")]
    ErrorRate {
        /// Failed above this many per cent (0 to 100).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<f64>,
        /// Failed above this many times stable's share in the same window.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_ratio: Option<f64>,
    },
    /// A quantile of the candidate's answer times.
    #[serde(rename_all = "camelCase")]
    Latency {
        /// Which quantile, between 0 and 1; default 0.99.
        #[serde(default = "defaults::quantile")]
        quantile: f64,
        /// Failed above this long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<Span>,
        /// Failed above this many times stable's in the same window.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_ratio: Option<f64>,
    },
    /// The sequential test: failures of the candidate against failures of stable, looked at after every request,
    /// with a stated chance of a false alarm.
    #[serde(rename_all = "camelCase")]
    Sequential {
        /// The chance of failing an equally good release, in all; default 0.001.
        #[serde(default = "defaults::alpha")]
        alpha: f64,
        /// An inline analysis waits until the candidate certainly fails less often than stable plus so many per cent of
        /// its requests (0 to 100); default: it asks for `minRequests` only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        margin: Option<f64>,
    },
    /// What a provider answers, held against conditions over `result`. With both, what neither holds for is
    /// inconclusive.
    #[serde(rename_all = "camelCase")]
    Query {
        /// Who is asked, once at the end of each measurement.
        provider: Provider,
        /// The measurement is good when this holds, `result[0] >= 0.95`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        success_condition: Option<String>,
        /// The measurement has failed when this holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure_condition: Option<String>,
    },
}

impl Metric {
    /// The word for it in files and reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ErrorRate { .. } => "errorRate",
            Self::Latency { .. } => "latency",
            Self::Sequential { .. } => "sequential",
            Self::Query { .. } => "query",
        }
    }

    /// Whether it has a bound at all: a metric that cannot fail is refused.
    #[must_use]
    pub const fn has_condition(&self) -> bool {
        match self {
            Self::ErrorRate { max, max_ratio } => max.is_some() || max_ratio.is_some(),
            Self::Latency { max, max_ratio, .. } => max.is_some() || max_ratio.is_some(),
            Self::Sequential { .. } => true,
            Self::Query {
                success_condition,
                failure_condition,
                ..
            } => success_condition.is_some() || failure_condition.is_some(),
        }
    }
}

mod defaults {
    use crate::Span;

    pub(super) const fn interval() -> Span {
        Span::from_secs(30)
    }
    pub(super) const fn count() -> u32 {
        1
    }
    pub(super) const fn consecutive_error_limit() -> u32 {
        4
    }
    pub(super) const fn min_requests() -> u64 {
        30
    }
    pub(super) const fn quantile() -> f64 {
        0.99
    }
    pub(super) const fn alpha() -> f64 {
        0.001
    }
}
