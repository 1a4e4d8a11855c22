//! What a plan does and does not do, and why.

use serde::{Deserialize, Serialize};

/// One line of a plan's report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// `+` added, `~` changed, `=` unchanged, `·` later, `!` look at this.
    pub mark: char,
    /// What it is about: `api`, `004_full_name`.
    pub subject: String,
    /// What happens to it: `expand`, `1.0.0 → 1.1.0`.
    pub what: String,
    /// Why, or with which effect.
    pub why: String,
}

impl Note {
    /// A line.
    pub fn new(
        mark: char,
        subject: impl Into<String>,
        what: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            mark,
            subject: subject.into(),
            what: what.into(),
            why: why.into(),
        }
    }
}

/// What will be done, what not, and why: for people and as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    /// Per database, a heading (`main (PostgreSQL 15.18, 2.1 GB)`) and its lines.
    pub schema: Vec<(String, Vec<Note>)>,
    /// Per service.
    pub services: Vec<Note>,
    /// The changelog's sections between both versions: heading and text.
    pub changelog: Vec<(String, String)>,
    /// What to look at before running it.
    pub warnings: Vec<String>,
    /// About how long it takes, from the durations it knows, in milliseconds.
    pub about_ms: u64,
    /// Whether there is a moment with nobody to serve.
    pub downtime: bool,
}
