//! Carries one upgrade through the simulated world to its end: controllers that come and go, persons, the clock.

use std::sync::Arc;

use cutover_engine::{Engine, EngineError, Tick, load};
use cutover_model::{Action, Command, Plan, Span, UpgradeId, UpgradePhase};
use cutover_plan::{Doing, State};
use futures::FutureExt;

use crate::controllers::{Polled, Sleeper, create, poll_once, resume, turn};
use crate::person::COMMANDS;
use crate::world::{Current, Sim};
use crate::{Invariant, invariants};

/// After so many turns nothing goes wrong any more, and what does not end then never will.
const CALM_AFTER: u64 = 250;
const MOST_TURNS: u64 = 6_000;

/// How persons behave.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Persons {
    /// Asks for an abort at this turn.
    pub(crate) abort_at: Option<u64>,
    /// Of those that wait for an answer, so many of a thousand get a no.
    pub(crate) refuse: u32,
}

/// One upgrade on its way.
pub(crate) struct Driver<'a> {
    pub(crate) sim: &'a Arc<Sim>,
    pub(crate) id: UpgradeId,
    pub(crate) persons: Persons,
    pub(crate) turns: u64,
    pub(crate) controllers: u64,
    sleepers: Vec<Sleeper>,
    pid: u32,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(sim: &'a Arc<Sim>, id: UpgradeId, pid: u32, persons: Persons) -> Self {
        Self {
            sim,
            id,
            persons,
            turns: 0,
            controllers: 0,
            sleepers: Vec::new(),
            pid,
        }
    }

    /// The last controller's number.
    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// To the end; none when the plan was not accepted, or something was found.
    pub(crate) fn run(&mut self, plan: &Plan, current: Current) -> Option<UpgradePhase> {
        let given = {
            let mut world = self.sim.lock();
            let verdict = invariants::arithmetic::planned(&current.plan);
            world.check(Invariant::I5, verdict);
            world.current = Some(current);
            world.tell(|| format!("plan {} to {}: {} steps", plan.kind, plan.to, plan.steps.len()));
            for step in &plan.steps {
                world.tell(|| format!("   {} {} {}", step.id, step.stage, step.title));
            }
            world
                .mutant
                .map_or_else(|| plan.clone(), |mutant| mutant.plan(plan.clone()))
        };
        let mut engine: Option<Box<Engine>> = None;
        while self.turns < MOST_TURNS {
            self.turns += 1;
            self.chance();
            let found = !self.sim.lock().found.is_empty();
            if found {
                return None;
            }
            match engine.take() {
                None => match self.begin(&given) {
                    Begun::Engine(begun) => engine = Some(begun),
                    Begun::Refused => return None,
                    Begun::NotYet => self.pass(if self.turns > CALM_AFTER { 20_000 } else { 800 }),
                },
                Some(one) => match self.turn(one) {
                    Turned::Goes(one) => engine = Some(one),
                    Turned::Gone => self.controllers += 1,
                    Turned::Over(one, phase) => {
                        self.compare(&one);
                        self.wake_all();
                        one.give_up_lease().now_or_never();
                        return Some(phase);
                    }
                },
            }
        }
        let mut world = self.sim.lock();
        let last = world
            .store
            .last()
            .and_then(|one| one.records.last())
            .map(|one| format!("{:?}", one.event));
        world.violate(
            Invariant::Progress,
            format!("no end after {MOST_TURNS} turns; last {last:?}"),
        );
        None
    }

    fn pass(&self, ms: u64) {
        self.sim.lock().advance(ms);
    }

    /// What happens by chance between two turns.
    fn chance(&mut self) {
        let (asks, wakes) = {
            let mut world = self.sim.lock();
            if self.turns > CALM_AFTER {
                world.halts.calm = true;
                world.halts.stubborn = None;
            }
            if world.halts.calm {
                (None, false)
            } else {
                let rates = world.rates;
                if world.random.chance(rates.jump) {
                    world.injected += 1;
                    let to = i64::try_from(world.random.between(0, 1_200_000)).unwrap_or(0) - 600_000;
                    let by = to - world.skew_ms;
                    world.skew_ms = to;
                    world.tell(|| format!("   the clock jumps by {by} ms"));
                }
                let asks = world
                    .random
                    .chance(rates.person)
                    .then(|| world.random.index(COMMANDS.len()));
                (asks, world.random.chance(30))
            }
        };
        if let Some(which) = asks {
            self.ask(COMMANDS[which]);
        }
        if self.persons.abort_at == Some(self.turns) {
            self.ask(Command::Abort);
        }
        if wakes {
            self.wake_one();
        }
    }

    fn ask(&self, command: Command) {
        let there = self.sim.lock().store.last().is_some_and(|one| one.id == self.id);
        if there {
            self.sim
                .person(&self.id, command, "it was asked for")
                .now_or_never();
        }
    }

    /// A controller that slept goes on where it was: it must be refused everywhere.
    fn wake_one(&mut self) {
        if let Some(mut sleeper) = self.sleepers.pop() {
            {
                let mut world = self.sim.lock();
                world.halts.released.insert(sleeper.ticket);
                world.tell(|| "   a controller wakes up".to_owned());
            }
            match poll_once(self.sim, &mut sleeper.turn) {
                Polled::Done((engine, Ok(_))) => {
                    // It may go on for a while before it notices.
                    let mut again = turn(engine);
                    drop(poll_once(self.sim, &mut again));
                }
                Polled::Done((_, Err(_))) | Polled::Dead => {}
                Polled::Asleep(ticket) => self.sleepers.push(Sleeper {
                    ticket,
                    turn: sleeper.turn,
                }),
            }
        }
    }

    fn wake_all(&mut self) {
        self.sim.lock().halts.calm = true;
        while !self.sleepers.is_empty() {
            self.wake_one();
        }
    }

    /// A controller begins: the first creates the upgrade, every other one resumes it.
    fn begin(&mut self, plan: &Plan) -> Begun {
        self.pid += 1;
        let there = self.sim.lock().store.last().is_some_and(|one| one.id == self.id);
        let mut begin = if there {
            resume(self.sim, self.pid, self.id.clone())
        } else {
            create(self.sim, self.pid, self.id.clone(), plan.clone())
        };
        match poll_once(self.sim, &mut begin) {
            Polled::Done(Ok(engine)) => {
                self.compare(&engine);
                Begun::Engine(engine)
            }
            Polled::Done(Err(EngineError::Moved { changes })) => {
                self.sim.lock().tell(|| format!("refused: {changes:?}"));
                Begun::Refused
            }
            Polled::Done(Err(EngineError::Journal(what))) => {
                self.sim.lock().violate(
                    Invariant::Fold,
                    format!("a journal that was written cannot be read: {what}"),
                );
                Begun::NotYet
            }
            Polled::Done(Err(error)) => {
                self.sim.lock().tell(|| format!("   cannot begin: {error}"));
                Begun::NotYet
            }
            Polled::Dead | Polled::Asleep(_) => {
                self.died();
                Begun::NotYet
            }
        }
    }

    /// A controller has died: sometimes everybody knows at once, sometimes its lease must run out.
    fn died(&mut self) {
        let mut world = self.sim.lock();
        if world.random.chance(700) {
            let pid = self.pid;
            world.dead.insert(pid);
        }
    }

    fn turn(&mut self, engine: Box<Engine>) -> Turned {
        self.sim.lock().router.tried = false;
        let mut future = turn(engine);
        match poll_once(self.sim, &mut future) {
            Polled::Dead => {
                self.died();
                Turned::Gone
            }
            Polled::Asleep(ticket) => {
                self.sleepers.push(Sleeper { ticket, turn: future });
                // Who sleeps lets its lease run out, or is woken before that.
                let rest = self.sim.lock().random.between(0, 20_000);
                self.pass(rest);
                Turned::Gone
            }
            Polled::Done((engine, Ok(tick))) => self.after(engine, tick),
            Polled::Done((engine, Err(EngineError::Journal(what)))) => {
                let state = format!("{:?}", engine.state().doing);
                self.sim
                    .lock()
                    .violate(Invariant::Fold, format!("{what} ({state})"));
                Turned::Gone
            }
            Polled::Done((_, Err(error))) => {
                self.sim
                    .lock()
                    .tell(|| format!("   the controller gives up: {error}"));
                self.died();
                Turned::Gone
            }
        }
    }

    fn after(&self, engine: Box<Engine>, tick: Tick) -> Turned {
        let state = engine.state();
        if self.turns.is_multiple_of(64) {
            self.compare(&engine);
        }
        match tick {
            Tick::Over(phase) => return Turned::Over(engine, phase),
            Tick::Moved => return Turned::Goes(engine),
            Tick::Waiting(on) => {
                let mut world = self.sim.lock();
                if state.waiting.is_none() {
                    world.violate(
                        Invariant::I8,
                        format!("{} waits ({}), and nobody can see it", state.phase, on.what),
                    );
                }
                let tried = world.router.tried || state.paused.is_some() || on.what.starts_with("the world");
                if !tried {
                    let verdict = invariants::abort::waits(&world);
                    world.check(Invariant::I3, verdict);
                }
                let next = world.next_event_in().unwrap_or(1_000);
                let until = on
                    .until
                    .map_or(30_000, |until| Span::between(world.now(), until).as_millis());
                let jitter = world.random.between(1, 40);
                // What failed is tried again at once. Else mostly to the next thing that happens, sometimes further, and
                // far once nobody would notice any more.
                let step = if on.what.starts_with("another try") || on.what.starts_with("the world") {
                    200
                } else if self.turns > 2 * CALM_AFTER {
                    until.min(60_000)
                } else if world.random.chance(150) {
                    until.min(5_000)
                } else {
                    next.min(until).min(5_000)
                };
                world.advance(step.max(50) + jitter);
            }
        }
        let told = matches!(
            state.step(engine.plan()).map(|step| &step.action),
            Some(Action::Call { .. })
        );
        self.help(state, told);
        Turned::Goes(engine)
    }

    /// Where an upgrade waits for a person, one comes sooner or later.
    fn help(&self, state: &State, told: bool) {
        let (soon, refuse) = {
            let mut world = self.sim.lock();
            let refuse = world.random.chance(self.persons.refuse);
            (world.random.chance(400), refuse)
        };
        if !soon {
            return;
        }
        let verdict_waits = state
            .waiting
            .as_ref()
            .is_some_and(|on| on.what.starts_with("a person"));
        let command = if state.stuck.is_some() {
            let mut world = self.sim.lock();
            world.halts.stubborn = None;
            world.halts.stubborn_back = None;
            world.halts.calm = true;
            Command::Retry
        } else if matches!(state.doing, Doing::Failed { .. }) && !state.is_back() {
            if refuse { Command::Abort } else { Command::Retry }
        } else if state.paused.is_some() {
            if refuse { Command::Abort } else { Command::Resume }
        } else if state.phase == UpgradePhase::WaitingForGate {
            match (refuse, &state.doing) {
                (true, _) => Command::Abort,
                // What another system was told cannot be read back.
                (false, Doing::Unknown { .. }) if told && state.waiting.is_some() => Command::Retry,
                (false, Doing::Unknown { .. }) => return,
                (false, _) => Command::Promote,
            }
        } else if verdict_waits {
            if refuse { Command::Abort } else { Command::Resume }
        } else {
            return;
        };
        self.ask(command);
    }

    /// The state in memory is the fold of the journal, but for readings of an analysis that were not worth a record.
    fn compare(&self, engine: &Engine) {
        self.sim.lock().halts.spared = true;
        let loaded = load(self.sim.as_ref(), &self.id).now_or_never();
        let mut world = self.sim.lock();
        world.halts.spared = false;
        match loaded {
            Some(Ok((_, _, mut state))) if state.seq == engine.state().seq => {
                let mut own = engine.state().clone();
                own.analyses.clear();
                state.analyses.clear();
                // Nor is an answer that is the same again.
                own.called = None;
                state.called = None;
                if own != state {
                    world.violate(Invariant::Fold, format!("memory {own:?} and journal {state:?}"));
                }
            }
            Some(Ok(_)) => {}
            other => {
                let what = format!("the journal cannot be read: {:?}", other.map(|one| one.err()));
                world.violate(Invariant::Fold, what);
            }
        }
    }
}

enum Begun {
    Engine(Box<Engine>),
    Refused,
    NotYet,
}

enum Turned {
    Goes(Box<Engine>),
    Gone,
    Over(Box<Engine>, UpgradePhase),
}
