//! Ours: the default analysis in the background, read every second, and a promotion by evidence.

use cutover_analysis::{AnalysisState, Counters, Drawn, Mode, Reading, measure};
use cutover_model::{AnalysisTemplate, Metric, Span, Timestamp, Verdict};

use crate::release::{Detector, Next, ramp};
use crate::world::{Arm, Second};

/// The product's own code, on the counters that its proxy would show.
#[derive(Debug)]
pub struct Ours {
    guard: (AnalysisTemplate, AnalysisState),
    gate: Option<(AnalysisTemplate, AnalysisState)>,
    candidate: Arm,
    stable: Arm,
    share: f64,
}

impl Ours {
    /// What a canary has by default, but for times, which are not simulated; after the ramp an inline analysis that waits
    /// until the candidate is known to fail at most `margin` per cent more often than stable.
    #[must_use]
    pub fn new(margin: f64) -> Self {
        let mut guard = cutover_spec::default_analysis();
        guard
            .metrics
            .retain(|metric| !matches!(metric, Metric::Latency { .. }));
        let gate = AnalysisTemplate {
            interval: Span::from_secs(30),
            inconclusive_limit: 8,
            metrics: vec![Metric::Sequential {
                alpha: 0.001,
                margin: Some(margin),
                latency: None,
            }],
            ..guard.clone()
        };
        Self::with(guard, Some(gate))
    }

    /// The sequential test alone.
    #[must_use]
    pub fn sequential(alpha: f64) -> Self {
        let guard = AnalysisTemplate {
            metrics: vec![Metric::Sequential { alpha, margin: None, latency: None }],
            ..cutover_spec::default_analysis()
        };
        Self::with(guard, None)
    }

    /// With a warm-up.
    #[must_use]
    pub fn after(mut self, warm_up: Span) -> Self {
        self.guard.0.initial_delay = warm_up;
        self
    }

    fn with(guard: AnalysisTemplate, gate: Option<AnalysisTemplate>) -> Self {
        Self {
            guard: (guard, AnalysisState::default()),
            gate: gate.map(|gate| (gate, AnalysisState::default())),
            candidate: Arm::default(),
            stable: Arm::default(),
            share: ramp(0).unwrap_or_default(),
        }
    }

    fn reading(&self, blind: bool) -> Result<Reading, String> {
        if blind {
            return Err("nothing can be read".to_owned());
        }
        Ok(Reading {
            candidate: counters(&self.candidate),
            stable: Some(counters(&self.stable)),
            candidate_share: self.share,
            answers: Vec::new(),
        })
    }
}

fn counters(arm: &Arm) -> Counters {
    Counters {
        epoch: 1,
        requests: arm.requests,
        errors: arm.errors,
        drawn: Some(Drawn {
            requests: arm.drawn,
            errors: arm.drawn_errors,
        }),
        ..Counters::default()
    }
}

/// One more reading of an analysis.
fn look(
    analysis: &mut (AnalysisTemplate, AnalysisState),
    mode: Mode,
    reading: Result<Reading, String>,
    now: Timestamp,
) -> Option<Verdict> {
    let state = std::mem::take(&mut analysis.1);
    let (state, said) = measure(&analysis.0, mode, state, reading, now);
    analysis.1 = state;
    said.verdict
}

impl Detector for Ours {
    fn second(&mut self, at: u64, seen: &Second) -> Next {
        let now = |second: u64| Span::from_secs(second).after(Timestamp::UNIX_EPOCH);
        if at == 1 {
            let reading = self.reading(false);
            look(&mut self.guard, Mode::Background, reading, now(0));
            let reading = self.reading(false);
            if let Some(gate) = &mut self.gate {
                look(gate, Mode::Inline, reading, now(0));
            }
        }
        self.share = seen.share;
        self.candidate.add(seen.candidate);
        self.stable.add(seen.stable);
        let reading = self.reading(seen.blind);
        match look(&mut self.guard, Mode::Background, reading, now(at)) {
            Some(Verdict::Failed) => return Next::Back,
            Some(_) => return Next::Hold,
            None => {}
        }
        if let Some(share) = ramp(at) {
            return Next::Share(share);
        }
        let reading = self.reading(seen.blind);
        let Some(gate) = &mut self.gate else {
            return Next::Promote;
        };
        // Every ten seconds is often enough to know when it is promoted.
        if !at.is_multiple_of(10) {
            return Next::Share(self.share);
        }
        match look(gate, Mode::Inline, reading, now(at)) {
            Some(Verdict::Successful) => Next::Promote,
            Some(Verdict::Failed) => Next::Back,
            Some(_) => Next::Hold,
            None => Next::Share(self.share),
        }
    }
}
