//! The handle that the ports are implemented on, and how an operation is disturbed.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use cutover_engine::World as EngineWorld;
use cutover_model::{Span, StoreId};
use cutover_ports::PortError;

use crate::fault::{Fault, Op};
use crate::world::World;

/// One simulated world behind its lock.
pub(crate) struct Sim {
    pub(crate) store_id: StoreId,
    world: Mutex<World>,
}

impl Sim {
    pub(crate) fn new(world: World) -> Arc<Self> {
        Arc::new(Self {
            store_id: StoreId::new("sim"),
            world: Mutex::new(world),
        })
    }

    /// The world. Nobody panics while holding it, so a poisoned lock still holds a whole state.
    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.world
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The engine's view: every port is this world.
    pub(crate) fn ports(self: &Arc<Self>) -> EngineWorld {
        EngineWorld {
            store: self.clone(),
            target: self.clone(),
            router: self.clone(),
            waiting: self.clone(),
            databases: self.clone(),
            backups: self.clone(),
            metrics: self.clone(),
            queries: self.clone(),
            smoke: self.clone(),
            revisions: self.clone(),
            checks: self.clone(),
            webhooks: self.clone(),
            clock: self.clone(),
            lease: Span::from_secs(15),
            poll: Span::from_millis(200),
        }
    }

    /// Sleeps until somebody releases the ticket: for ever, when the controller died.
    pub(crate) async fn halt(&self, ticket: Option<u64>) {
        let Some(ticket) = ticket else { return };
        std::future::poll_fn(|_| {
            if self.lock().halts.released.contains(&ticket) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// A change, with everything that can happen to it.
    pub(crate) async fn write<T>(
        &self,
        op: Op,
        mut act: impl FnMut(&mut World) -> Result<T, PortError> + Send,
    ) -> Result<T, PortError> {
        let fate = self.lock().enter(op);
        self.halt(fate.before).await;
        let result = {
            let mut world = self.lock();
            match fate.fault.and_then(Fault::before) {
                Some(error) => Err(error),
                None => {
                    if fate.fault == Some(Fault::Slow) {
                        let long = world.random.between(200, 6_000);
                        world.advance(long);
                    }
                    let mut result = act(&mut world);
                    if fate.fault == Some(Fault::Twice) && result.is_ok() {
                        result = act(&mut world);
                    }
                    match (fate.fault, result) {
                        (Some(Fault::LostAfter), Ok(_)) => Err(Fault::lost()),
                        (_, result) => result,
                    }
                }
            }
        };
        self.halt(fate.after).await;
        result
    }

    /// A reading: it fails or it does not.
    pub(crate) async fn look<T>(
        &self,
        op: Op,
        act: impl FnOnce(&mut World) -> T + Send,
    ) -> Result<T, PortError> {
        let fate = self.lock().enter(op);
        self.halt(fate.before).await;
        let result = {
            let mut world = self.lock();
            match fate.fault {
                Some(Fault::Slow) => {
                    let long = world.random.between(200, 3_000);
                    world.advance(long);
                    Ok(act(&mut world))
                }
                Some(fault) => Err(fault.before().unwrap_or_else(Fault::lost)),
                None => Ok(act(&mut world)),
            }
        };
        self.halt(fate.after).await;
        result
    }
}
