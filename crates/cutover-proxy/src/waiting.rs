//! Waits for the head of an answer, and knows whose fault it is when none comes.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use crate::alarms::Alarms;
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
        alarms: &Alarms,
        mut sending: Pin<&mut F>,
        watch: Option<&BodyWatch>,
    ) -> Result<F::Output, Late> {
        let mut alarm = alarms.wait();
        let attempt = self.per_try.map(|limit| Instant::now() + limit);
        poll_fn(|cx| {
            if let Poll::Ready(output) = sending.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            // What is waited for changes only when it is polled.
            let (end, late) = self.end(watch, attempt);
            if alarm.is_over(end, cx) {
                Poll::Ready(Err(late))
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// When it is too late, as things are now, and whose fault it is then.
    fn end(&self, watch: Option<&BodyWatch>, attempt: Option<Instant>) -> (Instant, Late) {
        let since = watch.map_or(self.began, |watch| watch.progress.get().max(self.began));
        let uploading = watch.is_some_and(|watch| !watch.complete.get());
        if uploading && watch.is_some_and(|watch| watch.waiting_for_client.get()) {
            return (since + self.times.idle, Late::Client);
        }
        let end = since + self.times.answer;
        match attempt {
            Some(attempt) if !uploading && attempt < end => (attempt, Late::Attempt),
            _ => (end, Late::Instance),
        }
    }
}
