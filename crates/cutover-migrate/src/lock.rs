//! Why a migrator does not get its turn, in every database's words.

use cutover_model::{Diagnostic, Span};
use cutover_ports::PortError;

use crate::failure::{Blocker, Failure};

/// Why the lock was not had.
pub(crate) enum LockError {
    Failure(Failure),
    Held(PortError),
}

impl From<Failure> for LockError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Another migrator is at work.
pub(crate) fn held(what: &str, wait: Span, holder: Option<Blocker>) -> PortError {
    let mut diagnostic = Diagnostic::error(
        "migrate.locked",
        format!("another migrator works on {what}; waited for it {wait}"),
    )
    .help("cutover status");
    if let Some(holder) = holder {
        diagnostic = diagnostic.note("held by", holder.to_string());
    }
    PortError::transient(diagnostic)
}
