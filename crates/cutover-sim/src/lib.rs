//! The simulator: the real planner and engine over a simulated world with a virtual clock and one seed.
//!
//! [`run()`] carries one to three upgrades of a random application through a world in which instances start slowly and
//! die, routers acknowledge late or not at all, answers get lost, controllers die or fall asleep within any operation,
//! clocks jump and persons ask for anything at any moment. [`systematic`] disturbs one operation at a time, each of
//! them. The world judges every operation and every event by the invariants I1 to I12; [`Mutant`] proves that it would
//! notice.
//!
//! The world owns the truth. It must not know how the engine decides, and shares none of its reasoning.

mod controllers;
mod driver;
mod estate;
mod facts;
mod fault;
mod invariants;
mod mutant;
mod person;
mod random;
mod run;
mod scenario;
mod story;
pub mod systematic;
mod violation;
mod world;

pub use fault::{Fault, Tamper};
pub use mutant::Mutant;
pub use run::{Options, run, tell};
pub use story::Summary;
pub use violation::{Invariant, Violation};
