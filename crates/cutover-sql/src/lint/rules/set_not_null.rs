//! Columns that must have a value from now on.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "set-not-null",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "SET NOT NULL looks at every row",
    why: "The whole table is read under ACCESS EXCLUSIVE, and nobody reads or writes it meanwhile. From PostgreSQL 12 on a \
          validated CHECK (column IS NOT NULL) is proof enough, and nothing is read.",
    safe: "ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID, then VALIDATE CONSTRAINT in another transaction, then SET NOT NULL, then drop the CHECK",
    effect: Some(Effect { lock: "AccessExclusiveLock", rewrite: false, scan: true }),
    bad: &[
        Example::pg_after("CREATE TABLE orders (state int);", "ALTER TABLE orders ALTER COLUMN state SET NOT NULL;"),
        Example::pg_after(
            "CREATE TABLE orders (state int); ALTER TABLE orders ADD CONSTRAINT c CHECK (state IS NOT NULL) NOT VALID;",
            "ALTER TABLE orders ALTER COLUMN state SET NOT NULL;",
        ),
    ],
    good: &[
        Example::pg_after(
            "CREATE TABLE orders (state int); ALTER TABLE orders ADD CONSTRAINT c CHECK (state IS NOT NULL) NOT VALID;
             ALTER TABLE orders VALIDATE CONSTRAINT c;",
            "ALTER TABLE orders ALTER COLUMN state SET NOT NULL;",
        ),
        Example::pg_after("CREATE TABLE orders (id int PRIMARY KEY);", "ALTER TABLE orders ALTER COLUMN id SET NOT NULL;"),
        Example::pg("CREATE TABLE orders (state int); ALTER TABLE orders ALTER COLUMN state SET NOT NULL;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        let column = match &action.what {
            Alter::SetNotNull(column) => column,
            Alter::AddConstraint(constraint) if !constraint.not_valid => match &constraint.kind {
                ConstraintKind::NotNull(column) => column,
                _ => continue,
            },
            _ => continue,
        };
        let already = look.column(table, column).is_some_and(|column| column.not_null);
        let proved = look.since(12, 0, 0)
            && look
                .table(table)
                .is_some_and(|known| known.is_checked_not_null(column));
        // One that the same transaction added has no row without its default.
        if already || proved {
            continue;
        }
        report
            .add(
                action.span.clone(),
                format!("every row of {table} is read to see that {column} is never null, and everybody waits"),
            )
            .fix(format!(
                "ALTER TABLE {table} ADD CONSTRAINT {column}_not_null CHECK ({column} IS NOT NULL) NOT VALID;\n\
                 ALTER TABLE {table} VALIDATE CONSTRAINT {column}_not_null;\n\
                 ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL;\n\
                 ALTER TABLE {table} DROP CONSTRAINT {column}_not_null;"
            ));
    }
}
