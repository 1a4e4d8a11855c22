//! One disturbance at a time, at every operation: the controller dies before or after it, sleeps through a takeover, the
//! operation fails, its answer gets lost, it is done twice. Every run must end where the undisturbed one ends.

use std::collections::BTreeMap;

use cutover_model::{StrategyKind, UpgradeId, UpgradePhase};

use crate::driver::{Driver, Persons};
use crate::estate::{Estate, Wish};
use crate::fault::{Fault, Rates, Tamper};
use crate::random::Random;
use crate::scenario::{Shape, canonical};
use crate::world::{Quality, Sim, World};
use crate::{Invariant, Mutant, Summary, Violation};

/// What may be done to any operation without changing where a run ends.
pub const HARMLESS: [Tamper; 8] = [
    Tamper::CrashBefore,
    Tamper::CrashAfter,
    Tamper::StallBefore,
    Tamper::StallAfter,
    Tamper::Fail(Fault::Transient),
    Tamper::Fail(Fault::LostBefore),
    Tamper::Fail(Fault::LostAfter),
    Tamper::Fail(Fault::Twice),
];

/// What is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// To the next version; its contract stays pending.
    Upgrade,
    /// The same, and the contract follows by itself.
    UpgradeAndContract,
    /// To a version that fails hard once it has requests: back by itself.
    BadUpgrade,
    /// The same, taken back by a person at this turn.
    Abort(u64),
    /// Back after an upgrade.
    Rollback,
    /// The pending contract.
    Contract,
}

/// A scenario of the systematic part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// How the release takes over.
    pub strategy: StrategyKind,
    /// What is carried out.
    pub course: Course,
}

/// What is done to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// Nothing.
    None,
    /// This, at the operation with this number.
    At(u64, Tamper),
    /// Every write fails like this until a person is called, or until 100 turns have gone.
    UntilStuck(Fault),
    /// The same, but only on the way back: the undo fails.
    UndoFails(Fault),
}

/// Where a run ended: what must be the same whatever happened on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// How it ended.
    pub phase: Option<UpgradePhase>,
    /// Instances by revision.
    pub instances: BTreeMap<String, usize>,
    /// Shares by revision, in parts per 10,000.
    pub weights: BTreeMap<String, u32>,
    /// Applied migrations by database, and how often each took effect.
    pub migrations: BTreeMap<String, u32>,
    /// What is recorded as stable.
    pub stable: Option<String>,
    /// Why it went back.
    pub because: Option<String>,
    /// Whether a person was called.
    pub stuck: bool,
    /// The disturbed operation was a look that a check or a smoke test rests on: when it fails, going back is right.
    pub looked: bool,
    /// Operations of the engine.
    pub operations: u64,
}

impl End {
    /// Whether both are the same but for the way there.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.phase == other.phase && self.same_world(other)
    }

    /// Whether the world is the same.
    #[must_use]
    pub fn same_world(&self, other: &Self) -> bool {
        self.instances == other.instances
            && self.weights == other.weights
            && self.migrations == other.migrations
            && self.stable == other.stable
    }
}

impl Scenario {
    /// Every strategy with every course.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let strategies = [
            StrategyKind::BlueGreen,
            StrategyKind::Canary,
            StrategyKind::Rolling,
            StrategyKind::Recreate,
        ];
        let courses = [
            Course::Upgrade,
            Course::UpgradeAndContract,
            Course::BadUpgrade,
            Course::Rollback,
            Course::Contract,
        ];
        let mut all = Vec::new();
        for strategy in strategies {
            all.extend(courses.map(|course| Self { strategy, course }));
        }
        all
    }

    /// Carries it out under a disturbance.
    ///
    /// # Errors
    /// When an invariant was violated.
    pub fn run(
        self,
        disturbance: Disturbance,
        mutant: Option<Mutant>,
        story: bool,
    ) -> Result<End, Violation> {
        let world = World::new(Random::new(7), mutant, Rates::default(), story);
        let sim = Sim::new(world);
        let mut random = Random::new(7);
        let contract = match self.course {
            Course::UpgradeAndContract => {
                cutover_spec::ContractAfter::Duration(cutover_model::Span::from_millis(500))
            }
            _ => cutover_spec::ContractAfter::Manual,
        };
        let mut estate = Estate::new(Shape::small(canonical(self.strategy), contract));
        let first = estate.release(0, |_| true);
        let good = Quality {
            boot_ms: 200,
            ..Quality::default()
        };
        {
            let mut world = sim.lock();
            estate.store(&mut world, first, good);
            estate.deploy(&mut world, first);
        }
        let (before, wish) = match self.course {
            Course::Upgrade | Course::UpgradeAndContract | Course::BadUpgrade | Course::Abort(_) => {
                (None, Wish::Upgrade)
            }
            Course::Rollback => (Some(Wish::Upgrade), Wish::Rollback),
            Course::Contract => (Some(Wish::Upgrade), Wish::Contract),
        };
        if let Some(before) = before {
            carry_out(
                &sim,
                &mut estate,
                &mut random,
                (before, good),
                (0, 0),
                Persons::default(),
            );
        }
        {
            let mut world = sim.lock();
            world.ops = 0;
            match disturbance {
                Disturbance::None => {}
                Disturbance::At(at, tamper) => world.halts.tamper = Some((at, tamper)),
                Disturbance::UntilStuck(fault) => world.halts.stubborn = Some(fault),
                Disturbance::UndoFails(fault) => world.halts.stubborn_back = Some(fault),
            }
        }
        let quality = match self.course {
            Course::BadUpgrade if self.strategy == StrategyKind::Canary => Quality { errors: 900, ..good },
            Course::BadUpgrade => Quality {
                never_ready: true,
                ..good
            },
            _ => good,
        };
        let persons = Persons {
            abort_at: match self.course {
                Course::Abort(at) => Some(at),
                _ => None,
            },
            refuse: 0,
        };
        let phase = carry_out(&sim, &mut estate, &mut random, (wish, quality), (1, 100), persons);
        let end = end(&sim, phase);
        crate::run::finish(0, &sim, Summary::default()).1.map(|_| end)
    }

    /// Runs it undisturbed, then disturbed at every operation: with `each` of the tamperings there, another choice at
    /// the next one, or with all of them. How many runs there were.
    ///
    /// # Errors
    /// When an invariant was violated, or a run ended elsewhere than the undisturbed one.
    pub fn everywhere(self, each: usize) -> Result<u64, Violation> {
        let clean = self.run(Disturbance::None, None, false)?;
        let mut runs = 1;
        for at in 1..=clean.operations {
            let from = usize::try_from(at).unwrap_or(0) * each;
            for tamper in HARMLESS.iter().cycle().skip(from % HARMLESS.len()).take(each) {
                let disturbance = Disturbance::At(at, *tamper);
                let named = |violation: Violation| Violation {
                    what: format!("{self:?}, {disturbance:?}: {}", violation.what),
                    ..violation
                };
                let end = self.run(disturbance, None, false).map_err(named)?;
                runs += 1;
                let went_back = end.looked
                    && matches!(tamper, Tamper::Fail(_))
                    && matches!(end.phase, Some(UpgradePhase::Failed | UpgradePhase::Aborted));
                if !end.same(&clean) && !went_back {
                    return Err(Violation {
                        seed: 0,
                        invariant: Invariant::I12,
                        at_ms: 0,
                        what: format!("{self:?}, {disturbance:?} ends in {end:?}, undisturbed in {clean:?}"),
                        story: Vec::new(),
                    });
                }
            }
        }
        Ok(runs)
    }
}

fn carry_out(
    sim: &std::sync::Arc<Sim>,
    estate: &mut Estate,
    random: &mut Random,
    (wish, quality): (Wish, Quality),
    (number, pid): (u32, u32),
    persons: Persons,
) -> Option<UpgradePhase> {
    let (at, goal) = estate.target(wish, random)?;
    estate.store(&mut sim.lock(), at, quality);
    let (plan, current) = match estate.plan(sim, at, goal) {
        Ok(planned) => planned,
        Err(why) => {
            sim.lock().tell(|| format!("no plan: {why}"));
            return None;
        }
    };
    let mut driver = Driver::new(sim, UpgradeId::new(format!("upgrade-{number}")), pid, persons);
    let phase = driver.run(&plan, current)?;
    estate.ended(at, &plan, phase);
    Some(phase)
}

fn end(sim: &Sim, phase: Option<UpgradePhase>) -> End {
    let mut world = sim.lock();
    // What was asked to end has ended.
    world.advance(10_000);
    let mut instances = BTreeMap::new();
    for one in &world.target.instances {
        *instances.entry(one.revision.to_string()).or_default() += 1;
    }
    let routed = world
        .router
        .table
        .services
        .iter()
        .flat_map(|route| &route.revisions);
    let weights = routed
        .map(|one| (one.revision.to_string(), one.weight.parts()))
        .collect();
    let migrations = world.databases.iter().flat_map(|(name, one)| {
        let effects = |id| one.effects.get(id).copied().unwrap_or(0);
        one.state
            .applied
            .iter()
            .map(move |done| (format!("{name} {}", done.id), effects(&done.id)))
    });
    End {
        phase,
        instances,
        weights,
        migrations: migrations.collect(),
        stable: world.store.promoted.last().map(|one| one.version.to_string()),
        because: world.facts().and_then(|facts| facts.because.clone()),
        stuck: world.facts().is_some_and(|facts| facts.stuck),
        looked: world.halts.looked,
        operations: world.ops,
    }
}
