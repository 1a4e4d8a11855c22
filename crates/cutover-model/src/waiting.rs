//! Why nothing moves.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What is waited for, since when, until when, and what happens then. Every state that is not moving carries
/// one (invariant I8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingOn {
    /// What is waited for, as a noun phrase: `2 instances of api 1.1.0 to become ready (1 of 3)`.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// The deadline; none when a person decides.
    pub until: Option<Timestamp>,
    /// What happens at the deadline, or what a person can do: a verb phrase or a command.
    pub then: String,
}
