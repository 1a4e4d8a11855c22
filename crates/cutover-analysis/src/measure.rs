//! The loop body of an analysis.
//!
//! A *reading* is a look at the counters, about every second. A *measurement* is what the template's `interval`,
//! `count` and limits are about: it judges what was counted since the one before. One that has too few requests at its
//! end is not counted, it goes on: until it has them, or for [`PATIENCE`] intervals, when it counts as inconclusive. A
//! rate just over its threshold on so few requests that it may be chance is waited for in the same way; then it counts
//! as failed.
//!
//! Within one measurement the worst metric speaks: Failed before Inconclusive before too few requests before
//! Successful. Among the limits, `failureLimit` is looked at first: evidence against a release is never hidden by what
//! else is missing. (In Argo's code an exceeded error limit overwrites an exceeded failure limit.) All limits are
//! strict, as there: a limit of 3 tolerates three.
//!
//! `Error` alone is no last word: it holds the release for as long as there is nothing to measure by, and no longer.
//!
//! Two things do not wait for the end of a measurement: the sequential test, which may be looked at any time, and an
//! error rate so far over its bound that chance cannot explain it. The latter spends a failure only when it decides:
//! when `failureLimit` is used up, or when the candidate fails hard (then whatever the limit).

use std::cell::Cell;

use cutover_model::{AnalysisTemplate, Baseline, Metric, Provider, Span, Timestamp, Verdict};

use crate::assessment::LOOK;
use crate::before::{self, Against, Tally};
use crate::judge::{Evidences, Finding, Outcome, early, no_data, successful};
use crate::rise::Rise;
use crate::sample::Sample;
use crate::state::Asked;
use crate::{AnalysisState, Assessment, Mode, Reading, words};

/// A measurement waits for its requests at most so many intervals.
const PATIENCE: u64 = 10;

/// Provider errors are counted this far apart at least, as Argo retries them, so that a restart of the source of a few
/// seconds is one error and not five.
const ERROR_RETRY: Span = Span::from_secs(10);

/// Takes a reading into the state and says where the analysis stands. `reading` is an error's sentence when the source
/// could not be read.
#[must_use]
pub fn measure(
    template: &AnalysisTemplate,
    mode: Mode,
    mut state: AnalysisState,
    reading: Result<Reading, String>,
    now: Timestamp,
) -> (AnalysisState, Assessment) {
    let started = *state.started_at.get_or_insert(now);
    let analysis = Analysis { template, mode, now };
    let assessment = match reading {
        Err(why) => analysis.provider_error(&mut state, &why),
        Ok(reading) => {
            let warm_at = template.initial_delay.after(started);
            if template.baseline == Baseline::PreSwitch && reading.candidate_share <= 0.0 {
                analysis.before(&mut state, &reading)
            } else if now < warm_at {
                let left = Span::between(now, warm_at);
                analysis.go_on(&state, format!("warming up for {left}"), Some(warm_at))
            } else if let Some(window_at) = state.window_at {
                analysis.reading(&mut state, &reading, window_at)
            } else {
                state.errors_in_row = 0;
                state.error_at = None;
                state.open_window(&reading, now, analysis.needs_times());
                state.advance_share(reading.candidate_share);
                if state.seen.is_none() {
                    state.bet(&reading, None, analysis.asked(), template.min_requests);
                }
                analysis.go_on(&state, analysis.progress(&state), None)
            }
        }
    };
    (state, assessment)
}

/// An analysis that was ended from outside, by a deadline or a person, before it had a verdict: never `Successful`.
#[must_use]
pub fn terminate(state: &AnalysisState, why: &str) -> Assessment {
    let (requests, errors) = state.exposed();
    Assessment {
        verdict: Some(Verdict::Inconclusive),
        because: format!(
            "ended before it had a verdict: {why}; {} so far, {} on the candidate, {errors} failed",
            words::count(u64::from(state.measured), "measurement"),
            words::count(requests, "request"),
        ),
        requests,
        errors,
        measured: true,
        next: None,
        needed: None,
        until: None,
        hard: false,
    }
}

/// The queries to ask before the next [`measure()`] at this moment: all of the template's when a measurement ends, none in
/// between. When one begins, those that count from then on: their answers are not judged.
#[must_use]
pub fn queries_due<'a>(
    template: &'a AnalysisTemplate,
    state: &AnalysisState,
    now: Timestamp,
) -> Vec<&'a Provider> {
    let analysis = Analysis {
        template,
        mode: Mode::Inline,
        now,
    };
    let ends = state
        .window_at
        .is_some_and(|at| Span::between(at, now) >= analysis.interval());
    let queries = template.metrics.iter().flat_map(Metric::providers);
    let begins = state.window_at.is_none();
    queries
        .filter(|provider| ends || (begins && provider.counts()))
        .collect()
}

struct Analysis<'a> {
    template: &'a AnalysisTemplate,
    mode: Mode,
    now: Timestamp,
}

impl Analysis<'_> {
    fn provider_error(&self, state: &mut AnalysisState, why: &str) -> Assessment {
        let retry = self.interval().min(ERROR_RETRY);
        let counts = state
            .error_at
            .is_none_or(|at| Span::between(at, self.now) >= retry);
        if counts {
            state.errors_in_row = state.errors_in_row.saturating_add(1);
            // As in Argo: what was not seen in between is in no row.
            state.successes_in_row = 0;
            state.error_at = Some(self.now);
        }
        let limit = self.template.consecutive_error_limit;
        let because = format!(
            "there was nothing to measure by, {} in a row ({limit} tolerated): {why}",
            words::count(u64::from(state.errors_in_row), "time")
        );
        let next = state.error_at.map(|at| retry.after(at));
        if state.errors_in_row > limit {
            // The release is held, and asked about again: when there is something to measure by, it goes on by itself.
            return Assessment {
                verdict: Some(Verdict::Error),
                measured: counts && state.errors_in_row == limit + 1,
                next: next.map(|next| next.max(LOOK.after(self.now))),
                until: None,
                ..self.go_on(state, because, next)
            };
        }
        Assessment {
            measured: counts,
            ..self.go_on(state, because, next)
        }
    }

    /// A look before the switch: it is taken down, and told as often as measurements are.
    fn before(&self, state: &mut AnalysisState, reading: &Reading) -> Assessment {
        state.errors_in_row = 0;
        state.error_at = None;
        state.advance_before(reading, self.now, self.patience());
        let told = state
            .told_at
            .is_none_or(|at| Span::between(at, self.now) >= self.interval());
        if told {
            state.told_at = Some(self.now);
        }
        Assessment {
            measured: told,
            ..self.go_on(state, state.before.words(), None)
        }
    }

    fn reading(&self, state: &mut AnalysisState, reading: &Reading, window_at: Timestamp) -> Assessment {
        let (latest, window) = state.advance(reading, self.now, self.needs_times());
        state.trace.add(&latest, self.now);
        if let Some(stable) = &latest.stable {
            state.lately.add(stable);
        }
        let share = state.advance_share(reading.candidate_share);
        self.look_for_a_rise(state, reading, &latest, share >= 1.0);
        state.bet(
            reading,
            Some((&latest, share)),
            self.asked(),
            self.template.min_requests,
        );
        let hard = window.fails_hard() || latest.fails_hard();
        if let Some(because) = self.early(state, &[&window, &latest], hard) {
            state.failures = state.failures.saturating_add(1);
            state.measured = state.measured.saturating_add(1);
            return self.end(state, Verdict::Failed, because, hard);
        }
        let age = Span::between(window_at, self.now);
        // After a restart less is counted than the measurement is old.
        let counted_from = state.counted_from.unwrap_or(window_at);
        let unanswered = reading.answers.iter().find_map(|answer| answer.as_ref().err());
        let unanswered = unanswered.filter(|_| !self.queries_are_dry());
        if let Some(why) = unanswered {
            return self.provider_error(state, why);
        }
        state.errors_in_row = 0;
        state.error_at = None;
        let assessment = if age < self.interval() {
            self.go_on(state, self.progress(state), None)
        } else {
            let evidence = Evidences {
                window: &window,
                history: reading.stable.as_ref(),
                candidate_alone: share >= 1.0,
                drawn: (state.drawn(), state.stable_drawn()),
                sequential: state.case(),
                min_requests: self.template.min_requests,
                last_call: age >= self.patience(),
                promotes: self.mode == Mode::Inline,
                change: (
                    Tally::of(&window.candidate, Span::between(counted_from, self.now)),
                    self.tally_before(state),
                ),
                against: Against {
                    rise: state.rise.as_ref(),
                    each: !self.template.baseline.is_stable(),
                },
                exposed: state.exposed(),
                answers: Cell::new(&reading.answers),
            };
            let finding = self.finding(&evidence, state);
            self.end_of_window(state, reading, finding, age)
        };
        Assessment { hard, ..assessment }
    }

    /// Takes down what stable counts until the candidate has all requests, and holds what the candidate counts then against it.
    fn look_for_a_rise(&self, state: &mut AnalysisState, reading: &Reading, latest: &Sample, alone: bool) {
        let mut metrics = self.template.metrics.iter();
        let Some(change) = metrics.find(|metric| matches!(metric, Metric::Change { .. })) else {
            return;
        };
        let takes_down = self.template.baseline.is_stable() && (!alone || state.before.is_empty());
        if let (true, Some(since), Some(ever)) = (takes_down, &latest.stable, &reading.stable) {
            state.before.add(since, ever, self.now, self.patience());
        }
        if alone {
            if state.rise.is_none() {
                state.rise = before::rise(change, self.tally_before(state));
            }
            if let Some(rise) = &mut state.rise {
                rise.add(&latest.candidate);
            }
        }
    }

    /// Whether there is anything yet that a metric could look at.
    fn applies(&self, metric: &Metric, state: &AnalysisState) -> bool {
        let alone = state.share.is_some_and(|share| share >= 1.0);
        alone || !self.template.baseline.is_stable() || !matches!(metric, Metric::Change { .. })
    }

    /// Whether the analysis need not wait for the end of the measurement, and in which words.
    fn early(&self, state: &AnalysisState, samples: &[&Sample], hard: bool) -> Option<String> {
        let (before, lately) = (self.tally_before(state), state.lately.counters());
        let decides = hard || state.failures >= self.template.failure_limit;
        let metrics = self.template.metrics.iter();
        metrics
            .filter(|metric| !self.template.is_dry(metric) && self.applies(metric, state))
            .find_map(|metric| {
                if !decides && !matches!(metric, Metric::Sequential { .. }) {
                    return None;
                }
                let (mut risen, mut each) = (None, true);
                if matches!(metric, Metric::Change { .. }) {
                    risen = state.rise.as_ref().and_then(Rise::words);
                    each = !self.template.baseline.is_stable();
                }
                let mut samples = samples.iter().filter(|_| each);
                samples
                    .find_map(|sample| early(metric, sample, state.case(), before, &lately))
                    .or(risen)
            })
    }

    fn tally_before(&self, state: &AnalysisState) -> Tally {
        let tally = state.before.tally(self.template.min_requests.max(1));
        if self.template.baseline.is_stable() {
            tally.timeless()
        } else {
            tally
        }
    }

    /// What a measurement says: the worst of what decides, and beside it what is only tried out.
    fn finding(&self, evidence: &Evidences<'_>, state: &AnalysisState) -> Finding {
        let (mut decide, mut dry) = (Vec::new(), Vec::new());
        // In the template's order, for the answers to queries come in it.
        for metric in &self.template.metrics {
            if !self.applies(metric, state) {
                continue;
            }
            let finding = evidence.judge(metric);
            if self.template.is_dry(metric) {
                dry.push(dry_run(&finding));
            } else {
                decide.push(finding);
            }
        }
        if decide.is_empty() && dry.is_empty() && !self.template.metrics.is_empty() {
            return no_data(0, "it does not have all requests yet");
        }
        if decide.is_empty() && !dry.is_empty() {
            return successful(dry.join("; "));
        }
        let mut finding = worst(decide);
        for words in dry {
            finding.words.push_str("; ");
            finding.words.push_str(&words);
        }
        finding
    }

    fn queries_are_dry(&self) -> bool {
        let mut metrics = self.template.metrics.iter();
        metrics.any(|metric| !metric.providers().is_empty() && self.template.is_dry(metric))
    }

    fn end_of_window(
        &self,
        state: &mut AnalysisState,
        reading: &Reading,
        finding: Finding,
        age: Span,
    ) -> Assessment {
        let mut outcome = finding.outcome;
        if let Outcome::NoData { needed } = outcome {
            if age < self.patience() {
                let what = if needed > 0 { "requests" } else { "data" };
                let because = format!("waiting for {what}: {}", finding.words);
                return Assessment {
                    needed: (needed > 0).then_some(needed),
                    ..self.go_on(state, because, None)
                };
            }
            outcome = Outcome::Inconclusive;
        }
        state.measured = state.measured.saturating_add(1);
        let template = self.template;
        let row = state.successes_in_row;
        state.successes_in_row = 0;
        let said = match outcome {
            Outcome::Failed => {
                state.failures = state.failures.saturating_add(1);
                if state.failures > template.failure_limit {
                    return self.end(state, Verdict::Failed, finding.words, false);
                }
                format!(
                    "failed, {} of {} tolerated",
                    state.failures, template.failure_limit
                )
            }
            Outcome::Inconclusive | Outcome::NoData { .. } => {
                state.inconclusives = state.inconclusives.saturating_add(1);
                if self.mode == Mode::Inline && state.inconclusives > template.inconclusive_limit {
                    let because = format!("it cannot be told: {}", finding.words);
                    return self.end(state, Verdict::Inconclusive, because, false);
                }
                "inconclusive".to_owned()
            }
            Outcome::Successful => {
                state.successes_in_row = row.saturating_add(1);
                "good".to_owned()
            }
        };
        if self.mode == Mode::Inline
            && let Some((verdict, because)) = self.enough(state, &said, &finding.words)
        {
            return self.end(state, verdict, because, false);
        }
        state.open_window(reading, self.now, self.needs_times());
        if let Some(rise) = &mut state.rise {
            rise.begin();
        }
        let because = format!("{} {said}: {}", self.name(state.measured), finding.words);
        Assessment {
            measured: true,
            ..self.go_on(state, because, None)
        }
    }

    /// Whether an inline analysis has its measurements, none of which failed it; the last one `said` so much.
    fn enough(&self, state: &AnalysisState, said: &str, words: &str) -> Option<(Verdict, String)> {
        let told = state.measured.saturating_sub(state.inconclusives);
        let all_taken = told >= self.template.count.max(1);
        let wanted = self.template.consecutive_success_limit;
        if wanted > 0 {
            if state.successes_in_row >= wanted {
                return Some((
                    Verdict::Successful,
                    format!("{wanted} good in a row; the last one: {words}"),
                ));
            }
            return all_taken.then(|| {
                let because =
                    format!("it cannot be told: {told} were taken, and never {wanted} good in a row; the last one {said}: {words}");
                (Verdict::Inconclusive, because)
            });
        }
        all_taken.then(|| {
            let because = if state.failures == 0 {
                words.to_owned()
            } else {
                let good = told.saturating_sub(state.failures);
                format!("{good} of {told} good, the others tolerated; the last one {said}: {words}")
            };
            (Verdict::Successful, because)
        })
    }

    fn end(&self, state: &AnalysisState, verdict: Verdict, because: String, hard: bool) -> Assessment {
        Assessment {
            verdict: Some(verdict),
            measured: true,
            next: None,
            until: None,
            hard,
            ..self.go_on(state, because, None)
        }
    }

    /// No verdict yet. Without another time the next look is due, at the latest, when the measurement ends.
    fn go_on(&self, state: &AnalysisState, because: String, next: Option<Timestamp>) -> Assessment {
        let (requests, errors) = state.exposed();
        let look = LOOK.min(self.interval()).after(self.now);
        let next = next.unwrap_or_else(|| {
            state
                .window_at
                .map(|at| self.interval().after(at))
                .filter(|due| *due > self.now)
                .map_or(look, |due| due.min(look))
        });
        Assessment {
            verdict: None,
            because,
            requests,
            errors,
            measured: false,
            next: Some(next),
            needed: None,
            until: state.window_at.map(|at| self.patience().after(at)),
            hard: false,
        }
    }

    fn progress(&self, state: &AnalysisState) -> String {
        let (requests, errors) = state.exposed();
        format!(
            "{} under way: {} on the candidate so far, {errors} failed",
            self.name(state.measured.saturating_add(1)),
            words::count(requests, "request"),
        )
    }

    fn name(&self, number: u32) -> String {
        match self.mode {
            Mode::Inline => format!("measurement {number} of {}", self.template.count.max(1)),
            Mode::Background => format!("measurement {number}"),
        }
    }

    /// A template without an interval would measure without end at one moment: at least a tenth of a second.
    fn interval(&self) -> Span {
        self.template.interval.max(Span::from_millis(100))
    }

    fn patience(&self) -> Span {
        Span::from_millis(self.interval().as_millis().saturating_mul(PATIENCE))
    }

    /// What the sequential test looks at.
    fn asked(&self) -> Asked<'_> {
        let sequential = self.template.metrics.iter().find_map(|metric| match metric {
            Metric::Sequential { latency, history, .. } => Some(Asked {
                slow: latency.as_ref(),
                history: *history,
            }),
            _ => None,
        });
        sequential.unwrap_or_default()
    }

    fn needs_times(&self) -> bool {
        self.template
            .metrics
            .iter()
            .any(|metric| matches!(metric, Metric::Latency { .. }))
    }
}

/// What a metric that decides nothing would have said.
fn dry_run(finding: &Finding) -> String {
    let word = match finding.outcome {
        Outcome::Successful => "good",
        Outcome::NoData { .. } => "no data",
        Outcome::Inconclusive => "it cannot be told",
        Outcome::Failed => "it would have failed",
    };
    format!("dry run, {word}: {}", finding.words)
}

/// The worst finding speaks; where several are as bad, all of their words. No metric at all tells nothing.
fn worst(mut findings: Vec<Finding>) -> Finding {
    let Some(top) = findings.iter().map(|finding| finding.outcome).max() else {
        return Finding {
            outcome: Outcome::Inconclusive,
            words: "nothing is measured".to_owned(),
        };
    };
    let same = |outcome: Outcome| std::mem::discriminant(&outcome) == std::mem::discriminant(&top);
    findings.retain(|finding| same(finding.outcome));
    findings.dedup_by(|a, b| a.words == b.words);
    let words: Vec<String> = findings.into_iter().map(|finding| finding.words).collect();
    Finding {
        outcome: top,
        words: words.join("; "),
    }
}
