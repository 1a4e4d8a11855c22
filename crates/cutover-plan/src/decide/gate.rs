//! Gates: pauses, approvals, soaks and analyses. While one waits, what was reached is kept true.

use cutover_model::{AnalysisTemplate, Command, RevisionId, Span, Step, Timestamp, Verdict};

use super::{At, Decision, Failure};
use crate::reconcile::Reconciled;

impl At<'_> {
    /// Between steps what was reached is kept true.
    pub(super) fn maintain_or(&self, wait: impl FnOnce() -> Decision) -> Decision {
        match self.reconciled() {
            Reconciled::Do(ops) => Decision::Reconcile(ops),
            Reconciled::Reached | Reconciled::Wait { .. } => wait(),
        }
    }

    pub(super) fn answered_yes(&self) -> bool {
        matches!(self.state.answer, Some(Command::Promote | Command::Approve))
    }

    pub(super) fn pause(&self, step: &Step, since: Timestamp, duration: Option<Span>) -> Decision {
        if self.answered_yes() {
            return Decision::Complete {
                step: step.id,
                detail: "promoted by a person".to_owned(),
            };
        }
        let until = duration.map(|span| span.after(since));
        if until.is_some_and(|until| self.now >= until) {
            return Decision::Complete {
                step: step.id,
                detail: format!("{} over", duration.unwrap_or_default()),
            };
        }
        if let Some(failed) = self.crashing_again() {
            return failed;
        }
        self.maintain_or(|| match until {
            Some(_) => self.wait("the pause to end", since, until, "it goes on"),
            None => self.wait("a person", since, None, "cutover promote, or cutover abort"),
        })
    }

    pub(super) fn approve(&self, step: &Step, since: Timestamp, question: &str) -> Decision {
        if self.answered_yes() {
            return Decision::Complete {
                step: step.id,
                detail: "approved".to_owned(),
            };
        }
        self.maintain_or(|| {
            self.wait(
                &format!("approval: {question}"),
                since,
                None,
                "cutover approve, or cutover abort",
            )
        })
    }

    pub(super) fn soak(&self, step: &Step, since: Timestamp, duration: Span) -> Decision {
        let soaked = Span::from_millis(self.state.soaked_ms);
        if self.answered_yes() {
            return Decision::Complete {
                step: step.id,
                detail: format!("{soaked}, ended by a person"),
            };
        }
        if soaked >= duration {
            return Decision::Complete {
                step: step.id,
                detail: format!("{duration} healthy"),
            };
        }
        if let Some(failed) = self.crashing_again() {
            return failed;
        }
        match self.reconciled() {
            Reconciled::Do(ops) => Decision::Reconcile(ops),
            Reconciled::Wait { what, until } => self.wait(
                &format!("{what}; the soak stands still"),
                since,
                until,
                "the soak goes on",
            ),
            Reconciled::Reached => {
                let interval = tick_interval(duration);
                let last = self.state.soaked_at.unwrap_or(since);
                let passed = Span::between(last, self.now);
                if last > self.now {
                    // The clock was set back: counted from here on, with nothing gained.
                    return Decision::Tick {
                        step: step.id,
                        healthy_ms: 0,
                    };
                }
                let left = Span::from_millis(duration.as_millis() - soaked.as_millis());
                if passed >= interval.min(left) {
                    // Capped at twice the interval: a clock that jumps, or a controller that was away, did not see
                    // the time in between (invariant: a soak counts observed healthy time).
                    let healthy_ms = passed.as_millis().min(2 * interval.as_millis());
                    return Decision::Tick {
                        step: step.id,
                        healthy_ms,
                    };
                }
                let until = left.after(last);
                self.wait("the soak to end", since, Some(until), "it goes on")
            }
        }
    }

    pub(super) fn analyze(
        &self,
        step: &Step,
        since: Timestamp,
        name: &str,
        template: &AnalysisTemplate,
        candidate: &RevisionId,
        stable: Option<&RevisionId>,
    ) -> Decision {
        let note = self.state.analyses.get(name);
        let because = note.map(|note| note.because.clone()).unwrap_or_default();
        match note.and_then(|note| note.verdict) {
            Some(Verdict::Successful) => Decision::Complete {
                step: step.id,
                detail: because,
            },
            Some(Verdict::Failed) => Decision::Fail {
                step: step.id,
                failure: Failure {
                    error: because,
                    code: "analysis.failed".to_owned(),
                },
            },
            Some(Verdict::Inconclusive | Verdict::Error) if self.answered_yes() => Decision::Complete {
                step: step.id,
                detail: format!("promoted by a person: {because}"),
            },
            Some(Verdict::Error) if note.is_some_and(|note| self.is_due(note)) => Decision::Measure {
                name: name.to_owned(),
                template: Box::new(template.clone()),
                candidate: candidate.clone(),
                stable: stable.cloned(),
                inline: true,
            },
            Some(Verdict::Error) => self.maintain_or(|| {
                self.wait(
                    &format!("the measurement to work again: {because}"),
                    since,
                    note.and_then(|note| note.next),
                    "it is asked again, and goes on when it can be measured; or cutover promote, or cutover abort",
                )
            }),
            Some(Verdict::Inconclusive) => self.maintain_or(|| {
                self.wait(
                    &format!("a person: {because}"),
                    since,
                    None,
                    "cutover promote, or cutover abort",
                )
            }),
            None => {
                if let Some(failed) = self.crashing_again() {
                    return failed;
                }
                let next = note.and_then(|note| note.next);
                if note.is_none_or(|note| self.is_due(note)) {
                    return Decision::Measure {
                        name: name.to_owned(),
                        template: Box::new(template.clone()),
                        candidate: candidate.clone(),
                        stable: stable.cloned(),
                        inline: true,
                    };
                }
                let what = if because.is_empty() {
                    "a first measurement".to_owned()
                } else {
                    because
                };
                self.maintain_or(|| self.wait(&what, since, next, "it is measured again"))
            }
        }
    }
}

/// How often a soak's healthy time is journalled: a twentieth of it, between 0.2 s and 30 s, so that a day's soak is a
/// few thousand records and a short one is still observed.
fn tick_interval(duration: Span) -> Span {
    Span::from_millis((duration.as_millis() / 20).clamp(200, 30_000))
}
