//! A recording to its judgement: the sequential test as it would have run, request by request.

use std::collections::BTreeMap;

use cutover_model::Verdict;

use crate::bounds::worse_by;
use crate::recording::{Judgement, RecordedEvent, Recording, Side};
use crate::sequential::Evidence;
use crate::split::split_log_e;
use crate::strata::{Strata, log_mean};
use crate::words;

/// How sure the bounds must be before a candidate is called good: wrong in one of twenty releases at most.
const DOUBT: f64 = 0.05;

/// Judges what was recorded.
///
/// Each failure is bet on with the candidate's share at the assignment of its request, or of its session's first one;
/// of a session only the first failure counts, for it was the session that was drawn. Where the candidate had no share,
/// nothing was drawn, and nothing is learned. The candidate has failed as soon as the evidence reaches 1/α. It is
/// good if all of it is over and the difference to stable is certainly below the margin.
#[must_use]
pub fn judge(recording: &Recording) -> Judgement {
    let mut replay = Replay::new(recording);
    let mut order: Vec<&RecordedEvent> = recording.events.iter().collect();
    order.sort_by(|a, b| a.over_ms().total_cmp(&b.over_ms()));
    let limit = -recording.alpha.ln();
    for event in &order {
        if !replay.take(event) {
            continue;
        }
        let log_evidence = replay.log_evidence();
        if log_evidence >= limit {
            return replay.judgement(
                Verdict::Failed,
                Some(event.over_ms()),
                replay.failed(log_evidence),
            );
        }
    }
    let (verdict, reason) = replay.at_the_end();
    replay.judgement(verdict, order.last().map(|event| event.over_ms()), reason)
}

/// Requests or sessions, and how many of them failed.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    units: u64,
    failed: u64,
    slow: u64,
}

/// One kind of failure, errors or slow answers: of all requests, and by route.
#[derive(Debug)]
struct Kind {
    pooled: Evidence,
    strata: Strata,
}

impl Kind {
    fn new(routes: &[String]) -> Self {
        let pooled = Evidence::default();
        let strata = Strata::begin(routes, &pooled);
        Self { pooled, strata }
    }

    fn add(&mut self, of_candidate: bool, route: Option<&str>, share: f64) {
        let failed = (u64::from(of_candidate), u64::from(!of_candidate));
        self.pooled = self.pooled.with(failed.0, failed.1, share);
        let place = route.map_or_else(|| self.strata.others(), |route| self.strata.place(route));
        self.strata.add(place, failed, share);
    }

    fn log_e(&self) -> f64 {
        self.strata.log_e(&self.pooled)
    }

    /// How often the candidate and stable, and on which route more than elsewhere.
    fn words(&self, candidate_did: &str) -> String {
        let (candidate, stable) = self.pooled.failures();
        let (candidate, stable) = (words::times(candidate), words::times(stable));
        let route = self.strata.words(&self.pooled);
        format!("{candidate_did} {candidate}, stable {stable}{route}")
    }
}

/// A session: what it was drawn with, and what it counted for already.
#[derive(Debug, Clone, Copy)]
struct Session {
    share: f64,
    seen: bool,
    failed: bool,
    slow: bool,
}

struct Replay<'a> {
    recording: &'a Recording,
    /// Sorted by time.
    weights: Vec<(f64, f64)>,
    sessions: BTreeMap<&'a str, Session>,
    errors: Kind,
    slow: Option<Kind>,
    candidate: Tally,
    stable: Tally,
    candidate_requests: u64,
    /// Failures of the candidate where the split left nothing to chance.
    undrawn: u64,
    /// By the candidate's share, as bits: how many requests or sessions went to the candidate, and to stable.
    split: BTreeMap<u64, (u64, u64)>,
}

impl<'a> Replay<'a> {
    fn new(recording: &'a Recording) -> Self {
        let mut weights: Vec<(f64, f64)> = recording
            .weights
            .iter()
            .map(|weight| (weight.at_ms, weight.candidate))
            .collect();
        weights.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut replay = Self {
            recording,
            weights,
            sessions: BTreeMap::new(),
            errors: Kind::new(&recording.strata),
            slow: recording
                .latency_threshold_ms
                .map(|_| Kind::new(&recording.strata)),
            candidate: Tally::default(),
            stable: Tally::default(),
            candidate_requests: 0,
            undrawn: 0,
            split: BTreeMap::new(),
        };
        let mut assigned: Vec<&RecordedEvent> = recording.events.iter().collect();
        assigned.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
        for event in assigned {
            if let Some(session) = &event.session {
                let share = replay.share(event);
                replay.sessions.entry(session).or_insert(Session {
                    share,
                    seen: false,
                    failed: false,
                    slow: false,
                });
            }
        }
        replay
    }

    fn share(&self, event: &RecordedEvent) -> f64 {
        event.candidate_weight.unwrap_or_else(|| {
            let later = self.weights.partition_point(|(at, _)| *at <= event.at_ms);
            later.checked_sub(1).map_or(0.0, |index| self.weights[index].1)
        })
    }

    /// Takes in one request; whether it changed the evidence.
    fn take(&mut self, event: &'a RecordedEvent) -> bool {
        let of_candidate = event.revision == Side::Candidate;
        self.candidate_requests += u64::from(of_candidate);
        let failed = !event.ok;
        let slow = match (self.recording.latency_threshold_ms, event.latency_ms) {
            (Some(threshold), Some(took)) => took > threshold,
            _ => false,
        };
        let mut session = Session {
            share: self.share(event),
            seen: false,
            failed: false,
            slow: false,
        };
        if let Some(name) = &event.session
            && let Some(known) = self.sessions.get_mut(name.as_str())
        {
            session = *known;
            known.seen = true;
            known.failed |= failed;
            known.slow |= slow;
        }
        let (failed, slow) = (failed && !session.failed, slow && !session.slow);
        if session.share <= 0.0 || session.share >= 1.0 {
            // Nothing follows from the side it fell on, neither against the candidate nor for it.
            self.undrawn += u64::from(of_candidate && (failed || slow));
            return false;
        }
        let tally = if of_candidate {
            &mut self.candidate
        } else {
            &mut self.stable
        };
        tally.units += u64::from(!session.seen);
        tally.failed += u64::from(failed);
        tally.slow += u64::from(slow);
        if !session.seen {
            let (candidate, stable) = self.split.entry(session.share.to_bits()).or_default();
            *(if of_candidate { candidate } else { stable }) += 1;
        }
        let route = event.route.as_deref();
        if failed {
            self.errors.add(of_candidate, route, session.share);
        }
        if slow && let Some(slow) = &mut self.slow {
            slow.add(of_candidate, route, session.share);
        }
        failed || slow
    }

    fn log_evidence(&self) -> f64 {
        let errors = self.errors.log_e();
        self.slow
            .as_ref()
            .map_or(errors, |slow| log_mean(&[errors, slow.log_e()]))
    }

    fn counts(&self) -> String {
        let mut text = self.errors.words("the candidate failed");
        if let Some(slow) = &self.slow {
            text.push_str("; ");
            text.push_str(&slow.words("it was slow"));
        }
        if self.undrawn > 0 {
            let failures = words::count(self.undrawn, "failure");
            text.push_str(&format!(
                "; {failures} of the candidate left out, for nothing was drawn there"
            ));
        }
        text
    }

    fn failed(&self, log_evidence: f64) -> String {
        format!(
            "{}; the chance of that, were they equally good, is below 1 in {}{}",
            self.counts(),
            words::one_in(log_evidence),
            self.strange_split()
        )
    }

    /// All rests on the recorded shares. When the requests did not fall as these say (evidence beyond 1/α), it is said;
    /// the verdict stays, for it is the recording's. A product over shares, each a martingale of its own, is one too.
    fn strange_split(&self) -> String {
        let evidence: f64 = self
            .split
            .iter()
            .map(|(share, (candidate, stable))| split_log_e(*candidate, *stable, f64::from_bits(*share)))
            .sum();
        if evidence < -self.recording.alpha.ln() {
            return String::new();
        }
        let (found, all, due) = self.split.iter().fold((0, 0, 0.0), |sum, (share, (x, y))| {
            let here = (x + y) as f64 * f64::from_bits(*share);
            (sum.0 + x, sum.1 + x + y, sum.2 + here)
        });
        format!(
            "; beware: {found} of {all} went to the candidate where about {due:.0} were due by the recorded shares"
        )
    }

    /// All is over and the evidence against the candidate was never enough: is there enough for it?
    fn at_the_end(&self) -> (Verdict, String) {
        let counts = self.counts();
        if self.split.is_empty() && !self.recording.events.is_empty() {
            let why = "by `weights` and `candidate_weight` the candidate's share was always 0 or 1";
            return (
                Verdict::Inconclusive,
                format!("{counts}; nothing was drawn: {why}"),
            );
        }
        if self.candidate.units == 0 || self.stable.units == 0 {
            let side = if self.candidate.units == 0 {
                "the candidate"
            } else {
                "stable"
            };
            return (
                Verdict::Inconclusive,
                format!("{counts}; there is no request of {side} that was drawn"),
            );
        }
        let margin = self.recording.margin;
        // Two rates, each with two ends of which one matters; with slow answers twice as many.
        let kinds = if self.slow.is_some() { 2.0 } else { 1.0 };
        let worst = |failed: fn(&Tally) -> u64| {
            let of = |tally: &Tally| (failed(tally), tally.units);
            worse_by(of(&self.candidate), of(&self.stable), DOUBT / kinds)
        };
        let mut difference = worst(|tally| tally.failed);
        if self.slow.is_some() {
            difference = difference.max(worst(|tally| tally.slow));
        }
        let shown = words::percent(difference.max(0.0));
        let unit = if self.sessions.is_empty() {
            "request"
        } else {
            "session"
        };
        let strange = self.strange_split();
        if difference < margin {
            (
                Verdict::Successful,
                format!(
                    "{counts}, as equally good versions may; on {} it is at most {shown} worse, {} allowed{strange}",
                    words::count(self.candidate.units, unit),
                    words::percent(margin)
                ),
            )
        } else {
            (
                Verdict::Inconclusive,
                format!(
                    "{counts}, as equally good versions may; but on {} it may still be {shown} worse, {} allowed{strange}",
                    words::count(self.candidate.units, unit),
                    words::percent(margin)
                ),
            )
        }
    }

    fn judgement(&self, verdict: Verdict, at_ms: Option<f64>, reason: String) -> Judgement {
        Judgement {
            verdict,
            at_ms,
            candidate_requests: self.candidate_requests,
            log_evidence: self.log_evidence(),
            reason,
        }
    }
}
