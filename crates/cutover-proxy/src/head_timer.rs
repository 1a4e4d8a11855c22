//! The time that a client has for a request's head, with one timer a connection instead of one a request.
//!
//! hyper asks for a timer whenever it begins to wait for a head and drops it when the head is there. Entering it into
//! the runtime's timers and taking it out again would be done for each request, and is needed for none: here hyper only
//! notes the deadline, and the connection's own timer, when it ends, looks whether there is one and how far away it is.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Sleep, Timer};
use tokio::time::{Instant, sleep_until};

/// For one connection; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct HeadTimer(Arc<Due>);

#[derive(Debug)]
struct Due {
    began: Instant,
    /// In microseconds from the beginning; [`NEVER`] while no head is waited for.
    deadline_us: AtomicU64,
    over: AtomicBool,
}

const NEVER: u64 = u64::MAX;

impl Default for HeadTimer {
    fn default() -> Self {
        Self(Arc::new(Due {
            began: Instant::now(),
            deadline_us: AtomicU64::new(NEVER),
            over: AtomicBool::new(false),
        }))
    }
}

impl HeadTimer {
    fn note(&self, deadline: std::time::Instant) {
        // What is waited for from now on is not over, whatever became of the wait before.
        self.0.over.store(false, Relaxed);
        let since = Instant::from_std(deadline).saturating_duration_since(self.0.began);
        let micros = u64::try_from(since.as_micros()).unwrap_or(NEVER - 1);
        self.0.deadline_us.store(micros, Relaxed);
    }

    fn deadline(&self) -> Option<Instant> {
        let micros = self.0.deadline_us.load(Relaxed);
        (micros != NEVER).then(|| self.0.began + Duration::from_micros(micros))
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until((Instant::now() + duration).into_std())
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        self.note(deadline);
        Box::pin(Waiting(Arc::clone(&self.0)))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: std::time::Instant) {
        *sleep = self.sleep_until(deadline);
        // The drop of the one before has taken the deadline away.
        self.note(deadline);
    }
}

/// What hyper holds while it waits.
struct Waiting(Arc<Due>);

impl Sleep for Waiting {}

impl Future for Waiting {
    type Output = ();

    /// Registers nothing: whoever ends the time polls the whole connection.
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0.over.load(Relaxed) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.deadline_us.store(NEVER, Relaxed);
    }
}

/// How long a connection waits for a head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Until it is over; hyper was told the same.
    pub(crate) head: Duration,
    /// Until it may rest.
    pub(crate) rest: Duration,
}

/// A connection that is told when it may rest, and ends when a head takes too long.
pub(crate) async fn watched<F: Future>(
    connection: F,
    timer: HeadTimer,
    times: Times,
    rest: impl Fn(),
) -> F::Output {
    let soonest = times.rest.min(times.head);
    let mut connection = pin!(connection);
    let mut watch = pin!(sleep_until(Instant::now() + soonest));
    std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(output) = connection.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
            loop {
                if watch.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                let now = Instant::now();
                let Some(deadline) = timer.deadline() else {
                    // One that is set from now on is at least so far away.
                    watch.as_mut().reset(now + soonest);
                    continue;
                };
                let rests = deadline - times.head + times.rest;
                if deadline <= now {
                    timer.0.over.store(true, Relaxed);
                    watch.as_mut().reset(now + soonest);
                    break;
                }
                if rests <= now {
                    rest();
                    watch.as_mut().reset(deadline);
                    break;
                }
                watch.as_mut().reset(rests.min(deadline));
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn times(head: Duration) -> Times {
        Times { head, rest: head / 4 }
    }

    #[tokio::test]
    async fn each_wait_has_its_whole_time_and_what_is_between_does_not_count() {
        let limit = Duration::from_millis(80);
        let timer = HeadTimer::default();
        let waits = timer.clone();
        let connection = async move {
            for part in [2, 40, 20] {
                let waiting = waits.sleep(limit);
                tokio::time::sleep(limit / part).await;
                drop(waiting);
                // The request is worked on, which may take longer.
                tokio::time::sleep(limit * 2).await;
            }
            let began = Instant::now();
            waits.sleep(limit).await;
            began.elapsed()
        };
        let took = watched(connection, timer, times(limit), || {}).await;
        assert!(took >= limit, "{took:?}");
    }

    #[tokio::test]
    async fn a_deadline_that_is_moved_counts() {
        let limit = Duration::from_millis(40);
        let timer = HeadTimer::default();
        let waits = timer.clone();
        let connection = async move {
            let began = Instant::now();
            let mut waiting = waits.sleep(limit);
            waits.reset(&mut waiting, (began + limit * 3).into_std());
            waiting.await;
            began.elapsed()
        };
        let took = watched(connection, timer, times(limit), || {}).await;
        assert!(took >= limit * 3, "{took:?}");
    }

    #[tokio::test]
    async fn a_time_that_is_over_does_not_count_for_the_next_head() {
        let timer = HeadTimer::default();
        timer.0.over.store(true, Relaxed);
        assert!(timer.sleep(Duration::from_secs(60)).now_or_never().is_none());
    }

    #[tokio::test]
    async fn it_may_rest_when_it_has_waited_and_not_while_it_works() {
        let limit = Duration::from_millis(200);
        let timer = HeadTimer::default();
        let (waits, rested) = (timer.clone(), std::cell::Cell::new(None));
        let connection = async {
            tokio::time::sleep(limit).await;
            let began = Instant::now();
            let waiting = waits.sleep(limit);
            std::future::poll_fn(|_| match rested.get() {
                Some(at) => Poll::Ready(at),
                None => Poll::Pending,
            })
            .await;
            drop(waiting);
            rested.get().unwrap() - began
        };
        let took = watched(connection, timer, times(limit), || {
            rested.set(Some(Instant::now()))
        })
        .await;
        assert!(took >= limit / 4 && took < limit, "{took:?}");
    }
}
