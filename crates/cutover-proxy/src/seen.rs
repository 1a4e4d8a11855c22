//! Which sessions a split has seen, so that each of them is one unit of what is compared.
//!
//! A client that stays where it is placed is drawn once, whatever it asks for: its requests are no news of their own. So of
//! a session its first request counts, and the first of them that fails, on the side where it is then. Where it stands is
//! drawn anew for each candidate ([`crate::session`]), hence sessions that are older than the split count as well.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::session::Identity;
use crate::state::RevisionState;

/// So many sessions of a split are known, about 16 bytes each. Those that come later are drawn, but what becomes of them
/// after their first request is not looked at.
const MOST: usize = 200_000;

/// The sessions that were seen while a candidate shared the requests, and whether one of their requests has failed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    failed: Mutex<HashMap<u64, bool>>,
}

/// One session, under one candidate.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    candidate: Arc<RevisionState>,
    session: u64,
}

impl Unit {
    /// The session of a client, and whether it is new; nothing when too many are known.
    pub(crate) fn of(candidate: &Arc<RevisionState>, identity: Identity) -> Option<(Self, bool)> {
        let session = identity.short();
        let mut known = candidate
            .seen
            .failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_new = !known.contains_key(&session);
        if is_new {
            if known.len() >= MOST {
                return None;
            }
            known.insert(session, false);
        }
        drop(known);
        let unit = Self {
            candidate: Arc::clone(candidate),
            session,
        };
        Some((unit, is_new))
    }

    /// One of its requests has failed. Whether it is the first.
    pub(crate) fn fails_first(&self) -> bool {
        let mut known = self
            .candidate
            .seen
            .failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known
            .insert(self.session, true)
            .is_none_or(|failed_before| !failed_before)
    }
}
