//! Why a column cannot go: found now, and not by the contract, when the old version is gone. Pure.

use cutover_sql::catalog::{Catalog, Column, ConstraintKind, renamed};
use cutover_sql::{Dialect, TableName};

use super::mysql;

/// Types of PostgreSQL without `=`.
pub(crate) const INCOMPARABLE: [&str; 4] = ["json", "xml", "point", "polygon"];

/// Why two versions cannot write a column in turn, where the server itself does.
pub(crate) fn valued_by_server(dialect: Dialect, column: &Column) -> Option<String> {
    let extra = column.extra.as_deref().unwrap_or_default().to_uppercase();
    let own = match dialect {
        Dialect::Mysql | Dialect::MariaDb => return mysql::valued_by_server(column),
        Dialect::Postgres => column.ty.ends_with("serial") || extra.contains("GENERATED"),
        Dialect::Sqlite => extra.contains("AUTOINCREMENT") || format!(" {extra} ").contains(" AS ("),
        Dialect::MongoDb => false,
    };
    own.then(|| "the server itself gives it its values".to_owned())
}

/// What else of the schema names a column, so that it cannot go, in words for people.
pub(crate) fn held_by(
    dialect: Dialect,
    from: &Catalog,
    table: &TableName,
    column: &Column,
) -> Option<String> {
    if dialect.is_mysql() {
        return mysql::held_by(from, table, column);
    }
    let own_values = valued_by_server(dialect, column);
    if own_values.is_some() {
        return own_values;
    }
    let has = |text: &str, name: &str| renamed(dialect, text, name, "").is_some();
    let names = |text: &str| has(text, &column.name);
    let of_it = |text: &str| names(text) && has(text, &table.name);
    let own = from.tables.get(table)?;
    let is_computed = |other: &&Column| {
        let extra = other.extra.as_deref().unwrap_or_default();
        other.name != column.name && valued_by_server(dialect, other).is_some() && names(extra)
    };
    if let Some(other) = own.columns.iter().find(is_computed) {
        return Some(format!("column {} is computed from it", other.name));
    }
    if let Some((_, by)) = own.options.split_once("PARTITION BY").filter(|(_, by)| names(by)) {
        return Some(format!("the table is partitioned by{by}"));
    }
    if dialect == Dialect::Postgres && INCOMPARABLE.contains(&column.ty.as_str()) {
        return Some(format!(
            "PostgreSQL compares no two values of {}, so that nobody can tell whether two columns agree",
            column.ty
        ));
    }
    if let Some(view) = from.views.iter().find(|view| of_it(&view.query)) {
        return Some(format!("view {} reads it", view.name));
    }
    let points = format!(" on {table}");
    let user = from.others.iter().find(|(name, text)| {
        ["trigger", "rule", "policy"].contains(&name.kind.as_str())
            && name.name.ends_with(&points)
            && names(text)
    });
    if let Some((name, _)) = user {
        return Some(format!("{} {} names it", name.kind, name.name));
    }
    from.tables.iter().find_map(|(name, other)| {
        let keys = other.constraints.values();
        let keys = keys.filter(|one| one.kind == ConstraintKind::ForeignKey);
        let texts = keys.map(|one| one.definition.as_str());
        // SQLite's constraints of one column stand with it.
        let inline = other.columns.iter().filter_map(|one| one.extra.as_deref());
        texts
            .chain(inline)
            .filter_map(|text| target(dialect, text))
            .any(of_it)
            .then(|| format!("a foreign key of {name} points to it"))
    })
}

/// What stands behind REFERENCES.
fn target(dialect: Dialect, definition: &str) -> Option<&str> {
    let word = if dialect == Dialect::Sqlite {
        "references "
    } else {
        "REFERENCES "
    };
    definition.split_once(word).map(|(_, target)| target)
}
