//! CHECK constraints that look at every row.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "check-constraint",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "a CHECK is checked while the table is locked",
    why: "Every row is read under ACCESS EXCLUSIVE, and nobody reads or writes the table meanwhile.",
    safe: "add it NOT VALID, then VALIDATE CONSTRAINT in another transaction, which locks nobody out",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: false,
        scan: true,
    }),
    bad: &[
        Example::pg_after(
            "CREATE TABLE orders (total int);",
            "ALTER TABLE orders ADD CONSTRAINT positive CHECK (total > 0);",
        ),
        Example::pg("ALTER TABLE orders ADD COLUMN total int CHECK (total > 0);"),
    ],
    good: &[
        Example::pg("ALTER TABLE orders ADD CONSTRAINT positive CHECK (total > 0) NOT VALID;"),
        Example::pg("CREATE TABLE orders (total int); ALTER TABLE orders ADD CHECK (total > 0);"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        match &action.what {
            Alter::AddConstraint(constraint) if !constraint.not_valid && constraint.enforced => {
                let ConstraintKind::Check(expr) = &constraint.kind else {
                    continue;
                };
                let name = constraint
                    .name
                    .clone()
                    .unwrap_or_else(|| format!("{}_check", table.name));
                report
                    .add(
                        action.span.clone(),
                        format!("nobody reads or writes {table} while every row is checked"),
                    )
                    .fix(format!(
                        "ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({}) NOT VALID;\n\
                         ALTER TABLE {table} VALIDATE CONSTRAINT {name};",
                        expr.text
                    ));
            }
            Alter::AddColumn { column, .. } if column.check.is_some() => {
                report.add(
                    action.span.clone(),
                    format!(
                        "nobody reads or writes {table} while the CHECK of {} is tried on every row",
                        column.name
                    ),
                );
            }
            _ => {}
        }
    }
}
