//! Ours: the default analysis in the background, read every second, and a promotion by evidence.

use std::collections::VecDeque;

use cutover_analysis::{AnalysisState, Counters, Drawn, DrawnAt, DrawnIn, Histogram, Mode, Reading, measure};
use cutover_model::{AnalysisTemplate, Metric, SlowAnswers, Span, Timestamp, Verdict};

use crate::release::{Detector, Next, ramp};
use crate::world::{Arm, Failed, LATE, RATIO, ROUTES, Second};

/// The product's own code, on the counters that its proxy would show.
#[derive(Debug)]
pub struct Ours {
    guard: (AnalysisTemplate, AnalysisState),
    gate: Option<(AnalysisTemplate, AnalysisState)>,
    candidate: Arm,
    stable: Arm,
    share: f64,
    odds: Vec<(DrawnAt, DrawnAt)>,
    /// Whether single routes are counted for themselves.
    routes: bool,
    /// Slow answers that have not ended: when they do, by which odds they were drawn, how many of either side.
    late: VecDeque<(u64, usize, u64, u64)>,
}

/// In microseconds, the shortest that can be told apart: an answer as usual, and one that is slow on either side.
const USUAL: u64 = 4;
const SLOW: u64 = 9;
/// What stable has answered before.
const BEFORE: u64 = 1_000;

impl Ours {
    /// What a canary has by default, but for quantiles of times, which are not simulated; after the ramp an inline analysis that waits
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
                history: false,
            }],
            ..guard.clone()
        };
        Self::with(guard, Some(gate))
    }

    /// The sequential test alone.
    #[must_use]
    pub fn sequential(alpha: f64) -> Self {
        let guard = AnalysisTemplate {
            metrics: vec![Metric::Sequential {
                alpha,
                margin: None,
                latency: None,
                history: false,
            }],
            ..cutover_spec::default_analysis()
        };
        Self::with(guard, None)
    }

    /// The same on failures and slow answers.
    #[must_use]
    pub fn with_times(alpha: f64) -> Self {
        let mut ours = Self::sequential(alpha);
        for metric in &mut ours.guard.0.metrics {
            if let Metric::Sequential { latency, .. } = metric {
                *latency = Some(SlowAnswers::default());
            }
        }
        ours.in_microseconds()
    }

    /// The simulated times are so short that no increase of them would be worth a word.
    fn in_microseconds(mut self) -> Self {
        for metric in &mut self.guard.0.metrics {
            if let Metric::Sequential {
                latency: Some(latency),
                ..
            } = metric
            {
                latency.min_increase = Span::ZERO;
                latency.max_ratio = RATIO;
            }
        }
        self
    }

    /// With strata: counted by route too.
    #[must_use]
    pub fn by_route(mut self) -> Self {
        self.routes = true;
        self
    }

    /// With the test against what stable was before.
    #[must_use]
    pub fn with_history(mut self) -> Self {
        for metric in &mut self.guard.0.metrics {
            if let Metric::Sequential { history, .. } = metric {
                *history = true;
            }
        }
        self
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
            odds: Vec::new(),
            routes: false,
            late: VecDeque::new(),
        }
        .in_microseconds()
    }

    fn looks_back(&self) -> bool {
        let mut metrics = self.guard.0.metrics.iter();
        metrics.any(|metric| matches!(metric, Metric::Sequential { history: true, .. }))
    }

    /// Counts by the odds that were in force, slow answers when they end.
    fn count(&mut self, at: u64, seen: &Second) {
        let parts = (seen.share * 10_000.0).round() as u32;
        let found = self.odds.iter().position(|(one, _)| one.candidate == parts);
        let place = found.unwrap_or_else(|| {
            let fresh = DrawnAt {
                odds: self.odds.len() as u64 + 1,
                candidate: parts,
                of: 10_000,
                ..DrawnAt::default()
            };
            let fresh = if self.routes { by_route(fresh) } else { fresh };
            self.odds.push((fresh.clone(), fresh));
            self.odds.len() - 1
        });
        let (candidate, stable) = &mut self.odds[place];
        let strata = candidate.strata.iter_mut().zip(&mut stable.strata);
        for ((ours, theirs), (x, y)) in strata.zip::<&[Failed]>(&seen.by_route) {
            ours.errors += x;
            theirs.errors += y;
        }
        self.odds[place].0.errors += seen.candidate.drawn_errors;
        self.odds[place].1.errors += seen.stable.drawn_errors;
        self.late
            .push_back((at + LATE, place, seen.candidate.slow, seen.stable.slow));
        while let Some((_, place, ours, theirs)) = self.late.pop_front_if(|(due, ..)| *due <= at) {
            let (candidate, stable) = &mut self.odds[place];
            add(&mut candidate.latency, SLOW, ours);
            add(&mut stable.latency, SLOW, theirs);
        }
    }

    fn reading(&self, blind: bool) -> Result<Reading, String> {
        if blind {
            return Err("nothing can be read".to_owned());
        }
        Ok(Reading {
            candidate: Counters {
                odds: Some(self.odds.iter().map(|(one, _)| one.clone()).collect()),
                ..counters(&self.candidate)
            },
            stable: Some(Counters {
                odds: Some(self.odds.iter().map(|(_, one)| one.clone()).collect()),
                latency: before(),
                ..counters(&self.stable)
            }),
            candidate_share: self.share,
            answers: Vec::new(),
        })
    }
}

/// As the proxy tells it: the named ones, and all others.
fn by_route(at: DrawnAt) -> DrawnAt {
    let named = (1..ROUTES.len()).map(|route| format!("route {route}"));
    let strata = named.chain([String::new()]).map(|name| DrawnIn {
        name,
        ..DrawnIn::default()
    });
    DrawnAt {
        strata: strata.collect(),
        ..at
    }
}

fn before() -> Histogram {
    let mut times = Histogram::default();
    add(&mut times, USUAL, BEFORE);
    times
}

fn add(times: &mut Histogram, us: u64, count: u64) {
    if count > 0 {
        let place = Histogram::index(us);
        times.0.resize(times.0.len().max(place + 1), 0);
        times.0[place] += count;
    }
}

pub(super) fn counters(arm: &Arm) -> Counters {
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
pub(super) fn look(
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
            if self.looks_back() {
                self.stable.add(seen.before);
            }
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
        self.count(at, seen);
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
