//! One random run from one seed.

use std::sync::Arc;

use cutover_model::{Plan, UpgradeId};

use crate::driver::{Driver, Persons};
use crate::estate::{Estate, Wish};
use crate::fault::Rates;
use crate::random::Random;
use crate::scenario::{Shape, gates};
use crate::world::{Current, Manners, Quality, Sim, World};
use crate::{Mutant, Summary, Violation};

/// What a run is made of beside its seed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// A deliberate fault that must be found.
    pub mutant: Option<Mutant>,
    /// Whether the story is told.
    pub story: bool,
}

/// Runs one seed: an application, one to three upgrades of it, and everything that goes wrong meanwhile.
///
/// # Errors
/// When an invariant was violated.
pub fn run(seed: u64, options: Options) -> Result<Summary, Violation> {
    tell(seed, options).1
}

/// As [`run`], and the story if it was asked for.
pub fn tell(seed: u64, options: Options) -> (Vec<String>, Result<Summary, Violation>) {
    let mut random = Random::new(seed);
    let rates = rates(&mut random);
    let world = World::new(
        Random::new(seed ^ 0x5eed_cafe),
        options.mutant,
        rates,
        options.story,
    );
    let sim = Sim::new(world);
    let mut shape = Shape::any(&mut random);
    // From a source of their own: a seed keeps the rest of its story.
    let mut outside = Random::new(seed ^ 0x9a7e);
    shape.gates = gates(&mut outside);
    sim.lock().hooks = Manners {
        late: outside.between(0, 20_000),
        errs: if outside.chance(500) { 0 } else { 200 },
        refuses: if outside.chance(800) { 0 } else { 100 },
    };
    if options.mutant == Some(Mutant::AllCompatible) {
        shape.compatible = false;
    }
    let mut estate = Estate::new(shape);
    if random.chance(850) {
        let first = estate.release(0, |_| true);
        let mut world = sim.lock();
        estate.store(&mut world, first, healthy(&mut random));
        estate.deploy(&mut world, first);
    }
    let mut summary = Summary {
        runs: 1,
        ..Summary::default()
    };
    let mut pid = 0;
    let upgrades = if random.chance(600) {
        1
    } else {
        1 + random.index(3)
    };
    let mut kept = None;
    for n in 0..upgrades {
        let wish = wish(&mut random, n);
        // A plan that was made before is carried out late: after what was done meanwhile it may not be right any more.
        let late = kept.take();
        let prepared = late.or_else(|| prepare(&sim, &mut estate, &mut random, wish, &mut summary));
        if random.chance(150) {
            kept = prepare(&sim, &mut estate, &mut random, Wish::Rollback, &mut summary);
        }
        if let Some(prepared) = prepared {
            carry_out(&sim, &mut estate, prepared, (n, &mut pid), &mut summary);
        }
        if !sim.lock().found.is_empty() {
            break;
        }
        let mut world = sim.lock();
        world.halts.calm = false;
        let between = random.between(0, 30_000);
        world.advance(between);
    }
    finish(seed, &sim, summary)
}

/// Sums up, or says what was found.
pub(crate) fn finish(
    seed: u64,
    sim: &Arc<Sim>,
    mut summary: Summary,
) -> (Vec<String>, Result<Summary, Violation>) {
    let mut world = sim.lock();
    summary.faults += world.injected;
    summary.requests += world.traffic.sent;
    summary.broken += world.traffic.broken;
    summary.cut += world.traffic.cut;
    let story = world.story.take().unwrap_or_default();
    // Of several at once the one that the mutant breaks is the one that is looked for.
    let wanted = world.mutant.map(Mutant::breaks);
    let mut found = std::mem::take(&mut world.found);
    found.sort_by_key(|(invariant, _, _)| Some(*invariant) != wanted);
    match found.into_iter().next() {
        None => (story, Ok(summary)),
        Some((invariant, at_ms, what)) => {
            let violation = Violation {
                seed,
                invariant,
                at_ms,
                what,
                story: story.clone(),
            };
            (story, Err(violation))
        }
    }
}

/// A plan, and where it leads.
struct Prepared {
    at: usize,
    plan: Plan,
    current: Current,
}

fn prepare(
    sim: &Arc<Sim>,
    estate: &mut Estate,
    random: &mut Random,
    wish: Wish,
    summary: &mut Summary,
) -> Option<Prepared> {
    let Some((at, goal)) = estate.target(wish, random) else {
        summary.count("without a target");
        return None;
    };
    {
        let mut world = sim.lock();
        let quality = quality(random);
        estate.store(&mut world, at, quality);
        for database in world.databases.values_mut() {
            for id in database.known.keys() {
                if random.chance(40) {
                    database.broken.insert(id.clone(), random.count(1, 3));
                }
            }
        }
        world.tell(|| format!("=== {wish:?} to {}, {quality:?}", estate.releases[at].version));
    }
    match estate.plan(sim, at, goal) {
        Ok((plan, current)) => Some(Prepared { at, plan, current }),
        Err(why) => {
            sim.lock().tell(|| format!("no plan: {why}"));
            summary.count("without a plan");
            None
        }
    }
}

fn carry_out(
    sim: &Arc<Sim>,
    estate: &mut Estate,
    Prepared { at, plan, current }: Prepared,
    (n, pid): (usize, &mut u32),
    summary: &mut Summary,
) {
    let persons = Persons {
        abort_at: None,
        refuse: 250,
    };
    let mut driver = Driver::new(sim, UpgradeId::new(format!("upgrade-{n}")), *pid, persons);
    match driver.run(&plan, current) {
        Some(phase) => {
            estate.ended(at, &plan, phase);
            summary.count(phase.word());
        }
        None => summary.count("refused"),
    }
    *pid = driver.pid();
    summary.turns += driver.turns;
    summary.controllers += driver.controllers;
}

fn wish(random: &mut Random, n: usize) -> Wish {
    match random.index(10) {
        0..=3 => Wish::Upgrade,
        5 | 6 if n > 0 => Wish::Rollback,
        4 | 7 if n > 0 => Wish::Contract,
        8 => Wish::Restart,
        9 => Wish::Configure,
        _ => Wish::Upgrade,
    }
}

fn healthy(random: &mut Random) -> Quality {
    Quality {
        boot_ms: random.between(100, 3_000),
        ..Quality::default()
    }
}

fn quality(random: &mut Random) -> Quality {
    let mut quality = healthy(random);
    match random.index(12) {
        0 => quality.errors = 150,
        1 => quality.errors = 900,
        2 => quality.never_ready = true,
        3 => quality.crashes = true,
        4 => quality.smoke_fails = true,
        _ => {}
    }
    quality
}

/// How much goes wrong: nothing in some runs, a lot in others, so that both the plain paths and the crooked ones are
/// walked.
fn rates(random: &mut Random) -> Rates {
    let level = [0, 1, 1, 3][random.index(4)];
    let mut rate = |most: u32| {
        let on = random.chance(600);
        if on { level * random.count(0, most) } else { 0 }
    };
    Rates {
        write: rate(80),
        read: rate(15),
        store: rate(8),
        intrusion: rate(15),
        crash: rate(10),
        stall: rate(6),
        instance: rate(6),
        jump: rate(20),
        person: rate(25),
    }
}
