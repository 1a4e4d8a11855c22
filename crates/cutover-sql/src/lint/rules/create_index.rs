//! Indexes that are built under lock.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "create-index",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "CREATE INDEX without CONCURRENTLY",
    why: "Nobody writes to the table while the index is built (SHARE lock).",
    safe: "CREATE INDEX CONCURRENTLY, in a file with transaction=none; when it fails it leaves an invalid index to drop",
    effect: Some(Effect {
        lock: "ShareLock",
        rewrite: false,
        scan: true,
    }),
    bad: &[
        Example::pg_after(
            "CREATE TABLE orders (state int);",
            "CREATE INDEX by_state ON orders (state);",
        ),
        Example::pg(
            "CREATE UNIQUE INDEX IF NOT EXISTS by_code ON shop.orders USING btree (code) WHERE code IS NOT NULL;",
        ),
    ],
    good: &[
        Example::pg("CREATE INDEX CONCURRENTLY by_state ON orders (state);"),
        Example::pg("CREATE TABLE orders (state int); CREATE INDEX by_state ON orders (state);"),
        Example::pg_after(
            "CREATE TABLE logs (at date) PARTITION BY RANGE (at);",
            "CREATE INDEX by_at ON ONLY logs (at);",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Ddl::CreateIndex {
        index,
        table,
        only,
        concurrently,
        ..
    } = look.ddl
    else {
        return;
    };
    let known = look.table(table);
    let partitioned = known.is_some_and(|known| !known.partition_by.is_empty());
    if *concurrently {
        let broken = ServerVersion::new(14, 0, 0)..ServerVersion::new(14, 4, 0);
        // A version without its minor number is taken for the newest of its kind.
        if broken.contains(&look.version) && look.version > ServerVersion::new(14, 0, 0) {
            report.add(
                look.whole(),
                "CREATE INDEX CONCURRENTLY may build a corrupt index on PostgreSQL 14.0 to 14.3".to_owned(),
            );
        } else if partitioned && !*only {
            report.weigh(
                Severity::Note,
                look.whole(),
                format!("PostgreSQL refuses CONCURRENTLY on {table}, which is partitioned: ON ONLY, then each partition, then ATTACH"),
            );
        }
        return;
    }
    let new_view = look.state.is_made_object(Kind::MaterializedView, table);
    if look.state.is_fresh(table)
        || new_view
        || (*only && (partitioned || known.is_none_or(|known| !known.complete)))
    {
        return;
    }
    let unique = if index.unique { "UNIQUE " } else { "" };
    report
        .add(
            look.whole(),
            format!("nobody writes to {table} while the index is built"),
        )
        .fix(format!(
            "CREATE {unique}INDEX CONCURRENTLY {}ON {table} ({}){};",
            index
                .name
                .as_ref()
                .map(|name| format!("{name} "))
                .unwrap_or_default(),
            index.columns.join(", "),
            index
                .predicate
                .as_ref()
                .map(|one| format!(" WHERE {}", one.text))
                .unwrap_or_default(),
        ));
}
