//! What a ROLLBACK takes back: what was known at BEGIN, and at each SAVEPOINT that is open.

use crate::Dialect;
use crate::ddl::{Control, Ddl};

/// Whether statements that define something are taken back with the rest; MySQL's end the transaction.
const fn takes_back_definitions(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Postgres | Dialect::Sqlite)
}

/// Marks to go back to. Nothing is kept where no statement of the text goes back.
#[derive(Debug, Clone)]
pub(super) struct Undo<T> {
    marks: Vec<(Option<String>, T)>,
    needed: bool,
}

impl<T: Clone> Undo<T> {
    pub(super) fn new(dialect: Dialect, facts: &[Ddl]) -> Self {
        let goes_back =
            |ddl: &Ddl| matches!(ddl, Ddl::Transaction(Control::Rollback | Control::RollbackTo(_)));
        Self {
            marks: Vec::new(),
            needed: takes_back_definitions(dialect) && facts.iter().any(goes_back),
        }
    }

    /// Follows what controls a transaction; answers what is known again where it goes back.
    pub(super) fn follow(&mut self, control: &Control, now: impl FnOnce() -> T) -> Option<T> {
        if !self.needed {
            return None;
        }
        let named = |marks: &[(Option<String>, T)], name: &str| {
            marks.iter().rposition(|(own, _)| own.as_deref() == Some(name))
        };
        match control {
            Control::Begin => {
                if self.marks.is_empty() {
                    self.marks.push((None, now()));
                }
                None
            }
            Control::Commit => {
                self.marks.clear();
                None
            }
            Control::Rollback => {
                let first = self.marks.drain(..).next();
                first.map(|(_, before)| before)
            }
            Control::Savepoint(name) => {
                self.marks.push((Some(name.clone()), now()));
                None
            }
            Control::Release(name) => {
                if let Some(at) = named(&self.marks, name) {
                    self.marks.truncate(at);
                }
                None
            }
            // It stays, to be gone back to again.
            Control::RollbackTo(name) => {
                let at = named(&self.marks, name)?;
                self.marks.truncate(at + 1);
                self.marks.last().map(|(_, before)| before.clone())
            }
        }
    }
}
