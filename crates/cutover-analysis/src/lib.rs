//! Measurements to verdicts.
//!
//! Pure: what was counted comes in, a verdict with its reason goes out. It must not know who counted, nor when: the
//! caller brings cumulative [`Counters`] and the time, keeps the [`AnalysisState`], and asks [`measure()`] again at
//! [`Assessment::next`].

mod assessment;
mod binomial;
mod counters;
mod histogram;
mod judge;
mod measure;
mod sample;
mod sequential;
mod state;
mod words;

pub use assessment::{Assessment, LOOK, Mode, Reading};
pub use counters::Counters;
pub use histogram::Histogram;
pub use measure::{measure, terminate};
pub use state::AnalysisState;
