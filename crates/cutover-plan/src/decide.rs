//! What to do now. Pure and total: the engine has no choice left to make.
//!
//! Here is which step it is about and when to go back; `hold` has the desired states, `gate` what waits for time, evidence
//! or a person, `outside` what others open.

mod gate;
mod hold;
mod outside;

use cutover_model::{
    Action, AnalysisTemplate, Command, Guard, MigrationPhase, Plan, RevisionId, Span, Step, StepId,
    Timestamp, UpgradePhase, Verdict, WaitingOn,
};

use crate::reconcile::{Op, Reconciled, reconcile};
use crate::state::{AnalysisNote, Doing, State};
use crate::{Observation, unwind};

/// How often an undo is tried before a person is called; with the back-off below about ten minutes in all.
const UNDO_ATTEMPTS: u32 = 24;

/// Why a step has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In one sentence.
    pub error: String,
    /// Stable code.
    pub code: String,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Write the step's intent.
    Begin {
        /// The step.
        step: StepId,
        /// From 1.
        attempt: u32,
    },
    /// Carry the act out and journal its outcome. Its intent is written, by this controller.
    Perform {
        /// The step.
        step: StepId,
    },
    /// Nobody knows whether the act happened: read back from the world.
    Observe {
        /// The step.
        step: StepId,
    },
    /// Bring the world closer to the desired state.
    Reconcile(Vec<Op>),
    /// Measure an analysis.
    Measure {
        /// Its name in the journal.
        name: String,
        /// What.
        template: Box<AnalysisTemplate>,
        /// The candidate.
        candidate: RevisionId,
        /// What it is compared with.
        stable: Option<RevisionId>,
        /// Whether it must come to a verdict (an inline analysis), or goes on until it fails (a guard).
        inline: bool,
    },
    /// Call a webhook and journal what it answered.
    Call {
        /// The step.
        step: StepId,
    },
    /// Journal that nobody knows whether an act happened, and that nobody can find out.
    Doubt {
        /// The step.
        step: StepId,
        /// What was seen last.
        error: String,
    },
    /// Journal observed healthy time.
    Tick {
        /// The soak.
        step: StepId,
        /// Milliseconds, capped.
        healthy_ms: u64,
    },
    /// Journal the step as done.
    Complete {
        /// The step.
        step: StepId,
        /// What came of it.
        detail: String,
    },
    /// Journal the step as failed.
    Fail {
        /// The step.
        step: StepId,
        /// Why.
        failure: Failure,
    },
    /// Go back.
    Abort {
        /// Why.
        because: String,
        /// Stable code of the cause.
        code: String,
        /// Whether stable takes what it can at once.
        urgent: bool,
        /// By these steps.
        steps: Vec<Step>,
    },
    /// Call a person.
    Stick {
        /// Why.
        because: String,
        /// Stable code of the cause.
        code: String,
        /// Commands to run.
        next: Vec<String>,
    },
    /// Journal the end.
    Finish {
        /// How.
        phase: UpgradePhase,
        /// In one sentence.
        summary: String,
    },
    /// Nothing can be done now.
    Wait(WaitingOn),
    /// It has ended.
    Over,
}

/// What to do now, from the plan, the journal's fold, what was seen of the world after its last record, and the time.
#[must_use]
pub fn decide(plan: &Plan, state: &State, seen: &Observation, now: Timestamp) -> Decision {
    let at = At {
        plan,
        state,
        seen,
        now,
    };
    if state.phase.is_final() {
        return Decision::Over;
    }
    if let Some(stuck) = &state.stuck {
        let then = stuck.next.join(", or ");
        return at.wait("a person", state.at, None, &then);
    }
    if let Some(abort) = at.abort() {
        return abort;
    }
    // When all is done there is nothing left to pause.
    if state.step(plan).is_none() {
        return at.finish();
    }
    if let Some(since) = state.paused {
        return at.paused(since);
    }
    if let Some(measure) = at.guards() {
        return measure;
    }
    match state.step(plan) {
        None => at.finish(),
        Some(step) => at.step(step),
    }
}

/// What a decision is made from.
struct At<'a> {
    plan: &'a Plan,
    state: &'a State,
    seen: &'a Observation,
    now: Timestamp,
}

impl At<'_> {
    fn wait(&self, what: &str, since: Timestamp, until: Option<Timestamp>, then: &str) -> Decision {
        // What is waited for since before keeps its beginning.
        let since = match &self.state.waiting {
            Some(on) if on.what == what => on.since,
            _ => since,
        };
        Decision::Wait(WaitingOn {
            what: what.to_owned(),
            since,
            until,
            then: then.to_owned(),
        })
    }

    fn abort_now(&self, because: String, code: &str, urgent: bool) -> Decision {
        Decision::Abort {
            because,
            code: code.to_owned(),
            urgent,
            steps: unwind(self.plan, self.state),
        }
    }

    /// Whether to go back, and why.
    fn abort(&self) -> Option<Decision> {
        let state = self.state;
        // Past the first contract intent there is no way back (I10), and on the way back none from it. Once all is done
        // the release is recorded as stable: going back is another upgrade, a rollback.
        if state.is_back() || state.contract_begun || state.step(self.plan).is_none() {
            return None;
        }
        if let Some(why) = &state.abort_requested {
            return Some(self.abort_now(why.clone(), "requested", false));
        }
        // A contract that failed is never undone (I12): it may be applied in part.
        let contract = state
            .step(self.plan)
            .is_some_and(|step| is_contract(&step.action));
        if let Doing::Failed { error, code, .. } = &state.doing
            && !contract
            && (self.plan.settings.auto_rollback || self.untouched())
        {
            let hard = self.failed_guard().is_some_and(|(_, hard)| hard);
            return Some(self.abort_now(error.clone(), code, hard));
        }
        if self.plan.settings.auto_rollback
            && let Some((because, hard)) = self.failed_guard()
        {
            return Some(self.abort_now(because, "analysis.failed", hard));
        }
        None
    }

    /// Whether no step that changes anything has begun.
    fn untouched(&self) -> bool {
        let mut begun = self.plan.steps.iter().take(self.state.begun);
        !begun.any(crate::unwind::touches)
    }

    fn active_guards(&self) -> impl Iterator<Item = &Guard> {
        let done = self.state.cursor;
        self.plan.guards.iter().filter(move |guard| {
            let after = guard.after.0 as usize;
            let until = guard.until.0 as usize;
            !self.state.is_back() && done >= after && done < until
        })
    }

    /// Whether an analysis is to be read again. A clock that was set back must not leave a bad candidate unwatched until
    /// it has caught up.
    fn is_due(&self, note: &AnalysisNote) -> bool {
        note.next
            .is_some_and(|next| self.now >= next || self.now < note.at)
    }

    fn failed_guard(&self) -> Option<(String, bool)> {
        self.active_guards().find_map(|guard| {
            let note = self.state.analyses.get(&guard.name)?;
            (note.verdict == Some(Verdict::Failed)).then(|| (note.because.clone(), note.hard))
        })
    }

    fn paused(&self, since: Timestamp) -> Decision {
        // A pause stops steps, not the care for what runs.
        if !matches!(
            self.state.step(self.plan).map(|step| &step.action),
            Some(Action::Hold { .. })
        ) && let Reconciled::Do(ops) = self.reconciled()
        {
            return Decision::Reconcile(ops);
        }
        self.wait(
            "a person, who paused it",
            since,
            None,
            "cutover resume, or cutover abort",
        )
    }

    /// How far the world is from the last hold. Before the first one nothing is touched, whatever is found (I4).
    fn reconciled(&self) -> Reconciled {
        let begun = self.plan.steps.iter().take(self.state.begun);
        if !begun.into_iter().any(|step| step.action.is_hold()) {
            return Reconciled::Reached;
        }
        let urgent = match &self.state.course {
            crate::Course::Back(back) => back.urgent,
            crate::Course::Forward => false,
        };
        let state = self.state;
        reconcile(
            &self.plan.services,
            &state.desired,
            &state.drains,
            urgent,
            self.seen,
            self.now,
        )
    }

    /// Background analyses: one that is due is measured, one that has failed fails the step where nobody goes back
    /// by itself.
    fn guards(&self) -> Option<Decision> {
        for guard in self.active_guards() {
            let note = self.state.analyses.get(&guard.name);
            let due = note.is_none_or(|note| self.is_due(note));
            if due && note.is_none_or(|note| matches!(note.verdict, None | Some(Verdict::Error))) {
                return Some(Decision::Measure {
                    name: guard.name.clone(),
                    template: Box::new(guard.template.clone()),
                    candidate: guard.candidate.clone(),
                    stable: guard.stable.clone(),
                    inline: false,
                });
            }
            if let Some(note) = note
                && note.verdict == Some(Verdict::Error)
            {
                // Blind is not the release's fault, and no reason to send it more traffic.
                return Some(self.maintain_or(|| {
                    self.wait(
                        &format!("the measurement to work again: {}", note.because),
                        note.at,
                        note.next,
                        "it is asked again, and goes on when it can be measured; or cutover abort",
                    )
                }));
            }
            if let Some(note) = note
                && note.verdict == Some(Verdict::Failed)
                && let Some(step) = self.state.step(self.plan)
                && matches!(self.state.doing, Doing::Running { .. })
            {
                let failure = Failure {
                    error: note.because.clone(),
                    code: "analysis.failed".to_owned(),
                };
                return Some(Decision::Fail {
                    step: step.id,
                    failure,
                });
            }
        }
        None
    }

    fn finish(&self) -> Decision {
        let plan = self.plan;
        let what = &plan.application;
        let (phase, summary) = match &self.state.course {
            crate::Course::Forward if plan.pending_contracts.is_empty() => {
                (UpgradePhase::Succeeded, format!("{what} is on {}", plan.to))
            }
            crate::Course::Forward => (
                UpgradePhase::Succeeded,
                format!(
                    "{what} is on {}; {} contract pending",
                    plan.to,
                    plan.pending_contracts.len()
                ),
            ),
            crate::Course::Back(back) => {
                let stays = plan.from.as_ref().map_or_else(
                    || format!("{what} is not deployed"),
                    |from| format!("{what} stays on {from}"),
                );
                let phase = if self.untouched() {
                    UpgradePhase::Failed
                } else {
                    UpgradePhase::Aborted
                };
                (phase, format!("{stays}: {}", back.because))
            }
        };
        Decision::Finish { phase, summary }
    }

    fn step(&self, step: &Step) -> Decision {
        match &self.state.doing {
            Doing::Idle { attempts } => self.idle(step, *attempts),
            Doing::Failed {
                since,
                attempts,
                error,
                code,
            } => self.failed(step, *since, *attempts, error, code),
            Doing::Unknown { .. } => self.unknown(step),
            Doing::Running {
                since,
                attempt,
                generation,
            } => {
                if *generation == self.state.generation {
                    self.running(step, *since)
                } else if is_act(&step.action) {
                    // Another controller's intent: it may have acted before it died.
                    match &step.action {
                        Action::Call { hook } if hook.at.only_hears() => {
                            outside::doubt(step, hook, "its answer got lost")
                        }
                        _ => Decision::Observe { step: step.id },
                    }
                } else {
                    // Holds and gates are looked at anew anyway.
                    Decision::Begin {
                        step: step.id,
                        attempt: *attempt,
                    }
                }
            }
        }
    }

    fn idle(&self, step: &Step, attempts: u32) -> Decision {
        if let Some(wait) = self.old_instances(step) {
            return wait;
        }
        Decision::Begin {
            step: step.id,
            attempt: attempts + 1,
        }
    }

    /// I11: no contract while an instance below its bound runs anywhere.
    fn old_instances(&self, step: &Step) -> Option<Decision> {
        let Action::Migrate { migrations, .. } = &step.action else {
            return None;
        };
        let bound = migrations
            .iter()
            .filter(|one| one.phase == MigrationPhase::Contract)
            .filter_map(|one| one.retires.as_ref())
            .max()?;
        let old = self
            .seen
            .instances
            .iter()
            .find(|instance| instance.revision.version < *bound)?;
        let what = format!(
            "{} {} to be gone (instance {})",
            old.revision.service, old.revision.version, old.id
        );
        Some(self.wait(
            &what,
            self.now,
            None,
            &format!("the contract runs once no instance is below {bound}"),
        ))
    }

    fn failed(&self, step: &Step, since: Timestamp, attempts: u32, error: &str, code: &str) -> Decision {
        if is_contract(&step.action) {
            return Decision::Stick {
                because: format!("{}: {error}", step.title),
                code: code.to_owned(),
                next: vec!["cutover retry".to_owned(), "cutover migrate status".to_owned()],
            };
        }
        if !self.state.is_back() {
            return self.wait(
                &format!("a person: {error}"),
                since,
                None,
                "cutover retry, or cutover abort",
            );
        }
        if attempts >= UNDO_ATTEMPTS {
            return Decision::Stick {
                because: format!("the way back failed {attempts} times: {error}"),
                code: code.to_owned(),
                next: vec!["cutover retry".to_owned()],
            };
        }
        // 0.5 s, doubling to half a minute.
        let pause = Span::from_millis((500u64 << attempts.min(6)).min(30_000));
        let again = pause.after(since);
        // A clock that was set back must not hold up the way back.
        if self.now >= again || self.now < since {
            Decision::Begin {
                step: step.id,
                attempt: attempts + 1,
            }
        } else {
            self.wait(
                &format!("another try of the way back: {error}"),
                since,
                Some(again),
                "it is tried again",
            )
        }
    }

    fn unknown(&self, step: &Step) -> Decision {
        if let Action::Call { hook } = &step.action {
            if hook.at.only_hears() {
                return outside::doubt(step, hook, "its answer got lost");
            }
            if self.answered_yes() {
                return Decision::Complete {
                    step: step.id,
                    detail: "done, as a person said".to_owned(),
                };
            }
        }
        match self.state.answer {
            Some(Command::MarkDone) => Decision::Complete {
                step: step.id,
                detail: "done, as a person said".to_owned(),
            },
            Some(Command::MarkNotDone) => Decision::Fail {
                step: step.id,
                failure: Failure {
                    error: "not done, as a person said".to_owned(),
                    code: "step.marked-not-done".to_owned(),
                },
            },
            _ => Decision::Observe { step: step.id },
        }
    }

    fn running(&self, step: &Step, since: Timestamp) -> Decision {
        let deadline = step.deadline.map(|span| span.after(since));
        match &step.action {
            Action::Hold { .. } => self.hold(step, since, deadline),
            Action::Pause { duration } => self.pause(step, since, *duration),
            Action::Approve { question } => self.approve(step, since, question),
            Action::Soak { duration } => self.soak(step, since, *duration),
            Action::Window { window, refuse } => self.window(step, since, window, *refuse),
            Action::Call { hook } => self.call(step, since, hook),
            Action::Analyze {
                name,
                template,
                candidate,
                stable,
            } => self.analyze(step, since, name, template, candidate, stable.as_ref()),
            Action::Preflight
            | Action::Backup { .. }
            | Action::Migrate { .. }
            | Action::Reopen { .. }
            | Action::Downgrade { .. }
            | Action::Smoke { .. }
            | Action::Promote => match deadline {
                Some(deadline) if self.now >= deadline => self.overdue(step),
                _ => Decision::Perform { step: step.id },
            },
        }
    }

    fn overdue(&self, step: &Step) -> Decision {
        let limit = step.deadline.unwrap_or_default();
        let waited = self
            .state
            .waiting
            .as_ref()
            .map(|on| on.what.clone())
            .unwrap_or_default();
        Decision::Fail {
            step: step.id,
            failure: Failure {
                error: format!(
                    "{} {} was not done within {limit}; last waited for {waited}",
                    step.stage, step.title
                ),
                code: "step.deadline".to_owned(),
            },
        }
    }
}
fn is_contract(action: &Action) -> bool {
    matches!(action, Action::Migrate { migrations, .. }
        if migrations.iter().any(|one| one.phase == MigrationPhase::Contract))
}

const fn is_act(action: &Action) -> bool {
    match action {
        Action::Preflight
        | Action::Backup { .. }
        | Action::Migrate { .. }
        | Action::Reopen { .. }
        | Action::Downgrade { .. }
        | Action::Smoke { .. }
        | Action::Promote => true,
        // What may be sent again is, with the same key: nothing has to be found out first.
        Action::Call { hook } => hook.once,
        Action::Hold { .. }
        | Action::Analyze { .. }
        | Action::Pause { .. }
        | Action::Approve { .. }
        | Action::Window { .. }
        | Action::Soak { .. } => false,
    }
}
