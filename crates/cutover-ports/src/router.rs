//! Who sends requests to revisions.

use std::collections::BTreeMap;

use cutover_model::{Fence, InstanceId, RouteTable, ServiceName, Span};

use crate::PortError;

/// Requests that are open now, by instance. Instances without any may be missing.
pub type InFlight = BTreeMap<InstanceId, u64>;

/// A router's confirmation: every worker of it serves by the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteAck {
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What a router reports of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouterState {
    /// What it serves now, acknowledged by every worker.
    pub table: RouteTable,
    /// Open requests.
    pub in_flight: InFlight,
}

impl RouterState {
    /// Requests that are open now on instances that these services' requests are sent to.
    #[must_use]
    pub fn open(&self, services: &[ServiceName]) -> u64 {
        let routes = self.table.services.iter();
        routes
            .filter(|route| services.contains(&route.service))
            .flat_map(|route| &route.revisions)
            .flat_map(|revision| &revision.endpoints)
            .filter_map(|endpoint| self.in_flight.get(&endpoint.instance))
            .sum()
    }
}

/// Who sends requests to revisions.
#[async_trait::async_trait]
pub trait Router: Send + Sync {
    /// What the router serves now: read from it, never remembered.
    async fn read(&self) -> Result<RouterState, PortError>;

    /// Serves by this table, all services in one snapshot, and answers once every worker does. Idempotent.
    async fn apply(&self, fence: &Fence, table: &RouteTable) -> Result<RouteAck, PortError>;
}

/// A router that can have requests wait for a moment.
#[async_trait::async_trait]
pub trait Waiting: Send + Sync {
    /// Requests of a service wait from now on, until they are released or this time is over: whoever asked may be gone by
    /// then.
    async fn hold(&self, service: &ServiceName, at_most: Span) -> Result<(), PortError>;

    /// They wait no longer. Idempotent.
    async fn release(&self, service: &ServiceName) -> Result<(), PortError>;
}
