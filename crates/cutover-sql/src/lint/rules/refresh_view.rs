//! Materialized views that are filled anew.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "refresh-view",
    family: Family::Lock,
    severity: Severity::Warning,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "REFRESH MATERIALIZED VIEW without CONCURRENTLY",
    why: "Nobody reads the view (ACCESS EXCLUSIVE) for as long as its query takes.",
    safe: "REFRESH MATERIALIZED VIEW CONCURRENTLY; it needs a unique index on the view",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: true,
        scan: true,
    }),
    bad: &[Example::pg_after(
        "CREATE TABLE orders (a int); CREATE MATERIALIZED VIEW totals AS SELECT sum(a) FROM orders;",
        "REFRESH MATERIALIZED VIEW totals;",
    )],
    good: &[
        Example::pg("REFRESH MATERIALIZED VIEW CONCURRENTLY totals;"),
        Example::pg("REFRESH MATERIALIZED VIEW totals WITH NO DATA;"),
        Example::pg(
            "CREATE MATERIALIZED VIEW totals AS SELECT 1 WITH NO DATA; REFRESH MATERIALIZED VIEW totals;",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if let Ddl::Refresh {
        name,
        concurrently: false,
        with_data: true,
    } = look.ddl
        && !look.state.is_made_object(Kind::MaterializedView, name)
    {
        report.add(look.whole(), format!("nobody reads {name} while its query runs"));
    }
}
