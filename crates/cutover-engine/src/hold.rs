//! Holds: the operations that bring the world closer to the desired state.

use cutover_model::{Event, Outcome, Progress, RevisionId, RouteTable, Slot, StepId, Track};
use cutover_plan::{Course, Doing, Op};
use cutover_ports::{Certainty, PortError, RevisionSpec};

use crate::EngineError;
use crate::engine::{Engine, Tick};

impl Engine {
    /// Carries out what `reconcile` wants next.
    pub(crate) async fn reconcile(&mut self, ops: Vec<Op>) -> Result<Tick, EngineError> {
        for op in ops {
            let routes = matches!(op, Op::Route { .. });
            match self.one(op).await {
                Ok(Some(progress)) => self.note(progress).await?,
                Ok(None) => {}
                Err(error) => {
                    // The table may be on its way still: nothing is decided before another one has taken its place.
                    self.claimed &= !(routes && error.certainty == Certainty::Unknown);
                    return self.not_held(&error).await;
                }
            }
        }
        Ok(Tick::Moved)
    }

    async fn note(&mut self, what: Progress) -> Result<(), EngineError> {
        let step = self.current();
        self.append(&[Event::Progress { step, what }]).await
    }

    fn current(&self) -> StepId {
        self.state.step(&self.plan).map_or(StepId(0), |step| step.id)
    }

    /// What an instance of the revision is started with now.
    pub(crate) async fn spec(&self, revision: &RevisionId) -> Result<RevisionSpec, PortError> {
        let track = self
            .state
            .desired
            .0
            .get(revision)
            .map_or(Track::Stable, |want| want.track);
        let slot = self
            .plan
            .services
            .iter()
            .find(|change| change.service == revision.service)
            .and_then(|change| {
                if change.to.as_ref() == Some(revision) {
                    change.slot
                } else {
                    change.slot.map(Slot::other)
                }
            });
        self.world.revisions.spec(revision, track, slot).await
    }

    async fn one(&self, op: Op) -> Result<Option<Progress>, PortError> {
        let world = &self.world;
        match op {
            Op::Ensure { revision, replicas } => {
                // On the way back nothing that was retired can be wanted: there is no way back past a contract, and a
                // database that does not answer must not stand in it.
                if !self.state.is_back()
                    && let Some(problem) = self.retired(&revision).await?
                {
                    return Err(PortError::refused(problem));
                }
                let spec = self.spec(&revision).await?;
                world.target.ensure(&self.fence, &spec, replicas).await?;
                Ok(None)
            }
            Op::Route { table } => {
                let ack = world.router.apply(&self.fence, &table).await?;
                Ok(Some(Progress::Routed {
                    weights: weights(&table),
                    took_ms: ack.took_ms,
                }))
            }
            Op::Drain { instance, revision } => {
                let until = self.plan.settings.drain_deadline.after(world.clock.now());
                Ok(Some(Progress::Draining {
                    instance,
                    revision,
                    until,
                }))
            }
            Op::Remove {
                instance,
                revision,
                cut,
            } => {
                world.target.remove(&self.fence, &instance).await?;
                Ok(Some(Progress::Removed {
                    instance,
                    revision,
                    cut,
                }))
            }
        }
    }

    /// An operation failed: what may work later is waited for; what cannot fails the hold that wanted it.
    async fn not_held(&mut self, error: &PortError) -> Result<Tick, EngineError> {
        if error.is_stale() {
            return Err(EngineError::Fenced(self.fence.generation));
        }
        let holding = self
            .state
            .step(&self.plan)
            .is_some_and(|step| step.action.is_hold());
        let running = matches!(self.state.doing, Doing::Running { .. });
        let forward = matches!(self.state.course, Course::Forward);
        // On the way back an undo retries; it fails only when trying again cannot help, and is counted then.
        if holding && running && !error.transient {
            let outcome = Outcome::DefinitelyNot {
                error: error.to_string(),
                code: error.diagnostic.code.clone(),
            };
            tracing::debug!(forward, %error, "the hold failed");
            self.append(&[Event::Outcome {
                step: self.current(),
                outcome,
            }])
            .await?;
            return Ok(Tick::Moved);
        }
        if holding && self.overdue() && forward {
            let outcome = Outcome::DefinitelyNot {
                error: error.to_string(),
                code: "step.deadline".to_owned(),
            };
            self.append(&[Event::Outcome {
                step: self.current(),
                outcome,
            }])
            .await?;
            return Ok(Tick::Moved);
        }
        self.wait_for(error).await
    }

    fn overdue(&self) -> bool {
        let Doing::Running { since, .. } = self.state.doing else {
            return false;
        };
        let deadline = self.state.step(&self.plan).and_then(|step| step.deadline);
        deadline.is_some_and(|span| self.world.clock.now() >= span.after(since))
    }
}

fn weights(table: &RouteTable) -> Vec<(RevisionId, u32)> {
    table
        .services
        .iter()
        .flat_map(|route| &route.revisions)
        .map(|routed| (routed.revision.clone(), routed.weight.parts()))
        .collect()
}
