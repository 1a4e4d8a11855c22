//! What can go wrong between client and supervisor, as people and the engine see it.

use std::path::Path;

use cutover_model::{Diagnostic, Fence, StoreId};
use cutover_ports::{Certainty, PortError};
use serde::{Deserialize, Serialize};

/// A [`PortError`] on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Refusal {
    /// Whether something may have changed.
    pub(crate) unknown: bool,
    pub(crate) transient: bool,
    pub(crate) diagnostic: Diagnostic,
}

impl From<PortError> for Refusal {
    fn from(error: PortError) -> Self {
        Self {
            unknown: error.certainty == Certainty::Unknown,
            transient: error.transient,
            diagnostic: *error.diagnostic,
        }
    }
}

impl From<Refusal> for PortError {
    fn from(refusal: Refusal) -> Self {
        Self {
            certainty: if refusal.unknown {
                Certainty::Unknown
            } else {
                Certainty::DefinitelyNot
            },
            transient: refusal.transient,
            diagnostic: Box::new(refusal.diagnostic),
        }
    }
}

/// The writer's store is not the one that these instances belong to.
pub(crate) fn foreign_store(ours: &StoreId, theirs: &Fence) -> PortError {
    PortError::refused(
        Diagnostic::error(
            "fence.foreign-store",
            "the instances of this state folder belong to another store",
        )
        .note("theirs", ours.to_string())
        .note("yours", theirs.store.to_string())
        .help("cutover status"),
    )
}

/// A newer generation has written already.
pub(crate) fn stale(highest: u64, theirs: &Fence) -> PortError {
    let mut error = PortError::stale("the supervisor of the instances");
    error.diagnostic = Box::new(
        (*error.diagnostic)
            .note("newest generation", highest.to_string())
            .note("yours", theirs.generation.to_string()),
    );
    error
}

/// The state could not be written, so nothing was done.
pub(crate) fn state_not_written(path: &Path, source: &std::io::Error) -> PortError {
    PortError::transient(
        Diagnostic::error(
            "target.state-not-written",
            format!("cannot write {}: {source}", path.display()),
        )
        .help("df -h"),
    )
}

/// The supervisor cannot be reached; nothing was sent.
pub(crate) fn unreachable(socket: &Path, why: &str) -> PortError {
    PortError::transient(
        Diagnostic::error(
            "target.unreachable",
            format!("the supervisor does not answer: {why}"),
        )
        .note("socket", socket.display().to_string())
        .help("cutover supervise"),
    )
}

/// The connection broke after a request was sent.
pub(crate) fn broken_off(socket: &Path, why: &str) -> PortError {
    PortError::unknown(
        Diagnostic::error(
            "target.unreachable",
            format!("the supervisor broke off before it answered: {why}"),
        )
        .note("socket", socket.display().to_string())
        .help("cutover status"),
    )
}

/// The other side speaks otherwise.
pub(crate) fn protocol(message: impl Into<String>) -> PortError {
    PortError::refused(Diagnostic::error("target.protocol", message).help("cutover status"))
}
