//! Why a command did not do what was asked: what is shown, and the exit code.

use cutover_engine::EngineError;
use cutover_model::{Diagnostic, ExitCode};
use cutover_ports::{LeaseError, PortError, StoreError};
use serde_json::{Map, Value};

/// How a command ended.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the caller gets.
    pub(crate) exit: ExitCode,
    /// What is shown; at least one.
    pub(crate) found: Vec<Diagnostic>,
    /// What was done before, beside it in the same value of `--output json`.
    pub(crate) beside: Map<String, Value>,
}

impl Failure {
    /// Nothing was changed, and this is why.
    pub(crate) fn new(code: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Diagnostic::error(code, message).help(help).into()
    }

    /// Several things that are wrong.
    pub(crate) fn many(exit: ExitCode, found: Vec<Diagnostic>) -> Self {
        Self {
            exit,
            found,
            beside: Map::new(),
        }
    }

    /// The same, with another exit code.
    pub(crate) const fn with_exit(mut self, exit: ExitCode) -> Self {
        self.exit = exit;
        self
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, code: &str) -> bool {
        self.found.iter().any(|found| found.code == code)
    }

    /// Wrong usage or a wrong file.
    pub(crate) fn usage(found: Vec<Diagnostic>) -> Self {
        Self::many(ExitCode::Usage, found)
    }
}

/// What a person wrote wrongly, as opposed to what the world refused.
fn is_usage(code: &str) -> bool {
    ["spec.", "config.", "usage.", "release."]
        .iter()
        .any(|area| code.starts_with(area))
}

impl From<Diagnostic> for Failure {
    fn from(found: Diagnostic) -> Self {
        let exit = match found.code.as_str() {
            "lease.held" | "lease.lost" | "fence.stale" | "fence.foreign-store" => ExitCode::Refused,
            code if is_usage(code) => ExitCode::Usage,
            _ => ExitCode::Failed,
        };
        Self::many(exit, vec![found])
    }
}

impl From<Box<Diagnostic>> for Failure {
    fn from(found: Box<Diagnostic>) -> Self {
        (*found).into()
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        error.diagnostic().into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<LeaseError> for Failure {
    fn from(error: LeaseError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        error.diagnostic.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_by_cause() {
        let exit = |code: &str| Failure::from(Diagnostic::error(code, "x")).exit;
        assert_eq!(exit("spec.unknown-key"), ExitCode::Usage);
        assert_eq!(exit("lease.held"), ExitCode::Refused);
        assert_eq!(exit("target.no-free-port"), ExitCode::Failed);
    }
}
