//! UNIQUE that builds its index under lock.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "unique-constraint",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "UNIQUE builds its index while the table is locked",
    why: "The index is built under ACCESS EXCLUSIVE, and nobody reads or writes the table meanwhile. Duplicates make it fail, \
          and from then on the old version's writes may.",
    safe: "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … UNIQUE USING INDEX",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: false,
        scan: true,
    }),
    bad: &[
        Example::pg_after(
            "CREATE TABLE orders (code text);",
            "ALTER TABLE orders ADD CONSTRAINT once UNIQUE (code);",
        ),
        Example::pg("ALTER TABLE orders ADD COLUMN code text UNIQUE;"),
    ],
    good: &[
        Example::pg("ALTER TABLE orders ADD CONSTRAINT once UNIQUE USING INDEX orders_code;"),
        Example::pg("CREATE TABLE orders (code text UNIQUE);"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        match &action.what {
            Alter::AddConstraint(constraint) => {
                let ConstraintKind::Unique {
                    columns,
                    using_index: None,
                } = &constraint.kind
                else {
                    continue;
                };
                let name = constraint
                    .name
                    .clone()
                    .unwrap_or_else(|| format!("{}_{}_key", table.name, columns.join("_")));
                report
                    .add(
                        action.span.clone(),
                        format!("nobody reads or writes {table} while the index of {name} is built"),
                    )
                    .fix(format!(
                        "CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} ({});\n\
                         ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name};",
                        columns.join(", ")
                    ));
            }
            Alter::AddColumn { column, .. } if column.unique => {
                report.add(
                    action.span.clone(),
                    format!(
                        "nobody reads or writes {table} while the index of {} is built",
                        column.name
                    ),
                );
            }
            _ => {}
        }
    }
}
