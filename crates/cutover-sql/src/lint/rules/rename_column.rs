//! Columns under another name.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "rename-column",
    family: Family::Compat,
    severity: Severity::Error,
    dialects: ALL,
    lifted: Lifted::Contract,
    summary: "a column is renamed",
    why: "The old version reads and writes it under its old name, and each of these statements fails from that moment on.",
    safe: "add a column of the new name, keep both in step by a trigger, fill it in a backfill, and drop the old one in a contract",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: false,
        scan: false,
    }),
    bad: &[
        Example::pg_after(
            "CREATE TABLE users (name text);",
            "ALTER TABLE users RENAME COLUMN name TO full_name;",
        ),
        Example::my("", "ALTER TABLE users CHANGE name full_name varchar(100)"),
        Example::lite("", "ALTER TABLE users RENAME name TO full_name"),
    ],
    good: &[
        Example::pg("CREATE TABLE u (a int); ALTER TABLE u RENAME a TO b;"),
        Example::my("CREATE TABLE u (a int);", "ALTER TABLE u CHANGE a a int"),
        Example::pg("ALTER TABLE users RENAME CONSTRAINT a TO b;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        let (from, to) = match &action.what {
            Alter::RenameColumn { from, to } => (from, to),
            Alter::Modify { old, column, .. } if *old != column.name => (old, &column.name),
            _ => continue,
        };
        if !look.is_new_column(table, from) {
            report.add(
                action.span.clone(),
                format!("the old version knows {table}.{from}, not {to}"),
            );
        }
    }
    if let Ddl::Rename {
        kind: Kind::View | Kind::MaterializedView,
        name,
        part: Some(from),
        to,
    } = look.ddl
    {
        report.add(
            look.whole(),
            format!("the old version knows {name}.{from}, not {to}"),
        );
    }
}
