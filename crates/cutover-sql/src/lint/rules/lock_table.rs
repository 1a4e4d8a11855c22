//! Locks that are asked for.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "lock-table",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: &[Dialect::Postgres, Dialect::Mysql, Dialect::MariaDb],
    lifted: Lifted::Never,
    summary: "LOCK TABLE",
    why: "Others wait for as long as the lock is held, and the queries behind them too.",
    safe: "leave it out: each statement takes the lock that it needs, and Cutover takes it with a timeout and tries again",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: false,
        scan: false,
    }),
    bad: &[
        Example::pg_after("CREATE TABLE orders (a int);", "LOCK TABLE orders;"),
        Example::pg("LOCK orders IN SHARE ROW EXCLUSIVE MODE;"),
        Example::my("", "LOCK TABLES orders WRITE"),
        Example::my("", "FLUSH TABLES WITH READ LOCK"),
    ],
    good: &[
        Example::pg("LOCK TABLE orders IN ACCESS SHARE MODE;"),
        Example::pg("LOCK TABLE orders IN ROW EXCLUSIVE MODE NOWAIT;"),
        Example::my("", "UNLOCK TABLES"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Ddl::Lock { tables, mode } = look.ddl else {
        return;
    };
    if matches!(
        mode.as_str(),
        "ACCESS SHARE" | "ROW SHARE" | "ROW EXCLUSIVE" | "SHARE UPDATE EXCLUSIVE" | "BACKUP"
    ) {
        return;
    }
    if !tables.is_empty() && tables.iter().all(|table| look.state.is_fresh(table)) {
        return;
    }
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let whose = if names.is_empty() {
        "every table".to_owned()
    } else {
        names.join(", ")
    };
    report.add(look.whole(), format!("{whose} is locked ({mode}) until the end"));
}
