//! Controllers: one turn of an engine at a time, polled once. A controller that is not done after that has died, or
//! sleeps and comes back after another one has taken over.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use cutover_engine::{Engine, EngineError, Tick};
use cutover_model::{Plan, UpgradeId};
use cutover_ports::Holder;
use futures::task::noop_waker_ref;

use crate::fault::Halt;
use crate::world::Sim;

type Turn = Pin<Box<dyn Future<Output = (Box<Engine>, Result<Tick, EngineError>)>>>;
type Begin = Pin<Box<dyn Future<Output = Result<Box<Engine>, EngineError>>>>;

/// A controller that fell asleep within an operation.
pub(crate) struct Sleeper {
    pub(crate) ticket: u64,
    pub(crate) turn: Turn,
}

/// What came of one poll.
pub(crate) enum Polled<T> {
    Done(T),
    Dead,
    Asleep(u64),
}

/// Polls once: simulated operations are done at once, so whoever is not done was halted.
pub(crate) fn poll_once<T>(sim: &Sim, future: &mut Pin<Box<dyn Future<Output = T>>>) -> Polled<T> {
    sim.lock().halts.last = None;
    let mut context = Context::from_waker(noop_waker_ref());
    match future.as_mut().poll(&mut context) {
        Poll::Ready(value) => Polled::Done(value),
        Poll::Pending => match sim.lock().halts.last {
            Some(Halt::Stall(ticket)) => Polled::Asleep(ticket),
            Some(Halt::Crash) | None => Polled::Dead,
        },
    }
}

pub(crate) fn turn(mut engine: Box<Engine>) -> Turn {
    Box::pin(async move {
        let result = engine.tick().await;
        (engine, result)
    })
}

fn holder(pid: u32) -> Holder {
    Holder {
        host: "sim".to_owned(),
        boot: "boot".to_owned(),
        pid,
        started: u64::from(pid),
    }
}

pub(crate) fn create(sim: &Arc<Sim>, pid: u32, id: UpgradeId, plan: Plan) -> Begin {
    let sim = sim.clone();
    Box::pin(async move {
        let seen = sim.clone();
        let is_dead = move |holder: &Holder| seen.lock().dead.contains(&holder.pid);
        Engine::create(sim.ports(), &holder(pid), &is_dead, id, plan, "sim")
            .await
            .map(Box::new)
    })
}

pub(crate) fn resume(sim: &Arc<Sim>, pid: u32, id: UpgradeId) -> Begin {
    let sim = sim.clone();
    Box::pin(async move {
        let seen = sim.clone();
        let is_dead = move |holder: &Holder| seen.lock().dead.contains(&holder.pid);
        Engine::resume(sim.ports(), &holder(pid), &is_dead, id)
            .await
            .map(Box::new)
    })
}
