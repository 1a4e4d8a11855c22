//! A file may take on another role (`SET ROLE app_owner`), which need not have any right to the history: its own statements
//! run in that role, and what Cutover writes beside them in that of the connection. Pure.

use cutover_sql::RoleChange;

/// Back to what the connection began with.
const OWN: &str = "RESET SESSION AUTHORIZATION; RESET ROLE";

/// Which role the session is in, and which the file wants.
#[derive(Debug, Default)]
pub(super) struct Roles {
    /// What the file said, in order.
    said: Vec<(String, RoleChange)>,
    /// Whether the session is back in the connection's role meanwhile.
    own: bool,
    /// Both as a rollback leaves them.
    at_begin: (usize, bool),
}

impl Roles {
    /// The file has just said so.
    pub(super) fn heard(&mut self, statement: &str, change: RoleChange) {
        self.said.push((statement.to_owned(), change));
        self.own = false;
    }

    pub(super) fn begun(&mut self) {
        self.at_begin = (self.said.len(), self.own);
    }

    pub(super) fn committed(&mut self) {
        self.said.retain(|(_, change)| *change == RoleChange::Session);
    }

    pub(super) fn rolled_back(&mut self) {
        self.said.truncate(self.at_begin.0);
        self.own = self.at_begin.1;
    }

    /// What is to be run before a statement of Cutover's own.
    pub(super) fn before_own(&mut self) -> Option<&'static str> {
        let away = !self.said.is_empty() && !self.own;
        self.own |= away;
        away.then_some(OWN)
    }

    /// What is to be run before a statement of the file.
    pub(super) fn before_theirs(&mut self) -> Option<String> {
        if self.said.is_empty() || !self.own {
            return None;
        }
        self.own = false;
        let said: Vec<&str> = self
            .said
            .iter()
            .map(|(statement, _)| statement.as_str())
            .collect();
        Some(said.join(";"))
    }

    /// What is to be run before another file, which has said nothing yet.
    pub(super) fn before_another_file(&mut self) -> Option<&'static str> {
        let own = self.before_own();
        *self = Self::default();
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_is_written_in_the_role_of_the_connection_and_the_file_goes_on_in_its_own() {
        let mut roles = Roles::default();
        roles.begun();
        assert_eq!((roles.before_own(), roles.before_theirs()), (None, None));
        roles.heard("SET ROLE a", RoleChange::Session);
        assert_eq!(roles.before_theirs(), None);
        assert_eq!((roles.before_own(), roles.before_own()), (Some(OWN), None));
        roles.heard("SET LOCAL ROLE b", RoleChange::Local);
        assert_eq!(roles.before_own(), Some(OWN));
        roles.committed();
        roles.begun();
        assert_eq!(roles.before_theirs().as_deref(), Some("SET ROLE a"));
        roles.heard("RESET ROLE", RoleChange::Session);
        roles.rolled_back();
        assert_eq!(roles.before_theirs().as_deref(), Some("SET ROLE a"));
        assert_eq!(roles.before_another_file(), Some(OWN));
        assert_eq!(roles.before_theirs(), None);
    }
}
