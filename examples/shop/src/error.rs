//! Why the shop could not start or go on.

use crate::config::ConfigError;

/// Why the shop could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment makes no configuration.
    #[error("the environment makes no configuration")]
    Config(#[from] ConfigError),
    /// The listening socket could not be opened.
    #[error("cannot listen on {host}:{port}")]
    Listen {
        /// The host that was asked for.
        host: String,
        /// The port that was asked for.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server broke while it ran.
    #[error("the server stopped serving")]
    Serve(#[source] std::io::Error),
    /// The handlers for SIGTERM and SIGINT could not be installed.
    #[error("cannot listen for signals")]
    Signal(#[source] std::io::Error),
}
