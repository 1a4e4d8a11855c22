//! CHECK of MySQL.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mysql-check",
    family: Family::Lock,
    severity: Severity::Warning,
    dialects: MY,
    lifted: Lifted::Never,
    summary: "a CHECK is added, or enforced from now on",
    why: "There is no NOT VALID: the table is copied to try it on every row, and nobody writes to it meanwhile.",
    safe: "add it NOT ENFORCED as long as rows are put right, and enforce it at a quiet time",
    effect: None,
    bad: &[
        Example::my("", "ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 0)"),
        Example::my("", "ALTER TABLE t ALTER CHECK positive ENFORCED"),
    ],
    good: &[
        Example::my(
            "",
            "ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 0) NOT ENFORCED",
        ),
        Example::maria("", "ALTER TABLE t ADD n int CHECK (n > 0)"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        let found = match &action.what {
            Alter::AddConstraint(constraint) => {
                constraint.enforced && matches!(constraint.kind, ConstraintKind::Check(_))
            }
            Alter::AlterConstraint(_, enforced) => *enforced == Some(true),
            // MariaDB adds the column with its CHECK at once, and tries it on no row.
            Alter::AddColumn { column, .. } => column.check.is_some() && look.dialect == Dialect::Mysql,
            _ => false,
        };
        if found {
            report.add(
                action.span.clone(),
                format!("{table} is copied to try it on every row, and nobody writes to it meanwhile"),
            );
        }
    }
}
