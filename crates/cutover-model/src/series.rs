//! What a user asks of two series of points. How they are compared lives in `cutover-analysis`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Provider;

/// Two series of points, one of each revision, and how they are compared. Words and defaults are Kayenta's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeriesTest {
    /// Who gives the candidate's points: a list of numbers.
    pub candidate: Provider,
    /// Who gives stable's.
    pub stable: Provider,
    /// The part of the estimated shift that the confidence interval must be away from none; 0 to 1, default 0.25.
    #[serde(default = "tolerance")]
    pub tolerance: f64,
    /// Of that interval; between 0 and 1, default 0.98.
    #[serde(default = "confidence")]
    pub confidence: f64,
    /// Which change is a bad one; default either.
    #[serde(default)]
    pub direction: Direction,
    /// How the size of the change is measured; default meanRatio.
    #[serde(default)]
    pub effect_size_measure: EffectSize,
    /// An increase counts from this effect size on; default 1 for meanRatio, 0.5 for cles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_increase: Option<f64>,
    /// A decrease counts from this effect size down; the same defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_decrease: Option<f64>,
    /// Whether there must be points: then no point is a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub must_have_data: bool,
    /// What a missing point counts as; default remove.
    #[serde(default)]
    pub nan_strategy: NanStrategy,
}

const fn tolerance() -> f64 {
    0.25
}

const fn confidence() -> f64 {
    0.98
}

/// Which change is a bad one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// More is worse: errors, answer times.
    Increase,
    /// Less is worse: requests served.
    Decrease,
    /// Any change.
    #[default]
    Either,
}

/// How the size of a change is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EffectSize {
    /// The candidate's mean over stable's: 1 is no change.
    #[default]
    MeanRatio,
    /// The common language effect size: the chance that a point of the candidate is above one of stable; 0.5 is no
    /// change.
    Cles,
}

/// What a missing point counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NanStrategy {
    /// It is left out.
    #[default]
    Remove,
    /// It is 0: for counts of what did not happen.
    Replace,
}
