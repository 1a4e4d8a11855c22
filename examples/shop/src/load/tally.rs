//! Counts what became of each request. Every request is counted once when it leaves and once when it ends.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connections::{Answer, Failure};
use super::histogram::Histogram;
use super::oracle::Oracle;
use super::report::{FailureReason, LoadReport, Second, Trouble, VersionCounts};

#[derive(Debug)]
pub(super) struct Tally {
    started: Instant,
    kept: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    sent: u64,
    ok: u64,
    error_answers: u64,
    unsigned_error_answers: u64,
    failed: u64,
    overloaded: u64,
    by_version: BTreeMap<String, Version>,
    failed_by_reason: BTreeMap<FailureReason, u64>,
    failures: Vec<Trouble>,
    errors: Vec<Trouble>,
    latency: Histogram,
    timeline: Vec<Second>,
}

#[derive(Debug, Default)]
struct Version {
    ok: u64,
    error_answers: u64,
    latency: Histogram,
}

impl Tally {
    pub(super) fn new(started: Instant, kept: usize) -> Self {
        Self {
            started,
            kept,
            counts: Mutex::default(),
        }
    }

    pub(super) fn overloaded(&self) {
        self.counts().overloaded += 1;
    }

    pub(super) fn sent(&self, due: Instant) {
        let mut counts = self.counts();
        counts.sent += 1;
        counts.second(self.since(due)).sent += 1;
    }

    /// `request` is its method and path.
    pub(super) fn answered(&self, due: Instant, request: &str, answer: &Answer) {
        let (at, took) = (self.since(due), due.elapsed());
        let mut counts = self.counts();
        counts.latency.record(took);

        let second = counts.second(at);
        if answer.is_ok() {
            second.ok += 1;
        } else {
            second.error_answers += 1;
        }
        if let Some(version) = &answer.version {
            *second.by_version.entry(version.clone()).or_default() += 1;
            let version = counts.by_version.entry(version.clone()).or_default();
            version.latency.record(took);
            if answer.is_ok() {
                version.ok += 1;
            } else {
                version.error_answers += 1;
            }
        }

        if answer.is_ok() {
            counts.ok += 1;
            return;
        }
        counts.error_answers += 1;
        if answer.version.is_none() {
            counts.unsigned_error_answers += 1;
        }
        if counts.errors.len() < self.kept {
            let (reason, version) = (
                format!("status {}", answer.status.as_u16()),
                answer.version.clone(),
            );
            counts.errors.push(Trouble {
                at_ms: millis(at),
                request: request.to_owned(),
                reason,
                version,
            });
        }
    }

    pub(super) fn failed(&self, due: Instant, request: &str, failure: &Failure) {
        let at = self.since(due);
        let mut counts = self.counts();
        counts.failed += 1;
        counts.second(at).failed += 1;
        *counts.failed_by_reason.entry(failure.reason).or_default() += 1;
        if counts.failures.len() < self.kept {
            let (request, reason) = (request.to_owned(), failure.to_string());
            counts.failures.push(Trouble {
                at_ms: millis(at),
                request,
                reason,
                version: None,
            });
        }
    }

    pub(super) fn report(&self, oracle: &Oracle) -> LoadReport {
        let counts = self.counts();
        let mut report = LoadReport {
            elapsed_ms: millis(self.started.elapsed()),
            sent: counts.sent,
            ok: counts.ok,
            error_answers: counts.error_answers,
            failed: counts.failed,
            outstanding: counts.sent - counts.ok - counts.error_answers - counts.failed,
            overloaded: counts.overloaded,
            by_version: counts
                .by_version
                .iter()
                .map(|(version, seen)| (version.clone(), seen.counts()))
                .collect(),
            unsigned_error_answers: counts.unsigned_error_answers,
            failed_by_reason: counts.failed_by_reason.clone(),
            failures: counts.failures.clone(),
            errors: counts.errors.clone(),
            latency: counts.latency.quantiles(),
            timeline: counts.timeline.clone(),
            ..LoadReport::default()
        };
        drop(counts);
        report.failures.sort_by_key(|trouble| trouble.at_ms);
        report.errors.sort_by_key(|trouble| trouble.at_ms);
        oracle.tell(&mut report);
        report
    }

    fn since(&self, due: Instant) -> Duration {
        due.duration_since(self.started)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn second(&mut self, at: Duration) -> &mut Second {
        let second = usize::try_from(at.as_secs()).unwrap_or(usize::MAX);
        if self.timeline.len() <= second {
            self.timeline.resize(second + 1, Second::default());
        }
        &mut self.timeline[second]
    }
}

impl Version {
    fn counts(&self) -> VersionCounts {
        VersionCounts {
            ok: self.ok,
            error_answers: self.error_answers,
            latency: self.latency.quantiles(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
