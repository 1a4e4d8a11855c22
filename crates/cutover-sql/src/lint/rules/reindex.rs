//! Indexes that are built anew.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "reindex",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: &[Dialect::Postgres, Dialect::Sqlite],
    lifted: Lifted::Never,
    summary: "REINDEX without CONCURRENTLY",
    why: "Nobody writes to the table while its index is built anew (SHARE lock), and queries that would use the index wait too.",
    safe: "REINDEX … CONCURRENTLY (PostgreSQL 12), in a file with transaction=none",
    effect: Some(Effect {
        lock: "ShareLock",
        rewrite: true,
        scan: true,
    }),
    bad: &[
        Example::pg_after(
            "CREATE TABLE orders (state int); CREATE INDEX by_state ON orders (state);",
            "REINDEX INDEX by_state;",
        ),
        Example::pg("REINDEX (CONCURRENTLY false) TABLE orders;"),
    ],
    good: &[
        Example::pg("REINDEX INDEX CONCURRENTLY by_state;"),
        Example::pg("REINDEX (VERBOSE, CONCURRENTLY) TABLE orders;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Ddl::Reindex {
        concurrently: false,
        name,
    } = look.ddl
    else {
        return;
    };
    if let Some(name) = name {
        let fresh = look.state.schema.index(name).map_or_else(
            || look.state.is_fresh(name),
            |(table, _)| look.state.is_fresh(&table.name),
        );
        if fresh {
            return;
        }
    }
    let whose = name
        .as_ref()
        .map_or_else(|| "every table".to_owned(), ToString::to_string);
    report.add(
        look.whole(),
        format!("writes wait while the indexes of {whose} are built anew"),
    );
}
