//! Instances as local processes, and the supervisor that is their parent.
//!
//! Two halves. [`supervise()`] is the daemon, one per state folder: it starts instances and sidecars, watches their
//! health, restarts what crashes with the configuration that was stored, and holds the sidecars' listening sockets so
//! that none is lost when a sidecar dies. [`ProcessTarget`] is the client that the engine sees as a
//! [`cutover_ports::Target`]; it starts the daemon on demand.
//!
//! The daemon owns everything under `<state>/supervisor` (state, socket, locks) and `<state>/logs`. Killed at any
//! moment, it comes back and adopts its children by identity; none of them ends with it. It must not know what a
//! proxy, a plan or an upgrade is: a sidecar is a program with sockets, and decisions come from the engine.

mod backoff;
mod client;
mod core;
mod environment;
mod health;
mod instance;
mod judge;
mod launch;
mod lock;
mod log_file;
mod orphan;
mod paths;
mod ports;
mod probe;
mod problem;
mod process;
mod protocol;
mod redact;
mod saved;
mod server;
mod sidecar;
mod sidecar_replace;
mod sidecar_start;
mod sidecar_task;
mod start;
mod state_file;
mod supervise;
mod target;
mod tracker;

pub use ports::check_room;
pub use protocol::{Hello, PROTOCOL};
pub use sidecar::{ListenerStatus, SidecarSpec, SidecarStatus};
pub use start::SpawnSpec;
pub use state_file::StateError;
pub use supervise::{LogLimits, SuperviseError, SupervisorOptions, supervise};
pub use target::{ProcessTarget, ProcessTargetOptions};
