//! Statements that are no `ALTER TABLE`.

use super::piece::Piece;
use super::{Prior, distinct};
use crate::ddl::{Ddl, Kind, Name};
use crate::lint::Finding;
use crate::quoted;
use crate::read::parts::after_word;

/// The names that what comes later may have in common with it.
pub(super) fn names(ddl: &Ddl) -> Vec<String> {
    match ddl {
        Ddl::Drop(drop) => distinct(drop.names.iter().map(|name| name.name.clone())),
        Ddl::Rename { name, part, to, .. } => {
            distinct([name.name.clone(), to.clone()].into_iter().chain(part.clone()))
        }
        Ddl::RenameTables(pairs) => distinct(
            pairs
                .iter()
                .flat_map(|(from, to)| [from.name.clone(), to.name.clone()]),
        ),
        Ddl::AlterDomain { name, .. } | Ddl::AlterComposite { name, .. } => vec![name.name.clone()],
        _ => Vec::new(),
    }
}

pub(super) fn fix(prior: &Prior, text: &str, ddl: &Ddl, found: &[&Finding]) -> Option<Vec<Piece>> {
    match ddl {
        Ddl::CreateIndex {
            table,
            only: false,
            concurrently: false,
            ..
        } if !is_partitioned(prior, table) => {
            let at = after_word(text, &["INDEX"])?;
            Some(vec![inserted(text, at)])
        }
        // Outside of a transaction it is what it should be.
        Ddl::CreateIndex {
            concurrently: true, ..
        }
        | Ddl::Reindex {
            concurrently: true, ..
        }
        | Ddl::Vacuum { full: false, .. } => Some(vec![Piece::alone(text)]),
        Ddl::Reindex {
            concurrently: false,
            name: Some(_),
        } if after_word(text, &["REINDEX"]).is_some_and(|at| !text[at..].trim_start().starts_with('(')) => {
            let at = after_word(text, &["INDEX", "TABLE"])?;
            Some(vec![inserted(text, at)])
        }
        Ddl::Drop(drop) if drop.kind == Kind::Index && drop.concurrently => Some(vec![Piece::alone(text)]),
        Ddl::Drop(drop) if drop.kind == Kind::Index && !drop.cascade => {
            let exists = if drop.if_exists { "IF EXISTS " } else { "" };
            let one = |name: &Name| Piece::alone(&format!("DROP INDEX CONCURRENTLY {exists}{}", sql(name)));
            Some(drop.names.iter().map(one).collect())
        }
        // In a transaction of its own it holds nobody up.
        Ddl::Select { .. } => Some(vec![Piece::alone(text)]),
        Ddl::Update(write) if write.bounded => {
            let only = found.iter().all(|finding| finding.rule == "update-all");
            only.then(|| vec![Piece::backfill(text, Vec::new())])
        }
        Ddl::Update(write)
            if write.from.is_empty() && after_word(text, &["WHERE", "RETURNING"]).is_none() =>
        {
            let key = key_of(prior, &write.table)?;
            let directive = format!("backfill table={} key={key}", write.table);
            Some(vec![Piece::backfill(
                &format!("{text} WHERE {{batch}}"),
                vec![directive],
            )])
        }
        Ddl::AlterDomain { .. } if text.to_ascii_uppercase().contains("CHECK") => {
            Some(vec![Piece::alone(&format!("{text} NOT VALID"))])
        }
        _ => None,
    }
}

fn inserted(text: &str, at: usize) -> Piece {
    Piece::alone(&format!("{} CONCURRENTLY{}", &text[..at], &text[at..]))
}

/// A name as it is written in a statement.
pub(super) fn sql(name: &Name) -> String {
    match &name.schema {
        Some(schema) => format!("{}.{}", quoted(schema), quoted(&name.name)),
        None => quoted(&name.name),
    }
}

pub(super) fn is_partitioned(prior: &Prior, table: &Name) -> bool {
    prior
        .schema
        .table(table)
        .is_some_and(|known| !known.partition_by.is_empty())
}

/// The column whose ranges make batches: a primary key of one column.
pub(super) fn key_of(prior: &Prior, table: &Name) -> Option<String> {
    match prior.schema.table(table)?.primary_key()? {
        [one] if is_simple(one) && is_simple(&table.name) => Some(one.clone()),
        _ => None,
    }
}

/// Whether a name can stand in a directive as it is.
pub(super) fn is_simple(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
