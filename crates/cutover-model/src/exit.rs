//! Exit codes: part of the public interface.

/// What the process tells its caller (DESIGN: command line). Stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Done.
    Done = 0,
    /// Failed; nothing changed.
    Failed = 1,
    /// Usage or configuration.
    Usage = 2,
    /// Aborted; back on the old version.
    Aborted = 3,
    /// Waiting for a gate.
    Waiting = 4,
    /// Findings: lint, validate, drift.
    Findings = 5,
    /// Stuck; a person is needed.
    Stuck = 6,
    /// Refused: another controller holds the lease.
    Refused = 7,
    /// A bug of Cutover.
    Bug = 70,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}
