//! Rows: `INSERT`, `UPDATE`, `DELETE`, `SELECT` and their kin.

use super::cursor::Cursor;
use super::drop::is_name;
use super::whole::{conflict_clause, whole};
use crate::ddl::{CreateTable, Ddl, Name, Write};
use crate::lexer::Kind;

/// None when it is something else.
pub(super) fn dml(c: &mut Cursor<'_>) -> Option<Ddl> {
    let start = c.position();
    let found = read(c);
    if found.is_none() {
        c.back_to(start);
    }
    found
}

fn read(c: &mut Cursor<'_>) -> Option<Ddl> {
    if c.is("WITH") {
        return with(c);
    }
    if c.is_one_of(&["INSERT", "REPLACE"]) {
        return insert(c);
    }
    if c.eat("UPDATE") {
        return update(c);
    }
    if c.eat("DELETE") {
        return delete(c);
    }
    if c.eat_all(&["MERGE", "INTO"]) {
        let table = c.name()?;
        return Some(Ddl::Insert(write(table, c)));
    }
    if c.eat("COPY") {
        return copy(c);
    }
    if c.is("LOAD") && c.is_one_of_at(1, &["DATA", "XML"]) {
        while !c.is_done() && !c.eat_all(&["INTO", "TABLE"]) {
            c.take();
        }
        let table = c.name()?;
        return Some(Ddl::Insert(write(table, c)));
    }
    if c.is("SELECT") || c.is("VALUES") || c.is_symbol("(") || c.is("TABLE") {
        return select(c);
    }
    None
}

/// The rest is of no interest.
fn write(table: Name, c: &mut Cursor<'_>) -> Write {
    let from = tables_read(c);
    c.skip_all();
    Write {
        table,
        bounded: true,
        from,
        ..Write::default()
    }
}

/// What writes within or after a `WITH`: one statement, or several, which are looked at one by one.
fn with(c: &mut Cursor<'_>) -> Option<Ddl> {
    let base = c.position();
    let mut writes = Vec::new();
    let mut query = None;
    let mut depth = 0usize;
    let mut ahead = 1;
    while let Some(token) = c.token(ahead) {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            // `FOR UPDATE` and `ON … DO UPDATE` are no statements.
            Kind::Word if c.is_one_of_at(ahead - 1, &["FOR", "DO", "KEY", "ON", "NO", "THEN"]) => {}
            Kind::Word if c.is_one_of_at(ahead, &["INSERT", "UPDATE", "DELETE", "MERGE"]) => {
                writes.push(ahead)
            }
            Kind::Word if depth == 0 && query.is_none() && c.is_at(ahead, "SELECT") => query = Some(ahead),
            _ => {}
        }
        ahead += 1;
    }
    if writes.is_empty() {
        writes.extend(query);
    }
    let mut found = Vec::new();
    for start in writes {
        let mut end = start;
        let mut depth = 0usize;
        while let Some(token) = c.token(end) {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close if depth == 0 => break,
                Kind::Close => depth -= 1,
                _ => {}
            }
            end += 1;
        }
        let mut inner = c.within(base + start..base + end);
        let from = inner.offset();
        let ddl = read(&mut inner)?;
        found.push((from..inner.end_before(), ddl));
    }
    c.skip_all();
    if found.len() > 1 {
        return Some(Ddl::Opaque {
            inner: found,
            dynamic: false,
        });
    }
    found.pop().map(|(_, ddl)| ddl)
}

fn insert(c: &mut Cursor<'_>) -> Option<Ddl> {
    let mut lenient = c.is("REPLACE");
    c.take();
    c.eat_one_of(&["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY"]);
    lenient |= c.eat("IGNORE");
    if c.eat("OR") {
        lenient |= c.is_one_of(&["IGNORE", "REPLACE"]);
        c.take();
    }
    c.eat("INTO");
    let table = c.name()?;
    if c.eat("AS") {
        c.ident()?;
    }
    let columns = if c.kind(0) == Some(Kind::Open) && !c.is_at(1, "SELECT") {
        c.columns()?
    } else {
        Vec::new()
    };
    if c.eat("OVERRIDING") {
        c.take();
        c.take();
    }
    let select = c.is("SELECT") || c.is("WITH") || c.is("TABLE") || c.is_symbol("(");
    let mut out = Write {
        table,
        columns,
        bounded: true,
        lenient: lenient || conflict_clause(c).is_some(),
        ..Write::default()
    };
    if select {
        out.from = tables_read(c);
        out.bounded = has_bound(c);
        out.whole = whole(c);
        if c.eat("SELECT") {
            c.eat_one_of(&["DISTINCT", "ALL"]);
            loop {
                let expr = c.expr_until(&["FROM", "WHERE", "LIMIT"]);
                out.selected.push(expr.text);
                if !c.eat_symbol(",") {
                    break;
                }
            }
        }
    }
    c.skip_all();
    Some(Ddl::Insert(out))
}

/// Whether a `WHERE` or `LIMIT` stands outside of parentheses, ahead.
fn has_bound(c: &Cursor<'_>) -> bool {
    let mut depth = 0usize;
    let mut ahead = 0;
    while let Some(token) = c.token(ahead) {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            Kind::Word if depth == 0 && c.is_one_of_at(ahead, &["WHERE", "LIMIT"]) => {
                return !(c.is_at(ahead, "WHERE") && is_always(c, ahead + 1));
            }
            _ => {}
        }
        ahead += 1;
    }
    false
}

/// Whether a condition holds for every row as written: `true`, `1`, `1 = 1`.
pub(super) fn is_always(c: &Cursor<'_>, ahead: usize) -> bool {
    let text = |at: usize| c.token(ahead + at).map(|token| token.text(c.source));
    match (text(0), text(1), text(2), text(3)) {
        (Some(_), None, ..) => c.is_one_of_at(ahead, &["TRUE", "1"]),
        (Some(one), Some("=" | "<=" | ">="), Some(other), None) => one.eq_ignore_ascii_case(other),
        _ => false,
    }
}

fn update(c: &mut Cursor<'_>) -> Option<Ddl> {
    c.eat("LOW_PRIORITY");
    c.eat("IGNORE");
    if c.eat("OR") {
        c.take();
    }
    c.eat("ONLY");
    let table = c.name()?;
    let mut columns = Vec::new();
    let bounded = has_bound(c);
    let from = tables_read(c);
    while !c.is_done() && !c.eat("SET") {
        c.take();
    }
    loop {
        if c.kind(0) == Some(Kind::Open) {
            columns.extend(c.columns()?);
        } else if is_name(c) {
            columns.push(c.name()?.name);
        }
        c.expr_until(&["WHERE", "FROM", "RETURNING", "ORDER", "LIMIT"]);
        if !c.eat_symbol(",") {
            break;
        }
    }
    c.skip_all();
    Some(Ddl::Update(Write {
        table,
        columns,
        bounded,
        from,
        ..Write::default()
    }))
}

fn delete(c: &mut Cursor<'_>) -> Option<Ddl> {
    // HISTORY: MariaDB's earlier versions of rows.
    while c
        .eat_one_of(&["LOW_PRIORITY", "QUICK", "IGNORE", "HISTORY"])
        .is_some()
    {}
    let bounded = has_bound(c);
    if !c.eat("FROM") {
        // MySQL: DELETE t FROM t JOIN u
        c.name()?;
        while !c.is_done() && !c.eat("FROM") {
            c.take();
        }
    }
    c.eat("ONLY");
    let table = c.name()?;
    let from = tables_read(c);
    c.skip_all();
    Some(Ddl::Delete(Write {
        table,
        bounded,
        from,
        ..Write::default()
    }))
}

fn copy(c: &mut Cursor<'_>) -> Option<Ddl> {
    if c.is_symbol("(") {
        c.skip_all();
        return Some(Ddl::Harmless);
    }
    let table = c.name()?;
    if c.is_symbol("(") {
        c.parens()?;
    }
    let reads = c.is("TO");
    c.skip_all();
    Some(if reads {
        Ddl::Select { from: vec![table] }
    } else {
        Ddl::Insert(Write {
            table,
            bounded: true,
            ..Write::default()
        })
    })
}

fn select(c: &mut Cursor<'_>) -> Option<Ddl> {
    let from = tables_read(c);
    let start = c.position();
    // `SELECT … INTO new FROM …` makes a table, in PostgreSQL.
    let mut depth = 0usize;
    while !c.is_done() && c.dialect == crate::Dialect::Postgres {
        match c.kind(0) {
            Some(Kind::Open) => depth += 1,
            Some(Kind::Close) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && c.is("FROM") {
            break;
        }
        if depth == 0 && c.eat("INTO") {
            let temporary = c.eat("TEMP") || c.eat("TEMPORARY");
            c.eat("UNLOGGED");
            c.eat("TABLE");
            let name = Some(c.name()?);
            c.skip_all();
            return Some(Ddl::CreateTable(Box::new(CreateTable {
                name,
                temporary,
                from_query: true,
                ..CreateTable::default()
            })));
        }
        c.take();
    }
    c.back_to(start);
    // `SELECT set_config('lock_timeout', '1s', false)`
    if c.starts(&["SELECT", "set_config"]) {
        let range = {
            c.take();
            c.take();
            c.parens()?
        };
        let mut parts = c.between_commas(range).into_iter();
        let name = parts.next()?.rest().text;
        let value = parts.next()?.rest().text;
        c.skip_all();
        return Some(Ddl::Set(vec![(
            name.trim_matches('\'').to_ascii_lowercase(),
            value.trim_matches('\'').to_ascii_lowercase(),
        )]));
    }
    c.skip_all();
    Some(Ddl::Select { from })
}

/// The names after every `FROM`, `JOIN` and `USING` ahead.
pub(super) fn tables_read(c: &Cursor<'_>) -> Vec<Name> {
    let mut out = Vec::new();
    let mut look = c.within_rest();
    while !look.is_done() {
        if look.eat("FROM") || look.eat("JOIN") {
            look.eat("ONLY");
            look.eat("LATERAL");
            while is_name(&look) {
                let Some(name) = look.name() else { break };
                // A function in FROM is no table.
                if look.kind(0) != Some(Kind::Open) {
                    out.push(name);
                }
                if look.eat("AS") || (is_name(&look) && !look.is_one_of(&AFTER_TABLE)) {
                    look.take();
                }
                if !look.eat_symbol(",") {
                    break;
                }
            }
        } else {
            look.take();
        }
    }
    out
}

pub(super) const AFTER_TABLE: [&str; 16] = [
    "WHERE",
    "JOIN",
    "LEFT",
    "RIGHT",
    "INNER",
    "CROSS",
    "FULL",
    "NATURAL",
    "ON",
    "GROUP",
    "ORDER",
    "LIMIT",
    "UNION",
    "HAVING",
    "SET",
    "RETURNING",
];
