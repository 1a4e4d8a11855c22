//! Why the engine stopped.

use cutover_model::{Diagnostic, Generation, Timestamp};
use cutover_plan::IllegalTransition;
use cutover_ports::{Holder, LeaseError, PortError, StoreError};

/// Why the engine stopped before the upgrade's end. The journal says where to go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Another controller holds the lease.
    #[error("another controller holds the lease: pid {} on {} until {until}", holder.pid, holder.host)]
    Held {
        /// Who.
        holder: Holder,
        /// Until when.
        until: Timestamp,
    },
    /// A newer controller has taken over; this one must not write any more.
    #[error("a newer controller (generation {0}) has taken over")]
    Fenced(Generation),
    /// The world is not as it was when the plan was made.
    #[error("the world has moved since the plan was made: {}", changes.join("; "))]
    Moved {
        /// What is different, a line a fact.
        changes: Vec<String>,
    },
    /// There is no such upgrade.
    #[error("there is no upgrade {0}")]
    NoUpgrade(String),
    /// A plan of a newer form, which this engine cannot interpret.
    #[error("the plan has form {found}; this engine knows up to {known}")]
    NewerPlan {
        /// The plan's.
        found: u32,
        /// This engine's.
        known: u32,
    },
    /// A request that cannot be carried out, with the reason.
    #[error("{0}")]
    Refused(Box<Diagnostic>),
    /// The journal does not fit the state machine.
    #[error("the journal is damaged")]
    Journal(#[from] IllegalTransition),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// The world could not be observed before anything began.
    #[error("{0}")]
    Port(#[from] PortError),
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced { found, .. } => Self::Fenced(found),
            other => Self::Store(other),
        }
    }
}

impl From<LeaseError> for EngineError {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Held { holder, until } => Self::Held { holder, until },
            LeaseError::Lost(generation) => Self::Fenced(generation),
            LeaseError::Store(error) => error.into(),
        }
    }
}

impl EngineError {
    /// The error as a person sees it: code, message, notes, help.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        match self {
            Self::Held { .. } => Diagnostic::error("lease.held", self.to_string())
                .note("state", "nothing was changed by this command")
                .help("cutover status"),
            Self::Fenced(_) => Diagnostic::error("lease.lost", self.to_string())
                .note("state", "this controller has stopped; the newer one goes on")
                .help("cutover status"),
            Self::Moved { changes } => {
                let start = Diagnostic::error("plan.moved", "the world has moved since the plan was made");
                changes
                    .iter()
                    .fold(start, |d, change| d.note("now", change))
                    .help("cutover status")
            }
            Self::NoUpgrade(_) => {
                Diagnostic::error("upgrade.unknown", self.to_string()).help("cutover history")
            }
            Self::NewerPlan { .. } => Diagnostic::error("plan.newer-form", self.to_string())
                .note("next", "finish it with the newer Cutover that began it")
                .help("cutover --version"),
            Self::Refused(diagnostic) => (**diagnostic).clone(),
            Self::Journal(cause) => {
                Diagnostic::error("store.damaged", format!("the journal is damaged: {cause}"))
                    .help("cutover history")
            }
            Self::Store(StoreError::Failed(diagnostic)) => (**diagnostic).clone(),
            Self::Store(other) => {
                Diagnostic::error("store.conflict", other.to_string()).help("cutover status")
            }
            Self::Port(error) => (*error.diagnostic).clone(),
        }
    }
}
