//! What goes wrong, by chance or at one chosen operation.

use cutover_model::Diagnostic;
use cutover_ports::PortError;

/// An operation of the engine on its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Acquire,
    Renew,
    Create,
    Append,
    Load,
    Observe,
    Ensure,
    Remove,
    Read,
    Apply,
    Look,
    Up,
    Retire,
    Reopen,
    Recycle,
    Hold,
    Release,
    Backup,
    Ask,
    Count,
    Call,
}

impl Op {
    /// Whether it changes something outside of the store.
    pub(crate) const fn writes(self) -> bool {
        matches!(
            self,
            Self::Ensure
                | Self::Remove
                | Self::Apply
                | Self::Up
                | Self::Retire
                | Self::Reopen
                | Self::Recycle
                | Self::Backup
        )
    }
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing happened; it may work later.
    Transient,
    /// Nothing happened, and trying again does not help by itself.
    Refused,
    /// Nothing happened, but nobody knows.
    LostBefore,
    /// It happened, but nobody knows.
    LostAfter,
    /// It happens later, and nobody knows (a router).
    Late,
    /// It takes long, and meanwhile the world goes on.
    Slow,
    /// It is done twice.
    Twice,
}

impl Fault {
    /// The error that the caller sees before anything is done.
    pub(crate) fn before(self) -> Option<PortError> {
        let what = |code: &str, text: &str| Diagnostic::error(code, text).help("cutover retry");
        match self {
            Self::Transient => Some(PortError::transient(what("sim.busy", "busy"))),
            Self::Refused => Some(PortError::refused(what("sim.broken", "it does not work"))),
            Self::LostBefore => Some(Self::lost()),
            Self::LostAfter | Self::Late | Self::Slow | Self::Twice => None,
        }
    }

    pub(crate) fn lost() -> PortError {
        PortError::unknown(Diagnostic::error(
            "sim.lost",
            "the connection broke before the answer",
        ))
    }
}

/// How often what goes wrong, in so many of a thousand operations.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rates {
    /// A write fails in some way.
    pub(crate) write: u32,
    /// A reading fails.
    pub(crate) read: u32,
    /// The store fails.
    pub(crate) store: u32,
    /// A person writes between the engine's reading and its writing.
    pub(crate) intrusion: u32,
    /// The controller dies.
    pub(crate) crash: u32,
    /// The controller sleeps while another one may take over.
    pub(crate) stall: u32,
    /// An instance dies, in so many of a thousand advances of the clock.
    pub(crate) instance: u32,
    /// The clock jumps, in so many of a thousand turns.
    pub(crate) jump: u32,
    /// A person asks for something, in so many of a thousand turns.
    pub(crate) person: u32,
}

/// What is done to one chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tamper {
    /// The controller dies before it.
    CrashBefore,
    /// The controller dies after it, before it sees the answer.
    CrashAfter,
    /// The controller sleeps before it until another one has taken over, then goes on.
    StallBefore,
    /// The same, after it.
    StallAfter,
    /// It fails in this way.
    Fail(Fault),
}

/// What happens to one operation.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fate {
    /// A sleep before it; never ended for a controller that died.
    pub(crate) before: Option<u64>,
    /// The same, after it.
    pub(crate) after: Option<u64>,
    pub(crate) fault: Option<Fault>,
    pub(crate) intrusion: bool,
}

/// How a controller stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Halt {
    Crash,
    Stall(u64),
}
