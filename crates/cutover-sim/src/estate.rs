//! What is deployed, and what is wanted next: turns wishes into plans by the real planner.

use std::collections::BTreeMap;
use std::sync::Arc;

use cutover_model::{
    AppliedMigration, DatabaseName, DatabaseState, Endpoint, Instance, MigrationPhase, Plan, RevisionId,
    RouteTable, RoutedRevision, ServiceName, ServiceRoute, Slot, Span, Track, UpgradeId, UpgradePhase,
    Weight,
};
use cutover_plan::{Goal, PlanInput, Planned, plan};
use cutover_ports::{RevisionSpec, Stable};
use cutover_spec::Release;

use crate::Mutant;
use crate::random::Random;
use crate::scenario::{Shape, revision, version};
use crate::world::{Current, Quality, Sim, SimDatabase, World};

/// What is wanted next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Upgrade,
    Rollback,
    Restart,
    Configure,
    Contract,
}

/// Everything that was released so far.
pub(crate) struct Estate {
    pub(crate) shape: Shape,
    pub(crate) releases: Vec<Release>,
    /// The stable one.
    pub(crate) current: Option<usize>,
    slots: BTreeMap<ServiceName, Slot>,
    newest: u64,
    serial: u32,
}

impl Estate {
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            shape,
            releases: Vec::new(),
            current: None,
            slots: BTreeMap::new(),
            newest: 0,
            serial: 0,
        }
    }

    /// A release of the newest version; services that are not in `changed` keep their revision.
    pub(crate) fn release(&mut self, n: u64, changed: impl Fn(usize) -> bool) -> usize {
        let before = self
            .current
            .map(|at| self.releases[at].revisions.clone())
            .unwrap_or_default();
        let mut revisions = BTreeMap::new();
        for (place, (service, _, _)) in self.shape.services.iter().enumerate() {
            let id = match before.get(service) {
                Some(kept) if !changed(place) => kept.clone(),
                _ => {
                    self.serial += 1;
                    revision(service, &version(n), self.serial)
                }
            };
            revisions.insert(service.clone(), id);
        }
        self.newest = self.newest.max(n);
        self.releases.push(self.shape.release(&version(n), revisions, n));
        self.releases.len() - 1
    }

    /// Stores what a release's revisions are made of, and how they behave.
    pub(crate) fn store(&self, world: &mut World, at: usize, quality: Quality) {
        let release = &self.releases[at];
        for (service, id) in &release.revisions {
            if world.specs.contains_key(id) {
                continue;
            }
            let Some(spec) = release.application.services.get(service) else {
                continue;
            };
            let mut environment = BTreeMap::from([("CONFIG".to_owned(), id.to_string())]);
            if spec.router.is_some() {
                environment.insert("PORT".to_owned(), "1".to_owned());
            }
            let stored = RevisionSpec {
                revision: id.clone(),
                target: spec.target.clone(),
                environment,
                health: spec.health.clone(),
                track: Track::Stable,
                slot: None,
            };
            world.specs.insert(id.clone(), stored);
            world.quality.insert(id.clone(), quality);
        }
        for (name, migrations) in &release.migrations {
            let database = world.databases.entry(name.clone()).or_default();
            for one in migrations {
                database.known.insert(one.id.clone(), one.clone());
            }
        }
    }

    /// Puts the first release into the world as if it had been deployed long ago.
    pub(crate) fn deploy(&mut self, world: &mut World, at: usize) {
        let release = self.releases[at].clone();
        let mut table = RouteTable::default();
        for (service, id) in &release.revisions {
            let spec = release.application.services[service].clone();
            let stored = world.specs[id].clone();
            world.target.stored.insert(id.clone(), stored.clone());
            for _ in 0..spec.replicas {
                world.launch(&stored, true);
            }
            if let Some(router) = &spec.router {
                table.services.push(ServiceRoute {
                    service: service.clone(),
                    listen: router.listen().to_owned(),
                    policy: router.policy().clone(),
                    revisions: vec![routed(world, id)],
                });
            }
        }
        world.router.table = table.clone();
        world.router.acknowledged = table;
        for (name, migrations) in &release.migrations {
            let now = world.now();
            let database: &mut SimDatabase = world.databases.entry(name.clone()).or_default();
            database.state.size = Some(1_000_000);
            for one in migrations
                .iter()
                .filter(|one| one.phase != MigrationPhase::Contract)
            {
                database.state.applied.push(AppliedMigration {
                    id: one.id.clone(),
                    phase: one.phase,
                    checksum: one.checksum.clone(),
                    applied_at: now,
                    took: Span::ZERO,
                    release: Some(release.version.clone()),
                    complete: true,
                });
            }
        }
        let stable = Stable {
            release: release.id.clone(),
            version: release.version,
            since: world.now(),
            upgrade: UpgradeId::new("before"),
        };
        world.store.promoted.push(stable);
        self.current = Some(at);
    }

    /// The release that a wish leads to.
    pub(crate) fn target(&mut self, wish: Wish, random: &mut Random) -> Option<(usize, Goal)> {
        let all = random.chance(600);
        let picked = random.index(self.shape.services.len());
        let changed = |place: usize| all || place == picked;
        let Some(current) = self.current else {
            return Some((self.release(self.newest, |_| true), Goal::Upgrade));
        };
        Some(match wish {
            Wish::Upgrade => (self.release(self.newest + 1, changed), Goal::Upgrade),
            Wish::Configure | Wish::Restart => {
                let n = self.releases[current].version.semver().minor;
                let services = self
                    .shape
                    .services
                    .iter()
                    .map(|(name, _, _)| name.clone())
                    .collect();
                let at = self.release(n, changed);
                (
                    at,
                    if wish == Wish::Restart {
                        Goal::Restart(services)
                    } else {
                        Goal::Upgrade
                    },
                )
            }
            Wish::Contract => (current, Goal::Contract),
            Wish::Rollback => {
                let now = &self.releases[current].version;
                let older = (0..self.releases.len()).rev().find(|at| {
                    self.releases[*at].version < *now
                        && self.releases[*at].version.semver().minor + 1 >= now.semver().minor
                })?;
                (older, Goal::Rollback)
            }
        })
    }

    /// A plan by the real planner, from what is seen now; or why there is none.
    pub(crate) fn plan(&self, sim: &Sim, at: usize, goal: Goal) -> Result<(Plan, Current), String> {
        let world = sim.lock();
        let before = self.current.map(|at| &self.releases[at]);
        let databases: BTreeMap<DatabaseName, DatabaseState> = world
            .databases
            .iter()
            .map(|(name, one)| (name.clone(), one.state.clone()))
            .collect();
        let instances: Vec<Instance> = world
            .target
            .instances
            .iter()
            .map(|one| Instance {
                id: one.id.clone(),
                revision: one.revision.clone(),
                address: one.address.clone(),
                state: one.state.clone(),
                since: one.since,
                unready: None,
                restarts: one.restarts,
            })
            .collect();
        let told = |release: &Release| {
            let mut release = release.clone();
            let names: Vec<ServiceName> = release.application.services.keys().cloned().collect();
            for service in release.application.services.values_mut() {
                service.compatible_with = names.iter().map(|name| (name.clone(), "*".to_owned())).collect();
            }
            release
        };
        let lie = world.is(Mutant::AllCompatible);
        let target = if lie {
            told(&self.releases[at])
        } else {
            self.releases[at].clone()
        };
        let before_told = before.map(|release| if lie { told(release) } else { release.clone() });
        let input = PlanInput {
            environment: "production".parse().expect("a valid name"),
            goal,
            target: &target,
            current: before_told.as_ref(),
            expected: None,
            instances: &instances,
            databases: &databases,
            succeeded_before: None,
            before: None,
            slots: self.slots.clone(),
        };
        match plan(&input) {
            Planned::Plan(plan) => {
                let current = Current {
                    plan: Arc::new((*plan).clone()),
                    target: Arc::new(self.releases[at].application.clone()),
                    before: before.map(|release| Arc::new(release.application.clone())),
                    effects: 0,
                };
                Ok((*plan, current))
            }
            Planned::Nothing(why) => Err(why),
            Planned::Refused(refusal) => Err(refusal
                .because
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; ")),
        }
    }

    /// What an end means for what is stable now.
    pub(crate) fn ended(&mut self, at: usize, plan: &Plan, phase: UpgradePhase) {
        if phase == UpgradePhase::Succeeded {
            self.current = Some(at);
            for change in &plan.services {
                if let Some(slot) = change.slot {
                    self.slots.insert(change.service.clone(), slot);
                }
            }
        }
    }
}

fn routed(world: &World, id: &RevisionId) -> RoutedRevision {
    let mut endpoints: Vec<Endpoint> = world
        .target
        .instances
        .iter()
        .filter(|one| one.revision == *id)
        .filter_map(|one| {
            Some(Endpoint {
                instance: one.id.clone(),
                address: one.address.clone()?,
            })
        })
        .collect();
    endpoints.sort();
    RoutedRevision {
        revision: id.clone(),
        track: Track::Stable,
        weight: Weight::ALL,
        endpoints,
    }
}
