//! Instances: they start slowly, die, are started again with what was stored for their revision, and end when asked to.

use cutover_model::{Fence, Instance, InstanceId, InstanceState, RevisionId};
use cutover_ports::{PortError, RevisionSpec, Target};

use crate::fault::Op;
use crate::world::{Sim, World};
use crate::{Invariant, Mutant, invariants};

/// One running copy.
#[derive(Debug, Clone)]
pub(crate) struct SimInstance {
    pub(crate) number: u64,
    pub(crate) id: InstanceId,
    pub(crate) revision: RevisionId,
    /// What it runs with now.
    pub(crate) running: RevisionSpec,
    pub(crate) address: Option<String>,
    pub(crate) state: InstanceState,
    pub(crate) since: cutover_model::Timestamp,
    pub(crate) restarts: u32,
    pub(crate) ready_at: Option<u64>,
    pub(crate) crash_at: Option<u64>,
    pub(crate) restart_at: Option<u64>,
    pub(crate) gone_at: Option<u64>,
    /// It was ready once.
    pub(crate) was_ready: bool,
    /// It was ready when it was observed last.
    pub(crate) seen_ready: bool,
}

impl SimInstance {
    pub(crate) fn is_ready(&self) -> bool {
        self.state == InstanceState::Ready
    }

    fn shown(&self) -> Instance {
        Instance {
            id: self.id.clone(),
            revision: self.revision.clone(),
            address: self.address.clone(),
            state: self.state.clone(),
            since: self.since,
            unready: None,
            restarts: self.restarts,
        }
    }
}

/// Where instances run.
#[derive(Debug, Default)]
pub(crate) struct TargetSide {
    pub(crate) fence: Option<Fence>,
    pub(crate) instances: Vec<SimInstance>,
    /// What was stored last of each revision.
    pub(crate) stored: std::collections::BTreeMap<RevisionId, RevisionSpec>,
    /// What was stored last of all.
    pub(crate) newest: Option<RevisionSpec>,
    made: u64,
}

impl TargetSide {
    pub(crate) fn get(&self, id: &InstanceId) -> Option<&SimInstance> {
        self.instances.iter().find(|one| one.id == *id)
    }

    pub(crate) fn count(&self, revision: &RevisionId) -> usize {
        self.instances
            .iter()
            .filter(|one| one.revision == *revision && one.state != InstanceState::Stopping)
            .count()
    }
}

impl World {
    /// One more instance; `ready` at once only before a run begins.
    pub(crate) fn launch(&mut self, spec: &RevisionSpec, ready: bool) {
        self.target.made += 1;
        let number = self.target.made;
        let revision = spec.revision.clone();
        let quality = self.quality.get(&revision).copied().unwrap_or_default();
        let boot = self.random.between(50, quality.boot_ms.max(60));
        let routed = spec.environment.contains_key("PORT");
        let instance = SimInstance {
            number,
            id: InstanceId::new(format!("{}-{number}", revision.service)),
            address: routed.then(|| format!("10.0.0.1:{}", 20_000 + number)),
            revision: revision.clone(),
            running: spec.clone(),
            state: if ready {
                InstanceState::Ready
            } else {
                InstanceState::Starting
            },
            since: self.now(),
            restarts: 0,
            ready_at: (!ready && !quality.never_ready && !quality.crashes).then(|| self.true_ms + boot),
            crash_at: quality.crashes.then(|| self.true_ms + boot / 2),
            restart_at: None,
            gone_at: None,
            was_ready: ready,
            seen_ready: ready,
        };
        let id = instance.id.clone();
        self.tell(|| format!("   {id} of {revision} starts"));
        let verdict = invariants::configuration::started(self, &instance);
        self.target.instances.push(instance);
        self.check(Invariant::I7, verdict);
    }

    /// What is due happens to each instance.
    pub(crate) fn age_instances(&mut self) {
        let now = self.true_ms;
        let wall = self.now();
        if !self.halts.calm && !self.halts.spared && !self.target.instances.is_empty() {
            let rate = self.rates.instance;
            if self.random.chance(rate) {
                let unlucky = self.random.index(self.target.instances.len());
                let one = &mut self.target.instances[unlucky];
                if matches!(one.state, InstanceState::Ready | InstanceState::Starting) {
                    one.crash_at = Some(now);
                    self.injected += 1;
                }
            }
        }
        let due = |at: &Option<u64>| at.is_some_and(|at| at <= now);
        for index in 0..self.target.instances.len() {
            let one = &mut self.target.instances[index];
            if one.state == InstanceState::Stopping {
                continue;
            }
            let id = one.id.clone();
            if due(&one.crash_at) {
                one.crash_at = None;
                one.ready_at = None;
                one.state = InstanceState::Crashed {
                    reason: "exited with status 1".to_owned(),
                };
                one.since = wall;
                let again = self.random.between(100, 2_000);
                self.target.instances[index].restart_at = Some(now + again);
                let number = self.target.instances[index].number;
                self.traffic.broken(number);
                self.tell(|| format!("   {id} dies"));
            } else if due(&one.restart_at) {
                self.restart(index);
            } else if due(&one.ready_at) {
                one.ready_at = None;
                one.state = InstanceState::Ready;
                one.since = wall;
                one.was_ready = true;
                self.tell(|| format!("   {id} is ready"));
            }
        }
        self.target.instances.retain(|one| !due(&one.gone_at));
    }

    /// The target starts what died, with what it stored for the revision.
    fn restart(&mut self, index: usize) {
        let now = self.true_ms;
        let wall = self.now();
        let revision = self.target.instances[index].revision.clone();
        let quality = self.quality.get(&revision).copied().unwrap_or_default();
        let boot = self.random.between(50, quality.boot_ms.max(60));
        let newest = self.is(Mutant::NewestConfiguration);
        let stored = if newest {
            self.target.newest.clone()
        } else {
            self.target.stored.get(&revision).cloned()
        };
        let one = &mut self.target.instances[index];
        if let Some(stored) = stored {
            one.running = stored;
        }
        one.restart_at = None;
        one.restarts += 1;
        one.state = InstanceState::Starting;
        one.since = wall;
        one.ready_at = (!quality.never_ready && !quality.crashes).then_some(now + boot);
        one.crash_at = quality.crashes.then_some(now + boot / 2);
        let one = one.clone();
        self.tell(|| format!("   {} is started again", one.id));
        let verdict = invariants::configuration::started(self, &one);
        self.check(Invariant::I7, verdict);
    }

    fn ensure(&mut self, fence: &Fence, spec: &RevisionSpec, replicas: u32) -> Result<(), PortError> {
        self.admit("the target", self.target.fence.clone().as_ref(), fence)?;
        self.target.fence = Some(fence.clone());
        let there = self.target.count(&spec.revision);
        let missing = (replicas as usize).saturating_sub(there);
        if replicas > 0 {
            self.target.stored.insert(spec.revision.clone(), spec.clone());
            self.target.newest = Some(spec.clone());
        }
        if missing == 0 {
            return Ok(());
        }
        let verdict = invariants::contract::starts(self, &spec.revision);
        self.check(Invariant::I11, verdict);
        self.effect();
        for _ in 0..missing {
            self.launch(spec, false);
        }
        Ok(())
    }

    fn remove(&mut self, fence: &Fence, id: &InstanceId) -> Result<(), PortError> {
        self.admit("the target", self.target.fence.clone().as_ref(), fence)?;
        self.target.fence = Some(fence.clone());
        let Some(index) = self.target.instances.iter().position(|one| one.id == *id) else {
            return Ok(());
        };
        if self.target.instances[index].state == InstanceState::Stopping {
            return Ok(());
        }
        let verdict = invariants::drains::removed(self, &self.target.instances[index]);
        self.check(Invariant::I2, verdict);
        let verdict = invariants::arithmetic::removed(self, &self.target.instances[index]);
        self.check(Invariant::I5, verdict);
        self.effect();
        let number = self.target.instances[index].number;
        self.traffic.cut(number);
        self.tell(|| format!("   {id} ends"));
        if self.random.chance(500) {
            self.target.instances.remove(index);
        } else {
            let gone = self.true_ms + self.random.between(20, 3_000);
            let one = &mut self.target.instances[index];
            one.state = InstanceState::Stopping;
            one.gone_at = Some(gone);
            (one.ready_at, one.crash_at, one.restart_at) = (None, None, None);
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Target for Sim {
    async fn observe(&self) -> Result<Vec<Instance>, PortError> {
        self.look(Op::Observe, |world| {
            let early = world.is(Mutant::ReadyTooEarly);
            let hide = world.is(Mutant::HiddenStopping);
            let mut shown = Vec::with_capacity(world.target.instances.len());
            for one in &mut world.target.instances {
                one.seen_ready = one.is_ready();
                if hide && one.state == InstanceState::Stopping {
                    continue;
                }
                let mut instance = one.shown();
                if early && instance.state == InstanceState::Starting {
                    instance.state = InstanceState::Ready;
                }
                shown.push(instance);
            }
            shown
        })
        .await
    }

    async fn ensure(&self, fence: &Fence, spec: &RevisionSpec, replicas: u32) -> Result<(), PortError> {
        self.write(Op::Ensure, |world| world.ensure(fence, spec, replicas))
            .await
    }

    async fn remove(&self, fence: &Fence, instance: &InstanceId) -> Result<(), PortError> {
        self.write(Op::Remove, |world| world.remove(fence, instance))
            .await
    }
}
