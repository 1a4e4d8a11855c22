//! Tables that go, with what they hold.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "drop-table",
    family: Family::DataLoss,
    severity: Severity::Error,
    dialects: ALL,
    lifted: Lifted::Contract,
    summary: "a table is dropped or replaced",
    why: "What it holds is gone, and the old version, which still reads and writes it, fails from that moment on.",
    safe: "let the new version do without it, and drop it in a contract, after a backup",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: false,
        scan: false,
    }),
    bad: &[
        Example::pg_after("CREATE TABLE users (a int);", "DROP TABLE users;"),
        Example::pg("DROP TABLE IF EXISTS users CASCADE; CREATE TABLE users (id int);"),
        Example::pg("CREATE TABLE u (a int); INSERT INTO u SELECT 1; DROP TABLE u;"),
        Example::my("", "DROP TABLE a, b"),
        Example::maria("", "CREATE OR REPLACE TABLE users (id int)"),
    ],
    good: &[
        Example::pg("CREATE TABLE u (a int); DROP TABLE public.u;"),
        Example::pg("CREATE TEMP TABLE u (a int); INSERT INTO u VALUES (1); DROP TABLE u;"),
        Example::lite(
            "CREATE TABLE u (a int);",
            "CREATE TABLE n (a int, b int); INSERT INTO n (a) SELECT a FROM u; DROP TABLE u; ALTER TABLE n RENAME TO u;",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if let Ddl::CreateTable(create) = look.ddl
        && create.replace
        && !create.temporary
        && let Some(name) = &create.name
        && !look.state.is_fresh(name)
    {
        report.add(
            look.whole(),
            format!("what {name} holds, if it is there, is lost"),
        );
    }
    let Ddl::Drop(drop) = look.ddl else { return };
    if drop.kind != Kind::Table {
        return;
    }
    for name in &drop.names {
        if !look.state.is_empty(name) && !crate::lint::swap::is_idiom(look) {
            report.add(
                look.whole(),
                format!("the old version uses {name}, and what it holds is lost"),
            );
        }
    }
}
