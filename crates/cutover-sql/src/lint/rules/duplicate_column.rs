//! Names that cannot be.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "duplicate-column",
    family: Family::Correctness,
    severity: Severity::Warning,
    dialects: ALL,
    lifted: Lifted::Never,
    summary: "a column that is there already, or a name that is cut",
    why: "A column cannot be there twice, and PostgreSQL cuts names after 63 bytes, so that two long ones may become the same.",
    safe: "use another name; IF NOT EXISTS where the column may be there",
    effect: None,
    bad: &[
        Example::pg("CREATE TABLE t (a int, a text);"),
        Example::pg_after("CREATE TABLE t (a int);", "ALTER TABLE t ADD COLUMN a int;"),
        Example::pg(
            "ALTER TABLE t ADD COLUMN a_name_that_is_so_long_that_nobody_can_ever_remember_all_of_it_at_once int;",
        ),
    ],
    good: &[Example::pg_after(
        "CREATE TABLE t (a int);",
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS a int;",
    )],
    check,
};

/// PostgreSQL's NAMEDATALEN, less its end.
const LONGEST: usize = 63;

fn check(look: &Look<'_>, report: &mut Report) {
    let long = |name: &str| look.dialect == Dialect::Postgres && name.len() > LONGEST;
    match look.ddl {
        Ddl::CreateTable(create) => {
            for (at, column) in create.columns.iter().enumerate() {
                if create.columns[..at].iter().any(|other| other.name == column.name) {
                    report.add(look.whole(), format!("{} is there twice", column.name));
                }
                if long(&column.name) {
                    report.add(
                        look.whole(),
                        format!("{} is cut after {LONGEST} bytes", column.name),
                    );
                }
            }
        }
        Ddl::AlterTable(alter) => {
            for action in &alter.actions {
                let Alter::AddColumn {
                    column,
                    if_not_exists,
                    ..
                } = &action.what
                else {
                    continue;
                };
                let dropped = alter
                    .actions
                    .iter()
                    .any(|one| matches!(&one.what, Alter::DropColumn { name, .. } if *name == column.name));
                if !if_not_exists && !dropped && look.column(&alter.table, &column.name).is_some() {
                    report.add(
                        action.span.clone(),
                        format!("{} has a column {} already", alter.table, column.name),
                    );
                }
                if long(&column.name) {
                    report.add(
                        action.span.clone(),
                        format!("{} is cut after {LONGEST} bytes", column.name),
                    );
                }
            }
        }
        _ => {}
    }
}
