//! Work under a lock that was taken for something else.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "lock-held",
    family: Family::Lock,
    severity: Severity::Warning,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "a transaction goes on to work while it holds a strong lock",
    why: "A lock is kept to the end of its transaction. What takes time after an ALTER TABLE, such as building an index, reading a \
          table, or waiting for the lock on a second table, makes everybody wait for the first; two tables locked one after the \
          other in different orders are a deadlock.",
    safe: "one table a file; queries and index builds in files of their own",
    effect: None,
    bad: &[
        Example::pg("BEGIN; ALTER TABLE a ADD COLUMN x int; SELECT count(*) FROM a; COMMIT;"),
        Example::pg("BEGIN; ALTER TABLE a ADD COLUMN x int; ALTER TABLE b ADD COLUMN x int; COMMIT;"),
        Example::pg("BEGIN; ALTER TABLE a ADD COLUMN x int; CREATE INDEX i ON a (x); COMMIT;"),
    ],
    good: &[
        Example::pg("BEGIN; ALTER TABLE a ADD COLUMN x int; ALTER TABLE a ALTER x SET DEFAULT 1; COMMIT;"),
        Example::pg("BEGIN; CREATE TABLE a (x int); ALTER TABLE b ADD COLUMN x int; COMMIT;"),
        Example::pg("ALTER TABLE a ADD COLUMN x int; SELECT 1;"),
        Example::pg("BEGIN; ALTER TABLE a ADD COLUMN x int; COMMIT; SELECT count(*) FROM a;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Some(held) = look.state.held.first() else {
        return;
    };
    let (first, statement) = (&held.table, held.statement + 1);
    // Of a transaction that Cutover makes around the file it is a matter of cutting the file.
    let weight = if look.is_asked_transaction() {
        Severity::Warning
    } else {
        Severity::Note
    };
    match look.ddl {
        Ddl::Select { from } if !from.is_empty() => {
            let reads = from
                .iter()
                .any(|name| look.table(name).is_none_or(|table| !table.temporary) && !is_catalogue(name));
            if reads {
                report.weigh(
                    weight,
                    look.whole(),
                    format!(
                        "everybody waits for {first}, which statement {statement} locked, while this reads"
                    ),
                );
            }
        }
        Ddl::CreateIndex {
            table,
            concurrently: false,
            ..
        } if !look.state.is_fresh(table) => {
            report.weigh(weight, look.whole(), format!("everybody waits for {first}, which statement {statement} locked, while the index is built"));
        }
        Ddl::AlterTable(alter) if !look.state.is_made(&alter.table) => {
            if alter.table != *first && !look.state.held.iter().any(|held| held.table == alter.table) {
                report.weigh(
                    weight,
                    look.whole(),
                    format!(
                        "everybody waits for {first}, which statement {statement} locked, until {} is free",
                        alter.table
                    ),
                );
            }
            if alter
                .actions
                .iter()
                .any(|action| matches!(action.what, Alter::Validate(_)))
                && alter.table == *first
            {
                report.weigh(weight, look.whole(), format!("everybody waits for {first}, which statement {statement} locked, while its rows are read"));
            }
        }
        _ => {}
    }
}

fn is_catalogue(name: &Name) -> bool {
    matches!(name.schema.as_deref(), Some("pg_catalog" | "information_schema"))
        || name.name.starts_with("pg_")
}
