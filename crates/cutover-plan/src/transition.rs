//! The state machine: one total function from a state and an event to the next state or a refusal.

use cutover_model::{
    Action, Command, Event, HookOutcome, Migration, MigrationPhase, Outcome, Plan, Progress, Record, Stage,
    StepId, UpgradeKind, UpgradePhase, Verdict, Version,
};

use crate::Met;
use crate::state::{AnalysisNote, Back, CallNote, Course, Doing, State, StepTime, Stuck};

/// An event that cannot follow a state: a damaged journal, or a bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {seq}: {event} cannot follow {state}")]
pub struct IllegalTransition {
    /// The record's place.
    pub seq: u64,
    /// What was to happen.
    pub event: String,
    /// Where the upgrade stood.
    pub state: String,
}

/// The state after a journal's first record, which must be [`Event::Created`].
///
/// # Errors
/// When it is anything else.
pub fn start(plan: &Plan, record: &Record) -> Result<State, IllegalTransition> {
    let Event::Created { plan: id, .. } = &record.event else {
        return Err(IllegalTransition {
            seq: record.seq,
            event: word(&record.event).to_owned(),
            state: "an empty journal".to_owned(),
        });
    };
    if *id != plan.id {
        return Err(IllegalTransition {
            seq: record.seq,
            event: format!("plan {id}"),
            state: format!("plan {}", plan.id),
        });
    }
    Ok(State {
        seq: record.seq,
        created_at: record.at,
        at: record.at,
        phase: UpgradePhase::Pending,
        course: Course::Forward,
        cursor: 0,
        begun: 0,
        doing: Doing::Idle { attempts: 0 },
        desired: plan.initial.clone(),
        paused: None,
        abort_requested: None,
        answer: None,
        answered_by: None,
        called: None,
        drains: std::collections::BTreeMap::new(),
        soaked_ms: 0,
        soaked_at: None,
        analyses: std::collections::BTreeMap::new(),
        met: None,
        waiting: None,
        contract_begun: false,
        stuck: None,
        times: Vec::new(),
        generation: cutover_model::Generation(0),
        summary: None,
    })
}

/// The state after one more record.
///
/// # Errors
/// When the record does not follow the state; nothing is changed then.
pub fn next(plan: &Plan, state: &State, record: &Record) -> Result<State, IllegalTransition> {
    let refuse = || IllegalTransition {
        seq: record.seq,
        event: word(&record.event).to_owned(),
        state: format!("{} at step {} ({:?})", state.phase, state.cursor + 1, state.doing),
    };
    if record.seq != state.seq + 1 {
        return Err(refuse());
    }
    let mut then = state.clone();
    then.seq = record.seq;
    then.at = record.at;
    match &record.event {
        Event::Created { .. } => return Err(refuse()),
        // A person may always ask; of an upgrade that has ended nothing comes of it.
        Event::Requested { command, why, by } => then.request(plan, *command, (by, why.as_deref()), record),
        _ if state.phase.is_final() => return Err(refuse()),
        Event::Controlled { generation, .. } if *generation > state.generation => {
            then.generation = *generation;
        }
        Event::Intent {
            step,
            generation,
            attempt,
        } if then.may_begin(plan, *step, *generation) => {
            then.begin(plan, record, *generation, *attempt);
        }
        Event::Outcome { step, outcome } if state.is_doing(plan, *step) => {
            then.settle(outcome, record);
        }
        Event::Progress { step, what } if state.is_current(plan, *step) => match what {
            Progress::Draining { instance, until, .. } => {
                then.drains.insert(instance.clone(), *until);
            }
            Progress::Removed { instance, .. } => {
                then.drains.remove(instance);
            }
            Progress::Ready { .. } | Progress::Routed { .. } | Progress::Part { .. } => {}
        },
        Event::Waiting { on } => then.waiting = Some(on.clone()),
        Event::Measured {
            analysis,
            verdict,
            because,
            requests,
            errors,
            hard,
            next,
            state,
        } => {
            then.analyses.insert(
                analysis.clone(),
                AnalysisNote {
                    at: record.at,
                    next: *next,
                    verdict: *verdict,
                    because: because.clone(),
                    requests: *requests,
                    errors: *errors,
                    hard: *hard,
                    state: state.clone(),
                },
            );
        }
        Event::Counted { counts } => match &mut then.met {
            Some(met) => met.count(&plan.services, counts),
            None if !state.holds_have_begun(plan) => then.met = Some(Met::from_now(counts)),
            // How much there was before is not known.
            None => {}
        },
        Event::Called {
            step,
            answer,
            tries,
            next,
        } if state.is_doing(plan, *step) => {
            then.called = Some(CallNote {
                at: record.at,
                answer: answer.clone(),
                tries: *tries,
                next: *next,
            });
        }
        Event::SoakTick {
            step,
            healthy_ms,
            observed_at,
        } if state.is_doing(plan, *step) => {
            then.soaked_ms += healthy_ms;
            then.soaked_at = Some(*observed_at);
        }
        Event::AbortStarted {
            because,
            code,
            urgent,
            steps,
        } if !state.is_back() && !state.contract_begun => {
            then.course = Course::Back(Back {
                because: because.clone(),
                code: code.clone(),
                urgent: *urgent,
                steps: steps.clone(),
                since: record.at,
            });
            then.cursor = 0;
            then.doing = Doing::Idle { attempts: 0 };
            then.paused = None;
            then.abort_requested = None;
            then.answer = None;
            then.answered_by = None;
            then.called = None;
            then.waiting = None;
            then.stuck = None;
            if let Some(time) = then.times.last_mut()
                && time.ended.is_none()
            {
                time.ended = Some(record.at);
                time.detail.clone_from(because);
            }
        }
        Event::GotStuck { because, code, next } => {
            then.stuck = Some(Stuck {
                because: because.clone(),
                code: code.clone(),
                next: next.clone(),
            });
            then.waiting = None;
        }
        Event::Finished { phase, summary } if state.may_finish(plan, *phase) => {
            then.phase = *phase;
            then.summary = Some(summary.clone());
            then.waiting = None;
            return Ok(then);
        }
        Event::Controlled { .. }
        | Event::Intent { .. }
        | Event::Outcome { .. }
        | Event::Progress { .. }
        | Event::SoakTick { .. }
        | Event::Called { .. }
        | Event::AbortStarted { .. }
        | Event::Finished { .. } => return Err(refuse()),
    }
    if !then.phase.is_final() {
        then.phase = then.phase_now(plan);
    }
    Ok(then)
}

impl State {
    fn is_current(&self, plan: &Plan, id: StepId) -> bool {
        self.step(plan).is_some_and(|step| step.id == id)
    }

    /// Whether instances or traffic may have been moved.
    fn holds_have_begun(&self, plan: &Plan) -> bool {
        let mut begun = plan.steps.iter().take(self.begun);
        begun.any(|step| step.action.is_hold())
    }

    fn is_doing(&self, plan: &Plan, id: StepId) -> bool {
        self.is_current(plan, id) && matches!(self.doing, Doing::Running { .. } | Doing::Unknown { .. })
    }

    fn may_begin(&self, plan: &Plan, id: StepId, generation: cutover_model::Generation) -> bool {
        self.is_current(plan, id) && generation == self.generation && self.stuck.is_none()
    }

    fn may_finish(&self, plan: &Plan, phase: UpgradePhase) -> bool {
        let all_done = self.cursor == self.steps(plan).len();
        match phase {
            UpgradePhase::Succeeded => all_done && !self.is_back(),
            UpgradePhase::Aborted | UpgradePhase::Failed => all_done && self.is_back(),
            UpgradePhase::Pending
            | UpgradePhase::Running
            | UpgradePhase::Paused
            | UpgradePhase::WaitingForGate
            | UpgradePhase::Soaking
            | UpgradePhase::Aborting
            | UpgradePhase::Stuck => false,
        }
    }

    fn begin(&mut self, plan: &Plan, record: &Record, generation: cutover_model::Generation, attempt: u32) {
        let Some(step) = self.step(plan).cloned() else {
            return;
        };
        // An intent that is written again by a new controller keeps the step's first moment: its deadline is of the
        // step, not of the controller.
        let since = match self.doing {
            Doing::Running { since, .. } | Doing::Unknown { since, .. } => since,
            Doing::Idle { .. } | Doing::Failed { .. } => record.at,
        };
        let first = !matches!(self.doing, Doing::Running { .. } | Doing::Unknown { .. });
        // What a step that goes on waits for stays so under a new controller: a gate that is closed may be answered at
        // every moment.
        if !matches!(self.doing, Doing::Running { .. }) {
            self.waiting = None;
        }
        self.doing = Doing::Running {
            since,
            attempt,
            generation,
        };
        if first {
            self.answer = None;
            self.answered_by = None;
            self.called = None;
            self.soaked_ms = 0;
            self.soaked_at = None;
            self.times.push(StepTime {
                back: self.is_back(),
                step: step.id,
                started: record.at,
                ended: None,
                detail: String::new(),
            });
        }
        if !self.is_back() {
            self.begun = self.begun.max(self.cursor + 1);
        }
        match &step.action {
            Action::Hold { desired } => {
                // Another wanted state: an instance that was leaving may stay now, and one that leaves again later gets
                // its whole deadline.
                if self.desired != *desired {
                    self.drains.clear();
                }
                self.desired = desired.clone();
            }
            Action::Analyze { name, .. } if first => {
                self.analyses.remove(name);
            }
            Action::Migrate { migrations, .. } if closes_the_way_back(plan, migrations) => {
                self.contract_begun = true;
            }
            _ => {}
        }
    }

    fn settle(&mut self, outcome: &Outcome, record: &Record) {
        self.waiting = None;
        let (since, attempt) = match self.doing {
            Doing::Running { since, attempt, .. } | Doing::Unknown { since, attempt, .. } => (since, attempt),
            Doing::Idle { .. } | Doing::Failed { .. } => (record.at, 1),
        };
        match outcome {
            Outcome::Done { detail } => {
                self.cursor += 1;
                self.doing = Doing::Idle { attempts: 0 };
                self.answer = None;
                self.answered_by = None;
                self.called = None;
                if let Some(time) = self.times.last_mut() {
                    time.ended = Some(record.at);
                    time.detail.clone_from(detail);
                }
            }
            Outcome::DefinitelyNot { error, code } => {
                self.doing = Doing::Failed {
                    since: record.at,
                    attempts: attempt,
                    error: error.clone(),
                    code: code.clone(),
                };
                if let Some(time) = self.times.last_mut() {
                    time.ended = Some(record.at);
                    time.detail.clone_from(error);
                }
            }
            Outcome::Unknown { error } => {
                self.doing = Doing::Unknown {
                    since,
                    attempt,
                    error: error.clone(),
                };
            }
        }
    }

    fn request(&mut self, plan: &Plan, command: Command, (by, why): (&str, Option<&str>), record: &Record) {
        if self.phase.is_final() {
            return;
        }
        match command {
            Command::Pause => self.paused = Some(record.at),
            Command::Resume => {
                self.paused = None;
                self.waiting = None;
                // Going on is no answer to a step that has failed: a candidate that was found bad gets no more requests by it.
                if !matches!(self.doing, Doing::Failed { .. }) {
                    self.forget_verdicts();
                }
            }
            Command::Abort => {
                if !self.is_back() && !self.contract_begun && self.step(plan).is_some() {
                    self.abort_requested = Some(why.unwrap_or("a person asked for it").to_owned());
                }
            }
            Command::Retry => {
                self.stuck = None;
                self.waiting = None;
                self.forget_verdicts();
                let told = matches!(
                    self.step(plan).map(|step| &step.action),
                    Some(Action::Call { .. })
                );
                if matches!(self.doing, Doing::Failed { .. })
                    || (told && matches!(self.doing, Doing::Unknown { .. }))
                {
                    self.doing = Doing::Idle { attempts: 0 };
                }
            }
            // A person's word counts where reading back has failed, never instead of it.
            Command::MarkDone | Command::MarkNotDone
                if self.waiting.is_none() || !matches!(self.doing, Doing::Unknown { .. }) => {}
            Command::Promote | Command::Approve | Command::MarkDone | Command::MarkNotDone => {
                if self.step(plan).is_some() {
                    self.answer = Some(command);
                    self.answered_by = Some(by.to_owned());
                    self.waiting = None;
                }
            }
        }
    }

    /// A person who goes on after a bad verdict asks for a new one: the analysis begins anew.
    fn forget_verdicts(&mut self) {
        self.analyses
            .retain(|_, note| matches!(note.verdict, None | Some(Verdict::Successful)));
    }

    /// The phase that everything else makes.
    fn phase_now(&self, plan: &Plan) -> UpgradePhase {
        if self.stuck.is_some() {
            return UpgradePhase::Stuck;
        }
        if self.is_back() {
            return UpgradePhase::Aborting;
        }
        // Where a failure goes back by itself, the abort follows at once: nobody has to do anything.
        let failed = matches!(self.doing, Doing::Failed { .. }) && !plan.settings.auto_rollback;
        if self.paused.is_some() || failed {
            return UpgradePhase::Paused;
        }
        let Some(step) = self.step(plan) else {
            return UpgradePhase::Running;
        };
        if matches!(self.doing, Doing::Idle { .. }) {
            return if self.begun == 0 {
                UpgradePhase::Pending
            } else {
                UpgradePhase::Running
            };
        }
        let asks = self.answer.is_none()
            && (matches!(
                step.action,
                Action::Approve { .. } | Action::Pause { duration: None }
            ) || matches!(self.doing, Doing::Unknown { .. })
                || self.gave_no_answer(&step.action)
                || self.is_held_up(&step.action));
        if asks {
            UpgradePhase::WaitingForGate
        } else if step.stage == Stage::Soak {
            UpgradePhase::Soaking
        } else {
            UpgradePhase::Running
        }
    }

    /// Whether a gate that others open was found closed.
    fn is_held_up(&self, action: &Action) -> bool {
        match action {
            Action::Window { .. } => self.waiting.is_some(),
            Action::Call { hook } if hook.at.asks() => self
                .called
                .as_ref()
                .is_some_and(|note| matches!(note.answer.outcome, HookOutcome::NotYet | HookOutcome::Lost)),
            _ => false,
        }
    }

    /// Whether an analysis has ended without a yes or a no.
    fn gave_no_answer(&self, action: &Action) -> bool {
        let Action::Analyze { name, .. } = action else {
            return false;
        };
        self.analyses
            .get(name)
            .is_some_and(|note| matches!(note.verdict, Some(Verdict::Inconclusive | Verdict::Error)))
    }
}

/// Whether what ran before cannot live with these contracts: each revision counts, not only the release's version,
/// because a service that did not change is older than its release. A contract of an earlier release that runs first at
/// the next upgrade closes no way: all that runs lives with it.
fn closes_the_way_back(plan: &Plan, migrations: &[Migration]) -> bool {
    let older = |bound: &Version| {
        let revisions = plan.initial.0.keys().map(|revision| &revision.version);
        revisions.chain(&plan.from).any(|version| version < bound)
    };
    migrations
        .iter()
        .filter(|one| one.phase == MigrationPhase::Contract)
        .any(|one| plan.kind == UpgradeKind::Contract || one.retires.as_ref().is_none_or(older))
}

const fn word(event: &Event) -> &'static str {
    match event {
        Event::Created { .. } => "created",
        Event::Controlled { .. } => "controlled",
        Event::Intent { .. } => "an intent",
        Event::Progress { .. } => "progress",
        Event::Outcome { .. } => "an outcome",
        Event::Waiting { .. } => "waiting",
        Event::Measured { .. } => "a measurement",
        Event::SoakTick { .. } => "a soak tick",
        Event::Called { .. } => "a call",
        Event::Counted { .. } => "a count",
        Event::Requested { .. } => "a request",
        Event::AbortStarted { .. } => "an abort",
        Event::GotStuck { .. } => "being stuck",
        Event::Finished { .. } => "the end",
    }
}
