//! The loop: read the journal, observe, decide, do, write.

use std::collections::BTreeMap;

use cutover_model::{
    DatabaseName, DatabaseState, ENGINE_VERSION, Event, Fence, Outcome, Plan, Record, Span, Timestamp,
    UpgradeId, UpgradePhase, WaitingOn,
};
use cutover_plan::{Decision, Observation, State, basis, decide, next, start};
use cutover_ports::{Append, Holder, LeaseError, PortError, Promotion, StoreError};

use crate::{EngineError, Observer, World, load};

/// How long a full disk is waited for, before the controller ends and says so: somebody may make room, and until then a
/// candidate that has requests is watched by nobody.
const ROOM_WITHIN: Span = Span::from_mins(1);

/// What one turn of the loop did.
#[derive(Debug, Clone, PartialEq)]
pub enum Tick {
    /// Something; the next turn may do more at once.
    Moved,
    /// Nothing can be done before something else happens.
    Waiting(WaitingOn),
    /// The upgrade has ended.
    Over(UpgradePhase),
}

/// Executes one upgrade.
pub struct Engine {
    pub(crate) world: World,
    pub(crate) id: UpgradeId,
    pub(crate) plan: Plan,
    pub(crate) state: State,
    pub(crate) fence: Fence,
    renew_at: Timestamp,
    /// Whether target and router have seen this generation, with nothing of an older one still on its way.
    pub(crate) claimed: bool,
    observer: Option<Box<dyn Observer>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("id", &self.id)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Takes the lease, checks that the world is still as planned, and records the upgrade. Nothing else is changed.
    ///
    /// # Errors
    /// When another controller holds the lease, another upgrade is not over, or the world has moved.
    pub async fn create(
        world: World,
        holder: &Holder,
        is_dead: &(dyn for<'a> Fn(&'a Holder) -> bool + Send + Sync),
        id: UpgradeId,
        plan: Plan,
        by: &str,
    ) -> Result<Self, EngineError> {
        let now = world.clock.now();
        let lease = world.store.acquire(holder, now, world.lease, is_dead).await?;
        let begun = Self::begin(&world, &lease.fence, &id, &plan, by).await;
        let state = match begun {
            Ok(state) => state,
            Err(error) => {
                // Nothing was begun: the next command need not wait for the lease to run out.
                drop(world.store.release_lease(&lease.fence).await);
                return Err(error);
            }
        };
        let renew_at = renewal(now, &world);
        let mut engine = Self {
            world,
            id,
            plan,
            state,
            fence: lease.fence,
            renew_at,
            claimed: false,
            observer: None,
        };
        engine.append(&[engine.controlled(holder)]).await?;
        Ok(engine)
    }

    async fn begin(
        world: &World,
        fence: &Fence,
        id: &UpgradeId,
        plan: &Plan,
        by: &str,
    ) -> Result<State, EngineError> {
        let changes = Self::moved(world, plan).await?;
        if !changes.is_empty() {
            return Err(EngineError::Moved { changes });
        }
        let first = Event::Created {
            plan: plan.id.clone(),
            plan_format: plan.format,
            engine: ENGINE_VERSION.to_owned(),
            kind: plan.kind,
            from: plan.from.clone(),
            to: plan.to.clone(),
            by: by.to_owned(),
        };
        let record = world
            .store
            .create(fence, id, plan, &first, world.clock.now())
            .await?;
        Ok(start(plan, &record)?)
    }

    /// What is different from when the plan was made.
    async fn moved(world: &World, plan: &Plan) -> Result<Vec<String>, EngineError> {
        let stable = world.store.stable().await?;
        let mut databases: BTreeMap<DatabaseName, DatabaseState> = BTreeMap::new();
        for name in databases_known_to(plan) {
            let mut seen = world.databases.observe(&name).await?;
            seen.revision = world.databases.revision(&name).await?;
            databases.insert(name.clone(), seen);
        }
        let instances = world.target.observe().await?;
        let now = basis(
            stable.as_ref().map(|one| (&one.release, &one.version)),
            &databases,
            &instances,
        );
        let gone = plan
            .basis
            .iter()
            .filter(|fact| !now.contains(fact))
            .map(|fact| format!("no longer: {fact}"));
        let new = now
            .iter()
            .filter(|fact| !plan.basis.contains(fact))
            .map(|fact| format!("new: {fact}"));
        Ok(gone.chain(new).collect())
    }

    /// Takes the lease of an upgrade that was begun, and goes on from its journal.
    ///
    /// # Errors
    /// When another controller holds the lease, or the journal cannot be interpreted.
    pub async fn resume(
        world: World,
        holder: &Holder,
        is_dead: &(dyn for<'a> Fn(&'a Holder) -> bool + Send + Sync),
        id: UpgradeId,
    ) -> Result<Self, EngineError> {
        let now = world.clock.now();
        let lease = world.store.acquire(holder, now, world.lease, is_dead).await?;
        let (plan, _, state) = load(world.store.as_ref(), &id).await?;
        let renew_at = renewal(now, &world);
        let mut engine = Self {
            world,
            id,
            plan,
            state,
            fence: lease.fence,
            renew_at,
            claimed: false,
            observer: None,
        };
        if !engine.state.phase.is_final() {
            engine.append(&[engine.controlled(holder)]).await?;
        }
        Ok(engine)
    }

    fn controlled(&self, holder: &Holder) -> Event {
        Event::Controlled {
            generation: self.fence.generation,
            holder: format!("pid {} on {}, Cutover {ENGINE_VERSION}", holder.pid, holder.host),
        }
    }

    /// Shows every further record to an observer.
    pub fn observe_with(&mut self, observer: Box<dyn Observer>) {
        self.observer = Some(observer);
    }

    /// The plan.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The upgrade.
    #[must_use]
    pub const fn id(&self) -> &UpgradeId {
        &self.id
    }

    /// What every outside write carries.
    #[must_use]
    pub const fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Turns until the upgrade is over or stuck, or `stop` says to leave it to another controller.
    ///
    /// # Errors
    /// When this controller cannot go on; the journal says where another one does.
    pub async fn run(
        &mut self,
        stop: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<UpgradePhase, EngineError> {
        loop {
            match self.tick().await? {
                Tick::Over(phase) => {
                    self.give_up_lease().await;
                    return Ok(phase);
                }
                Tick::Waiting(_) => {
                    if stop() || self.state.phase == UpgradePhase::Stuck {
                        self.give_up_lease().await;
                        return Ok(self.state.phase);
                    }
                    self.world.clock.sleep(self.world.poll).await;
                }
                Tick::Moved => {
                    if stop() {
                        self.give_up_lease().await;
                        return Ok(self.state.phase);
                    }
                }
            }
        }
    }

    /// Gives the lease back, so that the next controller need not wait for it to run out. Best effort: it runs out anyway.
    pub async fn give_up_lease(&self) {
        if let Err(error) = self.world.store.release_lease(&self.fence).await {
            tracing::warn!(%error, "the lease could not be given back");
        }
    }

    /// One turn: read the journal, observe, decide, do.
    ///
    /// # Errors
    /// When this controller cannot go on.
    pub async fn tick(&mut self) -> Result<Tick, EngineError> {
        let now = self.world.clock.now();
        if now >= self.renew_at {
            self.renew().await?;
        }
        self.read().await?;
        if self.state.phase.is_final() {
            return Ok(Tick::Over(self.state.phase));
        }
        let seen = match self.look().await {
            Ok(seen) => seen,
            Err(error) => return self.blind(&error).await,
        };
        if !self.claimed {
            return match self.claim(&seen).await {
                Ok(()) => {
                    self.claimed = true;
                    Ok(Tick::Moved)
                }
                Err(error) => self.blind(&error).await,
            };
        }
        let decision = decide(&self.plan, &self.state, &seen, self.world.clock.now());
        tracing::trace!(?decision, "decided");
        match self.carry_out(decision, &seen).await {
            // Somebody else wrote at the same moment (a person's request): read it and decide again.
            Err(EngineError::Store(StoreError::Conflict { .. })) => Ok(Tick::Moved),
            other => other,
        }
    }

    /// Holds the lease for its whole length from now on.
    pub(crate) async fn renew(&mut self) -> Result<(), EngineError> {
        let until = ROOM_WITHIN.after(self.world.clock.now());
        loop {
            let now = self.world.clock.now();
            match self.world.store.renew(&self.fence, now, self.world.lease).await {
                Err(LeaseError::Store(error)) if lacks_room(&error) && now < until => {
                    self.no_room(&error).await
                }
                other => {
                    other?;
                    self.renew_at = renewal(now, &self.world);
                    return Ok(());
                }
            }
        }
    }

    /// The disk is full: what cannot be written down must not happen, so nothing does until there is room again.
    async fn no_room(&self, error: &StoreError) {
        tracing::warn!(%error, "waiting for room");
        self.world.clock.sleep(self.world.poll).await;
    }

    /// What others have written.
    async fn read(&mut self) -> Result<(), EngineError> {
        let records = self.world.store.records(&self.id, self.state.seq).await?;
        self.take(&records)
    }

    fn take(&mut self, records: &[Record]) -> Result<(), EngineError> {
        for record in records {
            self.state = next(&self.plan, &self.state, record)?;
            if let Some(observer) = &mut self.observer {
                observer.record(&self.plan, &self.state, record);
            }
        }
        Ok(())
    }

    /// The world, read after the last record was written.
    async fn look(&self) -> Result<Observation, PortError> {
        let at = self.world.clock.now();
        let instances = self.world.target.observe().await?;
        let routed = self.plan.services.iter().any(|change| change.listen.is_some());
        let router = if routed {
            self.world.router.read().await?
        } else {
            cutover_ports::RouterState::default()
        };
        Ok(Observation {
            at,
            instances,
            table: router.table,
            in_flight: router.in_flight,
        })
    }

    /// The world cannot be observed: nothing is done, and the reason is journalled.
    async fn blind(&mut self, error: &PortError) -> Result<Tick, EngineError> {
        if error.is_stale() {
            return Err(EngineError::Fenced(self.fence.generation));
        }
        let now = self.world.clock.now();
        self.wait(WaitingOn {
            what: format!("the world to answer: {error}"),
            since: now,
            until: None,
            then: "it goes on; cutover abort once it answers".to_owned(),
        })
        .await
    }

    /// Journals what is waited for, once.
    pub(crate) async fn wait(&mut self, on: WaitingOn) -> Result<Tick, EngineError> {
        let known = self
            .state
            .waiting
            .as_ref()
            .is_some_and(|was| was.what == on.what && was.then == on.then);
        if !known {
            self.append(&[Event::Waiting { on: on.clone() }]).await?;
        }
        Ok(Tick::Waiting(on))
    }

    /// Appends to the journal and folds what came of it.
    pub(crate) async fn append(&mut self, events: &[Event]) -> Result<(), EngineError> {
        self.append_with(events, None).await
    }

    pub(crate) async fn append_with(
        &mut self,
        events: &[Event],
        promotion: Option<&Promotion>,
    ) -> Result<(), EngineError> {
        let now = self.world.clock.now();
        // Folded before it is written: what cannot follow is never stored.
        let mut states: Vec<State> = Vec::with_capacity(events.len());
        for event in events {
            let before = states.last().unwrap_or(&self.state);
            let record = Record {
                seq: before.seq + 1,
                at: now,
                event: event.clone(),
            };
            states.push(next(&self.plan, before, &record)?);
        }
        let write = Append {
            expected: self.state.seq,
            events,
            phase: states.last().map_or(self.state.phase, |state| state.phase),
            promotion,
            now,
        };
        let until = ROOM_WITHIN.after(now);
        let records = loop {
            let written = self.world.store.append(Some(&self.fence), &self.id, write).await;
            match written {
                Err(error) if lacks_room(&error) && self.world.clock.now() < until => {
                    self.no_room(&error).await
                }
                other => break other?,
            }
        };
        for (record, state) in records.iter().zip(states) {
            self.state = state;
            if let Some(observer) = &mut self.observer {
                observer.record(&self.plan, &self.state, record);
            }
        }
        Ok(())
    }

    async fn carry_out(&mut self, decision: Decision, seen: &Observation) -> Result<Tick, EngineError> {
        match decision {
            Decision::Over => return Ok(Tick::Over(self.state.phase)),
            Decision::Wait(on) => return self.wait(on).await,
            Decision::Begin { step, attempt } => {
                let generation = self.fence.generation;
                let holds = self
                    .state
                    .step(&self.plan)
                    .is_some_and(|step| step.action.is_hold());
                let mut events = Vec::new();
                if holds && self.state.met.is_none() {
                    events.extend(self.counted().await);
                }
                events.push(Event::Intent {
                    step,
                    generation,
                    attempt,
                });
                self.append(&events).await?;
            }
            Decision::Complete { step, detail } => {
                let mut events = vec![Event::Outcome {
                    step,
                    outcome: Outcome::Done { detail },
                }];
                events.extend(self.counted().await);
                self.append(&events).await?;
            }
            Decision::Fail { step, failure } => {
                let outcome = Outcome::DefinitelyNot {
                    error: failure.error,
                    code: failure.code,
                };
                self.append(&[Event::Outcome { step, outcome }]).await?;
            }
            Decision::Tick { step, healthy_ms } => {
                let event = Event::SoakTick {
                    step,
                    healthy_ms,
                    observed_at: seen.at,
                };
                self.append(&[event]).await?;
            }
            Decision::Abort {
                because,
                code,
                urgent,
                steps,
            } => {
                let mut events = vec![Event::AbortStarted {
                    because,
                    code,
                    urgent,
                    steps,
                }];
                events.extend(self.counted().await);
                self.append(&events).await?;
            }
            Decision::Stick { because, code, next } => {
                self.append(&[Event::GotStuck { because, code, next }]).await?;
            }
            Decision::Finish { phase, summary } => {
                let mut events: Vec<Event> = self.counted().await.into_iter().collect();
                events.push(Event::Finished { phase, summary });
                self.append(&events).await?;
                return Ok(Tick::Over(phase));
            }
            Decision::Doubt { step, error } => {
                let outcome = Outcome::Unknown { error };
                self.append(&[Event::Outcome { step, outcome }]).await?;
            }
            Decision::Call { step } => return self.call(step).await,
            Decision::Perform { step } => return self.perform(step, seen).await,
            Decision::Observe { step } => return self.observe_act(step).await,
            Decision::Reconcile(ops) => return self.reconcile(ops).await,
            Decision::Measure {
                name,
                template,
                candidate,
                stable,
                inline,
            } => {
                return self
                    .measure(name, &template, &candidate, stable.as_ref(), inline)
                    .await;
            }
        }
        Ok(Tick::Moved)
    }
}

/// Whether the store has no room to write in.
fn lacks_room(error: &StoreError) -> bool {
    matches!(error, StoreError::Failed(found) if found.code == "store.disk-full")
}

/// A third of the lease: two renewals may fail before it runs out.
fn renewal(now: Timestamp, world: &World) -> Timestamp {
    cutover_model::Span::from_millis(world.lease.as_millis() / 3).after(now)
}

/// The databases that the plan's steps touch.
pub(crate) fn databases_of(plan: &Plan) -> Vec<DatabaseName> {
    use cutover_model::Action;
    let mut names: Vec<DatabaseName> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Backup { database }
            | Action::Migrate { database, .. }
            | Action::Reopen { database, .. } => Some(database.clone()),
            Action::Downgrade { migration, .. } => Some(migration.database.clone()),
            _ => None,
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// All databases that the plan was made with: those it touches, and those whose migrations its basis names. A contract
/// that was applied meanwhile to one that the plan leaves alone may have retired what it is about to start (I11).
fn databases_known_to(plan: &Plan) -> Vec<DatabaseName> {
    let applied = plan
        .basis
        .iter()
        .filter(|fact| {
            fact.ends_with(" applied")
                || fact.ends_with(" applied in part")
                || fact.contains(": at revision ")
        })
        .filter_map(|fact| fact.split_once(": ")?.0.parse().ok());
    let mut names: Vec<DatabaseName> = databases_of(plan).into_iter().chain(applied).collect();
    names.sort();
    names.dedup();
    names
}
