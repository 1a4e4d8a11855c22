//! A column that is added, and one that is never NULL again.

use super::One;
use super::action::{not_valid, primary_key, unique};
use super::piece::Piece;
use super::statement::{is_partitioned, key_of, sql};
use crate::ddl::{Column, TypeName};
use crate::quoted;
use crate::read::parts::{AddColumn, Clause, Placed, add_column};

/// What can be said of a column later than in its addition.
const SOLVED: [&str; 9] = [
    "add-column-not-null",
    "add-column-default",
    "add-column-volatile-default",
    "add-column-serial",
    "check-constraint",
    "unique-constraint",
    "primary-key",
    "foreign-key",
    "lock-held",
];

pub(super) fn fix(one: &One<'_>, column: &Column) -> Option<Vec<Piece>> {
    // Numbers of an identity, and what is computed and stored, can only be made for all rows at once.
    if !one.only(&SOLVED) || column.identity || column.generated.is_some() {
        return None;
    }
    if is_partitioned(one.prior, one.table) {
        return None;
    }
    let parts = add_column(one.text)?;
    let serial = column.ty.as_ref().filter(|ty| ty.is_serial());
    // What stays with the column: a default that is the same for every row, and NOT NULL beside it.
    let default = clause(&parts, Clause::Default);
    let later = serial.is_some()
        || (default.is_some()
            && (one.has("add-column-volatile-default")
                || one.has("add-column-default")
                || one.has("foreign-key")));
    let checks: Vec<&Placed> = parts
        .clauses
        .iter()
        .filter(|placed| placed.clause == Clause::Check)
        .collect();
    let (is_unique, is_key) = (clause(&parts, Clause::Unique), clause(&parts, Clause::PrimaryKey));
    let nullable = later || default.is_none();
    let stays = |placed: &&Placed| match placed.clause {
        Clause::Default => !later,
        Clause::NotNull => !nullable,
        Clause::Other => true,
        Clause::Check | Clause::Unique | Clause::PrimaryKey => false,
    };
    let mut out = addition(one, &parts, column, serial, stays)?;
    if later {
        if let Some(placed) = default {
            let value = one.text.get(placed.span.clone())?;
            out.push(Piece::expand(&alter(one, &column.name, &format!("SET {value}"))));
        }
        out.push(fill(one, &column.name));
    }
    for placed in checks {
        let name = placed
            .name
            .clone()
            .unwrap_or_else(|| format!("{}_{}_check", one.table.name, column.name));
        out.extend(not_valid(one, &name, unnamed(one.text, placed)?));
    }
    let own = std::slice::from_ref(&column.name);
    if let Some(placed) = is_unique {
        let name = placed
            .name
            .clone()
            .unwrap_or_else(|| format!("{}_{}_key", one.table.name, column.name));
        is_bare(unnamed(one.text, placed)?, "UNIQUE").then_some(())?;
        out.extend(unique(one, &name, own));
    }
    if let Some(placed) = is_key {
        let name = placed
            .name
            .clone()
            .unwrap_or_else(|| format!("{}_pkey", one.table.name));
        is_bare(unnamed(one.text, placed)?, "PRIMARY KEY").then_some(())?;
        out.extend(primary_key(one, &name, own));
    } else if nullable && (column.not_null || serial.is_some()) {
        out.extend(not_null(one, &column.name));
    }
    Some(out)
}

fn clause(parts: &AddColumn, clause: Clause) -> Option<&Placed> {
    parts.clauses.iter().find(|placed| placed.clause == clause)
}

/// The column alone, and where its numbers come from.
fn addition(
    one: &One<'_>,
    parts: &AddColumn,
    column: &Column,
    serial: Option<&TypeName>,
    stays: impl Fn(&&Placed) -> bool,
) -> Option<Vec<Piece>> {
    let kept: Vec<&str> = parts
        .clauses
        .iter()
        .filter(&stays)
        .filter_map(|placed| one.text.get(placed.span.clone()))
        .collect();
    let Some(serial) = serial else {
        let mut text = format!("{} {}", one.head, one.text.get(parts.head.clone())?);
        for clause in kept {
            text.push(' ');
            text.push_str(clause);
        }
        return Some(vec![Piece::expand(&text)]);
    };
    let ty = match serial.name.as_str() {
        "bigserial" => "bigint",
        "smallserial" => "smallint",
        _ => "integer",
    };
    let sequence = crate::ddl::Name {
        schema: one.table.schema.clone(),
        name: format!("{}_{}_seq", one.table.name, column.name),
    };
    let name = quoted(&column.name);
    let literal = sql(&sequence).replace('\'', "''");
    Some(vec![
        Piece::expand(&format!("CREATE SEQUENCE {} AS {ty}", sql(&sequence))),
        Piece::expand(format!("{} ADD COLUMN {name} {ty} {}", one.head, kept.join(" ")).trim_end()),
        Piece::expand(&format!(
            "ALTER SEQUENCE {} OWNED BY {}.{name}",
            sql(&sequence),
            sql(one.table)
        )),
        Piece::expand(&alter(
            one,
            &column.name,
            &format!("SET DEFAULT nextval('{literal}'::regclass)"),
        )),
    ])
}

fn alter(one: &One<'_>, column: &str, what: &str) -> String {
    format!("{} ALTER COLUMN {} {what}", one.head, quoted(column))
}

/// The default, in rows that are older than it.
fn fill(one: &One<'_>, column: &str) -> Piece {
    let (table, name) = (sql(one.table), quoted(column));
    let verify = format!("verify SELECT count(*) FROM {table} WHERE {name} IS NULL");
    let update = format!("UPDATE {table} SET {name} = DEFAULT WHERE {name} IS NULL");
    match key_of(one.prior, one.table) {
        Some(key) => {
            let batches = format!("backfill table={} key={key}", one.table);
            Piece::backfill(&format!("{update} AND {{batch}}"), vec![batches, verify])
        }
        None => Piece::backfill(&update, vec![verify]),
    }
}

/// By a CHECK that is validated beside the traffic.
pub(super) fn not_null(one: &One<'_>, column: &str) -> Vec<Piece> {
    let (head, name) = (one.head, quoted(column));
    let check = quoted(&format!("{column}_not_null"));
    let precheck = format!(
        "precheck SELECT count(*) FROM {} WHERE {name} IS NULL",
        sql(one.table)
    );
    vec![
        Piece::contract_alone(&format!(
            "{head} ADD CONSTRAINT {check} CHECK ({name} IS NOT NULL) NOT VALID"
        ))
        .with(precheck),
        Piece::contract_alone(&format!("{head} VALIDATE CONSTRAINT {check}")),
        Piece::contract_alone(&alter(one, column, "SET NOT NULL")),
        Piece::contract_alone(&format!("{head} DROP CONSTRAINT {check}")),
    ]
}

/// A clause without the `CONSTRAINT name` before it.
fn unnamed<'a>(text: &'a str, placed: &Placed) -> Option<&'a str> {
    let whole = text.get(placed.span.clone())?;
    if placed.name.is_none() {
        return Some(whole);
    }
    let word = match placed.clause {
        Clause::Check => "CHECK",
        Clause::Unique => "UNIQUE",
        Clause::PrimaryKey => "PRIMARY",
        _ => return None,
    };
    let end = crate::read::parts::after_word(whole, &[word])?;
    whole.get(end - word.len()..)
}

fn is_bare(clause: &str, words: &str) -> bool {
    clause
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .eq_ignore_ascii_case(words)
}
