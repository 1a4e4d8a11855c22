//! `CREATE …`.

use super::column::{self, Line, index_options};
use super::cursor::Cursor;
use super::types::type_name;
use crate::Dialect;
use crate::ddl::{CreateTable, Ddl, Index, Kind, Name, PartitionOf};
use crate::lexer;

pub(super) fn create(c: &mut Cursor<'_>) -> Option<Ddl> {
    let replace = c.eat_all(&["OR", "REPLACE"]);
    if c.eat("ALGORITHM") {
        c.eat_symbol("=");
        c.take()?;
    }
    if c.eat("DEFINER") {
        definer(c)?;
    }
    if c.eat_all(&["SQL", "SECURITY"]) {
        c.take()?;
    }
    c.eat_one_of(&["GLOBAL", "LOCAL"]);
    let temporary = c.eat("TEMP") || c.eat("TEMPORARY");
    let unlogged = c.eat("UNLOGGED");
    c.eat("FOREIGN");
    if c.eat("TABLE") {
        return table(c, temporary, unlogged, replace);
    }
    if c.is_one_of(&[
        "UNIQUE", "INDEX", "FULLTEXT", "SPATIAL", "ONLINE", "OFFLINE", "VECTOR",
    ]) {
        return index(c);
    }
    if c.eat("TYPE") {
        return create_type(c, replace);
    }
    if c.eat("DOMAIN") {
        return domain(c);
    }
    object(c, replace, temporary)
}

/// `DEFINER = user@host`.
fn definer(c: &mut Cursor<'_>) -> Option<()> {
    c.eat_symbol("=");
    c.take()?;
    if c.eat_symbol("@") {
        c.take()?;
    } else if c.is_symbol("(") {
        c.parens()?;
    }
    Some(())
}

fn table(c: &mut Cursor<'_>, temporary: bool, unlogged: bool, replace: bool) -> Option<Ddl> {
    let mut out = CreateTable {
        temporary,
        replace,
        if_not_exists: c.if_not_exists(),
        ..CreateTable::default()
    };
    if unlogged {
        out.options.push("UNLOGGED".to_owned());
    }
    out.name = Some(c.name()?);
    if c.dialect == Dialect::Sqlite && is_lenient(c) {
        out.options.push("ON CONFLICT".to_owned());
    }
    if c.eat("LIKE") {
        out.like.push(c.name()?);
        c.done()?;
        return Some(Ddl::CreateTable(Box::new(out)));
    }
    if c.eat_all(&["PARTITION", "OF"]) {
        let parent = c.name()?;
        if c.is_symbol("(") {
            c.parens()?;
        }
        let is_default = c.eat("DEFAULT");
        out.partition_of = Some(PartitionOf { parent, is_default });
        if !is_default {
            c.need("FOR")?;
            c.need("VALUES")?;
        }
        while !c.is_done() && !c.starts(&["PARTITION", "BY"]) {
            c.take();
        }
        tail(c, &mut out)?;
        return Some(Ddl::CreateTable(Box::new(out)));
    }
    if c.eat("OF") {
        c.name()?;
        if c.is_symbol("(") {
            c.parens()?;
        }
        tail(c, &mut out)?;
        return Some(Ddl::CreateTable(Box::new(out)));
    }
    if c.is_symbol("(") && !c.is_at(1, "SELECT") {
        let range = c.parens()?;
        for mut one in c.between_commas(range) {
            body_line(&mut one, &mut out)?;
            one.done()?;
        }
    }
    tail(c, &mut out)?;
    Some(Ddl::CreateTable(Box::new(out)))
}

/// `ON CONFLICT IGNORE` or `REPLACE`, at whatever column or key.
fn is_lenient(c: &Cursor<'_>) -> bool {
    let mut ahead = 0;
    while c.token(ahead).is_some() {
        if c.is_at(ahead, "ON")
            && c.is_at(ahead + 1, "CONFLICT")
            && c.is_one_of_at(ahead + 2, &["IGNORE", "REPLACE"])
        {
            return true;
        }
        ahead += 1;
    }
    false
}

fn body_line(c: &mut Cursor<'_>, out: &mut CreateTable) -> Option<()> {
    if c.dialect == Dialect::Postgres && c.eat("LIKE") {
        out.like.push(c.name()?);
        c.skip_all();
        return Some(());
    }
    if c.dialect == Dialect::MariaDb && c.starts(&["PERIOD", "FOR"]) {
        c.skip_all();
        return Some(());
    }
    if column::is_line(c) {
        match column::line(c)? {
            Line::Constraint(constraint) => out.constraints.push(constraint),
            Line::Index(index) => out.indexes.push(index),
        }
        if c.dialect == Dialect::Sqlite && c.eat_all(&["ON", "CONFLICT"]) {
            c.take()?;
        }
        return Some(());
    }
    match column::column(c) {
        Some(column) => out.columns.push(column),
        // `CREATE TABLE t (a, b) AS SELECT`: names alone.
        None => return None,
    }
    Some(())
}

/// What follows the parenthesis: options, partitions, a query.
fn tail(c: &mut Cursor<'_>, out: &mut CreateTable) -> Option<()> {
    while !c.is_done() {
        if c.eat_all(&["PARTITION", "BY"]) {
            partition_by(c, out)?;
        } else if c.is("AS")
            || c.is("SELECT")
            || c.is("TABLE")
            || c.is("VALUES")
            || (c.is("WITH") && !c.is_options())
            || c.is_symbol("(")
        {
            out.from_query = !ends_with_no_data(c);
            c.skip_all();
        } else if c.eat("ENGINE") {
            c.eat_symbol("=");
            out.engine = Some(c.take()?.to_ascii_lowercase());
        } else if c.eat_all(&["DEFAULT", "CHARSET"])
            || c.eat("CHARSET")
            || c.eat_all(&["DEFAULT", "CHARACTER", "SET"])
            || c.eat_all(&["CHARACTER", "SET"])
        {
            c.eat_symbol("=");
            out.charset = Some(c.take()?.trim_matches(['\'', '"']).to_ascii_lowercase());
        } else if c.eat_all(&["ON", "COMMIT", "DROP"]) {
            out.options.push("ON COMMIT DROP".to_owned());
        } else if c.is("STRICT") || c.is("WITHOUT") {
            out.options.push(c.take()?.to_ascii_uppercase());
        } else {
            // Options do not change what a new table costs.
            c.take();
        }
    }
    Some(())
}

fn ends_with_no_data(c: &Cursor<'_>) -> bool {
    let mut last = [""; 3];
    let mut ahead = 0;
    while let Some(token) = c.token(ahead) {
        last = [last[1], last[2], token.text(c.source)];
        ahead += 1;
    }
    last[0].eq_ignore_ascii_case("WITH")
        && last[1].eq_ignore_ascii_case("NO")
        && last[2].eq_ignore_ascii_case("DATA")
}

fn partition_by(c: &mut Cursor<'_>, out: &mut CreateTable) -> Option<()> {
    c.eat("LINEAR");
    let how = c.take()?;
    if how.eq_ignore_ascii_case("RANGE") || how.eq_ignore_ascii_case("LIST") {
        c.eat("COLUMNS");
    }
    if c.is_symbol("(") {
        out.partition_by = c.columns()?;
    }
    if out.partition_by.is_empty() {
        out.partition_by.push(String::new());
    }
    if c.dialect.is_mysql() {
        c.skip_all();
    }
    Some(())
}

fn index(c: &mut Cursor<'_>) -> Option<Ddl> {
    c.eat_one_of(&["ONLINE", "OFFLINE"]);
    let mut index = Index {
        unique: c.eat("UNIQUE"),
        special: c.eat_one_of(&["FULLTEXT", "SPATIAL", "VECTOR"]),
        ..Index::default()
    };
    c.need("INDEX")?;
    let concurrently = c.dialect == Dialect::Postgres && c.eat("CONCURRENTLY");
    let if_not_exists = c.if_not_exists();
    if !c.is("ON") || c.is_at(1, "ON") {
        index.name = Some(c.name()?);
    }
    if c.eat("USING") {
        c.ident()?;
    }
    c.need("ON")?;
    let only = c.eat("ONLY");
    let table = c.name()?;
    if c.eat("USING") {
        c.ident()?;
    }
    index.columns = c.columns()?;
    let (mut algorithm, mut lock) = (None, None);
    while !c.is_done() {
        if c.eat("INCLUDE") {
            c.parens()?;
        } else if c.eat("NULLS") {
            c.eat("NOT");
            c.need("DISTINCT")?;
        } else if c.eat("TABLESPACE") {
            c.ident()?;
        } else if c.eat("WHERE") {
            index.predicate = Some(c.rest());
        } else if c.is("WITH") && c.is_options() {
            c.take();
            c.parens()?;
        } else if c.eat("ALGORITHM") {
            c.eat_symbol("=");
            algorithm = Some(c.take()?.to_ascii_uppercase());
        } else if c.eat("LOCK") {
            c.eat_symbol("=");
            lock = Some(c.take()?.to_ascii_uppercase());
        } else if c.eat("WAIT") {
            c.take()?;
        } else if c.eat("NOWAIT") {
            // MariaDB's way to wait, or not, for the lock.
        } else {
            let before = c.position();
            index_options(c, &mut index);
            if c.position() == before {
                return None;
            }
        }
    }
    Some(Ddl::CreateIndex {
        index: Box::new(index),
        table,
        only,
        concurrently,
        if_not_exists,
        algorithm,
        lock,
    })
}

fn create_type(c: &mut Cursor<'_>, replace: bool) -> Option<Ddl> {
    let name = c.name()?;
    if c.eat_all(&["AS", "ENUM"]) {
        let range = c.parens()?;
        let values = c
            .between_commas(range)
            .into_iter()
            .map(|mut one| one.rest().text)
            .collect();
        return Some(Ddl::CreateEnum { name, values });
    }
    c.skip_all();
    Some(Ddl::Create {
        kind: Kind::Type,
        name: Some(name),
        replace,
        table: None,
        restrains: false,
    })
}

fn domain(c: &mut Cursor<'_>) -> Option<Ddl> {
    let name = c.name()?;
    c.eat("AS");
    let ty = type_name(c)?;
    let mut constrained = false;
    while !c.is_done() {
        constrained |= c.is("CHECK") || c.starts(&["NOT", "NULL"]);
        c.take();
    }
    Some(Ddl::CreateDomain {
        name,
        ty,
        constrained,
    })
}

fn object(c: &mut Cursor<'_>, replace: bool, temporary: bool) -> Option<Ddl> {
    let kind = if c.eat_all(&["MATERIALIZED", "VIEW"]) {
        Kind::MaterializedView
    } else {
        c.eat("RECURSIVE");
        c.eat("CONSTRAINT");
        c.eat("EVENT");
        c.eat("AGGREGATE");
        c.eat("VIRTUAL");
        match c.eat_one_of(&[
            "VIEW",
            "SEQUENCE",
            "FUNCTION",
            "PROCEDURE",
            "TRIGGER",
            "SCHEMA",
            "DATABASE",
            "EXTENSION",
            "POLICY",
            "RULE",
            "ROLE",
            "USER",
            "GROUP",
            "STATISTICS",
            "COLLATION",
            "PUBLICATION",
            "SUBSCRIPTION",
            "SERVER",
            "CAST",
            "OPERATOR",
            "AGGREGATE",
            "LANGUAGE",
            "TABLESPACE",
            "TEXT",
            "CONVERSION",
            "ACCESS",
            "TRANSFORM",
            "TABLE",
            "RESOURCE",
            "UNDO",
            "LOGFILE",
            "PACKAGE",
        ]) {
            Some("VIEW") => Kind::View,
            Some("SEQUENCE") => Kind::Sequence,
            Some("FUNCTION") => Kind::Function,
            Some("PROCEDURE") => Kind::Procedure,
            Some("TRIGGER") => Kind::Trigger,
            Some("SCHEMA") => Kind::Schema,
            Some("DATABASE") => Kind::Database,
            Some("EXTENSION") => Kind::Extension,
            Some("POLICY") => Kind::Policy,
            Some("RULE") => Kind::Rule,
            Some("ROLE" | "USER" | "GROUP") => Kind::Role,
            Some(_) => Kind::Other,
            None if c.is("ON") || c.kind(0).is_some() => {
                // `CREATE EVENT name` and `CREATE AGGREGATE name`: their word is eaten.
                Kind::Other
            }
            None => return None,
        }
    };
    let _ = temporary;
    c.if_not_exists();
    let name = c.name();
    if kind == Kind::Function {
        let steady = words_hold(c, &["IMMUTABLE", "STABLE"]);
        c.skip_all();
        return Some(Ddl::CreateFunction {
            name: name?,
            steady,
            replace,
        });
    }
    let table = match kind {
        Kind::Trigger | Kind::Policy | Kind::Rule => {
            table_after(c, if kind == Kind::Rule { "TO" } else { "ON" })
        }
        _ => None,
    };
    let restrains = match kind {
        Kind::Policy => c.starts(&["AS", "RESTRICTIVE"]),
        Kind::Rule => words_hold(c, &["INSTEAD"]),
        _ => false,
    };
    c.skip_all();
    Some(Ddl::Create {
        kind,
        name,
        replace,
        table,
        restrains,
    })
}

fn words_hold(c: &Cursor<'_>, words: &[&str]) -> bool {
    let mut ahead = 0;
    while c.token(ahead).is_some() {
        if c.is_one_of_at(ahead, words) {
            return true;
        }
        ahead += 1;
    }
    false
}

fn table_after(c: &mut Cursor<'_>, word: &str) -> Option<Name> {
    while !c.is_done() {
        if c.eat(word) {
            return c.name();
        }
        c.take();
    }
    None
}

impl Cursor<'_> {
    /// `WITH (…)`, as opposed to a query's `WITH`.
    fn is_options(&self) -> bool {
        self.kind(1) == Some(lexer::Kind::Open)
    }
}
