//! Columns that go, with what they hold.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "drop-column",
    family: Family::DataLoss,
    severity: Severity::Error,
    dialects: ALL,
    lifted: Lifted::Contract,
    summary: "a column is dropped",
    why: "What it holds is gone, and the old version, which still reads and writes it, fails from that moment on.",
    safe: "let the new version do without it, and drop it in a contract, after a backup",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: false,
        scan: false,
    }),
    bad: &[
        Example::pg_after(
            "CREATE TABLE users (name text, old text);",
            "ALTER TABLE users DROP COLUMN IF EXISTS old CASCADE;",
        ),
        Example::my("", "ALTER TABLE users ADD a int, DROP old"),
        Example::lite("", "ALTER TABLE users DROP COLUMN old"),
    ],
    good: &[
        Example::pg("ALTER TABLE users ADD COLUMN a int; ALTER TABLE users DROP COLUMN a;"),
        Example::pg("ALTER TABLE users ALTER COLUMN a DROP DEFAULT;"),
        Example::pg("CREATE TABLE u (a int, b int); ALTER TABLE u DROP a;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions_on_data() {
        let Alter::DropColumn { name, .. } = &action.what else {
            continue;
        };
        // Within one statement what is dropped goes first, so that one that the statement adds is another.
        if look.state.added.contains(&(table.clone(), name.clone())) {
            continue;
        }
        let computed = look.column(table, name).is_some_and(|column| {
            column
                .generated
                .as_ref()
                .is_some_and(|generated| !generated.stored)
        });
        let what = if computed {
            "it is computed again from others"
        } else {
            "what it holds is lost"
        };
        report.add(
            action.span.clone(),
            format!("the old version uses {table}.{name}, and {what}"),
        );
    }
}
