//! What is found.

use std::ops::Range;

use cutover_model::Severity;
use serde::Serialize;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Others wait: reads or writes are blocked for longer than a moment.
    Lock,
    /// The version that still runs breaks.
    Compat,
    /// Data is gone.
    DataLoss,
    /// It fails, or does something else than it says.
    Correctness,
    /// A matter of taste; off unless asked for.
    Style,
}

impl Family {
    /// As in JSON: `data-loss`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Compat => "compat",
            Self::DataLoss => "data-loss",
            Self::Correctness => "correctness",
            Self::Style => "style",
        }
    }
}

/// One thing that a rule found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's name; its page is `docs/rules/RULE.md`.
    pub rule: String,
    /// What it is about.
    pub family: Family,
    /// How much it weighs.
    pub severity: Severity,
    /// The file as the caller named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The whole statement.
    pub statement: String,
    /// What would happen.
    pub message: String,
    /// The safe way.
    pub help: String,
    /// Statements to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Which bytes of the file.
    #[serde(skip)]
    pub span: Range<usize>,
}
