//! Waits for something that is polled, and says when it has not moved for too long. As long as it moves, that costs a
//! look at the clock when it is not ready; the timer is set once, and again only when it has gone off.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// How long nothing may move.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    /// Since when nothing moves.
    since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(crate) const fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: None,
            alarm: None,
        }
    }

    /// It moved.
    pub(crate) const fn moved(&mut self) {
        self.since = None;
    }

    /// It does not move. When it is over, it stays over until something moves.
    pub(crate) fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let limit = self.limit;
        let end = *self.since.get_or_insert_with(Instant::now) + limit;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(end)));
        loop {
            match Pin::as_mut(alarm).poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(()) if Instant::now() >= end => return true,
                // It was set before something moved.
                Poll::Ready(()) => alarm.as_mut().reset(end),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn it_is_over_when_nothing_has_moved_for_so_long() {
        let limit = Duration::from_millis(100);
        let mut patience = Patience::new(limit);
        let mut polls = 0;
        let mut moved = Instant::now();
        poll_fn(|cx| {
            polls += 1;
            if polls == 2 {
                // The alarm has gone off: it moves just now, and all of the time begins again.
                patience.moved();
                moved = Instant::now();
            }
            if patience.is_over(cx) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        assert!(polls > 2 && moved.elapsed() >= limit, "{polls}");
    }
}
