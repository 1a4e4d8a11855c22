//! How much a finding weighs by the size of the table that it is about, where a database was asked.

use cutover_model::Severity;

use super::finding::Family;
use super::rule::Rule;
use super::state::State;
use crate::ddl::{Ddl, Kind, Name};

/// Up to so many rows a table is read or written anew before anybody notices: some tens of milliseconds.
const SMALL: u64 = 10_000;

/// From so many rows on it takes minutes.
const LARGE: u64 = 10_000_000;

/// Only what reads or writes rows is a matter of how many there are: a lock that is asked for behind a long query is not.
pub(super) fn by_size(rule: &Rule, ddl: &Ddl, state: &State, severity: Severity) -> Severity {
    let by_rows = rule.effect.is_some_and(|effect| effect.rewrite || effect.scan);
    if rule.family != Family::Lock || !by_rows || severity == Severity::Note {
        return severity;
    }
    let tables = tables(ddl, state);
    let rows: Option<Vec<u64>> = tables
        .iter()
        .map(|table| state.rows.get(table).copied())
        .collect();
    match rows.as_deref() {
        Some([]) | None => severity,
        Some(rows) if rows.iter().all(|rows| *rows <= SMALL) => Severity::Note,
        Some(rows) if rows.iter().any(|rows| *rows >= LARGE) => Severity::Error,
        Some(_) => severity,
    }
}

/// The tables whose rows are meant.
fn tables(ddl: &Ddl, state: &State) -> Vec<Name> {
    match ddl {
        Ddl::AlterTable(alter) => vec![alter.table.clone()],
        Ddl::CreateIndex { table, .. } => vec![table.clone()],
        Ddl::Vacuum {
            table: Some(table), ..
        }
        | Ddl::Cluster {
            table: Some(table), ..
        } => vec![table.clone()],
        Ddl::Refresh { name, .. } => vec![name.clone()],
        Ddl::Reindex { name: Some(name), .. } => vec![
            state
                .schema
                .index(name)
                .map_or_else(|| name.clone(), |(table, _)| table.name.clone()),
        ],
        Ddl::Drop(drop) if drop.kind == Kind::Table => drop.names.clone(),
        _ => Vec::new(),
    }
}
