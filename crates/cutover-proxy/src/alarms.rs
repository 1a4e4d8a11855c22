//! Timers for what mostly does not happen: an answer that does not come in time.
//!
//! One that is no longer needed is not taken out of the runtime's timers but kept, still set, for the next who needs one.
//! It goes off too early then, is set to the right moment, and that is all: once in a time-out, not once a request.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// Timers that are kept.
const MOST: usize = 1024;

/// One worker's timers that nobody needs now.
#[derive(Debug, Default)]
pub(crate) struct Alarms(RefCell<Vec<Pin<Box<Sleep>>>>);

/// One wait. It needs no timer until it is asked whether it is over.
#[derive(Debug)]
pub(crate) struct Alarm<'a> {
    alarms: &'a Alarms,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarms {
    pub(crate) const fn wait(&self) -> Alarm<'_> {
        Alarm {
            alarms: self,
            sleep: None,
        }
    }
}

impl Alarm<'_> {
    /// Whether it is `end` or later; if not, the task is woken then. Another time may be given each time.
    pub(crate) fn is_over(&mut self, end: Instant, cx: &mut Context<'_>) -> bool {
        let sleep = self.sleep.get_or_insert_with(|| {
            let kept = self.alarms.0.borrow_mut().pop();
            kept.unwrap_or_else(|| Box::pin(sleep_until(end)))
        });
        if sleep.deadline() > end {
            sleep.as_mut().reset(end);
        }
        loop {
            match sleep.as_mut().poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(()) if Instant::now() >= end => return true,
                // It was set for somebody else.
                Poll::Ready(()) => sleep.as_mut().reset(end),
            }
        }
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if let Some(sleep) = self.sleep.take() {
            let mut kept = self.alarms.0.borrow_mut();
            if kept.len() < MOST {
                kept.push(sleep);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    async fn until(alarms: &Alarms, end: Instant) {
        let mut alarm = alarms.wait();
        poll_fn(|cx| {
            if alarm.is_over(end, cx) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    #[tokio::test]
    async fn each_ends_at_its_own_time_whatever_the_timer_was_set_to_before() {
        let alarms = Alarms::default();
        let began = Instant::now();
        let far = began + Duration::from_secs(3_600);
        let left = tokio::time::timeout(Duration::from_millis(1), until(&alarms, far));
        assert!(left.await.is_err());
        assert_eq!(alarms.0.borrow().len(), 1, "it is kept");
        for millis in [20, 60, 61] {
            let end = began + Duration::from_millis(millis);
            until(&alarms, end).await;
            assert!(Instant::now() >= end && Instant::now() < far);
            assert_eq!(alarms.0.borrow().len(), 1, "the same one");
        }
    }
}
