//! Foreign keys of MySQL.

use super::prelude::*;

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
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if look
        .state
        .setting("foreign_key_checks")
        .is_some_and(|value| matches!(value, "0" | "off" | "false"))
    {
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
