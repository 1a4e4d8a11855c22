//! Requests that wait at the proxy, before it is decided which revision they are for.
//!
//! Bounded in count, in bytes and in age; released one after the other, so that what has waited does not arrive as one
//! wave. A body is not read meanwhile: the client's own socket holds it back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{interval, timeout};

use crate::state::RouteState;
use crate::wire::{HoldRequest, ReleaseRequest};

/// Of one route.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    on: AtomicBool,
    inner: Mutex<Inner>,
    /// Requests that were held so far.
    pub(crate) total: AtomicU64,
    /// Those that were too many, or waited too long.
    pub(crate) overflowed: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    rule: Option<HoldRequest>,
    /// How often it was begun.
    begun: u64,
    next: u64,
    waiting: VecDeque<Waiting>,
    bytes: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    bytes: u64,
    go: oneshot::Sender<()>,
}

/// Leaves the queue when this is dropped, whether it was called or the client has gone.
struct Place<'a> {
    hold: &'a Hold,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inner = self.hold.inner();
        if let Some(index) = inner.waiting.iter().position(|one| one.number == self.number)
            && let Some(gone) = inner.waiting.remove(index)
        {
            inner.bytes -= gone.bytes;
        }
    }
}

impl Hold {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// Holds from now on, by this; what waits already waits on. Says which time this is, if it changed anything.
    pub(crate) fn begin(&self, rule: HoldRequest) -> Option<u64> {
        let mut inner = self.inner();
        let stands = inner.rule.as_ref().is_some_and(|stands| stands.at_most.is_none());
        if stands && rule.at_most.is_some() {
            // Whoever holds without an end decides when it ends.
            return None;
        }
        inner.rule = Some(rule);
        inner.begun += 1;
        self.on.store(true, Relaxed);
        Some(inner.begun)
    }

    /// Whether it holds until it ends by itself.
    pub(crate) fn is_timed(&self) -> bool {
        self.inner()
            .rule
            .as_ref()
            .is_some_and(|rule| rule.at_most.is_some())
    }

    /// Whether it still holds since that time.
    fn is_since(&self, begun: u64) -> bool {
        let inner = self.inner();
        inner.rule.is_some() && inner.begun == begun
    }

    /// By what is held, if anything is.
    pub(crate) fn rule(&self) -> Option<HoldRequest> {
        self.inner().rule.clone()
    }

    /// Requests that wait, and their bytes.
    pub(crate) fn waiting(&self) -> (u64, u64) {
        let inner = self.inner();
        (inner.waiting.len() as u64, inner.bytes)
    }

    /// Returns when the request may go on. `bytes` is the size of its head.
    ///
    /// # Errors
    /// If there is no place for it, or it has waited too long.
    pub(crate) async fn park(&self, bytes: u64) -> Result<(), ()> {
        let (turn, place, age) = {
            let mut inner = self.inner();
            let Some(rule) = &inner.rule else {
                return Ok(());
            };
            let age = rule.max_age.as_duration();
            let room = inner.waiting.len() < usize::try_from(rule.max_requests).unwrap_or(usize::MAX)
                && inner.bytes + bytes <= rule.max_bytes;
            if !room {
                self.overflowed.fetch_add(1, Relaxed);
                return Err(());
            }
            let (go, turn) = oneshot::channel();
            let number = inner.next;
            inner.next += 1;
            inner.bytes += bytes;
            inner.waiting.push_back(Waiting { number, bytes, go });
            (turn, Place { hold: self, number }, age)
        };
        self.total.fetch_add(1, Relaxed);
        let called = timeout(age, turn).await;
        drop(place);
        called.map(|_| ()).map_err(|_| {
            self.overflowed.fetch_add(1, Relaxed);
        })
    }

    /// Holds no longer. Whoever comes now goes on at once; [`let_go`] is for those who wait.
    pub(crate) fn end(&self) {
        let mut inner = self.inner();
        inner.rule = None;
        self.on.store(false, Relaxed);
    }

    /// Lets so many go on, unless they are held again. Whether more wait.
    fn let_go(&self, count: u32) -> bool {
        let mut inner = self.inner();
        if inner.rule.is_some() {
            return false;
        }
        for _ in 0..count {
            let Some(next) = inner.waiting.pop_front() else {
                return false;
            };
            inner.bytes -= next.bytes;
            // Whoever has gone needs no word.
            let _ = next.go.send(());
        }
        !inner.waiting.is_empty()
    }
}

/// Holds no longer than this, and lets go then, unless it was ended or begun again meanwhile.
pub(crate) async fn end_after(route: Arc<RouteState>, begun: u64, at_most: Duration) {
    tokio::time::sleep(at_most).await;
    if route.hold.is_since(begun) {
        tracing::warn!(service = %route.service, "nobody has released the requests that wait: they go on now");
        route.hold.end();
        let_go(route, ReleaseRequest::default().per_second).await;
    }
}

/// Lets so many a second go on. Returns when nobody waits any longer, or they are held again.
pub(crate) async fn let_go(route: Arc<RouteState>, per_second: u32) {
    let (pause, count) = pace(per_second);
    let mut beats = interval(pause);
    loop {
        beats.tick().await;
        if !route.hold.let_go(count) {
            return;
        }
    }
}

/// Between two beats, and how many go at each.
fn pace(per_second: u32) -> (Duration, u32) {
    let per_second = per_second.max(1);
    let beat = Duration::from_millis(5);
    let count = per_second / 200;
    if count == 0 {
        (Duration::from_secs(1) / per_second, 1)
    } else {
        (beat, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paces() {
        assert_eq!(pace(1_000), (Duration::from_millis(5), 5));
        assert_eq!(pace(100), (Duration::from_millis(10), 1));
        assert_eq!(pace(0), (Duration::from_secs(1), 1));
    }

    #[tokio::test]
    async fn bounded_in_count_bytes_and_age_and_who_leaves_makes_room() {
        let hold = Hold::default();
        assert_eq!(hold.park(1_000_000).await, Ok(()), "not on");
        hold.begin(HoldRequest {
            max_requests: 2,
            max_bytes: 100,
            max_age: cutover_model::Span::from_millis(30),
            ..HoldRequest::default()
        });
        assert_eq!(hold.park(101).await, Err(()), "bytes");
        let (first, second, third) = tokio::join!(hold.park(10), hold.park(10), hold.park(10));
        assert_eq!(
            (first, second, third),
            (Err(()), Err(()), Err(())),
            "age, age and count"
        );
        assert_eq!(hold.waiting(), (0, 0));
        assert_eq!((hold.total.load(Relaxed), hold.overflowed.load(Relaxed)), (2, 4));
        let left = timeout(Duration::from_millis(1), hold.park(10)).await;
        assert!(left.is_err(), "its client has gone");
        assert_eq!(hold.waiting(), (0, 0));
    }
}
