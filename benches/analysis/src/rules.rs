//! The detectors that are compared: ours, and the rules of others as their documents describe them.
//!
//! These are simulations of documented rules by us, not measurements of those products.

mod after;
mod kayenta;
mod ours;
mod threshold;

pub use after::After;
pub use kayenta::Kayenta;
pub use ours::Ours;
pub use threshold::{Argo, Flagger, Setting};
