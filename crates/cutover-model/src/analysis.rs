//! What a user asks to be measured. How it is judged lives in `cutover-analysis`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Provider, SeriesTest, Span};

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
    /// What the candidate is compared with; default stable, over the same time.
    #[serde(default, skip_serializing_if = "Baseline::is_stable")]
    pub baseline: Baseline,
    /// Metrics that are measured and told, but decide nothing; default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// What `${args.NAME}` stands for in queries and conditions, unless whoever names the template says otherwise; null: that
    /// has to be said.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, Option<String>>,
    /// What is measured; at least one. With `baseline: preSwitch` the default is `change`.
    #[serde(default)]
    pub metrics: Vec<Metric>,
}

/// What a candidate is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Baseline {
    /// Stable, over the same time.
    #[default]
    Stable,
    /// Stable before the switch: where all requests change over at once there is no other.
    PreSwitch,
}

impl Baseline {
    /// Whether it is stable over the same time.
    #[must_use]
    pub const fn is_stable(&self) -> bool {
        matches!(self, Self::Stable)
    }
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
    /// `burnRate`.
    BurnRate,
    /// `latency`.
    Latency,
    /// `sequential`.
    Sequential,
    /// `query`.
    Query,
    /// `mannWhitney`.
    MannWhitney,
    /// `change`.
    Change,
}

impl AnalysisTemplate {
    /// With what is measured when the file does not say.
    #[must_use]
    pub fn effective(mut self) -> Self {
        if self.metrics.is_empty() && self.baseline == Baseline::PreSwitch {
            self.metrics.push(Metric::Change {
                max_error_ratio: defaults::error_ratio(),
                min_error_rate: 0.0,
                max_avg_increase: defaults::avg_increase(),
                min_request_ratio: defaults::request_ratio(),
            });
        }
        self
    }

    /// With `${args.NAME}` replaced by what is given, or else by what the template says.
    #[must_use]
    pub fn with_arguments(mut self, given: &BTreeMap<String, String>) -> Self {
        let args = std::mem::take(&mut self.args);
        let value = |name: &String| given.get(name).or_else(|| args.get(name)?.as_ref());
        let fill = |text: &mut String| {
            for name in args.keys() {
                if let Some(value) = value(name) {
                    *text = text.replace(&format!("${{args.{name}}}"), value);
                }
            }
        };
        for text in self.metrics.iter_mut().flat_map(Metric::texts) {
            fill(text);
        }
        self
    }

    /// Whether a metric of it decides nothing.
    #[must_use]
    pub fn is_dry(&self, metric: &Metric) -> bool {
        self.dry_run.iter().any(|dry| match dry {
            DryRun::All => true,
            DryRun::ErrorRate => matches!(metric, Metric::ErrorRate { .. }),
            DryRun::BurnRate => matches!(metric, Metric::BurnRate { .. }),
            DryRun::Latency => matches!(metric, Metric::Latency { .. }),
            DryRun::Sequential => matches!(metric, Metric::Sequential { .. }),
            DryRun::Query => matches!(metric, Metric::Query { .. }),
            DryRun::MannWhitney => matches!(metric, Metric::MannWhitney(_)),
            DryRun::Change => matches!(metric, Metric::Change { .. }),
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it in this form")]
fn is_none(value: &f64) -> bool {
    *value == 0.0
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
    /// How fast the candidate burns the error budget of an objective: 1 is just as fast as the budget lasts.
    #[serde(rename_all = "camelCase")]
    BurnRate {
        /// The share of requests that must not fail, in per cent (0 to 100), `99.9`.
        objective: f64,
        /// Failed when both the last measurement and all since the analysis began burn faster than this; default 14.4 (a
        /// fiftieth of thirty days' budget in one hour: Google's Site Reliability Workbook, chapter 5).
        #[serde(default = "defaults::burn_rate")]
        max: f64,
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
        /// Slow answers are bet on too; default: failures only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        latency: Option<SlowAnswers>,
        /// The candidate is also held against what stable's failure rate was before the shift, which finds more where few
        /// requests come; default false, for that is not exact when the rate drifts.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        history: bool,
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
    /// Points of the candidate against points of stable, by the Mann-Whitney test.
    MannWhitney(Box<SeriesTest>),
    /// The time in which the candidate has all requests against the time before. With `baseline: preSwitch` that is the time
    /// after the switch; else it is what comes after a canary's 100 %, up to the end of the soak.
    #[serde(rename_all = "camelCase")]
    Change {
        /// Failed when the share of failed requests is above so many times what it was, and not by chance; default 1.5.
        #[serde(default = "defaults::error_ratio")]
        max_error_ratio: f64,
        /// A share of failed requests up to this many per cent (0 to 100) is never held against it; default 0.
        #[serde(default, skip_serializing_if = "is_none")]
        min_error_rate: f64,
        /// Failed when the mean answer time is longer by more than this; default 100ms.
        #[serde(default = "defaults::avg_increase")]
        max_avg_increase: Span,
        /// Failed when requests a second are below so many times what they were, and not by chance; between 0 and 1,
        /// default 0.5. For `baseline: preSwitch` only: during a canary stable has a part of the requests.
        #[serde(default = "defaults::request_ratio")]
        min_request_ratio: f64,
    },
}

/// Which answers of the candidate are slow, for the sequential test: those that take longer than `maxRatio` times what
/// stable's quantile was when the upgrade's first analysis began.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlowAnswers {
    /// Which quantile of stable's answer times, between 0 and 1; default 0.99.
    #[serde(default = "defaults::quantile")]
    pub quantile: f64,
    /// A candidate that takes up to so many times as long is as good; at least 1, default 1.5.
    #[serde(default = "defaults::slow_ratio")]
    pub max_ratio: f64,
    /// An increase of no more than this is never held against it; default 10ms.
    #[serde(default = "defaults::slow_increase")]
    pub min_increase: Span,
}

impl Default for SlowAnswers {
    fn default() -> Self {
        Self {
            quantile: defaults::quantile(),
            max_ratio: defaults::slow_ratio(),
            min_increase: defaults::slow_increase(),
        }
    }
}

impl Metric {
    /// Who is asked for it, in order.
    #[must_use]
    pub fn providers(&self) -> Vec<&Provider> {
        match self {
            Self::Query { provider, .. } => vec![provider],
            Self::MannWhitney(test) => vec![&test.candidate, &test.stable],
            _ => Vec::new(),
        }
    }

    /// The texts in which something is filled in.
    pub fn texts(&mut self) -> Vec<&mut String> {
        match self {
            Self::Query {
                provider,
                success_condition,
                failure_condition,
            } => {
                let mut texts = provider.texts();
                texts.extend(success_condition);
                texts.extend(failure_condition);
                texts
            }
            Self::MannWhitney(test) => {
                let mut texts = test.candidate.texts();
                texts.extend(test.stable.texts());
                texts
            }
            _ => Vec::new(),
        }
    }

    /// The word for it in files and reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ErrorRate { .. } => "errorRate",
            Self::BurnRate { .. } => "burnRate",
            Self::Latency { .. } => "latency",
            Self::Sequential { .. } => "sequential",
            Self::Query { .. } => "query",
            Self::MannWhitney(_) => "mannWhitney",
            Self::Change { .. } => "change",
        }
    }

    /// Whether it has a bound at all: a metric that cannot fail is refused.
    #[must_use]
    pub const fn has_condition(&self) -> bool {
        match self {
            Self::ErrorRate { max, max_ratio } => max.is_some() || max_ratio.is_some(),
            Self::Latency { max, max_ratio, .. } => max.is_some() || max_ratio.is_some(),
            Self::BurnRate { .. } | Self::Sequential { .. } | Self::MannWhitney(_) | Self::Change { .. } => {
                true
            }
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
    pub(super) const fn burn_rate() -> f64 {
        14.4
    }
    pub(super) const fn quantile() -> f64 {
        0.99
    }
    pub(super) const fn alpha() -> f64 {
        0.001
    }
    pub(super) const fn slow_ratio() -> f64 {
        1.5
    }
    pub(super) const fn slow_increase() -> Span {
        Span::from_millis(10)
    }
    pub(super) const fn error_ratio() -> f64 {
        1.5
    }
    pub(super) const fn avg_increase() -> Span {
        Span::from_millis(100)
    }
    pub(super) const fn request_ratio() -> f64 {
        0.5
    }
}
