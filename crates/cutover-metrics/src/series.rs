//! Points in time: what is asked about, and what comes back.

use cutover_model::{Span, Timestamp};
use serde_json::Value;

/// The time that is asked about, of this length and up to now: both ends in milliseconds since 1970.
pub(crate) fn window(now: Timestamp, range: Span) -> (i64, i64) {
    let length = i64::try_from(range.as_millis()).unwrap_or(i64::MAX);
    let until = now.as_millisecond();
    (until.saturating_sub(length).max(0), until)
}

/// The same in whole seconds.
pub(crate) fn seconds(now: Timestamp, range: Span) -> (i64, i64) {
    let (from, until) = window(now, range);
    (from / 1000, until / 1000)
}

/// Each of a list.
pub(crate) fn list(value: &Value, of: impl Fn(&Value) -> Option<Value>) -> Option<Value> {
    value.as_array()?.iter().map(of).collect()
}

/// A number, or null for a point that is missing.
pub(crate) fn number(value: &Value) -> Option<Value> {
    (value.is_number() || value.is_null()).then(|| value.clone())
}
