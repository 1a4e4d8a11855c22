//! The example application: a small shop that stores its users in a database.
//!
//! One program behaves as three releases, chosen by `VERSION`:
//!
//! - **1.0.0** keeps a name in `first_name` and `last_name`;
//! - **1.1.0** keeps it in `full_name` and names no other column;
//! - **1.2.0** is 1.1.0 with a fault: a quarter of its answers are errors, a tenth are slow.
//!
//! Clients see the same JSON in all three, so an upgrade can happen under their feet. Read [`server`] first, then
//! `users` (what is stored how) and `database` (SQLite or PostgreSQL). [`load`] is the other side: the clients.
//!
//! The schema is never made here: migrations in `releases/` do that.

mod config;
mod database;
mod error;
mod faults;
mod health;
mod metrics;
mod problem;
mod redis;
mod release;
mod users;

pub mod load;
pub mod server;

pub use config::{Config, ConfigError, DatabaseUrl, RedisAddress};
pub use error::Error;
pub use server::Server;

use tokio::signal::unix::{SignalKind, signal};

/// Runs the shop as the environment describes it (see [`Config::from_env`]) until SIGTERM or SIGINT, then stops
/// accepting, finishes what is in flight and returns.
///
/// # Errors
/// When the environment makes no configuration, the address cannot be bound, or the server breaks.
pub async fn run_from_env() -> Result<(), Error> {
    let config = Config::from_env()?;
    // Before the socket opens: a SIGTERM that comes right after the first answer must already be a graceful one.
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signal)?;

    let mut server = Server::start(config).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        ended = server.ended() => return ended,
    }
    server.stop().await
}
