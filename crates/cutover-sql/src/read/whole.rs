//! Whether a query hands on every row of a table: what SQLite's way to change a table counts on.
//!
//! Only what is plain to see counts: one table, perhaps with others joined to its left side, and nothing that leaves rows
//! out or makes one of several. What a name, a subquery or a `WITH` stands for is not looked up.

use super::cursor::Cursor;
use super::dml::{AFTER_TABLE, is_always};
use super::drop::is_name;
use crate::ddl::Name;
use crate::lexer::Kind;

/// One row out of many, unless `OVER` follows. `max(a, b)` is none of them in SQLite.
const AGGREGATES: [&str; 13] = [
    "AVG",
    "COUNT",
    "SUM",
    "TOTAL",
    "MIN",
    "MAX",
    "GROUP_CONCAT",
    "STRING_AGG",
    "JSON_GROUP_ARRAY",
    "JSON_GROUP_OBJECT",
    "JSONB_GROUP_ARRAY",
    "JSONB_GROUP_OBJECT",
    "MEDIAN",
];

/// What ends the part of a query that names tables.
const AFTER_FROM: [&str; 4] = ["WHERE", "ORDER", "WINDOW", "RETURNING"];

/// The table whose every row the query at the cursor gives.
pub(super) fn whole(c: &Cursor<'_>) -> Option<Name> {
    let query = c.within_rest();
    let end = |word: &str| top_level(&query, 0, word);
    if [
        "EXCEPT",
        "INTERSECT",
        "LIMIT",
        "OFFSET",
        "GROUP",
        "HAVING",
        "FETCH",
    ]
    .iter()
    .any(|word| end(word).is_some())
    {
        return None;
    }
    let mut length = query.length();
    // Of several queries the first is the one whose columns are read; the others only add.
    let mut at = 0;
    while let Some(union) = top_level(&query, at, "UNION") {
        if !query.is_at(union + 1, "ALL") {
            return None;
        }
        length = length.min(union);
        at = union + 1;
    }
    if let Some(conflict) = conflict_clause(&query) {
        length = length.min(conflict);
    }
    one(&mut query.within(0..length))
}

/// Where `ON CONFLICT` begins, ahead.
pub(super) fn conflict_clause(c: &Cursor<'_>) -> Option<usize> {
    let mut at = 0;
    while let Some(on) = top_level(c, at, "ON") {
        if c.is_one_of_at(on + 1, &["CONFLICT", "DUPLICATE"]) {
            return Some(on);
        }
        at = on + 1;
    }
    None
}

/// How many tokens ahead, from `start` on, a word stands outside of parentheses.
fn top_level(c: &Cursor<'_>, start: usize, word: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut ahead = start;
    while let Some(token) = c.token(ahead) {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            Kind::Word if depth == 0 && c.is_at(ahead, word) => return Some(ahead),
            _ => {}
        }
        ahead += 1;
    }
    None
}

fn one(c: &mut Cursor<'_>) -> Option<Name> {
    c.need("SELECT")?;
    if c.eat("DISTINCT") {
        return None;
    }
    c.eat("ALL");
    let from = top_level(c, 0, "FROM")?;
    let list = c.within(c.position()..c.position() + from);
    if aggregates(list) {
        return None;
    }
    c.back_to(c.position() + from + 1);
    let table = c.name()?;
    // A function in FROM is no table.
    if c.kind(0) == Some(Kind::Open) {
        return None;
    }
    if c.eat("AS") || (is_name(c) && !c.is_one_of(&AFTER_TABLE) && !c.is_one_of(&["INDEXED", "NOT"])) {
        c.take();
    }
    (keeps_left(c) && keeps_all(c)).then_some(table)
}

/// Whether one of the functions called makes one row of all; what a subquery calls is its own.
fn aggregates(mut c: Cursor<'_>) -> bool {
    while !c.is_done() {
        if c.kind(0) == Some(Kind::Open) && c.is_one_of_at(1, &["SELECT", "WITH", "VALUES"]) {
            c.parens();
            continue;
        }
        if c.kind(1) == Some(Kind::Open)
            && let Some(function) = c.eat_one_of(&AGGREGATES)
        {
            let start = c.position();
            let Some(inner) = c.parens() else { return true };
            let scalar = matches!(function, "MIN" | "MAX") && c.between_commas(inner).len() > 1;
            if c.eat("FILTER") {
                c.parens();
            }
            if !scalar && !c.is("OVER") {
                return true;
            }
            // What stands within is looked at too.
            c.back_to(start);
        }
        c.take();
    }
    false
}

/// Whether what is joined leaves every row of the first table there.
fn keeps_left(c: &mut Cursor<'_>) -> bool {
    let mut outer = false;
    while !c.is_done() && !c.is_one_of(&AFTER_FROM) {
        if c.kind(0) == Some(Kind::Open) {
            c.parens();
            continue;
        }
        if c.is_symbol(",") || c.is_one_of(&["INNER", "CROSS", "RIGHT"]) || (c.is("JOIN") && !outer) {
            return false;
        }
        if c.is("JOIN") {
            outer = false;
        }
        outer |= c.is_one_of(&["LEFT", "FULL"]);
        c.take();
    }
    true
}

/// Whether what follows the tables leaves no row out.
fn keeps_all(c: &mut Cursor<'_>) -> bool {
    if !c.eat("WHERE") {
        return true;
    }
    let end = ["ORDER", "WINDOW", "RETURNING"]
        .iter()
        .filter_map(|word| top_level(c, 0, word))
        .min()
        .unwrap_or_else(|| c.length());
    is_always(&c.within(c.position()..c.position() + end), 0)
}
