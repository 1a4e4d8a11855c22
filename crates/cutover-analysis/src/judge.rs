//! One metric on one measurement.

use std::cell::Cell;

use cutover_model::{Metric, SeriesTest, Span};

use serde_json::Value;

use crate::Counters;
use crate::before::{self, Against, Tally};
use crate::binomial::at_least;
use crate::bounds::worse_by;
use crate::case::Case;
use crate::query;
use crate::sample::{HARD_REQUESTS, Sample, fails_too};
use crate::series::{self, Classification};
use crate::words;

/// A comparison fails a measurement only when an equally good release would show as much with less than this chance.
pub(crate) const CHANCE: f64 = 1e-3;

/// A rate over its threshold fails a measurement at once when a release exactly at the threshold would show as much with
/// less than this chance; otherwise more requests are waited for first. Without this, 2 failures in 30 requests (6.7 %)
/// would fail a release that fails one request in 200 about once in a hundred measurements.
const DOUBT: f64 = 0.05;

/// The same for failing before `minRequests`: smaller, because it is looked at every second.
pub(crate) const EARLY_CHANCE: f64 = 1e-4;

/// What one metric says of one measurement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    /// The word.
    pub(crate) outcome: Outcome,
    /// Numbers, as a phrase: `errors 6.1 % (61 of 1000), more than 5 %`.
    pub(crate) words: String,
}

/// Argo's words for one measurement, with too few requests apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Within the bounds.
    Successful,
    /// About so many requests of the candidate are missing: wait for them.
    NoData {
        /// How many.
        needed: u64,
    },
    /// It cannot be told, and waiting will not help.
    Inconclusive,
    /// Outside.
    Failed,
}

/// What a measurement is judged on.
pub(crate) struct Evidences<'a> {
    /// Since the last measurement.
    pub(crate) window: &'a Sample,
    /// All that stable counted, also before the analysis: stands in where the split leaves stable no request.
    pub(crate) history: Option<&'a Counters>,
    /// Whether the split leaves stable no request.
    pub(crate) candidate_alone: bool,
    /// Requests of the candidate, and of stable, since the evidence began that were assigned at random.
    pub(crate) drawn: (u64, u64),
    /// The sequential test.
    pub(crate) sequential: Case<'a>,
    /// `minRequests` of the template.
    pub(crate) min_requests: u64,
    /// Whether no more requests are waited for: what was counted decides.
    pub(crate) last_call: bool,
    /// Whether a good verdict lets the release go on: then evidence for it is asked for, not only none against it.
    pub(crate) promotes: bool,
    /// What was counted since the last measurement, with the time that it took; and before the switch.
    pub(crate) change: (Tally, Tally),
    /// What a rise since the switch is told by.
    pub(crate) against: Against<'a>,
    /// Requests of the candidate, and failed ones, since the analysis began.
    pub(crate) exposed: (u64, u64),
    /// What providers answered to the queries that are not judged yet, in the template's order.
    pub(crate) answers: Cell<&'a [Result<Value, String>]>,
}

enum Baseline<'a> {
    There(&'a Counters, &'static str),
    TooFew(u64),
    Never,
}

impl Evidences<'_> {
    fn baseline(&self) -> Baseline<'_> {
        let Some(stable) = &self.window.stable else {
            return Baseline::Never;
        };
        if stable.requests >= self.min_requests && stable.requests > 0 {
            return Baseline::There(stable, "stable");
        }
        if !self.candidate_alone {
            return Baseline::TooFew(self.min_requests.max(1) - stable.requests);
        }
        match self.history {
            Some(all) if all.requests >= self.min_requests.max(1) => Baseline::There(all, "stable before"),
            _ => Baseline::Never,
        }
    }

    /// Judges one metric at the end of a measurement.
    pub(crate) fn judge(&self, metric: &Metric) -> Finding {
        match metric {
            Metric::ErrorRate { max, max_ratio } => self.error_rate(*max, *max_ratio),
            Metric::BurnRate { objective, max } => self.burn_rate(*objective, *max),
            Metric::Latency {
                quantile,
                max,
                max_ratio,
            } => self.latency(*quantile, *max, *max_ratio),
            Metric::Sequential {
                alpha,
                margin,
                latency,
                history,
            } => self.sequential(*alpha, *margin, latency.is_some(), *history),
            Metric::Query {
                success_condition,
                failure_condition,
                ..
            } => self.query(success_condition.as_deref(), failure_condition.as_deref()),
            Metric::MannWhitney(test) => self.series(test),
            Metric::Change { .. } => before::judge(
                metric,
                self.change.0,
                self.change.1,
                self.min_requests,
                self.against,
            ),
        }
    }

    fn error_rate(&self, max: Option<f64>, max_ratio: Option<f64>) -> Finding {
        let candidate = &self.window.candidate;
        let Some(rate) = candidate.error_rate() else {
            return no_data(self.min_requests.max(1), "no requests");
        };
        if let Some(missing) = self.missing(candidate.requests) {
            return missing;
        }
        let mut words = errors_of(candidate);
        if let Some(max) = max {
            if let Some(finding) = self.both_fail(max, rate) {
                if finding.outcome == Outcome::Failed || max_ratio.is_none() {
                    return finding;
                }
                words = finding.words;
            } else if rate * 100.0 > max {
                let (x, n) = (candidate.errors, candidate.requests);
                words.push_str(&format!(", more than {max} %"));
                if self.last_call || at_least(x, n, max / 100.0) < DOUBT {
                    return failed(words);
                }
                words.push_str(", by few enough to be chance");
                return no_data(more_for(rate, max / 100.0, n), &words);
            } else {
                words.push_str(&format!(", {max} % allowed"));
            }
        }
        let Some(ratio) = max_ratio else {
            return successful(words);
        };
        match self.baseline() {
            Baseline::Never => inconclusive(format!("{words}, and no stable to compare with")),
            Baseline::TooFew(needed) => no_data(needed, "too few requests on stable"),
            Baseline::There(stable, name) => {
                let stable_rate = stable.error_rate().unwrap_or(0.0);
                words.push_str(&format!(", {name} {}", words::percent(stable_rate)));
                if rate <= ratio * stable_rate {
                    successful(words)
                } else if surprise(candidate, stable, ratio) < CHANCE {
                    failed(format!("{words}: more than {ratio} times"))
                } else {
                    successful(format!("{words}: no more than chance"))
                }
            }
        }
    }

    /// Over two windows, as alerts on burn rates are: the last measurement says that it still burns, all since the analysis
    /// began that it is no blip.
    fn burn_rate(&self, objective: f64, max: f64) -> Finding {
        let lately = self.error_rate(Some(burnt(objective, max)), None);
        let burns = |rate: f64| burns(objective, rate);
        let Some(rate) = self.window.candidate.error_rate() else {
            return lately;
        };
        let words = format!("{}: {} the budget of {objective} %", lately.words, burns(rate));
        let (requests, errors) = self.exposed;
        let ever = errors as f64 / requests.max(1) as f64;
        if lately.outcome == Outcome::Failed && ever * 100.0 <= burnt(objective, max) {
            return successful(format!(
                "{words}, and {} since the analysis began, {max} allowed",
                burns(ever)
            ));
        }
        Finding { words, ..lately }
    }

    /// Where stable itself is near the bound or over it, an alarm that was there before says nothing of the candidate, and
    /// must not keep a mended version out: then it must not be worse than stable.
    fn both_fail(&self, max: f64, rate: f64) -> Option<Finding> {
        let candidate = &self.window.candidate;
        let stable = self.window.stable_fails_too(max, self.min_requests)?;
        if rate * 100.0 <= max {
            return None;
        }
        let words = format!(
            "{}, more than {max} %, but stable fails too: {}",
            errors_of(candidate),
            words::percent(stable.error_rate().unwrap_or(0.0))
        );
        Some(if surprise(candidate, stable, 1.0) < CHANCE {
            failed(format!("{words}: worse than that"))
        } else {
            successful(format!("{words}: no worse than that"))
        })
    }

    fn latency(&self, q: f64, max: Option<Span>, max_ratio: Option<f64>) -> Finding {
        let candidate = &self.window.candidate.latency;
        let count = candidate.count();
        let Some(value) = candidate.quantile(q) else {
            return no_data(self.min_requests.max(1), "no requests");
        };
        if let Some(missing) = self.missing(count) {
            return missing;
        }
        let slow_share = 1.0 - q;
        let mut words = format!("{} {}", words::quantile(q), words::time(value));
        if let Some(max) = max {
            let limit = max.as_millis().saturating_mul(1_000);
            let slower = candidate.above(limit);
            words.push_str(&format!(", {max} allowed"));
            if value > limit && at_least(slower, count, slow_share) < CHANCE {
                return failed(format!("{words}: {slower} of {count} were slower"));
            }
        }
        let Some(ratio) = max_ratio else {
            return successful(words);
        };
        match self.baseline() {
            Baseline::Never => inconclusive(format!("{words}, and no stable to compare with")),
            Baseline::TooFew(needed) => no_data(needed, "too few requests on stable"),
            Baseline::There(stable, name) => {
                let Some(stable_value) = stable.latency.quantile(q) else {
                    return no_data(self.min_requests.max(1), "no times of stable");
                };
                words.push_str(&format!(", {name} {}", words::time(stable_value)));
                let limit = (stable_value as f64 * ratio) as u64;
                if value <= limit {
                    return successful(words);
                }
                // The largest time of 30 says little of a p99. That the candidate has more slow answers than the
                // quantile leaves it, *and* more than its share of both revisions' slow ones, is what must not be
                // chance. The second is exact whatever the distribution: of all orders in which exchangeable times can
                // fall, it counts those with so many of the candidate above stable's (y + 1)-th greatest.
                let (x, y) = (candidate.above(limit), stable.latency.above(limit));
                let all = stable.latency.count();
                let share = count as f64 / (count as f64 + all as f64);
                if at_least(x, count, slow_share) < CHANCE && at_least(x, x + y, share) < CHANCE {
                    failed(format!(
                        "{words}: more than {ratio} times ({x} of {count} over {})",
                        words::time(limit)
                    ))
                } else {
                    successful(format!("{words}: no more than chance"))
                }
            }
        }
    }

    fn sequential(&self, alpha: f64, margin: Option<f64>, times: bool, history: bool) -> Finding {
        if self.window.stable.is_none() {
            return inconclusive("no stable to compare with".to_owned());
        }
        let (candidate, stable) = self.drawn;
        if candidate == 0 {
            return no_data(
                self.min_requests.max(1),
                "no requests that were assigned at random",
            );
        }
        let mut words = self.sequential.words(alpha);
        if times && self.sequential.slow.is_none() {
            words.push_str("; stable has answered too few to say what is slow");
        }
        if history && self.sequential.history.is_none() {
            words.push_str("; stable has answered too few to compare with before the shift");
        }
        if self.sequential.is_worse(alpha) {
            return failed(words);
        }
        if let Some(missing) = self.missing(candidate) {
            return missing;
        }
        let Some(margin) = margin.filter(|_| self.promotes) else {
            return successful(words);
        };
        let (x, y) = self.sequential.failures.failures();
        let worse = worse_by((x, candidate), (y, stable), DOUBT);
        let shown = words::percent(worse.max(0.0));
        if worse * 100.0 < margin {
            return successful(format!("{words}; at most {shown} worse, {margin} % allowed"));
        }
        no_data(
            needed_for(margin / 100.0, (x, candidate), (y, stable)),
            &format!("it may still be {shown} worse, {margin} % allowed"),
        )
    }

    fn query(&self, success: Option<&str>, failure: Option<&str>) -> Finding {
        let Some((answer, rest)) = self.answers.get().split_first() else {
            return no_data(0, "the query was not asked");
        };
        self.answers.set(rest);
        match answer {
            Ok(result) => query::judge(result, success, failure),
            Err(why) => no_data(0, why),
        }
    }

    fn series(&self, test: &SeriesTest) -> Finding {
        let Some((two, rest)) = self.answers.get().split_at_checked(2) else {
            return no_data(0, "the queries were not asked");
        };
        self.answers.set(rest);
        let compared = match two {
            [Ok(candidate), Ok(stable)] => series::judge(test, candidate, stable),
            [Err(why), _] | [_, Err(why)] => return no_data(0, why),
            _ => return no_data(0, "the queries were not asked"),
        };
        match compared {
            Err(why) => inconclusive(why),
            Ok(found) => match found.classification {
                Classification::Pass => successful(found.reason),
                Classification::High => failed(format!("higher than stable: {}", found.reason)),
                Classification::Low => failed(format!("lower than stable: {}", found.reason)),
                Classification::Nodata if test.must_have_data && found.silent => failed(found.reason),
                Classification::Nodata => no_data(0, &found.reason),
            },
        }
    }

    fn missing(&self, requests: u64) -> Option<Finding> {
        (requests < self.min_requests).then(|| {
            no_data(
                self.min_requests - requests,
                &format!("{requests} of {} requests", self.min_requests),
            )
        })
    }
}

/// Whether a metric is broken so clearly that the measurement need not be waited for, and in which words. `case` is
/// the sequential test's, over the whole analysis; `before` is what was counted before the switch, `lately` what stable did
/// in a time that the sample may be only the end of.
pub(crate) fn early(
    metric: &Metric,
    sample: &Sample,
    case: Case<'_>,
    before: Tally,
    lately: &Counters,
) -> Option<String> {
    let candidate = &sample.candidate;
    match metric {
        Metric::ErrorRate { max, max_ratio } => {
            let (x, n) = (candidate.errors, candidate.requests);
            if x == 0 || sample.is_shared() {
                return None;
            }
            // A second of a quiet service holds a handful of requests, and of stable too few to say that it fails as well:
            // that is looked up in what it did lately.
            if let Some(max) = max
                && n >= HARD_REQUESTS
                && at_least(x, n, max / 100.0) < EARLY_CHANCE
                && sample
                    .stable_fails_too(*max, 1)
                    .into_iter()
                    .chain(fails_too(lately, *max, 1).then_some(lately))
                    .all(|stable| surprise(candidate, stable, 1.0) < EARLY_CHANCE)
            {
                return Some(format!("{}, more than {max} %", errors_of(candidate)));
            }
            let stable = sample.stable.as_ref().filter(|stable| stable.requests > 0)?;
            let ratio = (*max_ratio)?;
            (surprise(candidate, stable, ratio) < EARLY_CHANCE).then(|| {
                let rate = words::percent(stable.error_rate().unwrap_or(0.0));
                format!("{}, stable {rate}: more than {ratio} times", errors_of(candidate))
            })
        }
        Metric::BurnRate { objective, max } => {
            let metric = Metric::ErrorRate {
                max: Some(burnt(*objective, *max)),
                max_ratio: None,
            };
            let words = early(&metric, sample, case, before, lately)?;
            let burns = burns(*objective, candidate.error_rate()?);
            Some(format!("{words}: {burns} the budget of {objective} %"))
        }
        Metric::Latency { .. } | Metric::Query { .. } | Metric::MannWhitney(_) => None,
        Metric::Change { .. } => before::early(metric, Tally::of(candidate, Span::ZERO), before),
        Metric::Sequential { alpha, .. } => case.is_worse(*alpha).then(|| case.words(*alpha)),
    }
}

/// The share of failed requests, in per cent, that burns an objective's budget so many times as fast as it lasts.
fn burnt(objective: f64, times: f64) -> f64 {
    // 100 − 99.9 is not quite 0.1, and is shown.
    (times * (100.0 - objective) * 1e9).round() / 1e9
}

fn burns(objective: f64, rate: f64) -> String {
    format!("{:.1} times", rate * 100.0 / (100.0 - objective))
}

/// The chance of so many failures on the candidate, of all that both saw, if it failed `ratio` times as often as stable:
/// given their sum, the candidate's part is binomial.
fn surprise(candidate: &Counters, stable: &Counters, ratio: f64) -> f64 {
    let weighed = candidate.requests as f64 * ratio;
    let share = weighed / (weighed + stable.requests as f64);
    at_least(
        candidate.errors,
        candidate.errors.saturating_add(stable.errors),
        share,
    )
}

/// About how many more than `n` requests make a rate's distance from its threshold more than chance (the normal
/// approximation at [`DOUBT`]).
fn more_for(rate: f64, max: f64, n: u64) -> u64 {
    let distance = (rate - max).max(1e-3);
    let total = 1.645 * 1.645 * max * (1.0 - max) / (distance * distance);
    (total.ceil() as u64).saturating_sub(n).max(1)
}

/// About how many more requests of the candidate bring it below `margin`, if both go on as they did: the doubling of what
/// was counted that suffices, at most a thousandfold.
fn needed_for(margin: f64, candidate: (u64, u64), stable: (u64, u64)) -> u64 {
    let enough = |times: u64| {
        let grown = |(x, n): (u64, u64)| (x.saturating_mul(times), n.saturating_mul(times));
        worse_by(grown(candidate), grown(stable), DOUBT) < margin
    };
    let times = (1..=10).map(|power| 1 << power).find(|times| enough(*times));
    candidate.1.saturating_mul(times.unwrap_or(1_024) - 1).max(1)
}

fn errors_of(counters: &Counters) -> String {
    format!(
        "errors {} ({} of {})",
        words::percent(counters.error_rate().unwrap_or(0.0)),
        counters.errors,
        counters.requests
    )
}

pub(crate) const fn failed(words: String) -> Finding {
    Finding {
        outcome: Outcome::Failed,
        words,
    }
}

pub(crate) const fn successful(words: String) -> Finding {
    Finding {
        outcome: Outcome::Successful,
        words,
    }
}

pub(crate) const fn inconclusive(words: String) -> Finding {
    Finding {
        outcome: Outcome::Inconclusive,
        words,
    }
}

pub(crate) fn no_data(needed: u64, words: &str) -> Finding {
    Finding {
        outcome: Outcome::NoData { needed },
        words: words.to_owned(),
    }
}
