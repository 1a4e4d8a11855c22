//! Indexes that go.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "drop-index",
    family: Family::Lock,
    severity: Severity::Warning,
    dialects: &[Dialect::Postgres, Dialect::Mysql, Dialect::MariaDb],
    lifted: Lifted::Never,
    summary: "DROP INDEX without CONCURRENTLY, or without trying first",
    why: "PostgreSQL locks the table against reads and writes (ACCESS EXCLUSIVE), after it has waited for every query that uses it. \
          MySQL drops it at once: a query that needed it becomes slow, and building it again takes long.",
    safe: "PostgreSQL: DROP INDEX CONCURRENTLY; MySQL: make it INVISIBLE (MariaDB: IGNORED) first, and drop it when nothing was missed",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: false,
        scan: false,
    }),
    bad: &[Example::pg_after(
        "CREATE TABLE orders (state int); CREATE INDEX by_state ON orders (state);",
        "DROP INDEX by_state;",
    )],
    good: &[
        Example::pg("DROP INDEX CONCURRENTLY IF EXISTS by_state;"),
        Example::pg("CREATE TABLE o (a int); CREATE INDEX i ON o (a); DROP INDEX i;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if look.dialect != Dialect::Postgres {
        return visible(look, report);
    }
    let Ddl::Drop(drop) = look.ddl else { return };
    if drop.kind != Kind::Index || drop.concurrently {
        return;
    }
    let known = |name: &Name| look.state.schema.index(name);
    if drop
        .names
        .iter()
        .all(|name| known(name).is_some_and(|(table, _)| look.state.is_fresh(&table.name)))
    {
        return;
    }
    let names: Vec<String> = drop.names.iter().map(ToString::to_string).collect();
    let exists = if drop.if_exists { "IF EXISTS " } else { "" };
    report
        .add(
            look.whole(),
            format!(
                "everybody waits while {} is dropped, and for the queries before it",
                names.join(", ")
            ),
        )
        .fix(format!("DROP INDEX CONCURRENTLY {exists}{};", names.join(", ")));
}

fn visible(look: &Look<'_>, report: &mut Report) {
    let mut note = |span, table: Option<&Name>, name: &str| {
        let hidden = table.and_then(|table| look.table(table)).is_some_and(|table| {
            table
                .indexes
                .iter()
                .any(|one| one.invisible && one.name.as_ref().is_some_and(|own| own.name == name))
        });
        if !hidden {
            report.weigh(
                Severity::Note,
                span,
                format!("no query has been seen to do without {name}"),
            );
        }
    };
    if let Ddl::Drop(drop) = look.ddl
        && drop.kind == Kind::Index
    {
        for name in &drop.names {
            note(look.whole(), drop.table.as_ref(), &name.name);
        }
    }
    for (table, action) in look.actions() {
        if let Alter::DropIndex(name) = &action.what {
            note(action.span.clone(), Some(table), name);
        }
    }
}
