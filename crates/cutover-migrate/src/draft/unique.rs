//! Unique indexes where a server cannot build one beside the traffic: two rows that are alike are looked for before. Pure.

use cutover_sql::catalog::{Catalog, Change, Index};
use cutover_sql::{Dialect, TableName};

/// Why the linter's `unique-key` is no longer right.
pub(super) const REASON: &str = "the precheck finds no two rows alike";

const ALIKE: &str = " AS alike";

/// Whether a directive looks for rows that are alike.
pub(super) fn proves(directive: &str) -> bool {
    directive.ends_with(ALIKE)
}

/// The directives that look for them, one for each unique index; none where one of them cannot be said.
pub(super) fn prechecks(dialect: Dialect, now: &Catalog, changes: &[Change]) -> Vec<String> {
    let queries = changes.iter().filter_map(|change| match change {
        Change::Index {
            table,
            to: Some(index),
            ..
        } if index.unique => Some(alike(dialect, now, table, index)),
        _ => None,
    });
    let all: Option<Vec<String>> = queries.collect();
    let directives = all.unwrap_or_default().into_iter();
    directives.map(|query| format!("precheck {query}")).collect()
}

/// The query that counts how often a unique index would be broken.
fn alike(dialect: Dialect, now: &Catalog, table: &TableName, index: &Index) -> Option<String> {
    let columns = now.tables.get(table)?;
    let list = index.definition.get(
        index
            .definition
            .find(" (")
            .or_else(|| index.definition.find("("))?..,
    )?;
    let inner = list.trim().strip_prefix('(')?.strip_suffix(')')?;
    let mut all = Vec::new();
    for part in inner.split(',') {
        let part = part.trim();
        let part = part
            .strip_suffix(" DESC")
            .or_else(|| part.strip_suffix(" desc"))
            .unwrap_or(part);
        let name = part.trim().trim_matches(['`', '"', '[', ']']);
        // An expression, a prefix, or a collation of its own.
        columns.column(name)?;
        all.push(dialect.quoted(name));
    }
    let given: Vec<String> = all.iter().map(|name| format!("{name} IS NOT NULL")).collect();
    Some(format!(
        "SELECT count(*) FROM (SELECT 1 FROM {} WHERE {} GROUP BY {} HAVING count(*) > 1){ALIKE}",
        dialect.table(table),
        given.join(" AND "),
        all.join(", ")
    ))
}
