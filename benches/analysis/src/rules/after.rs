//! Ours after 100 %: `change`, where there is no stable beside the candidate any more.

use cutover_analysis::{AnalysisState, Mode, Reading};
use cutover_model::{AnalysisTemplate, Metric, Span, Timestamp, Verdict};

use super::ours::{counters, look};
use crate::release::{Detector, Next};
use crate::world::{ALONE, Arm, Second};

/// Half of the requests until [`ALONE`], then all of them, to the end of the soak.
#[derive(Debug)]
pub struct After {
    analysis: (AnalysisTemplate, AnalysisState),
    candidate: Arm,
    stable: Arm,
}

impl After {
    /// With the bounds that `change` has by default.
    #[must_use]
    pub fn new() -> Self {
        let template = AnalysisTemplate {
            metrics: vec![Metric::Change {
                max_error_ratio: 1.5,
                min_error_rate: 0.0,
                max_avg_increase: Span::from_millis(100),
                min_request_ratio: 0.5,
            }],
            ..cutover_spec::default_analysis()
        };
        Self {
            analysis: (template, AnalysisState::default()),
            candidate: Arm::default(),
            stable: Arm::default(),
        }
    }
}

impl Default for After {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector for After {
    fn second(&mut self, at: u64, seen: &Second) -> Next {
        self.candidate.add(seen.candidate);
        self.stable.add(seen.stable);
        let reading = Reading {
            candidate: counters(&self.candidate),
            stable: Some(counters(&self.stable)),
            candidate_share: seen.share,
            answers: Vec::new(),
        };
        let now = Span::from_secs(at).after(Timestamp::UNIX_EPOCH);
        match look(&mut self.analysis, Mode::Background, Ok(reading), now) {
            Some(Verdict::Failed) => Next::Back,
            Some(_) => Next::Hold,
            None => Next::Share(if at < ALONE { 0.5 } else { 1.0 }),
        }
    }
}
