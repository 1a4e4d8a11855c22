//! The simulated world: everything that the engine acts on, under one lock, with one clock and one source of chance.
//!
//! It owns all state of a run. It judges every operation by the truth ([`crate::invariants`]) and must not ask the
//! engine what it thinks.

mod databases;
mod edges;
mod router;
mod sim;
mod store;
mod target;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cutover_model::{DatabaseName, Fence, Plan, RevisionId, Timestamp};
use cutover_ports::{PortError, RevisionSpec};
use cutover_spec::Application;

use crate::fault::{Fate, Fault, Halt, Op, Rates, Tamper};
use crate::random::Random;
use crate::{Invariant, Mutant};

pub(crate) use databases::SimDatabase;
pub(crate) use router::RouterSide;
pub(crate) use sim::Sim;
pub(crate) use store::StoreSide;
pub(crate) use target::{SimInstance, TargetSide};
pub(crate) use traffic::Traffic;

/// 2026-01-01T00:00:00Z: where the virtual clock begins.
const EPOCH_MS: i64 = 1_767_225_600_000;

/// How a revision behaves.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quality {
    /// Requests that fail, of a thousand.
    pub(crate) errors: u32,
    pub(crate) never_ready: bool,
    pub(crate) crashes: bool,
    pub(crate) smoke_fails: bool,
    /// How long it starts, at most.
    pub(crate) boot_ms: u64,
}

/// How those behave who are asked and told.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manners {
    /// A gate opens so many milliseconds after it was first asked, at most.
    pub(crate) late: u64,
    /// Of a thousand calls, so many are answered with an error.
    pub(crate) errs: u32,
    /// Of a thousand calls, so many are refused.
    pub(crate) refuses: u32,
}

/// What is being carried out, as it truly is.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    pub(crate) plan: Arc<Plan>,
    pub(crate) target: Arc<Application>,
    pub(crate) before: Option<Arc<Application>>,
    /// Changes outside of the store since it was created.
    pub(crate) effects: u64,
}

/// Where a controller is to be disturbed.
#[derive(Debug, Default)]
pub(crate) struct Halts {
    /// At this operation, counted from 1.
    pub(crate) tamper: Option<(u64, Tamper)>,
    /// Every write fails like this while it is set, from the first change on.
    pub(crate) stubborn: Option<Fault>,
    /// The chosen operation was a look that a check or a test rests on.
    pub(crate) looked: bool,
    /// As `stubborn`, on the way back only.
    pub(crate) stubborn_back: Option<Fault>,
    pub(crate) released: BTreeSet<u64>,
    pub(crate) next: u64,
    pub(crate) last: Option<Halt>,
    /// A person or the edge is at work: nothing of this happens to them.
    pub(crate) spared: bool,
    /// Nothing goes wrong any more.
    pub(crate) calm: bool,
}

/// The state of everything.
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) true_ms: u64,
    pub(crate) skew_ms: i64,
    pub(crate) ops: u64,
    pub(crate) injected: u64,
    pub(crate) rates: Rates,
    pub(crate) halts: Halts,
    pub(crate) mutant: Option<Mutant>,
    pub(crate) story: Option<Vec<String>>,
    pub(crate) found: Vec<(Invariant, u64, String)>,
    pub(crate) store: StoreSide,
    pub(crate) target: TargetSide,
    pub(crate) router: RouterSide,
    pub(crate) databases: BTreeMap<DatabaseName, SimDatabase>,
    pub(crate) traffic: Traffic,
    pub(crate) current: Option<Current>,
    pub(crate) quality: BTreeMap<RevisionId, Quality>,
    pub(crate) specs: BTreeMap<RevisionId, RevisionSpec>,
    pub(crate) dead: BTreeSet<u32>,
    pub(crate) hooks: Manners,
    /// When each gate opens, in true time.
    pub(crate) hooks_open_at: BTreeMap<String, u64>,
}

impl World {
    pub(crate) fn new(random: Random, mutant: Option<Mutant>, rates: Rates, story: bool) -> Self {
        Self {
            random,
            true_ms: 0,
            skew_ms: 0,
            ops: 0,
            injected: 0,
            rates,
            halts: Halts::default(),
            mutant,
            story: story.then(Vec::new),
            found: Vec::new(),
            store: StoreSide::default(),
            target: TargetSide::default(),
            router: RouterSide::default(),
            databases: BTreeMap::new(),
            traffic: Traffic::default(),
            current: None,
            quality: BTreeMap::new(),
            specs: BTreeMap::new(),
            dead: BTreeSet::new(),
            hooks: Manners::default(),
            hooks_open_at: BTreeMap::new(),
        }
    }

    /// What the wall clock shows: true time and the jumps so far.
    pub(crate) fn now(&self) -> Timestamp {
        let ms = EPOCH_MS + self.skew_ms + i64::try_from(self.true_ms).unwrap_or(i64::MAX / 2);
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            let (secs, ms) = (self.true_ms / 1_000, self.true_ms % 1_000);
            story.push(format!("{secs:>6}.{ms:03}  {}", line()));
        }
    }

    /// Something happened that must not.
    pub(crate) fn violate(&mut self, invariant: Invariant, what: String) {
        self.tell(|| format!("!! {invariant}: {what}"));
        self.found.push((invariant, self.true_ms, what));
    }

    pub(crate) fn check(&mut self, invariant: Invariant, result: Result<(), String>) {
        if let Err(what) = result {
            self.violate(invariant, what);
        }
    }

    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Counts a change outside of the store.
    pub(crate) fn effect(&mut self) {
        if let Some(current) = &mut self.current {
            current.effects += 1;
        }
    }

    /// An operation begins: a little time passes, and what happens to it is decided.
    pub(crate) fn enter(&mut self, op: Op) -> Fate {
        let mut fate = Fate::default();
        if self.halts.spared {
            return fate;
        }
        self.ops += 1;
        let pause = self.random.between(1, 6);
        self.advance(pause);
        if let Some((at, tamper)) = self.halts.tamper
            && at == self.ops
        {
            self.halts.looked = matches!(op, Op::Look | Op::Ask);
            match tamper {
                Tamper::CrashBefore => fate.before = Some(self.halt(op, false)),
                Tamper::CrashAfter => fate.after = Some(self.halt(op, false)),
                Tamper::StallBefore => fate.before = Some(self.halt(op, true)),
                Tamper::StallAfter => fate.after = Some(self.halt(op, true)),
                Tamper::Fail(fault) => {
                    self.tell(|| format!("   {op:?} fails: {fault:?}"));
                    fate.fault = Some(fault);
                }
            }
            return fate;
        }
        let facts = self.facts();
        let back = facts.is_some_and(|facts| facts.back.is_some());
        let touched = facts.is_some_and(|facts| facts.touched);
        let stubborn = self.halts.stubborn.filter(|_| touched);
        if let Some(fault) = stubborn.or_else(|| self.halts.stubborn_back.filter(|_| back))
            && op.writes()
        {
            fate.fault = Some(fault);
            return fate;
        }
        if !self.halts.calm {
            self.by_chance(op, &mut fate);
        }
        fate
    }

    fn by_chance(&mut self, op: Op, fate: &mut Fate) {
        let rates = self.rates;
        if self.random.chance(rates.crash) {
            let ticket = self.halt(op, false);
            *self.side(fate) = Some(ticket);
            return;
        }
        if self.random.chance(rates.stall) {
            let ticket = self.halt(op, true);
            *self.side(fate) = Some(ticket);
            return;
        }
        let rate = match op {
            _ if op.writes() => rates.write,
            Op::Observe | Op::Read | Op::Look | Op::Ask | Op::Count | Op::Call => rates.read,
            Op::Renew | Op::Append | Op::Load | Op::Acquire | Op::Create => rates.store,
            _ => 0,
        };
        if op == Op::Append && self.random.chance(rates.intrusion) {
            fate.intrusion = true;
        }
        if !self.random.chance(rate) {
            return;
        }
        let fault = match (op, self.random.index(8)) {
            (Op::Apply, 0 | 1) => Fault::Late,
            (_, 0) if op.writes() => Fault::Refused,
            (_, 1 | 2) if op.writes() => Fault::LostAfter,
            (_, 3) if op.writes() => Fault::LostBefore,
            (_, 4) if op.writes() => Fault::Twice,
            (Op::Append | Op::Create, 0 | 1) => Fault::LostAfter,
            (_, 5) => Fault::Slow,
            _ => Fault::Transient,
        };
        self.injected += 1;
        self.tell(|| format!("   {op:?} fails: {fault:?}"));
        fate.fault = Some(fault);
    }

    fn side<'f>(&mut self, fate: &'f mut Fate) -> &'f mut Option<u64> {
        if self.random.chance(500) {
            &mut fate.before
        } else {
            &mut fate.after
        }
    }

    fn halt(&mut self, op: Op, stall: bool) -> u64 {
        self.injected += 1;
        self.halts.next += 1;
        let ticket = self.halts.next;
        self.halts.last = Some(if stall { Halt::Stall(ticket) } else { Halt::Crash });
        let how = if stall { "falls asleep" } else { "dies" };
        self.tell(|| format!("   the controller {how} at {op:?}"));
        ticket
    }

    /// Whether a write may pass a side that has seen this fence: older generations are refused (I9).
    pub(crate) fn admit(&mut self, side: &str, seen: Option<&Fence>, fence: &Fence) -> Result<(), PortError> {
        let older = seen.is_some_and(|seen| seen.generation > fence.generation);
        if older && !self.is(Mutant::NoFences) {
            let own = fence.generation;
            self.tell(|| format!("   {side} refuses generation {own}"));
            return Err(PortError::stale(side));
        }
        let verdict = crate::invariants::fences::accepted(self, side, older, fence);
        self.check(Invariant::I9, verdict);
        Ok(())
    }

    /// Time passes: instances start, die and end, requests arrive and are answered, tables land.
    pub(crate) fn advance(&mut self, ms: u64) {
        let mut left = ms;
        while left > 0 {
            // In slices, so that what happens in between is seen by what comes after it.
            let slice = left.min(2_000);
            left -= slice;
            self.true_ms += slice;
            self.land();
            self.age_instances();
            self.serve(slice);
        }
    }

    /// How long until something happens by itself; none when nothing will.
    pub(crate) fn next_event_in(&self) -> Option<u64> {
        let now = self.true_ms;
        let instances = self.target.instances.iter().flat_map(|one| {
            [one.ready_at, one.crash_at, one.restart_at, one.gone_at]
                .into_iter()
                .flatten()
        });
        let requests = self.traffic.open.iter().map(|request| request.ends_at);
        let landing = self.router.transit.as_ref().map(|transit| transit.lands_at);
        instances
            .chain(requests)
            .chain(landing)
            .filter(|at| *at > now)
            .min()
            .map(|at| at - now)
    }
}
