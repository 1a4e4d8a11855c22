//! The pure planner and the pure decision function.
//!
//! [`plan()`] turns what is wanted and what was observed into a [`cutover_model::Plan`]; [`next`] folds events into a
//! [`State`]; [`decide()`] says from plan, state, observation and the time what is to be done now. All three are total,
//! synchronous and deterministic. Nothing here acts, waits, or knows an adapter.

mod compat;
mod decide;
mod gates;
mod input;
mod met;
mod observation;
mod planner;
mod reconcile;
mod replicas;
mod routes;
mod runner;
mod schema;
mod schema_steps;
mod shape;
mod state;
mod strategy;
mod transition;
mod unwind;
mod warnings;

pub use decide::{Decision, Failure, decide};
pub use input::{Goal, PlanInput, Planned, Refusal};
pub use met::Met;
pub use observation::Observation;
pub use planner::{basis, plan};
pub use reconcile::{Op, Reconciled, reconcile};
pub use replicas::{Split, canary_replicas, rolling_batches, split};
pub use routes::wanted_table;
pub use state::{AnalysisNote, Back, CallNote, Course, Doing, State, StepTime, Stuck};
pub use transition::{IllegalTransition, next, start};
pub use unwind::unwind;
