//! The machine's clock.

use cutover_model::{Span, Timestamp};
use cutover_ports::Clock;

/// The machine's clock, and tokio's timer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

#[async_trait::async_trait]
impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the Clock port that everything else asks"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.as_duration()).await;
    }
}
