//! End-to-end tests: the built binary, the example shop, real processes, under constant open-loop load.
//!
//! A [`Stage`] is one application in a temporary folder with a state folder and ports of its own; everything that was
//! started for it is ended when it is dropped. Tests read as given, when, then.

mod binaries;
mod processes;
mod stage;
mod traffic;
mod yaml;

pub use binaries::{cutover, shop};
pub use stage::Stage;
pub use traffic::Traffic;
pub use yaml::Spec;
