//! Foreign keys that look at every row.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "foreign-key",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "a foreign key is checked while both tables are locked",
    why: "Both tables are locked against writes (SHARE ROW EXCLUSIVE) for as long as it takes to look up every row.",
    safe: "add it NOT VALID, then VALIDATE CONSTRAINT in another transaction, which locks nobody out",
    effect: Some(Effect {
        lock: "ShareRowExclusiveLock",
        rewrite: false,
        scan: true,
    }),
    bad: &[
        Example::pg_after(
            "CREATE TABLE users (id int PRIMARY KEY); CREATE TABLE orders (user_id int);",
            "ALTER TABLE orders ADD CONSTRAINT buyer FOREIGN KEY (user_id) REFERENCES users (id);",
        ),
        Example::pg("ALTER TABLE orders ADD COLUMN user_id int DEFAULT 1 REFERENCES users (id);"),
    ],
    good: &[
        Example::pg(
            "ALTER TABLE orders ADD CONSTRAINT buyer FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID;",
        ),
        Example::pg("CREATE TABLE orders (user_id int REFERENCES users);"),
        Example::pg("ALTER TABLE orders VALIDATE CONSTRAINT buyer;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        match &action.what {
            Alter::AddConstraint(constraint) if !constraint.not_valid && constraint.enforced => {
                let ConstraintKind::ForeignKey { columns, references } = &constraint.kind else {
                    continue;
                };
                let other = &references.table;
                let name = constraint
                    .name
                    .clone()
                    .unwrap_or_else(|| format!("{}_{}_fkey", table.name, columns.join("_")));
                report
                    .add(
                        action.span.clone(),
                        format!("nobody writes to {table} or {other} while every row of {table} is looked up in {other}"),
                    )
                    .fix(format!(
                        "ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({}) REFERENCES {other}{} NOT VALID;\n\
                         ALTER TABLE {table} VALIDATE CONSTRAINT {name};",
                        columns.join(", "),
                        if references.columns.is_empty() { String::new() } else { format!(" ({})", references.columns.join(", ")) },
                    ));
            }
            Alter::AddColumn { column, .. } => {
                let Some(references) = &column.references else {
                    continue;
                };
                let other = &references.table;
                let filled = column.default.as_ref().is_some_and(|default| !default.is_null());
                if filled {
                    report.add(
                        action.span.clone(),
                        format!("nobody writes to {table} or {other} while the default of {} is looked up for every row", column.name),
                    );
                } else {
                    report.weigh(
                        Severity::Note,
                        action.span.clone(),
                        format!("{other} is locked against writes for a moment; no row is looked at, because {} is null", column.name),
                    );
                }
            }
            _ => {}
        }
    }
}
