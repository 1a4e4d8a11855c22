//! Everything outside that the engine acts on.

use std::sync::Arc;

use cutover_model::{Plan, Record, Span};
use cutover_plan::State;
use cutover_ports::{
    Backups, Checks, Clock, Databases, MetricSource, QuerySource, Revisions, Router, SmokeTester, Store,
    Target, Waiting, Webhooks,
};

/// The ports of one application in one environment.
#[derive(Clone)]
pub struct World {
    /// The state that survives.
    pub store: Arc<dyn Store>,
    /// Where instances run.
    pub target: Arc<dyn Target>,
    /// Who sends requests.
    pub router: Arc<dyn Router>,
    /// Who lets requests wait.
    pub waiting: Arc<dyn Waiting>,
    /// The databases.
    pub databases: Arc<dyn Databases>,
    /// Backups.
    pub backups: Arc<dyn Backups>,
    /// Counters.
    pub metrics: Arc<dyn MetricSource>,
    /// What others measure.
    pub queries: Arc<dyn QuerySource>,
    /// Smoke tests.
    pub smoke: Arc<dyn SmokeTester>,
    /// What revisions are made of.
    pub revisions: Arc<dyn Revisions>,
    /// Checks that only the edge can make.
    pub checks: Arc<dyn Checks>,
    /// Other systems that are asked or told.
    pub webhooks: Arc<dyn Webhooks>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How long a lease is held without being renewed; a third of it passes between renewals.
    pub lease: Span,
    /// How long the engine sleeps when there is nothing to do: how late a person's request or a dead instance is seen.
    pub poll: Span,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("store", self.store.id())
            .finish_non_exhaustive()
    }
}

/// Sees every record of the journal once, in order, with the state after it. For renderers; it must not block long.
pub trait Observer: Send {
    /// One more record.
    fn record(&mut self, plan: &Plan, state: &State, record: &Record);
}
