//! What can be wrong with a connection.

use cutover_model::Diagnostic;

/// Why a database cannot be used. `what` is its address without a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DbError {
    /// The URL cannot be read.
    #[error("{what} is not a database URL: {cause}")]
    InvalidUrl {
        /// The URL, redacted.
        what: String,
        /// The rule that it breaks.
        cause: String,
    },
    /// No encrypted connection could be made, or the server could not prove who it is.
    #[error("{what} is not connected to: {cause}")]
    Tls {
        /// The address.
        what: String,
        /// What the handshake says.
        cause: String,
    },
    /// Nobody answers, or the connection broke.
    #[error("cannot reach {what}: {cause}")]
    Unreachable {
        /// The address.
        what: String,
        /// What the network says.
        cause: String,
    },
    /// The server does not let this user in.
    #[error("{what} refuses the user: {cause}")]
    Refused {
        /// The address.
        what: String,
        /// What the server says.
        cause: String,
    },
    /// The server has no such database.
    #[error("{what} does not exist")]
    Missing {
        /// The address.
        what: String,
        /// The command that makes it.
        create: String,
    },
    /// What answers is no server but a pooler that gives each transaction another of the server's sessions.
    #[error("{what} is a pooler that shares its sessions: a lock that is taken there holds nobody back")]
    Pooled {
        /// The address.
        what: String,
        /// The server's own address, as the server says.
        server: Option<String>,
    },
    /// The file is no SQLite database, or a damaged one.
    #[error("{what} is not a whole SQLite database: {cause}")]
    Damaged {
        /// The file.
        what: String,
        /// What SQLite says.
        cause: String,
    },
    /// Something that should have worked did not.
    #[error("{what}: {cause}")]
    Failed {
        /// The address.
        what: String,
        /// What the database says.
        cause: String,
    },
}

impl DbError {
    /// For people.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        let (code, help) = match self {
            Self::InvalidUrl { .. } => ("db.invalid-url", "cutover check".to_owned()),
            Self::Tls { .. } => ("db.tls-failed", "cutover check".to_owned()),
            Self::Unreachable { .. } => ("db.unreachable", "cutover check".to_owned()),
            Self::Refused { .. } => ("db.auth-failed", "cutover check".to_owned()),
            Self::Missing { create, .. } => ("db.missing", create.clone()),
            Self::Pooled { .. } => ("db.pooled", "cutover check".to_owned()),
            Self::Damaged { .. } => ("db.damaged", "cutover backup list".to_owned()),
            Self::Failed { .. } => ("db.failed", "cutover check".to_owned()),
        };
        let found = Diagnostic::error(code, self.to_string()).help(help);
        match self {
            Self::Pooled {
                server: Some(server), ..
            } => found.note("server", server),
            _ => found,
        }
    }

    /// Whether the same may work later by itself.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}
