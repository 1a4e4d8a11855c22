//! How many requests one revision is given at once, over all workers, and how many wait for one of these to end.

use std::collections::VecDeque;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// Of one revision. Carried over from table to table, like its other state; a new limit counts what is open already.
#[derive(Debug)]
pub(crate) struct Gate {
    limit: AtomicU64,
    open: AtomicU64,
    /// As many as there are in the queue, to know without its lock that there are none.
    pending: AtomicU64,
    queue: Mutex<VecDeque<oneshot::Sender<Pass>>>,
    /// Requests that were turned back.
    pub(crate) overflowed: AtomicU64,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            limit: AtomicU64::new(u64::MAX),
            open: AtomicU64::default(),
            pending: AtomicU64::default(),
            queue: Mutex::default(),
            overflowed: AtomicU64::default(),
        }
    }
}

/// The right to be worked on, until this is dropped.
#[derive(Debug)]
pub(crate) struct Pass(Arc<Gate>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, SeqCst);
        // Whoever begins to wait counts itself before it looks whether there is room: one of the two sees the other.
        if self.0.pending.load(SeqCst) > 0 {
            self.0.admit();
        }
    }
}

impl Gate {
    fn queue(&self) -> MutexGuard<'_, VecDeque<oneshot::Sender<Pass>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_limit(self: &Arc<Self>, limit: u64) {
        self.limit.store(limit, SeqCst);
        self.admit();
    }

    /// Requests that wait now; a few more, perhaps, whose clients have gone.
    pub(crate) fn pending(&self) -> u64 {
        self.pending.load(Relaxed)
    }

    /// Without waiting.
    pub(crate) fn try_enter(self: &Arc<Self>) -> Option<Pass> {
        let free = |open| (open < self.limit.load(SeqCst)).then_some(open + 1);
        let entered = self.open.fetch_update(SeqCst, SeqCst, free);
        entered.is_ok().then(|| Pass(Arc::clone(self)))
    }

    /// Without waiting, and only if nobody else does.
    pub(crate) fn enter_now(self: &Arc<Self>) -> Option<Pass> {
        if self.pending.load(SeqCst) == 0 {
            self.try_enter()
        } else {
            None
        }
    }

    /// One after the other, in the order in which they came. `None` for one that is too much, or waited too long.
    pub(crate) async fn enter(self: &Arc<Self>, max_pending: u32, wait: Duration) -> Option<Pass> {
        if let Some(pass) = self.enter_now() {
            return Some(pass);
        }
        let turn = self.line_up(max_pending);
        let entered = match turn {
            Some(turn) => {
                self.admit();
                timeout(wait, turn).await.ok().and_then(Result::ok)
            }
            None => None,
        };
        if entered.is_none() {
            self.overflowed.fetch_add(1, Relaxed);
        }
        entered
    }

    fn line_up(&self, max_pending: u32) -> Option<oneshot::Receiver<Pass>> {
        let mut queue = self.queue();
        let most = usize::try_from(max_pending).unwrap_or(usize::MAX);
        if queue.len() >= most {
            queue.retain(|waiting| !waiting.is_closed());
        }
        // One that there is room for waits no longer than it takes to see that.
        let room = usize::from(self.open.load(SeqCst) < self.limit.load(SeqCst));
        if queue.len() >= most.saturating_add(room) {
            return None;
        }
        let (sender, turn) = oneshot::channel();
        queue.push_back(sender);
        self.pending.store(queue.len() as u64, SeqCst);
        Some(turn)
    }

    fn admit(self: &Arc<Self>) {
        let mut left_over = None;
        let mut queue = self.queue();
        while !queue.is_empty() {
            let Some(pass) = left_over.take().or_else(|| self.try_enter()) else {
                break;
            };
            if let Some(waiting) = queue.pop_front() {
                left_over = waiting.send(pass).err();
            } else {
                left_over = Some(pass);
            }
        }
        self.pending.store(queue.len() as u64, SeqCst);
        // Dropping it looks at the queue.
        drop(queue);
        drop(left_over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(limit: u64) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        gate.set_limit(limit);
        gate
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn those_who_wait_get_in_in_order_and_one_too_many_does_not() {
        let gate = gate(1);
        let first = gate.enter(1, LONG).await.unwrap();
        let second = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.enter(1, LONG).await }
        });
        while gate.pending() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(gate.enter(1, LONG).await.is_none(), "the queue is full");
        assert!(gate.try_enter().is_none());
        drop(first);
        let second = second.await.unwrap().unwrap();
        assert_eq!((gate.pending(), gate.overflowed.load(Relaxed)), (0, 1));
        assert!(
            gate.enter(1, Duration::from_millis(1)).await.is_none(),
            "too long"
        );
        drop(second);
        assert!(
            gate.enter(0, LONG).await.is_some(),
            "whoever has gone is no obstacle"
        );
        assert_eq!(gate.open.load(SeqCst), 0);
    }

    #[tokio::test]
    async fn a_place_that_was_given_to_one_who_has_gone_is_given_on() {
        let gate = gate(1);
        let first = gate.enter(8, LONG).await.unwrap();
        let gone = gate.line_up(8).unwrap();
        let turn = gate.line_up(8).unwrap();
        drop(gone);
        drop(first);
        let pass = turn.await.unwrap();
        let late = gate.line_up(8).unwrap();
        drop(pass);
        // Given, and never looked at.
        drop(late);
        assert_eq!(gate.open.load(SeqCst), 0);
        assert!(gate.try_enter().is_some());
    }

    #[tokio::test]
    async fn a_higher_limit_lets_in_who_waits() {
        let gate = gate(1);
        let _first = gate.enter(8, LONG).await.unwrap();
        let turn = gate.line_up(8).unwrap();
        gate.set_limit(2);
        assert!(turn.await.is_ok());
    }

    #[test]
    fn never_more_than_the_limit_from_many_threads() {
        let gate = gate(3);
        let most = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (gate, most) = (Arc::clone(&gate), Arc::clone(&most));
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_time()
                        .build()
                        .unwrap();
                    runtime.block_on(async {
                        for _ in 0..500 {
                            let pass = gate.enter(100, LONG).await.unwrap();
                            most.fetch_max(gate.open.load(SeqCst), SeqCst);
                            tokio::task::yield_now().await;
                            drop(pass);
                        }
                    });
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(most.load(SeqCst) <= 3);
        assert_eq!((gate.open.load(SeqCst), gate.pending()), (0, 0));
    }
}
