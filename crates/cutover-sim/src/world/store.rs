//! The store: leases with generations, journals, releases. It fails, and answers get lost.

use std::sync::Arc;

use cutover_model::{
    Command, Diagnostic, Event, Fence, Generation, Plan, Record, ReleaseId, Span, StoreId, Timestamp,
    UpgradeId, UpgradePhase,
};
use cutover_ports::{Append, Holder, Lease, LeaseError, Stable, Store, StoreError, UpgradeHead};
use cutover_spec::Release;

use crate::facts::Facts;
use crate::fault::{Fault, Op};
use crate::world::{Sim, World};
use crate::{Invariant, Mutant, invariants};

/// One upgrade as it is stored.
#[derive(Debug)]
pub(crate) struct Upgrade {
    pub(crate) id: UpgradeId,
    /// What the engine was given.
    plan: Arc<Plan>,
    pub(crate) records: Vec<Record>,
    pub(crate) phase: UpgradePhase,
    pub(crate) facts: Facts,
}

/// The state that survives.
#[derive(Debug, Default)]
pub(crate) struct StoreSide {
    pub(crate) generation: Generation,
    held: Option<(Holder, Timestamp)>,
    pub(crate) upgrades: Vec<Upgrade>,
    pub(crate) promoted: Vec<Stable>,
}

impl StoreSide {
    pub(crate) fn last(&self) -> Option<&Upgrade> {
        self.upgrades.last()
    }

    fn get(&mut self, id: &UpgradeId) -> Result<&mut Upgrade, StoreError> {
        self.upgrades
            .iter_mut()
            .rev()
            .find(|one| one.id == *id)
            .ok_or_else(|| failed("upgrade.unknown", "there is no such upgrade"))
    }

    fn check(&self, fence: &Fence) -> Result<(), StoreError> {
        if fence.generation == self.generation {
            Ok(())
        } else {
            Err(StoreError::Fenced {
                own: fence.generation,
                found: self.generation,
            })
        }
    }
}

fn failed(code: &str, what: &str) -> StoreError {
    StoreError::Failed(Box::new(Diagnostic::error(code, what).help("cutover status")))
}

fn disk() -> StoreError {
    failed("store.full", "no space left on the disk")
}

impl World {
    /// What the journal of the upgrade that is under way says.
    pub(crate) fn facts(&self) -> Option<&Facts> {
        self.store.last().map(|upgrade| &upgrade.facts)
    }

    /// One event into the facts, and what the invariants say of it.
    fn noted(&mut self, event: &Event, by: Option<Generation>) {
        self.tell(|| told(event));
        let Some(plan) = self.current.as_ref().map(|current| current.plan.clone()) else {
            return;
        };
        if let Some(upgrade) = self.store.upgrades.last_mut() {
            let verdict = upgrade.facts.take(&plan, event, by, self.true_ms);
            self.check(Invariant::I10, verdict);
        }
        if let Event::Finished { phase, .. } = event {
            let verdict = invariants::ending::ended(self, *phase);
            self.check(Invariant::I12, verdict);
            let verdict = invariants::abort::ended(self, *phase);
            self.check(Invariant::I4, verdict);
        }
        if let Event::GotStuck { next, .. } = event {
            let verdict = invariants::ending::stuck(next);
            self.check(Invariant::I12, verdict);
        }
    }

    fn append(
        &mut self,
        fence: Option<&Fence>,
        id: &UpgradeId,
        write: &Append<'_>,
    ) -> Result<Vec<Record>, StoreError> {
        if let Some(fence) = fence {
            self.store.check(fence)?;
        }
        let upgrade = self.store.get(id)?;
        let found = upgrade.records.len() as u64;
        if found != write.expected {
            return Err(StoreError::Conflict {
                expected: write.expected,
                found,
            });
        }
        if upgrade.phase.is_final() {
            return Err(failed("upgrade.over", "the upgrade is over"));
        }
        upgrade.phase = write.phase;
        let mut added = Vec::with_capacity(write.events.len());
        for (event, seq) in write.events.iter().zip(found + 1..) {
            added.push(Record {
                seq,
                at: write.now,
                event: event.clone(),
            });
        }
        upgrade.records.extend(added.iter().cloned());
        if let Some(promotion) = write.promotion {
            let (release, version, upgrade) =
                (promotion.release.clone(), promotion.version.clone(), id.clone());
            self.store.promoted.push(Stable {
                release,
                version,
                since: write.now,
                upgrade,
            });
        }
        for event in write.events {
            self.noted(event, fence.map(|fence| fence.generation));
        }
        Ok(added)
    }
}

/// An event in a line.
fn told(event: &Event) -> String {
    match event {
        Event::Waiting { on } => format!("waits for {}", on.what),
        Event::Measured {
            analysis,
            verdict,
            because,
            ..
        } => format!("measured {analysis}: {verdict:?}: {because}"),
        Event::AbortStarted {
            because,
            urgent,
            steps,
            ..
        } => {
            format!("goes back (urgent: {urgent}, {} steps): {because}", steps.len())
        }
        other => {
            let text = format!("{other:?}");
            text.chars().take(220).collect()
        }
    }
}

#[async_trait::async_trait]
impl Store for Sim {
    fn id(&self) -> &StoreId {
        &self.store_id
    }

    async fn acquire(
        &self,
        holder: &Holder,
        now: Timestamp,
        length: Span,
        is_dead: &(dyn for<'a> Fn(&'a Holder) -> bool + Send + Sync),
    ) -> Result<Lease, LeaseError> {
        let fate = self.lock().enter(Op::Acquire);
        self.halt(fate.before).await;
        let held = self.lock().store.held.clone();
        if let Some((other, until)) = held
            && until > now
            && other != *holder
            && !is_dead(&other)
        {
            return Err(LeaseError::Held { holder: other, until });
        }
        let lease = {
            let mut world = self.lock();
            if fate.fault == Some(Fault::Transient) {
                return Err(LeaseError::Store(disk()));
            }
            world.store.generation.0 += 1;
            let until = length.after(now);
            world.store.held = Some((holder.clone(), until));
            let generation = world.store.generation;
            world.tell(|| {
                format!(
                    "controller {} takes the lease, generation {generation}",
                    holder.pid
                )
            });
            Lease {
                fence: Fence {
                    store: self.store_id.clone(),
                    generation,
                },
                until,
            }
        };
        self.halt(fate.after).await;
        Ok(lease)
    }

    async fn renew(&self, fence: &Fence, now: Timestamp, length: Span) -> Result<Lease, LeaseError> {
        let fate = self.lock().enter(Op::Renew);
        self.halt(fate.before).await;
        let result = {
            let mut world = self.lock();
            if fate.fault == Some(Fault::Transient) {
                Err(LeaseError::Store(disk()))
            } else if world.store.generation != fence.generation || world.store.held.is_none() {
                Err(LeaseError::Lost(world.store.generation))
            } else {
                let until = length.after(now);
                if let Some((_, held)) = &mut world.store.held {
                    *held = until;
                }
                Ok(Lease {
                    fence: fence.clone(),
                    until,
                })
            }
        };
        self.halt(fate.after).await;
        result
    }

    async fn release_lease(&self, fence: &Fence) -> Result<(), LeaseError> {
        let mut world = self.lock();
        if world.store.generation != fence.generation {
            return Err(LeaseError::Lost(world.store.generation));
        }
        world.store.held = None;
        Ok(())
    }

    async fn put_release(&self, _release: &Release) -> Result<(), StoreError> {
        Ok(())
    }

    async fn release(&self, _id: &ReleaseId) -> Result<Option<Release>, StoreError> {
        Ok(None)
    }

    async fn create(
        &self,
        fence: &Fence,
        id: &UpgradeId,
        plan: &Plan,
        first: &Event,
        now: Timestamp,
    ) -> Result<Record, StoreError> {
        let fate = self.lock().enter(Op::Create);
        self.halt(fate.before).await;
        let result = {
            let mut world = self.lock();
            if fate.fault == Some(Fault::Transient) {
                return Err(disk());
            }
            world.store.check(fence)?;
            if world
                .store
                .upgrades
                .iter()
                .any(|one| one.id == *id || !one.phase.is_final())
            {
                return Err(failed("upgrade.in-progress", "another upgrade is not over"));
            }
            let record = Record {
                seq: 1,
                at: now,
                event: first.clone(),
            };
            world.store.upgrades.push(Upgrade {
                id: id.clone(),
                plan: Arc::new(plan.clone()),
                records: vec![record.clone()],
                phase: UpgradePhase::Pending,
                facts: Facts::default(),
            });
            world.noted(first, Some(fence.generation));
            record
        };
        self.halt(fate.after).await;
        if fate.fault == Some(Fault::LostAfter) {
            return Err(disk());
        }
        Ok(result)
    }

    async fn append(
        &self,
        fence: Option<&Fence>,
        id: &UpgradeId,
        write: Append<'_>,
    ) -> Result<Vec<Record>, StoreError> {
        let fate = self.lock().enter(Op::Append);
        self.halt(fate.before).await;
        if fate.intrusion {
            let command = {
                let mut world = self.lock();
                let all = [Command::Pause, Command::Resume, Command::Promote, Command::Abort];
                let which = world.random.index(all.len());
                all[which]
            };
            self.person(id, command, "in between").await;
        }
        let result = {
            let mut world = self.lock();
            let silent = world.is(Mutant::SilentWait);
            match fate.fault {
                Some(Fault::Transient) => Err(disk()),
                _ if silent && matches!(write.events, [Event::Waiting { .. }]) => Ok(Vec::new()),
                fault => {
                    let result = world.append(fence, id, &write);
                    if fault == Some(Fault::LostAfter) {
                        result.and(Err(disk()))
                    } else {
                        result
                    }
                }
            }
        };
        self.halt(fate.after).await;
        result
    }

    async fn records(&self, id: &UpgradeId, after: u64) -> Result<Vec<Record>, StoreError> {
        let mut world = self.lock();
        let upgrade = world.store.get(id)?;
        let from = usize::try_from(after)
            .unwrap_or(usize::MAX)
            .min(upgrade.records.len());
        Ok(upgrade.records[from..].to_vec())
    }

    async fn plan(&self, id: &UpgradeId) -> Result<Option<Plan>, StoreError> {
        let fate = self.lock().enter(Op::Load);
        self.halt(fate.before).await;
        if fate.fault == Some(Fault::Transient) {
            return Err(disk());
        }
        let plan = self.lock().store.get(id)?.plan.clone();
        Ok(Some((*plan).clone()))
    }

    async fn upgrades(&self, _most: u32) -> Result<Vec<UpgradeHead>, StoreError> {
        Ok(Vec::new())
    }

    async fn stable(&self) -> Result<Option<Stable>, StoreError> {
        Ok(self.lock().store.promoted.last().cloned())
    }

    async fn succeeded(&self) -> Result<Vec<Stable>, StoreError> {
        Ok(self.lock().store.promoted.iter().rev().cloned().collect())
    }
}
