//! Files that fill columns, in batches. Pure.

use cutover_model::MigrationPhase;
use cutover_sql::catalog::{Catalog, Column};
use cutover_sql::{Dialect, TableName};

use super::{Draft, Moved};

/// What the triggers of a sync keep equal, in the rows that are older than they are.
pub(super) fn moved(from: &Catalog, one: &Moved) -> Draft {
    let (table, new) = (&one.table, one.new.join(","));
    Draft {
        suffix: "backfill",
        phase: MigrationPhase::Backfill,
        transaction: true,
        directives: vec![format!(
            "backfill table={table} key={} new={new}",
            key_of(from, table)
        )],
        about: format!("fills {new} of {table} from {}", one.old.name),
        up: Vec::new(),
        down: Vec::new(),
    }
}

/// A value where there is none.
pub(crate) fn filled(dialect: Dialect, from: &Catalog, table: &TableName, name: &str, value: &str) -> Draft {
    let (sql, own) = (dialect.table(table), dialect.quoted(name));
    Draft {
        suffix: "backfill",
        phase: MigrationPhase::Backfill,
        transaction: true,
        directives: vec![
            format!("backfill table={table} key={}", key_of(from, table)),
            format!("verify SELECT count(*) FROM {sql} WHERE {own} IS NULL"),
        ],
        about: format!("fills {table}.{name} where it is NULL"),
        up: vec![format!(
            "UPDATE {sql} SET {own} = {value} WHERE {own} IS NULL AND {{batch}}"
        )],
        down: Vec::new(),
    }
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
