//! Waiting for a condition instead of for a time.

use std::time::Duration;

use tokio::time::Instant;

/// Asks until the condition holds.
///
/// # Panics
/// When it does not within the deadline: `what` is said.
pub async fn wait_for<F, Fut>(what: &str, deadline: Duration, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let end = Instant::now() + deadline;
    while !condition().await {
        assert!(Instant::now() < end, "{what} did not happen within {deadline:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
