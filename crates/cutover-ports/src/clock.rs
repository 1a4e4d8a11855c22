//! Time, injected.

use cutover_model::{Span, Timestamp};

/// Wall-clock time and waiting. The engine asks nobody else.
#[async_trait::async_trait]
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Waits this long.
    async fn sleep(&self, span: Span);
}
