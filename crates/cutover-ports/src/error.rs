//! How an operation on the world failed.

use cutover_model::Diagnostic;

/// Whether a failed operation may have changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// It certainly changed nothing.
    DefinitelyNot,
    /// It may have: observe before deciding.
    Unknown,
}

/// A failed operation on a target, a router, a database or a backup: what is known, and what a person can do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{diagnostic}")]
pub struct PortError {
    /// Whether something may have changed.
    pub certainty: Certainty,
    /// Whether the same call may succeed later by itself (a lock, a connection), as opposed to a wrong statement.
    pub transient: bool,
    /// Code, message, notes and help. Never holds a secret.
    pub diagnostic: Box<Diagnostic>,
}

impl PortError {
    /// Nothing changed, and trying again will not help.
    #[must_use]
    pub fn refused(diagnostic: Diagnostic) -> Self {
        Self {
            certainty: Certainty::DefinitelyNot,
            transient: false,
            diagnostic: Box::new(diagnostic),
        }
    }

    /// Nothing changed; it may work later.
    #[must_use]
    pub fn transient(diagnostic: Diagnostic) -> Self {
        Self {
            certainty: Certainty::DefinitelyNot,
            transient: true,
            diagnostic: Box::new(diagnostic),
        }
    }

    /// It may or may not have happened.
    #[must_use]
    pub fn unknown(diagnostic: Diagnostic) -> Self {
        Self {
            certainty: Certainty::Unknown,
            transient: true,
            diagnostic: Box::new(diagnostic),
        }
    }

    /// The write was fenced off: a newer generation, or another store, owns the other side (code `fence.stale`).
    #[must_use]
    pub fn stale(what: &str) -> Self {
        Self::refused(
            Diagnostic::error("fence.stale", format!("{what} belongs to a newer controller"))
                .help("cutover status"),
        )
    }

    /// Whether it says that a newer controller has taken over.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.diagnostic.code == "fence.stale"
    }
}
