//! What the new table in the place of the old one does not have.

use super::prelude::*;
use crate::lint::swap::{self, Copy, new_checks, new_keys, new_not_nulls};
use crate::schema::{Table, mentions, words};

pub(crate) const RULE: Rule = Rule {
    id: "copy-table-loss",
    family: Family::DataLoss,
    severity: Severity::Error,
    dialects: LITE,
    lifted: Lifted::Contract,
    summary: "a column or rows are left out when a table is made anew",
    why: "What is not copied is gone with the old table, and the old version, which still reads and writes it, fails. Only a plain \
          SELECT of one table is known to hand on every row: WHERE, DISTINCT, GROUP BY, LIMIT, an aggregate, EXCEPT, UNION, an inner join \
          or a subquery may leave some out, and so may OR IGNORE and OR REPLACE where the new table has a key that the old one had not.",
    safe: "copy every column and every row by INSERT INTO new (…) SELECT … FROM old, and leave out in a contract",
    effect: None,
    bad: &[
        Example::lite(
            "CREATE TABLE posts (body text, title text);",
            "CREATE TABLE n (body text); INSERT INTO n SELECT body FROM posts; DROP TABLE posts; ALTER TABLE n RENAME TO posts;",
        ),
        Example::lite(
            "CREATE TABLE posts (body text);",
            "CREATE TABLE n (body text); INSERT INTO n SELECT body FROM posts WHERE body <> ''; DROP TABLE posts; ALTER TABLE n RENAME TO posts;",
        ),
        Example::lite(
            "CREATE TABLE posts (body text);",
            "CREATE TABLE n (body text); INSERT INTO n SELECT DISTINCT body FROM posts; DROP TABLE posts; ALTER TABLE n RENAME TO posts;",
        ),
        Example::lite(
            "CREATE TABLE posts (body text);",
            "CREATE TABLE n (body text UNIQUE); INSERT OR IGNORE INTO n SELECT body FROM posts; DROP TABLE posts; ALTER TABLE n RENAME TO posts;",
        ),
        Example::lite(
            "CREATE TABLE posts (stars text);",
            "CREATE TABLE n (stars int); INSERT INTO n SELECT CAST(stars AS int) FROM posts; DROP TABLE posts; ALTER TABLE n RENAME TO posts;",
        ),
        Example::lite(
            "CREATE TABLE people (name text, \"first name\" text);",
            "CREATE TABLE n (name text, \"first name\" text); INSERT INTO n (\"first name\") SELECT \"first name\" FROM people;
             DROP TABLE people; ALTER TABLE n RENAME TO people;",
        ),
        Example::lite(
            "CREATE TABLE people (\"House No\" text);",
            "CREATE TABLE n (\"House No\" int); INSERT INTO n SELECT CAST(\"House No\" AS int) FROM people; DROP TABLE people; ALTER TABLE n RENAME TO people;",
        ),
    ],
    good: &[
        Example::lite(
            "CREATE TABLE posts (body text);",
            "CREATE TABLE n (body text, title text); INSERT INTO n (body) SELECT body FROM posts; DROP TABLE posts; ALTER TABLE n RENAME TO posts;",
        ),
        Example::lite(
            "CREATE TABLE posts (id integer PRIMARY KEY, body text);",
            "CREATE TABLE n (id integer PRIMARY KEY, body text); INSERT OR IGNORE INTO n SELECT id, body FROM posts ORDER BY id;
             DROP TABLE posts; ALTER TABLE n RENAME TO posts;",
        ),
        Example::lite(
            "CREATE TABLE people (\"first name\" text, [Last Name] text, \"Age\" int);",
            "CREATE TABLE n (\"first name\" text, \"Last Name\" text, \"Age\" int NULL);
             INSERT INTO n SELECT \"first name\", people.[Last Name], Age FROM people; DROP TABLE people; ALTER TABLE n RENAME TO people;",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Some(swap) = swap::swap(look) else { return };
    for copy in swap.copies(look) {
        columns(look, &copy, report);
        rows(look, &copy, report);
    }
    if swap.loses_again(look) {
        report.add(
            look.whole(),
            format!("rows were deleted from {} after they were copied", swap.new),
        );
    }
}

fn columns(look: &Look<'_>, copy: &Copy<'_>, report: &mut Report) {
    let (Some(old), Some(new)) = (look.table(copy.from), &copy.into) else {
        return;
    };
    for column in &old.columns {
        let kept = new.column(&column.name).is_some();
        if !is_copied(new, copy, column) || (!kept && !is_selected(copy, column)) {
            report.add(
                look.whole(),
                format!(
                    "{}, with what it holds, is not copied from {}",
                    column.name, copy.from
                ),
            );
        } else if is_narrowed(copy, column) {
            report.add(
                look.whole(),
                format!(
                    "only a part of what {} holds is copied from {}",
                    column.name, copy.from
                ),
            );
        } else if let Some(after) = new.column(&column.name)
            && is_narrow(declared(column), declared(after))
        {
            report.weigh(
                Severity::Note,
                look.whole(),
                format!(
                    "what looks like a number in {} becomes one: 007 is 7",
                    column.name
                ),
            );
        }
    }
}

fn rows(look: &Look<'_>, copy: &Copy<'_>, report: &mut Report) {
    let from = copy.from;
    if copy.write.whole.as_ref() != Some(from) {
        report.add(
            look.whole(),
            format!("not every row of {from} is copied, as far as the SELECT shows"),
        );
    } else if let Some(new) = &copy.into
        && let Some(why) = leaves_out(new, look.table(from), copy)
    {
        report.add(
            look.whole(),
            format!("rows of {from} are left out without a word: {why}"),
        );
    }
}

/// Why a row that the new table refuses is passed over, if one may be.
fn leaves_out(new: &Table, old: Option<&Table>, copy: &Copy<'_>) -> Option<String> {
    if !copy.write.lenient && !new.options.iter().any(|option| option == "ON CONFLICT") {
        return None;
    }
    let named = &copy.write.columns;
    // What is not filled is NULL, or a number of its own.
    let is_filled = |name: &str| named.is_empty() || named.iter().any(|one| one == name);
    if let Some(key) = new_keys(new, old)
        .into_iter()
        .find(|key| key.iter().all(|name| is_filled(name)))
    {
        let columns: Vec<&str> = key.into_iter().collect();
        return Some(format!("two may be alike in {}", columns.join(", ")));
    }
    if let Some(check) = new_checks(new, old).first() {
        return Some(format!("one may not fulfil {check}"));
    }
    new_not_nulls(new, old)
        .find(|column| !column.has_value() && is_filled(&column.name))
        .map(|column| format!("{} may be null", column.name))
}

fn is_selected(copy: &Copy<'_>, column: &Column) -> bool {
    copy.write.selected.iter().any(|one| mentions(one, &column.name))
}

/// Whether what a column of the old table holds is read where the new one is filled; one that is computed need not be.
fn is_copied(new: &Table, copy: &Copy<'_>, column: &Column) -> bool {
    let selected = &copy.write.selected;
    let all = selected.iter().any(|one| one == "*" || one.ends_with(". *"));
    column.generated.is_some()
        || selected.is_empty()
        || is_selected(copy, column)
        || (all && new.column(&column.name).is_some())
}

/// Functions that give less than what they are given.
const LESS: [&str; 9] = [
    "substr",
    "substring",
    "length",
    "round",
    "floor",
    "ceil",
    "ceiling",
    "trunc",
    "typeof",
];

/// Whether the one expression that reads a column gives less than what it holds.
fn is_narrowed(copy: &Copy<'_>, column: &Column) -> bool {
    let mut reading = copy
        .write
        .selected
        .iter()
        .filter(|one| *one != "*" && mentions(one, &column.name));
    let (Some(text), None) = (reading.next(), reading.next()) else {
        return false;
    };
    if copy
        .write
        .selected
        .iter()
        .any(|one| one == "*" || one.ends_with(". *"))
    {
        return false;
    }
    let words: Vec<&str> = words(text).collect();
    words.iter().enumerate().any(|(at, function)| {
        if words.get(at + 1) != Some(&"(") {
            return false;
        }
        // `t . a`
        let end = if words.get(at + 3) == Some(&".") {
            at + 4
        } else {
            at + 2
        };
        if words
            .get(end)
            .is_none_or(|word| !word.eq_ignore_ascii_case(&column.name))
        {
            return false;
        }
        match *function {
            "cast" => words
                .get(end + 2)
                .is_some_and(|to| is_narrow(declared(column), to)),
            _ => LESS.contains(function),
        }
    })
}

/// How SQLite keeps what is declared so (its manual, "Determination Of Column Affinity").
#[derive(Clone, Copy, PartialEq, Eq)]
enum Affinity {
    Integer,
    Real,
    Numeric,
    Any,
}

fn affinity(ty: &str) -> Affinity {
    let ty = ty.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| ty.contains(word));
    if has(&["int"]) {
        Affinity::Integer
    } else if ty.is_empty() || has(&["char", "clob", "text", "blob", "any"]) {
        Affinity::Any
    } else if has(&["real", "floa", "doub"]) {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

fn declared(column: &Column) -> &str {
    column.ty.as_ref().map_or("", |ty| ty.name.as_str())
}

/// Whether `CAST` to a type changes values that a column declared as the other holds.
fn is_narrow(from: &str, to: &str) -> bool {
    match (affinity(from), affinity(to)) {
        (_, Affinity::Any) | (Affinity::Integer, _) | (Affinity::Real, Affinity::Numeric) => false,
        // A boolean is 0 or 1.
        (Affinity::Numeric, _) if from.starts_with("bool") => false,
        (before, after) => before != after,
    }
}
