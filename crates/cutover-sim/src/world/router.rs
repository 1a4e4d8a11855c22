//! The router: one table, acknowledged late, lost or twice.

use cutover_model::{Fence, RouteTable, ServiceName, Span};
use cutover_ports::{InFlight, PortError, RouteAck, Router, RouterState, Waiting};

use crate::fault::{Fault, Op};
use crate::world::{Sim, World};
use crate::{Invariant, Mutant, invariants};

/// A table on its way: some workers may serve by it already.
#[derive(Debug)]
pub(crate) struct Transit {
    pub(crate) lands_at: u64,
    pub(crate) table: RouteTable,
}

/// Who sends requests.
#[derive(Debug, Default)]
pub(crate) struct RouterSide {
    pub(crate) fence: Option<Fence>,
    /// What every worker serves by.
    pub(crate) table: RouteTable,
    /// What the engine was told that every worker serves by.
    pub(crate) acknowledged: RouteTable,
    pub(crate) transit: Option<Transit>,
    /// The engine sent a table in this turn, whatever became of it.
    pub(crate) tried: bool,
}

impl World {
    /// A table that was on its way arrives.
    pub(crate) fn land(&mut self) {
        if self
            .router
            .transit
            .as_ref()
            .is_some_and(|transit| transit.lands_at <= self.true_ms)
            && let Some(transit) = self.router.transit.take()
        {
            self.tell(|| "   the late table is served".to_owned());
            self.router.table = transit.table;
        }
    }

    /// The router takes a table in: a later one replaces whatever is still on its way.
    fn accept(&mut self, fence: &Fence, table: &RouteTable) -> Result<(), PortError> {
        self.admit("the router", self.router.fence.clone().as_ref(), fence)?;
        self.router.fence = Some(fence.clone());
        self.router.transit = None;
        if self.router.table == *table {
            return Ok(());
        }
        self.effect();
        self.tell(|| format!("   route {}", shown(table)));
        if let Some(upgrade) = self.store.upgrades.last_mut() {
            // Whoever gets requests again is not draining any more: another drain has another deadline.
            let routed = table.services.iter().flat_map(|route| &route.revisions);
            for endpoint in routed
                .filter(|one| !one.weight.is_none())
                .flat_map(|one| &one.endpoints)
            {
                upgrade.facts.drains.remove(&endpoint.instance);
            }
        }
        let verdicts = [
            (Invariant::I3, invariants::abort::applied(self, table)),
            (Invariant::I1, invariants::readiness::applied(self, table)),
            (Invariant::I5, invariants::arithmetic::applied(self, table)),
            (Invariant::I6, invariants::compatibility::applied(self, table)),
        ];
        for (invariant, verdict) in verdicts {
            self.check(invariant, verdict);
        }
        Ok(())
    }

    fn serve_by(&mut self, table: &RouteTable) {
        self.router.table.clone_from(table);
    }
}

/// `api: 1.0.0 90 % of 3, 1.1.0 10 % of 1`.
pub(crate) fn shown(table: &RouteTable) -> String {
    let routes = table.services.iter().map(|route| {
        let revisions = route.revisions.iter().map(|routed| {
            format!(
                "{}#{} {} of {}",
                routed.revision.version,
                routed.revision.mark,
                routed.weight,
                routed.endpoints.len()
            )
        });
        format!("{}: {}", route.service, revisions.collect::<Vec<_>>().join(", "))
    });
    routes.collect::<Vec<_>>().join("; ")
}

#[async_trait::async_trait]
impl Router for Sim {
    async fn read(&self) -> Result<RouterState, PortError> {
        self.look(Op::Read, |world| {
            let mut in_flight = InFlight::new();
            if !world.is(Mutant::NothingInFlight) {
                for one in &world.target.instances {
                    let open = world.traffic.open_on(one.number);
                    if open > 0 {
                        in_flight.insert(one.id.clone(), open);
                    }
                }
            }
            if !world.halts.spared {
                world.router.acknowledged.clone_from(&world.router.table);
            }
            RouterState {
                table: world.router.table.clone(),
                in_flight,
            }
        })
        .await
    }

    async fn apply(&self, fence: &Fence, table: &RouteTable) -> Result<RouteAck, PortError> {
        let fate = {
            let mut world = self.lock();
            world.router.tried = true;
            world.enter(Op::Apply)
        };
        self.halt(fate.before).await;
        let result = {
            let mut world = self.lock();
            let ack = Ok(RouteAck { took_ms: 3 });
            match (fate.fault.and_then(Fault::before), fate.fault) {
                (Some(error), _) => Err(error),
                (None, fault) => world.accept(fence, table).and_then(|()| {
                    let lands_at = world.true_ms + world.random.between(50, 2_500);
                    match fault {
                        Some(Fault::Late) => {
                            let table = table.clone();
                            world.router.transit = Some(crate::world::router::Transit { lands_at, table });
                            return Err(Fault::lost());
                        }
                        Some(Fault::Slow) => {
                            let (until, table) = (lands_at - world.true_ms, table.clone());
                            world.router.transit = Some(crate::world::router::Transit { lands_at, table });
                            world.advance(until);
                        }
                        Some(Fault::LostAfter) => {
                            world.serve_by(table);
                            return Err(Fault::lost());
                        }
                        Some(Fault::Twice) => {
                            world.serve_by(table);
                            world.accept(fence, table)?;
                        }
                        _ => {}
                    }
                    world.serve_by(table);
                    world.router.acknowledged.clone_from(table);
                    ack
                }),
            }
        };
        self.halt(fate.after).await;
        result
    }
}

/// What waits is nobody's to check: that requests go on is the router's own promise.
#[async_trait::async_trait]
impl Waiting for Sim {
    async fn hold(&self, service: &ServiceName, _at_most: Span) -> Result<(), PortError> {
        self.write(Op::Hold, |world| {
            world.tell(|| format!("   requests of {service} wait"));
            Ok(())
        })
        .await
    }

    async fn release(&self, service: &ServiceName) -> Result<(), PortError> {
        self.write(Op::Release, |world| {
            world.tell(|| format!("   requests of {service} go on"));
            Ok(())
        })
        .await
    }
}
