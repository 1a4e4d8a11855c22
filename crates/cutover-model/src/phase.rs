//! The field's words for where something stands.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// The word that people and JSON see.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words! {
    /// What an execution is for.
    UpgradeKind {
        /// To another version, another configuration, or the same once more (a restart).
        Upgrade => "upgrade",
        /// Back to an older release.
        Rollback => "rollback",
        /// Only the contract migrations that an earlier upgrade left pending.
        Contract => "contract",
    }
}

words! {
    /// Where an upgrade stands.
    UpgradePhase {
        /// Recorded, nothing begun.
        Pending => "Pending",
        /// Steps are being carried out.
        Running => "Running",
        /// A person paused it.
        Paused => "Paused",
        /// A gate needs an answer.
        WaitingForGate => "WaitingForGate",
        /// The new version has all traffic; the old one is kept for a while.
        Soaking => "Soaking",
        /// All on new.
        Succeeded => "Succeeded",
        /// On the way back.
        Aborting => "Aborting",
        /// All on old again.
        Aborted => "Aborted",
        /// Ended before anything changed.
        Failed => "Failed",
        /// A person is needed.
        Stuck => "Stuck",
    }
}

impl UpgradePhase {
    /// Whether nothing more will happen by itself or by request.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Aborted | Self::Failed)
    }
}

words! {
    /// How a release takes over.
    StrategyKind {
        /// Two full sets, one switch.
        BlueGreen => "blueGreen",
        /// A growing share of the traffic.
        Canary => "canary",
        /// Instance by instance.
        Rolling => "rolling",
        /// Old down, then new up: not without a pause in service.
        Recreate => "recreate",
    }
}

words! {
    /// The part of an upgrade that a step belongs to.
    Stage {
        /// Checks; nothing is touched.
        Preflight => "preflight",
        /// Backups, verified.
        Backup => "backup",
        /// Schema changes that the old version lives with.
        Expand => "expand",
        /// Data filled in for the new version.
        Backfill => "backfill",
        /// The candidate's instances, until they are ready.
        Launch => "launch",
        /// Smoke tests against the candidate alone.
        Smoke => "smoke",
        /// A window in time, or another system that is asked or told.
        Gate => "gate",
        /// Analysis that holds the next step.
        Analysis => "analysis",
        /// A person's approval.
        Approve => "approve",
        /// Traffic moves.
        Shift => "shift",
        /// A pause between two shifts.
        Pause => "pause",
        /// The candidate becomes stable.
        Promote => "promote",
        /// The old revision is kept for a while.
        Soak => "soak",
        /// The old revision is drained and removed.
        Retire => "retire",
        /// Schema changes that the old version cannot live with.
        Contract => "contract",
        /// On the way back: the state before.
        Back => "back",
    }
}

words! {
    /// When a migration may run.
    MigrationPhase {
        /// The old version is unharmed.
        Expand => "expand",
        /// Data for the new version.
        Backfill => "backfill",
        /// The old version must be gone.
        Contract => "contract",
    }
}

words! {
    /// What an analysis says.
    Verdict {
        /// Good enough to go on.
        Successful => "Successful",
        /// The release is worse than allowed.
        Failed => "Failed",
        /// Too little evidence.
        Inconclusive => "Inconclusive",
        /// The provider failed; not the release's fault.
        Error => "Error",
    }
}

words! {
    /// Which of the two a revision is.
    Track {
        /// What serves now.
        Stable => "stable",
        /// What is to take over.
        Candidate => "candidate",
    }
}

words! {
    /// The two places of blue-green.
    Slot {
        /// One of them.
        Blue => "blue",
        /// The other.
        Green => "green",
    }
}

impl Slot {
    /// The other slot.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }
}
