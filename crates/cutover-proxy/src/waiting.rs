//! Waits for the head of an answer, and knows whose fault it is when none comes.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::request_body::BodyWatch;
use crate::resilience::Times;

/// Whose silence it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    Client,
    Instance,
    /// There is time left for another attempt.
    Attempt,
}

/// How long one attempt may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    pub(crate) times: Times,
    /// When the request began to be worked on.
    pub(crate) began: Instant,
    pub(crate) per_try: Option<Duration>,
}

impl Waits {
    /// The time of the answer runs from the last progress of the request's body, so that a long upload is not a
    /// time-out.
    pub(crate) async fn answer<F: Future>(
        self,
        sending: F,
        watch: Option<&BodyWatch>,
    ) -> Result<F::Output, Late> {
        let mut sending = pin!(sending);
        let end = self.per_try.map(|limit| Instant::now() + limit);
        loop {
            let now = Instant::now();
            let since = watch.map_or(self.began, |watch| watch.progress.get().max(self.began));
            let uploading = watch.is_some_and(|watch| !watch.complete.get());
            let stalled = uploading && watch.is_some_and(|watch| watch.waiting_for_client.get());
            let limit = if stalled {
                self.times.idle
            } else {
                self.times.answer
            };
            let mut left = limit.saturating_sub(now - since);
            if left.is_zero() {
                return Err(if stalled { Late::Client } else { Late::Instance });
            }
            if uploading {
                // It may stall meanwhile.
                left = left.min(self.times.idle);
            }
            if let Some(end) = end {
                let here = end.saturating_duration_since(now);
                if here.is_zero() && !uploading {
                    return Err(Late::Attempt);
                }
                if !here.is_zero() {
                    left = left.min(here);
                }
            }
            if let Ok(output) = timeout(left, sending.as_mut()).await {
                return Ok(output);
            }
        }
    }
}
