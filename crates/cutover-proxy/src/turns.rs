//! Smooth weighted round robin over revisions: exact where a draw is right only on average.
//!
//! Each revision's credit grows by its weight with every request; the one with most credit takes it and pays what all
//! were given. After any number of requests each of two revisions has had its share to within one. The credits belong
//! to the revisions, so that a new table does not begin a new round (a share of 1 % would never have its turn), and all
//! workers take turns together.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use crate::snapshot::{Revision, Route};

/// The revision whose turn it is; `None` when no revision has a share.
pub(crate) fn next(route: &Route) -> Option<&Arc<Revision>> {
    if let [(_, only)] = route.split.as_slice() {
        return route.revisions.get(*only);
    }
    // Credits are only ever touched under it; it holds nothing itself that a panic could spoil.
    let _turn = route.state.turn.lock().unwrap_or_else(PoisonError::into_inner);
    let mut below = 0;
    let mut first: Option<(i64, &Arc<Revision>)> = None;
    for (bound, index) in &route.split {
        let revision = route.revisions.get(*index)?;
        let credit = revision.state.credit.load(Relaxed) + i64::from(bound - below);
        revision.state.credit.store(credit, Relaxed);
        below = *bound;
        if first.is_none_or(|(most, _)| credit > most) {
            first = Some((credit, revision));
        }
    }
    let (credit, revision) = first?;
    revision.state.credit.store(credit - i64::from(below), Relaxed);
    Some(revision)
}
