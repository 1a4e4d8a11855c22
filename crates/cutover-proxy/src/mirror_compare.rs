//! Whether a copy was answered as its original was: by status, and by a digest of the body.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sha2::{Digest, Sha256};

use crate::mirror_state::MirrorState;

/// A status, and the digest of a body that came to its end.
type Answer = (u16, [u8; 32]);

/// Both answers to one request. Counted when both sides have let go of it.
#[derive(Debug)]
pub(crate) struct Comparison {
    state: Arc<MirrorState>,
    sent: Cell<bool>,
    original: Cell<Option<Answer>>,
    copy: Cell<Option<Answer>>,
}

/// One of the two answers while it comes.
#[derive(Debug)]
pub(crate) struct Side {
    comparison: Rc<Comparison>,
    is_copy: bool,
    status: u16,
    digest: Sha256,
    /// Bytes of a body that are still looked at; none once there were more.
    left: Option<usize>,
}

impl Comparison {
    /// The original's side and the copy's; bodies of more than `most` bytes are not compared.
    pub(crate) fn sides(state: &Arc<MirrorState>, most: usize) -> (Side, Side) {
        let comparison = Rc::new(Self {
            state: Arc::clone(state),
            sent: Cell::new(false),
            original: Cell::new(None),
            copy: Cell::new(None),
        });
        let side = |is_copy| Side {
            comparison: Rc::clone(&comparison),
            is_copy,
            status: 0,
            digest: Sha256::new(),
            left: Some(most),
        };
        (side(false), side(true))
    }
}

impl Side {
    /// The copy is on its way: from now on the comparison counts.
    pub(crate) fn sent(&self) {
        self.comparison.sent.set(true);
    }

    pub(crate) fn status(&mut self, status: u16) {
        self.status = status;
    }

    pub(crate) fn data(&mut self, data: &[u8]) {
        self.left = self.left.and_then(|left| left.checked_sub(data.len()));
        if self.left.is_some() {
            self.digest.update(data);
        }
    }

    /// The body has come to its end.
    pub(crate) fn end(self) {
        let answer = self.left.map(|_| (self.status, self.digest.finalize().into()));
        let side = if self.is_copy {
            &self.comparison.copy
        } else {
            &self.comparison.original
        };
        side.set(answer);
    }
}

impl Drop for Comparison {
    fn drop(&mut self) {
        if !self.sent.get() {
            return;
        }
        let count = match (self.original.get(), self.copy.get()) {
            (Some(original), Some(copy)) if original.0 != copy.0 => &self.state.other_status,
            (Some(original), Some(copy)) if original.1 != copy.1 => &self.state.other_body,
            (Some(_), Some(_)) => &self.state.equal,
            _ => &self.state.not_compared,
        };
        count.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(original: Option<(u16, &[&str])>, copy: Option<(u16, &[&str])>) -> [u64; 4] {
        let state = Arc::new(MirrorState::default());
        let (one, other) = Comparison::sides(&state, 4);
        other.sent();
        for (mut side, answer) in [(one, original), (other, copy)] {
            if let Some((status, parts)) = answer {
                side.status(status);
                for part in parts {
                    side.data(part.as_bytes());
                }
                side.end();
            }
        }
        [
            &state.equal,
            &state.other_status,
            &state.other_body,
            &state.not_compared,
        ]
        .map(|count| count.load(Relaxed))
    }

    fn answer(status: u16, parts: &'static [&'static str]) -> Option<(u16, &'static [&'static str])> {
        Some((status, parts))
    }

    #[test]
    fn answers_are_equal_by_status_and_body() {
        assert_eq!(
            compared(answer(200, &["ab", "cd"]), answer(200, &["a", "bcd"])),
            [1, 0, 0, 0]
        );
        assert_eq!(compared(answer(200, &[]), answer(404, &[])), [0, 1, 0, 0]);
        assert_eq!(compared(answer(200, &["a"]), answer(200, &["b"])), [0, 0, 1, 0]);
        assert_eq!(
            compared(answer(200, &["abcd", "e"]), answer(200, &["abcd", "e"])),
            [0, 0, 0, 1]
        );
        assert_eq!(compared(answer(200, &["a"]), None), [0, 0, 0, 1]);
        assert_eq!(compared(None, None), [0, 0, 0, 1]);
    }

    #[test]
    fn what_was_never_sent_is_not_counted() {
        let state = Arc::new(MirrorState::default());
        drop(Comparison::sides(&state, 4));
        assert_eq!(state.stats(), None);
    }
}
