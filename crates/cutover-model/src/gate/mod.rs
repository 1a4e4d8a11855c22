//! What must hold before an upgrade goes on, apart from health and evidence: a window in time, and what another system
//! answers.
//!
//! Values and pure rules only: whether a window is open is a function of a moment, and what an answer means is a function
//! of its status. Nobody is asked here.

mod hook;
mod hours;
mod window;

pub use hook::{HookAnswer, HookOutcome, HookPoint, Webhook};
pub use hours::{InvalidHours, OpenHours};
pub use window::{Day, Freeze, InvalidDay, Opening, Outside, UnknownZone, Window, ZoneName};
