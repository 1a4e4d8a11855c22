//! What the planner is given and what it answers.

use std::collections::BTreeMap;

use cutover_model::{
    DatabaseName, DatabaseState, Diagnostic, EnvironmentName, Instance, Plan, PlanReport, ServiceName, Slot,
    Version,
};
use cutover_spec::Release;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// To the target release, by its strategy.
    Upgrade,
    /// Back to the target release, at once.
    Rollback,
    /// The same release once more: new instances of these services.
    Restart(Vec<ServiceName>),
    /// Only the contract migrations that are pending.
    Contract,
}

/// Everything that the planner knows. It asks for nothing else.
#[derive(Debug, Clone)]
pub struct PlanInput<'a> {
    /// The environment.
    pub environment: EnvironmentName,
    /// What is wanted.
    pub goal: Goal,
    /// The release to go to, as it will be stored.
    pub target: &'a Release,
    /// The release that is recorded as stable.
    pub current: Option<&'a Release>,
    /// The version that the person expects to be current (`--from`).
    pub expected: Option<Version>,
    /// The instances that run, as observed.
    pub instances: &'a [Instance],
    /// The databases, as observed; missing when one could not be reached.
    pub databases: &'a BTreeMap<DatabaseName, DatabaseState>,
    /// Whether the release has succeeded in the environment that it must have succeeded in; none when not asked.
    pub succeeded_before: Option<bool>,
    /// The version that a rollback from the current one goes to; none when there is no older one.
    pub before: Option<Version>,
    /// The blue-green slots of what runs, by service.
    pub slots: BTreeMap<ServiceName, Slot>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// What stands against it; at least one.
    pub because: Vec<Diagnostic>,
    /// What would have been done, as far as it is known.
    pub report: PlanReport,
}

/// What the planner answers.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Planned {
    /// A plan.
    Plan(Box<Plan>),
    /// There is nothing to do, and why.
    Nothing(String),
    /// It must not be done, and why.
    Refused(Box<Refusal>),
}
