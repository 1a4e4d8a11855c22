//! Primary keys that build their index under lock.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "primary-key",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "PRIMARY KEY builds its index while the table is locked",
    why: "The index is built under ACCESS EXCLUSIVE, after every row was read to see that no key is null; nobody reads or writes \
          the table meanwhile. Over an index that is there it is a moment, unless a column may still be null.",
    safe: "CREATE UNIQUE INDEX CONCURRENTLY over NOT NULL columns, then ADD CONSTRAINT … PRIMARY KEY USING INDEX",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: false,
        scan: true,
    }),
    bad: &[
        Example::pg_after(
            "CREATE TABLE orders (id int NOT NULL);",
            "ALTER TABLE orders ADD PRIMARY KEY (id);",
        ),
        Example::pg("ALTER TABLE orders ADD COLUMN id bigint PRIMARY KEY;"),
        Example::pg_after(
            "CREATE TABLE orders (id int); CREATE UNIQUE INDEX orders_id ON orders (id);",
            "ALTER TABLE orders ADD CONSTRAINT orders_pkey PRIMARY KEY USING INDEX orders_id;",
        ),
    ],
    good: &[
        Example::pg_after(
            "CREATE TABLE orders (id int NOT NULL); CREATE UNIQUE INDEX orders_id ON orders (id);",
            "ALTER TABLE orders ADD CONSTRAINT orders_pkey PRIMARY KEY USING INDEX orders_id;",
        ),
        Example::pg("CREATE TABLE orders (id int); ALTER TABLE orders ADD PRIMARY KEY (id);"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        match &action.what {
            Alter::AddConstraint(constraint) => {
                match &constraint.kind {
                    ConstraintKind::PrimaryKey {
                        using_index: None, ..
                    } => {
                        report.add(
                            action.span.clone(),
                            format!("nobody reads or writes {table} while the index of its key is built"),
                        );
                    }
                    ConstraintKind::PrimaryKey {
                        using_index: Some(index),
                        ..
                    } => {
                        // What the index stands on is known only with the schema.
                        let Some((of, index)) = look.state.schema.index(index) else {
                            continue;
                        };
                        let nullable = index.columns.iter().find(|name| {
                            of.column(name).is_some_and(|column| !column.not_null)
                                && !of.is_checked_not_null(name)
                        });
                        if let Some(column) = nullable {
                            report.weigh(
                            Severity::Warning,
                            action.span.clone(),
                            format!("{column} may be null, so every row of {table} is read while everybody waits"),
                        );
                        }
                    }
                    _ => {}
                }
            }
            Alter::AddColumn { column, .. } if column.primary_key => {
                report.add(
                    action.span.clone(),
                    format!("nobody reads or writes {table} while the index of its key is built"),
                );
            }
            _ => {}
        }
    }
}
