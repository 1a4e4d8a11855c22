//! Journal, execution, recovery and leases: carries out what `cutover_plan::decide` says, over the ports.
//!
//! The journal owns the state; the engine holds only its fold. It has no choice to make and knows no adapter: it writes
//! an intent before it acts, an outcome after it has read back, and starts again from the journal alone.

mod act;
mod call;
mod claim;
mod control;
mod engine;
mod error;
mod hold;
mod journal;
mod measure;
mod observe;
mod world;

pub use control::request;
pub use engine::{Engine, Tick};
pub use error::EngineError;
pub use journal::{fold, load};
pub use world::{Observer, World};
