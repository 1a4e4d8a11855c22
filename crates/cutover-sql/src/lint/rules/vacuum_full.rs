//! Maintenance that locks.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "vacuum-full",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: &[Dialect::Postgres, Dialect::Sqlite],
    lifted: Lifted::Never,
    summary: "VACUUM FULL or CLUSTER",
    why: "The table is written anew under ACCESS EXCLUSIVE, and nobody reads or writes it meanwhile. SQLite's VACUUM locks the whole \
          database, and needs as much space again.",
    safe: "plain VACUUM; pg_repack, or REPACK (CONCURRENTLY) from PostgreSQL 19; for SQLite, when nobody uses the file",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: true,
        scan: true,
    }),
    bad: &[
        Example::pg_after(
            "CREATE TABLE orders (a int); CREATE INDEX by_a ON orders (a);",
            "CLUSTER orders USING by_a;",
        ),
        Example::pg("VACUUM (FULL, VERBOSE) orders;"),
        Example::pg("VACUUM FULL;"),
        Example::lite("", "VACUUM"),
    ],
    good: &[
        Example::pg("VACUUM ANALYZE orders;"),
        Example::pg("VACUUM (FULL false) orders;"),
        Example::pg("ANALYZE orders;"),
        Example::lite("", "VACUUM INTO 'copy.db'"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let (Ddl::Vacuum { full: true, table }
    | Ddl::Cluster {
        table,
        concurrently: false,
    }) = look.ddl
    else {
        return;
    };
    if table.as_ref().is_some_and(|table| look.state.is_fresh(table)) {
        return;
    }
    let whose = table
        .as_ref()
        .map_or_else(|| "every table".to_owned(), ToString::to_string);
    report.add(
        look.whole(),
        format!("{whose} is written anew while everybody waits"),
    );
}
