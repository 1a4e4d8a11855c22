//! Gates that others open: a window in time, and webhooks, which are asked until they say yes or told once.

use cutover_model::{HookOutcome, Opening, Step, Timestamp, Webhook, Window};

use super::{At, Decision, Failure};

impl At<'_> {
    pub(super) fn window(&self, step: &Step, since: Timestamp, window: &Window, refuse: bool) -> Decision {
        if self.answered_yes() {
            return self.let_through(step, "open although it is closed");
        }
        match window.at(self.now) {
            Opening::Open => Decision::Complete {
                step: step.id,
                detail: format!("open, {}", window.hours()),
            },
            Opening::Closed { until, why } if refuse => {
                let opens = until.map_or_else(String::new, |until| format!("; it opens at {until}"));
                Decision::Fail {
                    step: step.id,
                    failure: Failure {
                        error: format!("the window is closed: {why}{opens}"),
                        code: "gate.closed".to_owned(),
                    },
                }
            }
            Opening::Closed { until, why } => {
                if let Some(failed) = self.crashing_again() {
                    return failed;
                }
                self.maintain_or(|| {
                    self.wait(
                        &format!("the window: {why}"),
                        since,
                        until,
                        "it goes on by itself; before that: cutover approve, or cutover abort",
                    )
                })
            }
        }
    }

    pub(super) fn call(&self, step: &Step, since: Timestamp, hook: &Webhook) -> Decision {
        let name = &hook.name;
        let complete = |detail: String| Decision::Complete {
            step: step.id,
            detail,
        };
        if self.answered_yes() {
            return self.let_through(step, "passed");
        }
        let note = self.state.called.as_ref();
        let said = note.map_or("it was not reached", |note| note.answer.said.as_str());
        match note.map(|note| note.answer.outcome) {
            Some(HookOutcome::Yes) => return complete(format!("{name}: {said}")),
            // What has happened has happened: who hears of it cannot refuse it.
            Some(HookOutcome::No) if hook.at.only_hears() => {
                return complete(format!("{name} did not take it: {said}"));
            }
            Some(HookOutcome::No) => {
                return Decision::Fail {
                    step: step.id,
                    failure: Failure {
                        error: format!("{name} refused ({}): {said}", hook.at),
                        code: "gate.refused".to_owned(),
                    },
                };
            }
            Some(HookOutcome::Lost) if hook.once => return doubt(step, hook, said),
            Some(HookOutcome::NotYet | HookOutcome::Lost) | None => {}
        }
        if let Some(failed) = self.crashing_again() {
            return failed;
        }
        let deadline = hook.patience().map(|span| span.after(since));
        if deadline.is_some_and(|deadline| self.now >= deadline) && note.is_some() {
            if hook.at.asks() {
                return self.maintain_or(|| {
                    self.wait(
                        &format!("a person: {name} did not confirm in time, last {said}"),
                        since,
                        None,
                        "cutover approve, or cutover abort",
                    )
                });
            }
            return doubt(step, hook, said);
        }
        let due = note.is_none_or(|note| {
            // A clock that was set back must not keep anybody waiting.
            note.next.is_some_and(|next| self.now >= next) || self.now < note.at
        });
        if due {
            return Decision::Call { step: step.id };
        }
        self.maintain_or(|| {
            if hook.at.asks() {
                let then = match deadline {
                    Some(_) => "a person is asked; before that: cutover approve, or cutover abort",
                    None => "it is asked again; or cutover approve, or cutover abort",
                };
                self.wait(&format!("{name} to confirm: {said}"), since, deadline, then)
            } else {
                let then = if hook.at.only_hears() {
                    "it is given up"
                } else {
                    "a person is asked"
                };
                self.wait(
                    &format!("another try to tell {name}: {said}"),
                    since,
                    deadline,
                    then,
                )
            }
        })
    }

    /// A person has let it through, and the journal says who.
    fn let_through(&self, step: &Step, what: &str) -> Decision {
        let by = self.state.answered_by.as_deref().unwrap_or("a person");
        Decision::Complete {
            step: step.id,
            detail: format!("{what}, by {by}"),
        }
    }
}

/// Nobody knows whether what was told arrived, and it is not told again. Who only hears of it holds nothing up.
pub(super) fn doubt(step: &Step, hook: &Webhook, said: &str) -> Decision {
    if hook.at.only_hears() {
        Decision::Complete {
            step: step.id,
            detail: format!("{} may not have heard of it: {said}", hook.name),
        }
    } else {
        Decision::Doubt {
            step: step.id,
            error: format!("{} was told, and gave no good answer: {said}", hook.name),
        }
    }
}
