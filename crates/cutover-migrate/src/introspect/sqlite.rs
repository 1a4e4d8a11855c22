//! SQLite: `sqlite_master` keeps the statements.

use cutover_sql::catalog::{Catalog, Index, OtherName, Table, View, canonical, read_table};
use cutover_sql::{Dialect, TableName, normalised};

use super::{OWN, rows};
use crate::failure::Failure;
use crate::session::SqlSession;

fn name(text: String) -> TableName {
    TableName {
        schema: None,
        name: text,
    }
}

pub(super) async fn catalog<S: SqlSession>(session: &mut S) -> Result<Catalog, Failure> {
    let sql = "SELECT type, name, tbl_name, sql FROM main.sqlite_master
        WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite@_%' ESCAPE '@'
            AND name NOT IN (SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow') ORDER BY rowid";
    let mut out = Catalog::default();
    let mut indexes = Vec::new();
    for mut row in rows(session, sql).await? {
        let (kind, own, table, sql) = (row.text(), row.text(), row.text(), row.text());
        if table.starts_with(OWN) {
            continue;
        }
        let is_virtual = sql.to_lowercase().starts_with("create virtual");
        match kind.as_str() {
            "table" if is_virtual => drop(out.others.insert(other("virtual table", own), one_line(&sql))),
            "table" => {
                let read = read_table(&sql).filter(|table| !table.columns.is_empty());
                match read {
                    Some(table) => drop(out.tables.insert(name(own), table)),
                    None => drop(out.others.insert(other("table", own), one_line(&sql))),
                }
            }
            "index" => indexes.push((table, own, sql)),
            "view" => {
                let query = query_of(&sql);
                out.views.push(View {
                    name: name(own),
                    materialized: false,
                    query,
                    options: String::new(),
                    comment: None,
                });
            }
            _ => drop(out.others.insert(other(&kind, format!("{own} on {table}")), sql)),
        }
    }
    for (table, own, sql) in indexes {
        let table: Option<&mut Table> = out.tables.get_mut(&name(table));
        if let Some(table) = table {
            let index = Index {
                unique: sql.to_lowercase().trim_start().starts_with("create unique"),
                definition: canonical(&sql),
            };
            table.indexes.insert(own, index);
        }
    }
    Ok(out)
}

fn other(kind: &str, name: String) -> OtherName {
    OtherName {
        kind: kind.to_owned(),
        name,
    }
}

fn one_line(sql: &str) -> String {
    normalised(Dialect::Sqlite, sql).unwrap_or_else(|_| sql.to_owned())
}

/// What stands behind the first AS outside of parentheses.
fn query_of(sql: &str) -> String {
    let text = one_line(sql);
    let at = text.to_lowercase().find(" as ").map_or(0, |at| at + 4);
    text.get(at..).unwrap_or_default().to_owned()
}
