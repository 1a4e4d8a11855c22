//! ALGORITHM=COPY, LOCK=SHARED.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mysql-algorithm",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: MY,
    lifted: Lifted::Never,
    summary: "ALGORITHM=COPY, LOCK=SHARED or LOCK=EXCLUSIVE",
    why: "It asks for the slow way, or for others to wait, where the server may know a better one.",
    safe: "leave it out, or assert the opposite: ALGORITHM=INSTANT, or ALGORITHM=INPLACE, LOCK=NONE",
    effect: None,
    bad: &[
        Example::my("", "ALTER TABLE t ADD INDEX by_a (a), ALGORITHM=COPY"),
        Example::my("", "ALTER TABLE t ADD INDEX by_a (a), LOCK=SHARED"),
        Example::my("", "CREATE INDEX by_a ON t (a) LOCK=EXCLUSIVE"),
    ],
    good: &[Example::my(
        "",
        "ALTER TABLE t ADD INDEX by_a (a), ALGORITHM=INPLACE, LOCK=NONE",
    )],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let (algorithm, lock, table) = match look.ddl {
        Ddl::AlterTable(alter) => (&alter.algorithm, &alter.lock, &alter.table),
        Ddl::CreateIndex {
            algorithm,
            lock,
            table,
            ..
        } => (algorithm, lock, table),
        _ => return,
    };
    if look.state.is_fresh(table) {
        return;
    }
    if algorithm.as_deref() == Some("COPY") {
        report.add(
            look.whole(),
            format!("{table} is copied, and nobody writes to it meanwhile"),
        );
    }
    if let Some(lock) = lock
        .as_deref()
        .filter(|lock| matches!(*lock, "SHARED" | "EXCLUSIVE"))
    {
        report.add(look.whole(), format!("LOCK={lock} makes others wait for {table}"));
    }
}
