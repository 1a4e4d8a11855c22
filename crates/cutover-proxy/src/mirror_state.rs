//! What is counted of a route's copies, and how many there may be at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::wire::MirrorStats;

/// Of one route, over all tables and workers.
#[derive(Debug, Default)]
pub(crate) struct MirrorState {
    open: AtomicU32,
    pub(crate) sent: AtomicU64,
    pub(crate) full: AtomicU64,
    pub(crate) too_long: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) equal: AtomicU64,
    pub(crate) other_status: AtomicU64,
    pub(crate) other_body: AtomicU64,
    pub(crate) not_compared: AtomicU64,
}

impl MirrorState {
    /// A place for one more copy; none when that many are waiting or under way.
    pub(crate) fn place(self: &Arc<Self>, most: u32) -> Option<Place> {
        if self.open.fetch_add(1, Relaxed) >= most {
            self.open.fetch_sub(1, Relaxed);
            self.full.fetch_add(1, Relaxed);
            return None;
        }
        Some(Place(Arc::clone(self)))
    }

    /// Nothing where nothing was ever to be copied.
    pub(crate) fn stats(&self) -> Option<MirrorStats> {
        let stats = MirrorStats {
            open: self.open.load(Relaxed),
            sent: self.sent.load(Relaxed),
            full: self.full.load(Relaxed),
            too_long: self.too_long.load(Relaxed),
            failed: self.failed.load(Relaxed),
            equal: self.equal.load(Relaxed),
            other_status: self.other_status.load(Relaxed),
            other_body: self.other_body.load(Relaxed),
            not_compared: self.not_compared.load(Relaxed),
        };
        (stats != MirrorStats::default()).then_some(stats)
    }
}

/// One copy's place, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<MirrorState>);

impl Place {
    pub(crate) fn state(&self) -> &Arc<MirrorState> {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back() {
        let state = Arc::new(MirrorState::default());
        assert_eq!(state.stats(), None);
        let (first, second) = (state.place(2), state.place(2));
        assert!(first.is_some() && second.is_some() && state.place(2).is_none());
        drop(first);
        assert!(state.place(2).is_some());
        let stats = state.stats().unwrap();
        assert_eq!((stats.open, stats.full), (1, 1));
        assert!(state.place(0).is_none());
    }
}
