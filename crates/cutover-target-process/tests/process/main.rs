//! Real supervisors, real instances: the whole crate from outside.
#![expect(
    clippy::disallowed_methods,
    reason = "tests against real processes need real time"
)]
#![expect(
    clippy::exit,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests, and programs that tests start"
)]

mod adoption;
mod entry;
mod failures;
mod fencing;
mod health;
mod lifecycle;
mod replacing;
mod sidecar;
mod world;
