//! I1 to I12, judged by the world on every operation. Each function answers `Err` with what is wrong, in one sentence.
//!
//! Nothing here calls the planner's or the engine's own reasoning: an invariant that shared it would share its bugs.
//! I8 is looked at by the driver after each turn, I10 by [`crate::facts`] with each event.

pub(crate) mod abort;
pub(crate) mod arithmetic;
pub(crate) mod compatibility;
pub(crate) mod configuration;
pub(crate) mod contract;
pub(crate) mod drains;
pub(crate) mod ending;
pub(crate) mod fences;
pub(crate) mod order;
pub(crate) mod readiness;
