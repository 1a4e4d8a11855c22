//! What a journal says, read from its events alone: the world's own view of an upgrade, which shares no code with the
//! planner's fold and is what the invariants judge by.

use std::collections::BTreeMap;

use cutover_model::{
    Action, Event, Generation, InstanceId, Migration, MigrationPhase, Plan, Progress, StepId, Timestamp,
    UpgradeKind, UpgradePhase, Version,
};

/// What an upgrade's events say so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// It goes back, and whether in a hurry.
    pub(crate) back: Option<bool>,
    /// Why it goes back.
    pub(crate) because: Option<String>,
    /// How many steps the way back has.
    pub(crate) back_steps: usize,
    /// The intent of a contract was written.
    pub(crate) contract: bool,
    /// The intent of a step that changes the world was written.
    pub(crate) touched: bool,
    /// The intent of a hold was written.
    pub(crate) held: bool,
    /// Drains: until when by the wall clock, and since when in true time.
    pub(crate) drains: BTreeMap<InstanceId, (Timestamp, u64)>,
    /// The newest generation that wrote more than its name.
    pub(crate) acting: Generation,
    /// How it ended.
    pub(crate) ended: Option<UpgradePhase>,
    /// A person was called.
    pub(crate) stuck: bool,
}

impl Facts {
    /// One more event, written by a controller of this generation (none: by a person). `Err` says what must not be.
    pub(crate) fn take(
        &mut self,
        plan: &Plan,
        event: &Event,
        by: Option<Generation>,
        true_ms: u64,
    ) -> Result<(), String> {
        if let Some(by) = by
            && !matches!(
                event,
                Event::Created { .. } | Event::Controlled { .. } | Event::Waiting { .. }
            )
        {
            self.acting = self.acting.max(by);
        }
        match event {
            Event::Intent { step, .. } if self.back.is_none() => self.intent(plan, *step),
            Event::AbortStarted {
                urgent,
                steps,
                because,
                ..
            } => {
                self.because = Some(because.clone());
                self.back = Some(*urgent);
                self.back_steps = steps.len();
                if self.contract {
                    return Err("it goes back although a contract has begun".to_owned());
                }
            }
            Event::Progress { what, .. } => match what {
                Progress::Draining { instance, until, .. } => {
                    self.drains.insert(instance.clone(), (*until, true_ms));
                }
                Progress::Removed { instance, .. } => {
                    self.drains.remove(instance);
                }
                Progress::Ready { .. } | Progress::Routed { .. } | Progress::Part { .. } => {}
            },
            Event::GotStuck { .. } => self.stuck = true,
            Event::Finished { phase, .. } => self.ended = Some(*phase),
            Event::Created { .. }
            | Event::Controlled { .. }
            | Event::Intent { .. }
            | Event::Outcome { .. }
            | Event::Waiting { .. }
            | Event::Measured { .. }
            | Event::Counted { .. }
            | Event::Called { .. }
            | Event::SoakTick { .. }
            | Event::Requested { .. } => {}
        }
        Ok(())
    }

    fn intent(&mut self, plan: &Plan, step: StepId) {
        match plan.step(step).map(|step| &step.action) {
            Some(Action::Migrate { migrations, .. }) => {
                self.touched = true;
                self.contract |= migrations.iter().any(|one| closes(plan, one));
            }
            Some(Action::Hold { .. }) => {
                self.touched = true;
                self.held = true;
            }
            Some(Action::Reopen { .. } | Action::Downgrade { .. } | Action::Promote) => self.touched = true,
            // What another system was told may have changed something there.
            Some(Action::Call { hook }) if !hook.at.asks() => self.touched = true,
            _ => {}
        }
    }
}

/// Whether what ran before cannot live with it: a contract of an earlier release that comes first closes no way back.
fn closes(plan: &Plan, migration: &Migration) -> bool {
    let older = |bound: &Version| plan.initial.0.keys().any(|revision| revision.version < *bound);
    migration.phase == MigrationPhase::Contract
        && (plan.kind == UpgradeKind::Contract || migration.retires.as_ref().is_none_or(older))
}
