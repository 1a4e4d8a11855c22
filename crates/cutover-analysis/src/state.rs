//! What an analysis remembers between two readings.

use cutover_model::{SlowAnswers, Span, Timestamp, Verdict};
use serde::{Deserialize, Serialize};

use crate::before::Before;
use crate::case::Case;
use crate::chart::Trace;
use crate::histogram::compact;
use crate::history::History;
use crate::odds::{News, Seen, strata_of};
use crate::rise::Rise;
use crate::sample::{Lately, Sample};
use crate::sequential::Evidence;
use crate::slow::Slow;
use crate::strata::Strata;
use crate::{Chart, Counters, Drawn, Histogram, Reading};

/// What an analysis remembers between two readings. Kept in the journal as JSON, so that it goes on after a restart of
/// its reader with nothing lost: what was counted meanwhile is in the source's cumulative counters.
///
/// The default value is an analysis that has not begun.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AnalysisState {
    /// When it was first asked.
    pub(crate) started_at: Option<Timestamp>,
    /// When the measurement that is under way began.
    pub(crate) window_at: Option<Timestamp>,
    /// Since when what is counted of it was: since it began, or since the source started again in its middle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) counted_from: Option<Timestamp>,
    /// When what was before the switch was told last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) told_at: Option<Timestamp>,
    /// Measurements that counted: successful, failed or inconclusive.
    pub(crate) measured: u32,
    /// Failed ones among them.
    pub(crate) failures: u32,
    /// Inconclusive ones among them.
    pub(crate) inconclusives: u32,
    /// Successful ones in a row, up to the last.
    pub(crate) successes_in_row: u32,
    /// Provider errors in a row.
    pub(crate) errors_in_row: u32,
    /// When the last of these was counted.
    pub(crate) error_at: Option<Timestamp>,
    /// The candidate's share at the last reading, 0 to 1.
    pub(crate) share: Option<f64>,
    /// The candidate.
    pub(crate) candidate: Option<Side>,
    /// Stable.
    pub(crate) stable: Option<Side>,
    /// The sequential test, on failures.
    pub(crate) evidence: Evidence,
    /// The same by route, from when it was known by which routes the source counts.
    #[serde(skip_serializing_if = "Strata::is_empty")]
    pub(crate) strata: Strata,
    /// The same on slow answers, from when it was known what is slow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slow: Option<Slow>,
    /// The candidate's failures against stable's before the shift, from when these were enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) history: Option<History>,
    /// What was bet on already, where the source counts by odds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seen: Option<Seen>,
    /// What stable counted before the switch, where the template compares with that.
    #[serde(skip_serializing_if = "Before::is_empty")]
    pub(crate) before: Before,
    /// Whether more fails than before, since the candidate has all requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rise: Option<Rise>,
    /// What stable did lately.
    #[serde(skip_serializing_if = "Lately::is_empty")]
    pub(crate) lately: Lately,
    /// Both revisions over time, to be drawn.
    #[serde(skip_serializing_if = "Trace::is_empty")]
    pub(crate) trace: Trace,
}

impl AnalysisState {
    /// Requests and failed ones of the candidate since the analysis began.
    #[must_use]
    pub fn exposed(&self) -> (u64, u64) {
        self.candidate
            .as_ref()
            .map_or((0, 0), |side| (side.requests, side.errors))
    }

    /// Whether a measurement has ended and counted.
    #[must_use]
    pub const fn has_measured(&self) -> bool {
        self.measured > 0
    }

    /// Requests of the candidate since the analysis began that were assigned at random.
    pub(crate) fn drawn(&self) -> u64 {
        self.candidate.as_ref().map_or(0, |side| side.drawn)
    }

    /// The same of stable.
    pub(crate) fn stable_drawn(&self) -> u64 {
        self.stable.as_ref().map_or(0, |side| side.drawn)
    }

    /// One that has not begun, but goes on with the evidence of another analysis of the same upgrade, which was read later.
    /// The chance of a false alarm is that of the whole upgrade: the same evidence, never a new one for each step.
    #[must_use]
    pub fn continuing(&self, other: &Self) -> Self {
        let carried = |side: &Option<Side>| side.as_ref().map(Side::carried);
        Self {
            share: other.share,
            candidate: carried(&other.candidate),
            stable: carried(&other.stable),
            evidence: other.evidence,
            strata: other.strata.clone(),
            slow: other.slow.clone(),
            history: other.history,
            seen: other.seen.clone(),
            lately: other.lately,
            rise: other.rise,
            before: if other.before.is_empty() {
                self.before
            } else {
                other.before
            },
            ..Self::default()
        }
    }

    /// Both revisions since it began, with the moment of its verdict, if it has one.
    #[must_use]
    pub fn chart(&self, verdict: Option<Verdict>) -> Chart {
        self.trace.chart(verdict)
    }

    /// When it began.
    #[must_use]
    pub const fn started_at(&self) -> Option<Timestamp> {
        self.started_at
    }

    /// When the measurement that is under way began.
    #[must_use]
    pub const fn measuring_since(&self) -> Option<Timestamp> {
        self.window_at
    }

    /// ln E of the sequential test.
    #[must_use]
    pub fn log_e(&self) -> f64 {
        self.case().log_e()
    }

    /// All that the sequential test holds against the candidate.
    pub(crate) const fn case(&self) -> Case<'_> {
        Case {
            failures: &self.evidence,
            strata: &self.strata,
            slow: self.slow.as_ref(),
            history: self.history.as_ref(),
        }
    }

    /// Bets on what is new in a reading: on each failed or slow first attempt at the share that it was drawn with. A source
    /// that does not know that leaves the failures in `latest` at `share`, and nothing to say about times and routes. What
    /// is asked for is frozen once and for all, when stable has had `least` requests.
    pub(crate) fn bet(
        &mut self,
        reading: &Reading,
        latest: Option<(&Sample, f64)>,
        asked: Asked<'_>,
        least: u64,
    ) {
        let known = self.told(reading);
        // Before anything of these shares was bet on: then nothing is lost to the routes.
        let fresh = match (&known, &self.seen) {
            (Some((now, _)), Some(earlier)) => now.is_new_to(earlier),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if fresh {
            self.begin_strata(reading);
        }
        let told = if fresh { self.told(reading) } else { known };
        match (&told, &self.seen) {
            (Some((now, shares)), Some(earlier)) => {
                for news in now.since(earlier, shares) {
                    self.bet_on(&news);
                }
            }
            // A source that counts by odds and says nothing for once, between two of its runs, says it later.
            (None, Some(_)) if reading.candidate.odds.is_some() => return,
            _ => {
                if let Some((
                    Sample {
                        candidate,
                        stable: Some(stable),
                    },
                    share,
                )) = latest
                {
                    let (x, y) = (candidate.drawn().errors, stable.drawn().errors);
                    self.evidence = self.evidence.with(x, y, share);
                }
            }
        }
        self.seen = told.map(|(now, _)| now);
        if self.seen.is_some() && !fresh && self.begin_strata(reading) {
            self.seen = self.told(reading).map(|(now, _)| now);
        }
        if let (None, Some(slow), Some(stable), Some(_)) =
            (&self.slow, asked.slow, &reading.stable, &self.seen)
        {
            let failures = self.strata.log_e(&self.evidence);
            self.slow = Slow::freeze(slow, &stable.latency, least, failures, &self.strata.names());
            // What was slow before that is not bet on.
            self.seen = self.told(reading).map(|(now, _)| now);
        }
        match (&mut self.history, &reading.stable, latest) {
            (
                Some(history),
                _,
                Some((
                    Sample {
                        candidate,
                        stable: Some(stable),
                    },
                    _,
                )),
            ) => {
                history.add(candidate.drawn(), stable.drawn());
            }
            (None, Some(stable), _) if asked.history => {
                self.history = History::begin(stable, self.case().log_e());
            }
            _ => {}
        }
    }

    fn told(&self, reading: &Reading) -> Option<(Seen, Vec<f64>)> {
        let limits = self.slow.as_ref().map(|slow| slow.limits);
        Seen::of(reading, limits, &self.strata)
    }

    /// Bets on routes too from now on, if the source counts by them; whether that is new.
    fn begin_strata(&mut self, reading: &Reading) -> bool {
        let names = strata_of(reading)
            .filter(|_| self.strata.is_empty())
            .unwrap_or_default();
        if names.is_empty() {
            return false;
        }
        self.strata = Strata::begin(&names, &self.evidence);
        if let Some(slow) = &mut self.slow {
            slow.strata = Strata::begin(&names, &slow.evidence);
        }
        true
    }

    fn bet_on(&mut self, news: &News) {
        let (x, y) = news.all.failed;
        self.evidence = self.evidence.with(x, y, news.share);
        for (place, bad) in news.strata.iter().enumerate() {
            self.strata.add(place, bad.failed, news.share);
        }
        if let Some(slow) = &mut self.slow {
            let (x, y) = news.all.slow;
            slow.evidence = slow.evidence.with(x, y, news.share);
            for (place, bad) in news.strata.iter().enumerate() {
                slow.strata.add(place, bad.slow, news.share);
            }
        }
    }

    /// Begins a measurement: what is counted from this reading on belongs to it.
    pub(crate) fn open_window(&mut self, reading: &Reading, now: Timestamp, times: bool) {
        self.window_at = Some(now);
        self.counted_from = Some(now);
        self.trace.begin(now);
        Side::open(&mut self.candidate, Some(&reading.candidate), times);
        Side::open(&mut self.stable, reading.stable.as_ref(), times);
    }

    /// Takes in a reading from before the switch. `every` is how long a stretch of it is kept for itself.
    pub(crate) fn advance_before(&mut self, reading: &Reading, now: Timestamp, every: Span) {
        self.share = Some(reading.candidate_share);
        let side = |side: &mut Option<Side>, raw: &Counters| {
            side.get_or_insert_with(|| Side::new(raw, false)).advance(raw).0
        };
        side(&mut self.candidate, &reading.candidate);
        if let Some(raw) = &reading.stable {
            let since = side(&mut self.stable, raw);
            self.before.add(&since, raw, now, every);
        }
    }

    /// Takes a reading in; answers what was counted since the last one, and since the measurement began.
    pub(crate) fn advance(&mut self, reading: &Reading, now: Timestamp, times: bool) -> (Sample, Sample) {
        let mut restarted = false;
        let mut step = |side: &mut Option<Side>, raw: &Counters| {
            let side = side.get_or_insert_with(|| Side::new(raw, times));
            let (since, again) = side.advance(raw);
            restarted |= again;
            since
        };
        let candidate = step(&mut self.candidate, &reading.candidate);
        let stable = reading.stable.as_ref().map(|raw| step(&mut self.stable, raw));
        let latest = Sample { candidate, stable };
        if restarted {
            self.counted_from = Some(now);
            // Both must be counted over the same time: the measurement begins anew, where it can with what has been
            // counted since the restart.
            for (side, raw) in [
                (&mut self.candidate, Some(&reading.candidate)),
                (&mut self.stable, reading.stable.as_ref()),
            ] {
                if let (Some(side), Some(raw)) = (side, raw) {
                    side.rebase(raw, times);
                }
            }
        }
        let window = Sample {
            candidate: Side::window(self.candidate.as_ref(), &reading.candidate),
            stable: reading
                .stable
                .as_ref()
                .map(|raw| Side::window(self.stable.as_ref(), raw)),
        };
        (latest, window)
    }

    /// Takes the share of a reading in; answers the one that failures since the last reading were assigned at. It may
    /// have changed in between: then the greater one, which can only weaken the case against the candidate.
    pub(crate) fn advance_share(&mut self, share: f64) -> f64 {
        let share = if share.is_finite() {
            share.clamp(0.0, 1.0)
        } else {
            1.0
        };
        let before = self.share.replace(share);
        before.map_or(share, |before| before.max(share))
    }
}

/// What the sequential test is asked to look at beside failures.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    /// Slow answers, and which ones are slow.
    pub(crate) slow: Option<&'a SlowAnswers>,
    /// Stable's failures before the shift.
    pub(crate) history: bool,
}

/// One revision's counters, as far as they must be remembered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Side {
    /// Requests since the analysis began.
    pub(crate) requests: u64,
    /// Failed ones among them.
    pub(crate) errors: u64,
    /// Requests since the analysis began that were assigned at random.
    drawn: u64,
    /// The last reading, without times.
    seen: Mark,
    /// The reading at which the measurement under way began, without times.
    base: Mark,
    /// Its times; nothing where no metric asks for them.
    #[serde(with = "compact")]
    base_times: Histogram,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Mark {
    epoch: u64,
    requests: u64,
    errors: u64,
    total_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    drawn: Option<Drawn>,
}

impl Mark {
    const fn of(raw: &Counters) -> Self {
        Self {
            epoch: raw.epoch,
            requests: raw.requests,
            errors: raw.errors,
            total_us: raw.total_us,
            drawn: raw.drawn,
        }
    }

    fn counters(self, latency: Histogram) -> Counters {
        Counters {
            epoch: self.epoch,
            requests: self.requests,
            errors: self.errors,
            total_us: self.total_us,
            latency,
            drawn: self.drawn,
            odds: None,
        }
    }
}

impl Side {
    fn new(raw: &Counters, times: bool) -> Self {
        let mut side = Self {
            seen: Mark::of(raw),
            ..Self::default()
        };
        side.set_base(raw, times);
        side
    }

    /// What goes over to another analysis: what was seen last, and what was drawn.
    fn carried(&self) -> Self {
        Self {
            drawn: self.drawn,
            seen: self.seen,
            ..Self::default()
        }
    }

    fn open(side: &mut Option<Self>, raw: Option<&Counters>, times: bool) {
        if let Some(raw) = raw {
            let known = side.get_or_insert_with(|| Self::new(raw, times));
            // A source that does not know the revision for a moment does not undo what it said before.
            if !raw.is_unknown() {
                known.set_base(raw, times);
            }
        }
    }

    fn set_base(&mut self, raw: &Counters, times: bool) {
        self.base = Mark::of(raw);
        self.base_times = if times {
            raw.latency.clone()
        } else {
            Histogram::default()
        };
    }

    /// Answers what was counted since the last reading, and whether the source started again since then.
    fn advance(&mut self, raw: &Counters) -> (Counters, bool) {
        if raw.is_unknown() {
            return (Counters::default(), false);
        }
        let seen = self.seen.counters(Histogram::default());
        let restarted = !seen.is_unknown() && raw.restarted_after(&seen);
        let mut since = raw.since(&seen);
        since.latency = Histogram::default();
        if seen.is_unknown() {
            self.base = Mark {
                epoch: raw.epoch,
                ..Mark::default()
            };
            self.base_times = Histogram::default();
        }
        self.requests = self.requests.saturating_add(since.requests);
        self.errors = self.errors.saturating_add(since.errors);
        self.drawn = self.drawn.saturating_add(since.drawn().requests);
        // An error that was left out because its request was not counted yet comes with the next reading.
        let errors = since.errors + if restarted { 0 } else { seen.errors };
        self.seen = Mark {
            errors,
            ..Mark::of(raw)
        };
        (since, restarted)
    }

    /// After a restart of a source: from zero for this side if it was its source, else from now.
    fn rebase(&mut self, raw: &Counters, times: bool) {
        if raw.is_unknown() {
            return;
        }
        if raw.restarted_after(&self.base.counters(Histogram::default())) {
            self.base = Mark {
                epoch: raw.epoch,
                ..Mark::default()
            };
            self.base_times = Histogram::default();
        } else {
            self.set_base(raw, times);
        }
    }

    /// What was counted since the measurement began.
    fn window(side: Option<&Self>, raw: &Counters) -> Counters {
        match side {
            Some(side) if !raw.is_unknown() => raw.since(&side.base.counters(side.base_times.clone())),
            _ => Counters::default(),
        }
    }
}
