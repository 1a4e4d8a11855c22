//! Tables under another name.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "rename-table",
    family: Family::Compat,
    severity: Severity::Error,
    dialects: ALL,
    lifted: Lifted::Contract,
    summary: "a table is renamed, or moved to another schema",
    why: "The old version reads and writes it under its old name, and each of these statements fails from that moment on. A view \
          of the old name in the same transaction keeps them going.",
    safe: "in the same file, CREATE VIEW under the old name as SELECT from the new one; drop the view in a contract",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: false,
        scan: false,
    }),
    bad: &[
        Example::pg_after(
            "CREATE TABLE users (a int);",
            "ALTER TABLE users RENAME TO people;",
        ),
        Example::pg("ALTER TABLE users SET SCHEMA archive;"),
        Example::my("", "RENAME TABLE users TO people"),
        Example::lite("", "ALTER TABLE users RENAME TO people"),
    ],
    good: &[
        Example::pg("ALTER TABLE users RENAME TO people; CREATE VIEW users AS SELECT * FROM people;"),
        Example::pg("CREATE TABLE u (a int); ALTER TABLE u RENAME TO v;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if let Ddl::RenameTables(pairs) = look.ddl {
        for (from, to) in pairs {
            // A swap leaves something under the name, and what takes it was there for that.
            let swapped = pairs.iter().any(|(one, other)| other == from || one == to);
            if !look.state.is_fresh(from) && !is_kept(look, from) && !swapped {
                report.add(look.whole(), format!("the old version knows {from}, not {to}"));
            }
        }
    }
    for (table, action) in look.actions() {
        let to = match &action.what {
            Alter::RenameTable(to) => to.to_string(),
            Alter::SetSchema(schema) => format!("{schema}.{}", table.name),
            _ => continue,
        };
        if !is_kept(look, table) && !crate::lint::swap::is_idiom(look) {
            report.add(
                action.span.clone(),
                format!("the old version knows {table}, not {to}"),
            );
        }
    }
}

/// Whether a view, or another table, takes the name at once.
fn is_kept(look: &Look<'_>, name: &Name) -> bool {
    look.later().iter().any(|ddl| match ddl {
        Ddl::Create {
            kind: Kind::View,
            name: Some(view),
            ..
        } => view == name,
        _ => false,
    })
}
