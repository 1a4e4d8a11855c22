//! Files that fill columns, in batches. Pure.

use cutover_model::MigrationPhase;
use cutover_sql::catalog::{Catalog, Column};
use cutover_sql::{Dialect, TableName};

use super::{Draft, Moved, plain};

/// What the triggers of a sync keep equal, in the rows that are older than they are.
pub(super) fn moved(from: &Catalog, one: &Moved) -> Draft {
    let (table, new) = (&one.table, one.new.join(","));
    Draft {
        suffix: "backfill",
        phase: MigrationPhase::Backfill,
        transaction: true,
        directives: vec![format!(
            "backfill table={} key={} new={}",
            plain(&table.to_string()),
            plain(&key_of(from, table)),
            plain(&new)
        )],
        about: format!("fills {new} of {table} from {}", one.old.name),
        up: Vec::new(),
        down: Vec::new(),
    }
}

/// A value where there is none.
pub(crate) fn filled(dialect: Dialect, from: &Catalog, table: &TableName, name: &str, value: &str) -> Draft {
    let (sql, own) = (dialect.table(table), dialect.quoted(name));
    let kept = kept(dialect, from, table, name);
    Draft {
        suffix: "backfill",
        phase: MigrationPhase::Backfill,
        transaction: true,
        directives: vec![
            format!(
                "backfill table={} key={}",
                plain(&table.to_string()),
                plain(&key_of(from, table))
            ),
            format!("verify SELECT count(*) FROM {sql} WHERE {own} IS NULL"),
        ],
        about: format!("fills {table}.{name} where it is NULL"),
        up: vec![format!(
            "UPDATE {sql} SET {own} = {value}{kept} WHERE {own} IS NULL AND {{batch}}"
        )],
        down: Vec::new(),
    }
}

/// What keeps the times that MySQL sets in each row that is changed: filling a column is no change of the row to anybody.
pub(super) fn kept(dialect: Dialect, from: &Catalog, table: &TableName, set: &str) -> String {
    let Some(own) = from.tables.get(table).filter(|_| dialect.is_mysql()) else {
        return String::new();
    };
    let sets_itself = |column: &&Column| {
        let extra = column.extra.as_deref().unwrap_or_default().to_uppercase();
        column.name != set && extra.contains("ON UPDATE")
    };
    let names = own
        .columns
        .iter()
        .filter(sets_itself)
        .map(|column| dialect.quoted(&column.name));
    names.map(|name| format!(", {name} = {name}")).collect()
}

/// The single column of a primary key; the first column where there is none.
fn key_of(catalog: &Catalog, table: &TableName) -> String {
    let Some(table) = catalog.tables.get(table) else {
        return "id".to_owned();
    };
    let is_key = |column: &&Column| {
        let own = column
            .extra
            .as_deref()
            .is_some_and(|extra| extra.contains("primary key"));
        own || table.constraints.values().any(|one| {
            let text = one.definition.to_lowercase().replace(['"', '`', ' '], "");
            text.ends_with(&format!("primarykey({})", column.name.to_lowercase()))
        })
    };
    table
        .columns
        .iter()
        .find(is_key)
        .or_else(|| table.columns.first())
        .map_or_else(|| "id".to_owned(), |column| column.name.clone())
}
