//! Databases that are spoken to in commands: MongoDB.

use std::sync::Arc;

/// Why a command was not answered, or not well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The address is none. Without what may be a password in it.
    #[error("{0}")]
    Address(String),
    /// No server could be reached; nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    /// The server does not know the user or the password.
    #[error("{0}")]
    Login(String),
    /// The connection broke while the command was under way: whether it ran is not known.
    #[error("{0}")]
    Lost(String),
    /// The text is no command.
    #[error("{0}")]
    NotOne(String),
    /// The server's own error.
    #[error("{said} (error {code})")]
    Server {
        /// Its number.
        code: i32,
        /// Its words.
        said: String,
    },
}

/// Where a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandPlace {
    /// In the database of the address.
    Own,
    /// In `admin`, where some commands must run.
    Admin,
}

/// Knows how to reach such databases: the driver.
#[async_trait::async_trait]
pub trait CommandDriver: Send + Sync + std::fmt::Debug {
    /// Connections to the database of an address, which may hold a password.
    async fn open(&self, address: &str) -> Result<Arc<dyn CommandSession>, CommandError>;
}

/// A database. Commands and answers are texts in Extended JSON; the order of keys counts.
#[async_trait::async_trait]
pub trait CommandSession: Send + Sync {
    /// Runs one command as it is, once: it is never sent again by itself. An answer whose `ok` is not 1 is an error; errors within
    /// an answer (`writeErrors`) are the caller's to see.
    async fn run(&self, place: CommandPlace, command: &str) -> Result<String, CommandError>;
}
