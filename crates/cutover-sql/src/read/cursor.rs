//! A place in the significant tokens of one statement.

use std::ops::Range;

use crate::Dialect;
use crate::ddl::{Expr, Name};
use crate::lexer::{Kind, Token};

/// Functions without parentheses.
const NILADIC: [&str; 11] = [
    "current_timestamp",
    "current_date",
    "current_time",
    "localtime",
    "localtimestamp",
    "current_user",
    "session_user",
    "user",
    "current_role",
    "current_catalog",
    "current_schema",
];

/// Words before `(` that call nothing.
const NOT_CALLS: [&str; 24] = [
    "in", "and", "or", "not", "values", "as", "when", "then", "else", "case", "check", "default", "any",
    "some", "all", "exists", "between", "like", "cast", "array", "row", "interval", "on", "is",
];

pub(super) struct Cursor<'a> {
    pub(super) dialect: Dialect,
    pub(super) source: &'a str,
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(dialect: Dialect, source: &'a str, tokens: &'a [Token]) -> Self {
        Self {
            dialect,
            source,
            tokens,
            at: 0,
        }
    }

    pub(super) fn token(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens.get(self.at + ahead)
    }

    fn text_at(&self, ahead: usize) -> &'a str {
        self.token(ahead).map_or("", |token| token.text(self.source))
    }

    pub(super) const fn position(&self) -> usize {
        self.at
    }

    pub(super) const fn back_to(&mut self, position: usize) {
        self.at = position;
    }

    /// Where the next token begins, in bytes; the end when there is none.
    pub(super) fn offset(&self) -> usize {
        self.token(0).map_or(self.source.len(), |token| token.start)
    }

    /// Where the token before ends, in bytes.
    pub(super) fn end_before(&self) -> usize {
        self.at
            .checked_sub(1)
            .and_then(|at| self.tokens.get(at))
            .map_or(0, |token| token.end)
    }

    pub(super) fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// Whether nothing, or only a `;`, follows.
    pub(super) fn done(&self) -> Option<()> {
        self.is_done().then_some(())
    }

    pub(super) const fn skip_all(&mut self) {
        self.at = self.tokens.len();
    }

    pub(super) fn kind(&self, ahead: usize) -> Option<Kind> {
        self.token(ahead).map(|token| token.kind)
    }

    /// Whether the word so many tokens ahead is this one.
    pub(super) fn is_at(&self, ahead: usize, word: &str) -> bool {
        self.token(ahead).is_some_and(|token| {
            token.kind == Kind::Word && token.text(self.source).eq_ignore_ascii_case(word)
        })
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.is_at(0, word)
    }

    pub(super) fn is_one_of(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    pub(super) fn starts(&self, words: &[&str]) -> bool {
        words
            .iter()
            .enumerate()
            .all(|(ahead, word)| self.is_at(ahead, word))
    }

    pub(super) fn is_one_of_at(&self, ahead: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is_at(ahead, word))
    }

    pub(super) fn eat(&mut self, word: &str) -> bool {
        let found = self.is(word);
        self.at += usize::from(found);
        found
    }

    /// Eats all of these, or none.
    pub(super) fn eat_all(&mut self, words: &[&str]) -> bool {
        let found = self.starts(words);
        if found {
            self.at += words.len();
        }
        found
    }

    /// Eats the first of these that is there, and answers it.
    pub(super) fn eat_one_of(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let found = words.iter().copied().find(|word| self.is(word))?;
        self.at += 1;
        Some(found)
    }

    pub(super) fn need(&mut self, word: &str) -> Option<()> {
        self.eat(word).then_some(())
    }

    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        self.token(0).is_some_and(|token| {
            !matches!(token.kind, Kind::Literal | Kind::Name | Kind::Word)
                && token.text(self.source) == symbol
        })
    }

    /// The text of the next token, if it is neither a word, a name nor a literal.
    pub(super) fn symbol(&self) -> Option<&'a str> {
        let token = self.token(0)?;
        (!matches!(token.kind, Kind::Literal | Kind::Name | Kind::Word)).then(|| token.text(self.source))
    }

    pub(super) fn eat_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    /// The next token's text, eaten.
    pub(super) fn take(&mut self) -> Option<&'a str> {
        let text = self.token(0)?.text(self.source);
        self.at += 1;
        Some(text)
    }

    pub(super) fn if_exists(&mut self) -> bool {
        self.eat_all(&["IF", "EXISTS"])
    }

    pub(super) fn if_not_exists(&mut self) -> bool {
        self.eat_all(&["IF", "NOT", "EXISTS"])
    }

    /// A name's part, folded as the database does.
    pub(super) fn ident(&mut self) -> Option<String> {
        let token = self.token(0)?;
        let text = token.text(self.source);
        let name = match token.kind {
            Kind::Word
                if !text.starts_with(|first: char| first.is_ascii_digit()) || self.dialect.is_mysql() =>
            {
                text.to_lowercase()
            }
            Kind::Name => self.unquoted(text),
            // SQLite takes strings for names, PostgreSQL has U&"…" which is not read.
            Kind::Literal if self.dialect == Dialect::Sqlite => self.unquoted(text),
            _ => return None,
        };
        self.at += 1;
        Some(name)
    }

    fn unquoted(&self, text: &str) -> String {
        let Some(quote) = text.chars().next() else {
            return String::new();
        };
        let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
        let plain = if quote == '[' {
            inner.to_owned()
        } else {
            inner.replace(&format!("{quote}{quote}"), &quote.to_string())
        };
        if self.dialect == Dialect::Postgres {
            plain
        } else {
            plain.to_lowercase()
        }
    }

    /// A name with its schema; a database before it (`db.schema.name`) is dropped.
    pub(super) fn name(&mut self) -> Option<Name> {
        let mut parts = vec![self.ident()?];
        while self.is_symbol(".") {
            self.at += 1;
            parts.push(self.ident()?);
        }
        let name = parts.pop()?;
        let schema = parts.pop();
        let default = match self.dialect {
            Dialect::Postgres => "public",
            Dialect::Sqlite => "main",
            Dialect::Mysql | Dialect::MariaDb | Dialect::MongoDb => "",
        };
        Some(Name {
            schema: schema.filter(|schema| schema != default),
            name,
        })
    }

    /// Names between commas.
    pub(super) fn names(&mut self) -> Option<Vec<Name>> {
        let mut out = vec![self.name()?];
        while self.eat_symbol(",") {
            out.push(self.name()?);
        }
        Some(out)
    }

    /// Skips a parenthesis with all in it, and answers the tokens within.
    pub(super) fn parens(&mut self) -> Option<Range<usize>> {
        if self.kind(0) != Some(Kind::Open) {
            return None;
        }
        let start = self.at + 1;
        let mut depth = 0usize;
        while let Some(token) = self.token(0) {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(start..self.at - 1);
            }
        }
        None
    }

    /// A cursor over some of the tokens.
    pub(super) fn within(&self, range: Range<usize>) -> Self {
        Self {
            dialect: self.dialect,
            source: self.source,
            tokens: self.tokens.get(range).unwrap_or_default(),
            at: 0,
        }
    }

    /// How many tokens are ahead.
    pub(super) const fn length(&self) -> usize {
        self.tokens.len().saturating_sub(self.at)
    }

    /// A cursor over all that is ahead.
    pub(super) fn within_rest(&self) -> Self {
        self.within(self.at..self.tokens.len())
    }

    /// What stands between the commas of some tokens, as cursors.
    pub(super) fn between_commas(&self, range: Range<usize>) -> Vec<Self> {
        let mut out = Vec::new();
        let mut start = range.start;
        let mut depth = 0usize;
        for at in range.clone() {
            let Some(token) = self.tokens.get(at) else { break };
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                Kind::Other if token.text(self.source) == "[" => depth += 1,
                Kind::Other if token.text(self.source) == "]" => depth = depth.saturating_sub(1),
                _ if depth == 0 && token.text(self.source) == "," => {
                    out.push(self.within(start..at));
                    start = at + 1;
                }
                _ => {}
            }
        }
        if start < range.end {
            out.push(self.within(start..range.end));
        }
        out
    }

    /// Names of columns in parentheses; anything else is its text. MySQL's lengths and everything's orders are left out.
    pub(super) fn columns(&mut self) -> Option<Vec<String>> {
        let range = self.parens()?;
        let mut out = Vec::new();
        for mut one in self.between_commas(range) {
            let start = one.position();
            match one.ident() {
                Some(name) if one.is_done() || one.kind(0) == Some(Kind::Word) || one.is_length() => {
                    out.push(name)
                }
                _ => {
                    one.back_to(start);
                    out.push(one.rest().text);
                }
            }
        }
        Some(out)
    }

    fn is_length(&self) -> bool {
        self.kind(0) == Some(Kind::Open)
            && self.kind(2) == Some(Kind::Close)
            && self.text_at(1).bytes().all(|byte| byte.is_ascii_digit())
    }

    /// An expression up to one of these words or a comma, outside of parentheses.
    pub(super) fn expr_until(&mut self, stops: &[&str]) -> Expr {
        let start = self.at;
        let mut depth = 0usize;
        let mut cases = 0usize;
        while let Some(token) = self.token(0) {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close if depth == 0 => break,
                Kind::Close => depth -= 1,
                // `ARRAY[1, 2]`
                Kind::Other if self.is_symbol("[") => depth += 1,
                Kind::Other if self.is_symbol("]") => depth = depth.saturating_sub(1),
                Kind::Word if self.is("CASE") => cases += 1,
                Kind::Word if cases > 0 && self.is("END") => cases -= 1,
                Kind::Word if depth == 0 && cases == 0 && self.at > start && self.is_one_of(stops) => break,
                _ if depth == 0 && self.is_symbol(",") => break,
                _ => {}
            }
            self.at += 1;
        }
        self.expr(start..self.at)
    }

    /// All that is left, as an expression.
    pub(super) fn rest(&mut self) -> Expr {
        let start = self.at;
        self.skip_all();
        self.expr(start..self.at)
    }

    pub(super) fn expr(&self, range: Range<usize>) -> Expr {
        let tokens = self.tokens.get(range).unwrap_or_default();
        let mut text = String::new();
        let mut calls = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            let shown = token.text(self.source);
            if !text.is_empty() {
                text.push(' ');
            }
            match token.kind {
                Kind::Word => {}
                // As the name itself is read.
                Kind::Name if self.dialect != Dialect::Postgres => {
                    text.push_str(&shown.to_lowercase());
                    continue;
                }
                _ => {
                    text.push_str(shown);
                    continue;
                }
            }
            let word = shown.to_ascii_lowercase();
            let opens = tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Open);
            let after_dot = at > 0 && tokens[at - 1].text(self.source) == ".";
            // `x::numeric(10,2)` casts, and calls nothing.
            let after_cast = at > 0 && tokens[at - 1].text(self.source) == "::";
            if (opens && !after_cast && !NOT_CALLS.contains(&word.as_str()))
                || (!after_dot && NILADIC.contains(&word.as_str()))
            {
                let schema =
                    (after_dot && at > 1).then(|| tokens[at - 2].text(self.source).to_ascii_lowercase());
                calls.push(match schema {
                    Some(schema) if schema != "pg_catalog" => format!("{schema}.{word}"),
                    _ => word.clone(),
                });
            } else if opens && !after_cast && at > 0 && tokens[at - 1].kind == Kind::Name {
                calls.push(word.clone());
            }
            text.push_str(&word);
        }
        // A quoted function name is one too.
        for (at, token) in tokens.iter().enumerate() {
            if token.kind == Kind::Name && tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Open) {
                calls.push(self.unquoted(token.text(self.source)));
            }
        }
        Expr { text, calls }
    }
}
