//! Foreign keys of MySQL.

use super::prelude::*;
use crate::read::settings_of_statement;

pub(crate) const RULE: Rule = Rule {
    id: "mysql-foreign-key",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: MY,
    lifted: Lifted::Never,
    summary: "a foreign key is added with its checks on",
    why: "The table is copied to look up every row, and nobody writes to it meanwhile. Only with foreign_key_checks=0 it is added in \
          place, without a look at the rows.",
    safe: "see that every row points somewhere, then SET foreign_key_checks = 0 for the session and add it",
    effect: None,
    bad: &[
        Example::my(
            "",
            "ALTER TABLE orders ADD CONSTRAINT buyer FOREIGN KEY (user_id) REFERENCES users (id)",
        ),
        Example::maria(
            "",
            "ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users (id)",
        ),
        Example::my(
            "SET foreign_key_checks = 0;",
            "SET GLOBAL foreign_key_checks = 0; ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users (id)",
        ),
    ],
    good: &[
        Example::my(
            "",
            "SET foreign_key_checks = 0; ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users (id)",
        ),
        Example::my(
            "",
            "CREATE TABLE orders (user_id int, FOREIGN KEY (user_id) REFERENCES users (id))",
        ),
        Example::my(
            "",
            "SET @old = @@foreign_key_checks, foreign_key_checks = 0; ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users (id)",
        ),
        Example::maria(
            "",
            "SET STATEMENT foreign_key_checks=0 FOR ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users (id)",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let own = settings_of_statement(look.dialect, look.text);
    let checks = own
        .iter()
        .rev()
        .find(|(name, _)| name == "foreign_key_checks")
        .map(|(_, value)| value.as_str())
        .or_else(|| look.state.setting("foreign_key_checks"));
    if checks.is_some_and(|value| matches!(value, "0" | "off" | "false")) {
        return;
    }
    for (table, action) in look.actions() {
        if let Alter::AddConstraint(constraint) = &action.what
            && let ConstraintKind::ForeignKey { references, .. } = &constraint.kind
        {
            report.add(
                action.span.clone(),
                format!(
                    "{table} is copied while every row is looked up in {}, and nobody writes to it",
                    references.table
                ),
            );
        }
    }
}
