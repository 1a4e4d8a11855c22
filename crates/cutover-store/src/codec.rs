//! Values as texts in the file.

use cutover_model::{Diagnostic, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// A value as JSON.
pub(crate) fn encode(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| {
        Failure::refused(Diagnostic::error(
            "store.unwritable",
            format!("a value cannot be written as JSON: {error}"),
        ))
    })
}

/// A value from JSON. `what` names it in the message: `record 12 of upgrade 0193…`.
///
/// A text that is JSON, but not this value, was written by another version: unknown *fields* are ignored, an unknown
/// *kind* of event must not be, because a fold that leaves something out is wrong.
pub(crate) fn decode<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::refused(if error.is_data() {
            newer(what, &error.to_string())
        } else {
            damaged(what, &error.to_string())
        })
    })
}

/// A word of an enum, or another plain text with a type of its own.
pub(crate) fn decode_word<T: DeserializeOwned>(text: String, what: &str) -> Result<T, Failure> {
    serde_json::from_value(serde_json::Value::String(text))
        .map_err(|error| Failure::refused(newer(what, &error.to_string())))
}

pub(crate) fn decode_time(text: &str, what: &str) -> Result<Timestamp, Failure> {
    text.parse()
        .map_err(|_| Failure::refused(damaged(what, &format!("`{text}` is not a moment"))))
}

/// SQLite's integers are signed; the numbers here only count up from zero.
pub(crate) fn encode_count(count: u64) -> Result<i64, Failure> {
    i64::try_from(count).map_err(|_| {
        Failure::refused(Diagnostic::error(
            "store.unwritable",
            format!("{count} is too great a number for the store"),
        ))
    })
}

pub(crate) fn decode_count(count: i64, what: &str) -> Result<u64, Failure> {
    u64::try_from(count).map_err(|_| Failure::refused(damaged(what, &format!("{count} is below zero"))))
}

fn newer(what: &str, cause: &str) -> Diagnostic {
    Diagnostic::error(
        "store.newer-format",
        format!("{what} was written by another version of cutover"),
    )
    .note("cause", cause)
    .note("next", "use the newest cutover that has worked on it")
    .help("cutover --version")
}

fn damaged(what: &str, cause: &str) -> Diagnostic {
    Diagnostic::error("store.damaged", format!("{what} is damaged")).note("cause", cause)
}
