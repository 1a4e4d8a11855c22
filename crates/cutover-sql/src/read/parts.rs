//! Where in an action's text its clauses stand: for who writes it anew with some of them elsewhere.

use std::ops::Range;

use super::column;
use super::cursor::Cursor;
use super::types::type_name;
use crate::Dialect;
use crate::lexer::{Token, tokens};

/// A clause of a column's definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clause {
    NotNull,
    Default,
    PrimaryKey,
    Unique,
    Check,
    /// What can stay where it is: `REFERENCES`, `COLLATE`, `NULL`, `GENERATED`.
    Other,
}

/// One of them, and which bytes of the text say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) clause: Clause,
    /// `CONSTRAINT name` before it.
    pub(crate) name: Option<String>,
    /// With that.
    pub(crate) span: Range<usize>,
}

/// `ADD [COLUMN] [IF NOT EXISTS] name type clause…` of PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddColumn {
    /// Up to the type's end.
    pub(crate) head: Range<usize>,
    /// The column's name and its type.
    pub(crate) column: Range<usize>,
    /// The type alone.
    pub(crate) ty: Range<usize>,
    pub(crate) clauses: Vec<Placed>,
}

fn significant(text: &str) -> Option<Vec<Token>> {
    let mut all = tokens(Dialect::Postgres, text).ok()?;
    all.retain(Token::is_significant);
    Some(all)
}

/// None when it is something else.
pub(crate) fn add_column(text: &str) -> Option<AddColumn> {
    let all = significant(text)?;
    let mut c = Cursor::new(Dialect::Postgres, text, &all);
    c.need("ADD")?;
    c.eat("COLUMN");
    c.if_not_exists();
    let start = c.offset();
    c.ident()?;
    let ty = c.offset();
    type_name(&mut c)?;
    let end = c.end_before();
    let mut out = AddColumn {
        head: 0..end,
        column: start..end,
        ty: ty..end,
        clauses: Vec::new(),
    };
    while !c.is_done() {
        let start = c.offset();
        let (name, word) = if c.is("CONSTRAINT") {
            let mut name = c.within_rest();
            name.take();
            (Some(name.ident()?), 2)
        } else {
            (None, 0)
        };
        let clause = if c.is_at(word, "NOT") && c.is_at(word + 1, "NULL") {
            Clause::NotNull
        } else if c.is_at(word, "DEFAULT") {
            Clause::Default
        } else if c.is_at(word, "PRIMARY") {
            Clause::PrimaryKey
        } else if c.is_at(word, "UNIQUE") {
            Clause::Unique
        } else if c.is_at(word, "CHECK") {
            Clause::Check
        } else {
            Clause::Other
        };
        column::option(&mut c, &mut crate::ddl::Column::default())?;
        out.clauses.push(Placed {
            clause,
            name,
            span: start..c.end_before(),
        });
    }
    Some(out)
}

/// `ALTER [COLUMN] name [SET DATA] TYPE type [USING expression]`: the type, and the expression.
pub(crate) fn set_type(text: &str) -> Option<(Range<usize>, Option<Range<usize>>)> {
    let all = significant(text)?;
    let mut c = Cursor::new(Dialect::Postgres, text, &all);
    c.need("ALTER")?;
    c.eat("COLUMN");
    c.ident()?;
    c.eat_all(&["SET", "DATA"]);
    c.need("TYPE")?;
    let start = c.offset();
    type_name(&mut c)?;
    let ty = start..c.end_before();
    if c.is_done() {
        return Some((ty, None));
    }
    c.need("USING")?;
    Some((ty, Some(c.offset()..text.len())))
}

/// Where the first of these words ends that stands outside of parentheses.
pub(crate) fn after_word(text: &str, words: &[&str]) -> Option<usize> {
    let all = significant(text)?;
    let mut c = Cursor::new(Dialect::Postgres, text, &all);
    while !c.is_done() {
        if c.parens().is_some() {
            continue;
        }
        let found = c.is_one_of(words);
        c.take();
        if found {
            return Some(c.end_before());
        }
    }
    None
}
