//! Measurements to verdicts.
//!
//! Pure: what was counted comes in, a verdict with its reason goes out. It must not know who counted, nor when: the
//! caller brings cumulative [`Counters`] and the time, keeps the [`AnalysisState`], and asks [`measure()`] again at
//! [`Assessment::next`].

mod assessment;
mod before;
mod binomial;
mod bounds;
mod case;
mod chart;
mod condition;
mod counters;
mod figures;
mod gamma;
mod histogram;
mod history;
mod judge;
mod kayenta;
mod mann_whitney;
mod measure;
mod odds;
mod query;
mod recording;
mod replay;
mod rise;
mod sample;
mod sequential;
mod series;
mod slow;
mod split;
mod state;
mod strata;
mod words;

pub use assessment::{Assessment, LOOK, Mode, Reading};
pub use chart::{Chart, ChartPoint, share};
pub use condition::{Condition, InvalidCondition, Unanswered};
pub use counters::{Counters, Drawn};
pub use figures::{FigureBounds, Figures, judge_figures};
pub use histogram::Histogram;
pub use kayenta::{
    Canary, CanaryMetric, GroupScore, MetricScore, Score, ScoreClassification, ScoreThresholds, score,
};
pub use measure::{measure, queries_due, terminate};
pub use odds::{DrawnAt, DrawnIn};
pub use recording::{Judgement, MOST_STRATA, RecordedEvent, RecordedWeight, Recording, Side, UnfitRecording};
pub use replay::judge;
pub use series::{Classification, Comparison, Series, classify, points_of};
pub use state::AnalysisState;
