//! Blocks of a procedural language: the statements that stand in them are read one by one.

use std::ops::Range;

use super::cursor::Cursor;
use crate::Dialect;
use crate::ddl::Ddl;
use crate::lexer::{Kind, Token, tokens};

/// How many levels of `DO` within `EXECUTE` within `DO` are looked into.
const DEPTH: usize = 3;

/// Words that begin a statement worth reading.
const BEGINNINGS: [&str; 16] = [
    "ALTER", "CREATE", "DROP", "TRUNCATE", "UPDATE", "DELETE", "INSERT", "VACUUM", "CLUSTER", "REINDEX",
    "REFRESH", "LOCK", "RENAME", "MERGE", "COPY", "REVOKE",
];

pub(super) fn opaque(c: &mut Cursor<'_>) -> Option<Ddl> {
    let is_do = c.eat("DO");
    if !is_do {
        c.skip_all();
        return Some(Ddl::Opaque {
            inner: Vec::new(),
            dynamic: true,
        });
    }
    let mut inner = Vec::new();
    let mut dynamic = false;
    while let Some(token) = c.token(0) {
        if token.kind == Kind::Literal {
            block(c.dialect, c.source, token, &mut inner, &mut dynamic, 0);
        }
        c.take();
    }
    Some(Ddl::Opaque { inner, dynamic })
}

/// What stands within a dollar quote or a string.
fn contents(source: &str, token: &Token) -> Option<Range<usize>> {
    let text = token.text(source);
    let open = if text.starts_with('$') {
        text.get(1..)?.find('$')? + 2
    } else {
        text.find('\'')? + 1
    };
    let close = if text.starts_with('$') { open } else { 1 };
    (text.len() >= open + close).then(|| token.start + open..token.end - close)
}

fn block(
    dialect: Dialect,
    source: &str,
    token: &Token,
    inner: &mut Vec<(Range<usize>, Ddl)>,
    dynamic: &mut bool,
    depth: usize,
) {
    let Some(range) = contents(source, token) else {
        return;
    };
    let Some(body) = source.get(range.clone()) else {
        return;
    };
    let Ok(mut all) = tokens(dialect, body) else {
        *dynamic = true;
        return;
    };
    all.retain(Token::is_significant);
    let mut start = 0;
    let ends: Vec<usize> = (0..all.len())
        .filter(|at| all[*at].kind == Kind::Semicolon)
        .chain([all.len()])
        .collect();
    for end in ends {
        piece(
            dialect,
            body,
            range.start,
            &all[start..end],
            inner,
            dynamic,
            depth,
        );
        start = end + 1;
    }
}

/// One piece between semicolons: `BEGIN IF x THEN ALTER TABLE …`.
fn piece(
    dialect: Dialect,
    body: &str,
    offset: usize,
    piece: &[Token],
    inner: &mut Vec<(Range<usize>, Ddl)>,
    dynamic: &mut bool,
    depth: usize,
) {
    let is = |at: usize, words: &[&str]| {
        piece.get(at).is_some_and(|token: &Token| {
            token.kind == Kind::Word
                && words
                    .iter()
                    .any(|word| token.text(body).eq_ignore_ascii_case(word))
        })
    };
    for at in 0..piece.len() {
        if is(at, &["EXECUTE"]) {
            match piece.get(at + 1) {
                // EXECUTE 'ALTER …': alone, or followed by USING.
                Some(token)
                    if token.kind == Kind::Literal
                        && depth < DEPTH
                        && (at + 2 == piece.len() || is(at + 2, &["USING"])) =>
                {
                    let mut found = Vec::new();
                    block(dialect, body, token, &mut found, dynamic, depth + 1);
                    inner.extend(
                        found
                            .into_iter()
                            .map(|(range, ddl)| (range.start + offset..range.end + offset, ddl)),
                    );
                }
                // The function of a trigger, or its privilege.
                Some(_) if is(at + 1, &["FUNCTION", "PROCEDURE", "ON"]) => continue,
                _ => *dynamic = true,
            }
            return;
        }
        let begins = at == 0 || is(at - 1, &["THEN", "ELSE", "LOOP", "BEGIN"]);
        if begins && is(at, &BEGINNINGS) {
            let rest = &piece[at..];
            let mut cursor = Cursor::new(dialect, body, rest);
            let ddl = super::read_tokens(&mut cursor);
            let end = rest.last().map_or(0, |token| token.end);
            inner.push((offset + piece[at].start..offset + end, ddl));
            return;
        }
        if begins && is(at, &["PERFORM", "CALL"]) {
            *dynamic |= is(at, &["CALL"]);
            return;
        }
    }
}
