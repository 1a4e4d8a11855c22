//! The one place where this process reads the time of day.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, for receipts that people compare with other logs. Nothing is decided by it.
pub(crate) fn now_ms() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the data plane is a process of its own that no simulator runs: the moment of a switch is its own fact"
    )]
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
