//! Columns and constraints, as `CREATE TABLE` and `ALTER TABLE` share them.

use super::cursor::Cursor;
use super::types::type_name;
use crate::Dialect;
use crate::ddl::{Column, Constraint, ConstraintKind, Expr, Generated, Index, References};
use crate::lexer::Kind;

/// What may follow the type of a column; a type of SQLite ends before one of these.
pub(super) const STARTS: [&str; 15] = [
    "CONSTRAINT",
    "PRIMARY",
    "NOT",
    "NULL",
    "UNIQUE",
    "CHECK",
    "DEFAULT",
    "COLLATE",
    "REFERENCES",
    "GENERATED",
    "AS",
    "ON",
    "DEFERRABLE",
    "INITIALLY",
    "AUTOINCREMENT",
];

/// Where a default's expression ends.
const AFTER_DEFAULT: [&str; 33] = [
    "CONSTRAINT",
    "PRIMARY",
    "NOT",
    "NULL",
    "UNIQUE",
    "CHECK",
    "DEFAULT",
    "COLLATE",
    "REFERENCES",
    "GENERATED",
    "ON",
    "DEFERRABLE",
    "INITIALLY",
    "AUTO_INCREMENT",
    "COMMENT",
    "AFTER",
    "FIRST",
    "INVISIBLE",
    "VISIBLE",
    "KEY",
    "STORAGE",
    "COLUMN_FORMAT",
    "ENFORCED",
    "CHARACTER",
    "CHARSET",
    "COMPRESSION",
    "USING",
    "AUTOINCREMENT",
    "VIRTUAL",
    "STORED",
    "PERSISTENT",
    "ENGINE_ATTRIBUTE",
    "ALGORITHM",
];

/// Options of a column that take one value.
const WITH_VALUE: [&str; 8] = [
    "COMMENT",
    "ENGINE_ATTRIBUTE",
    "SECONDARY_ENGINE_ATTRIBUTE",
    "STORAGE",
    "COMPRESSION",
    "COLUMN_FORMAT",
    "SRID",
    "REF_SYSTEM_ID",
];

/// `name type constraint…`, up to a comma, a closing parenthesis, or `FIRST` and `AFTER`.
pub(super) fn column(c: &mut Cursor<'_>) -> Option<Column> {
    let mut column = Column {
        name: c.ident()?,
        ..Column::default()
    };
    let typeless = c.dialect == Dialect::Sqlite && (ends(c) || c.is_one_of(&STARTS));
    if !typeless {
        let mut ty = type_name(c)?;
        if c.dialect.is_mysql() && ty.name == "serial" {
            ty.name = "bigint".to_owned();
            ty.unsigned = true;
            column.not_null = true;
            column.auto_increment = true;
            column.unique = true;
        }
        column.ty = Some(ty);
    }
    while !ends(c) {
        option(c, &mut column)?;
    }
    Some(column)
}

fn ends(c: &Cursor<'_>) -> bool {
    c.is_done() || c.is_symbol(",") || c.kind(0) == Some(Kind::Close) || c.is_one_of(&["FIRST", "AFTER"])
}

pub(super) fn option(c: &mut Cursor<'_>, column: &mut Column) -> Option<()> {
    if c.eat("CONSTRAINT") && !c.is_one_of(&["CHECK", "NOT", "UNIQUE", "PRIMARY", "REFERENCES"]) {
        c.ident()?;
    }
    if c.eat_all(&["NOT", "NULL"]) {
        column.not_null = true;
        c.eat_all(&["NO", "INHERIT"]);
    } else if c.eat("NULL") {
        column.not_null = column.primary_key;
    } else if c.eat("DEFAULT") {
        column.default = Some(default(c)?);
    } else if c.eat_all(&["PRIMARY", "KEY"]) || (c.dialect.is_mysql() && c.eat("KEY")) {
        column.primary_key = true;
        column.not_null |= c.dialect != Dialect::Sqlite;
        c.eat_one_of(&["ASC", "DESC"]);
        index_tail(c);
    } else if c.eat("UNIQUE") {
        c.eat("KEY");
        column.unique = true;
        nulls(c);
        index_tail(c);
    } else if c.eat("REFERENCES") {
        column.references = Some(references(c)?);
    } else if c.eat("CHECK") {
        let inner = c.parens()?;
        column.check = Some(c.expr(inner));
        c.eat_all(&["NO", "INHERIT"]);
    } else if c.eat("GENERATED") || c.is("AS") {
        generated(c, column)?;
    } else if c.eat("AUTO_INCREMENT") || c.eat("AUTOINCREMENT") {
        column.auto_increment = true;
    } else if c.eat("INVISIBLE") {
        column.invisible = true;
    } else if c.eat("COLLATE") {
        let collation = c.name()?;
        if let Some(ty) = &mut column.ty {
            ty.collation = Some(collation.name);
        }
    } else if c.eat_all(&["CHARACTER", "SET"]) || c.eat("CHARSET") {
        let charset = c.take()?.trim_matches(['\'', '"', '`']).to_ascii_lowercase();
        if let Some(ty) = &mut column.ty {
            ty.charset = Some(charset);
        }
    } else if c.eat_all(&["ON", "UPDATE"]) {
        c.take()?;
        c.parens();
    } else if c.eat_all(&["ON", "CONFLICT"]) {
        c.take()?;
    } else if c.eat_one_of(&WITH_VALUE).is_some() {
        c.eat_symbol("=");
        c.take()?;
    } else {
        return timing(c)
            .or_else(|| c.eat_one_of(&["VISIBLE", "ENFORCED", "COMPRESSED"]).map(|_| ()))
            .or_else(|| c.eat_all(&["NOT", "ENFORCED"]).then_some(()))
            .or_else(|| c.eat_all(&["WITH", "SYSTEM", "VERSIONING"]).then_some(()))
            .or_else(|| c.eat_all(&["WITHOUT", "SYSTEM", "VERSIONING"]).then_some(()));
    }
    Some(())
}

fn default(c: &mut Cursor<'_>) -> Option<Expr> {
    let start = c.position();
    let expr = c.expr_until(&AFTER_DEFAULT);
    (c.position() > start).then_some(expr)
}

/// `DEFERRABLE`, `INITIALLY …`, `NOT DEFERRABLE`.
fn timing(c: &mut Cursor<'_>) -> Option<()> {
    (c.eat("DEFERRABLE")
        || c.eat_all(&["NOT", "DEFERRABLE"])
        || c.eat_all(&["INITIALLY", "DEFERRED"])
        || c.eat_all(&["INITIALLY", "IMMEDIATE"]))
    .then_some(())
}

fn nulls(c: &mut Cursor<'_>) {
    if c.eat("NULLS") {
        c.eat("NOT");
        c.eat("DISTINCT");
    }
}

/// What may follow an index: `INCLUDE (…)`, `WITH (…)`, `USING INDEX TABLESPACE x`, `USING BTREE`, comments.
fn index_tail(c: &mut Cursor<'_>) {
    loop {
        if c.eat("INCLUDE") || (c.is("WITH") && c.kind(1) == Some(Kind::Open) && c.eat("WITH")) {
            c.parens();
        } else if c.eat_all(&["USING", "INDEX", "TABLESPACE"]) {
            c.ident();
        } else if c.is("USING") && c.is_at(1, "INDEX") {
            return;
        } else if c.eat("USING")
            || (c.is_one_of(&["COMMENT", "KEY_BLOCK_SIZE"]) && c.dialect.is_mysql() && c.take().is_some())
        {
            c.eat_symbol("=");
            c.take();
        } else if c.eat_all(&["ON", "CONFLICT"]) {
            c.take();
        } else {
            return;
        }
    }
}

fn generated(c: &mut Cursor<'_>, column: &mut Column) -> Option<()> {
    let by_default = c.eat_all(&["BY", "DEFAULT"]);
    c.eat("ALWAYS");
    if by_default {
        c.eat_all(&["ON", "NULL"]);
    }
    c.need("AS")?;
    if c.eat("IDENTITY") {
        column.identity = true;
        column.always = !by_default;
        column.not_null = true;
        if c.kind(0) == Some(Kind::Open) {
            c.parens();
        }
        return Some(());
    }
    if c.is("ROW") {
        // MariaDB's system versioning: `AS ROW START`.
        c.take();
        c.take();
        return Some(());
    }
    let inner = c.parens()?;
    let expr = c.expr(inner);
    let stored = c.eat("STORED") || c.eat("PERSISTENT");
    if !stored {
        c.eat("VIRTUAL");
    }
    column.generated = Some(Generated { expr, stored });
    Some(())
}

pub(super) fn references(c: &mut Cursor<'_>) -> Option<References> {
    let table = c.name()?;
    let columns = if c.kind(0) == Some(Kind::Open) {
        c.columns()?
    } else {
        Vec::new()
    };
    loop {
        if c.eat("MATCH") {
            c.take()?;
        } else if c.is("ON") && (c.is_at(1, "DELETE") || c.is_at(1, "UPDATE")) {
            c.take();
            c.take();
            if c.eat("SET") {
                c.take()?;
                if c.kind(0) == Some(Kind::Open) {
                    c.parens();
                }
            } else if !c.eat_all(&["NO", "ACTION"]) {
                c.take()?;
            }
        } else {
            return Some(References { table, columns });
        }
    }
}

/// What a line of a table can be besides a column.
pub(super) enum Line {
    Constraint(Constraint),
    Index(Index),
}

/// Whether a table's line begins something other than a column.
pub(super) fn is_line(c: &Cursor<'_>) -> bool {
    let second_opens = c.kind(1) == Some(Kind::Open);
    if c.kind(0) != Some(Kind::Word) {
        return false;
    }
    c.is("CONSTRAINT")
        || c.starts(&["PRIMARY", "KEY"])
        || c.starts(&["FOREIGN", "KEY"])
        || (c.is("CHECK") && second_opens)
        || (c.is("UNIQUE")
            && (second_opens
                || c.is_one_of_at(1, &["KEY", "INDEX", "USING", "NULLS"])
                || c.dialect.is_mysql()))
        || (c.is("EXCLUDE") && (second_opens || c.is_at(1, "USING")))
        || (c.dialect.is_mysql()
            && (c.is_one_of(&["FULLTEXT", "SPATIAL"])
                || (c.is_one_of(&["KEY", "INDEX"]) && !is_type_like(c))))
        || (c.dialect == Dialect::Postgres && c.starts(&["NOT", "NULL"]))
}

/// `key varchar(10)`: a column that is called key; `KEY name (a)` is an index.
fn is_type_like(c: &Cursor<'_>) -> bool {
    ["VARCHAR", "INT", "BIGINT", "TEXT", "CHAR"]
        .iter()
        .any(|ty| c.is_at(1, ty))
}

/// Reads such a line.
pub(super) fn line(c: &mut Cursor<'_>) -> Option<Line> {
    let mut name = None;
    if c.eat("CONSTRAINT")
        && !(c.starts(&["PRIMARY", "KEY"])
            || c.starts(&["FOREIGN", "KEY"])
            || (c.is("CHECK") && c.kind(1) == Some(Kind::Open))
            || (c.is("UNIQUE") && c.dialect.is_mysql()))
    {
        c.if_not_exists();
        name = Some(c.ident()?);
    }
    let mut kind = if c.eat_all(&["PRIMARY", "KEY"]) {
        c.if_not_exists();
        key(c, name.is_none(), &mut name, true)?
    } else if c.eat_all(&["FOREIGN", "KEY"]) {
        c.if_not_exists();
        if c.kind(0) != Some(Kind::Open) {
            let given = c.ident();
            name = name.or(given);
        }
        let columns = c.columns()?;
        if c.eat("PERIOD") {
            c.take();
        }
        c.need("REFERENCES")?;
        ConstraintKind::ForeignKey {
            columns,
            references: references(c)?,
        }
    } else if c.eat("CHECK") {
        let inner = c.parens()?;
        ConstraintKind::Check(c.expr(inner))
    } else if c.eat("UNIQUE") {
        let indexed = c.eat("KEY") || c.eat("INDEX");
        c.if_not_exists();
        key(c, indexed || c.dialect.is_mysql(), &mut name, false)?
    } else if c.eat("EXCLUDE") {
        if c.eat("USING") {
            c.ident()?;
        }
        c.parens()?;
        index_tail(c);
        if c.eat("WHERE") {
            c.parens()?;
        }
        ConstraintKind::Exclude
    } else if c.eat_all(&["NOT", "NULL"]) {
        ConstraintKind::NotNull(c.ident()?)
    } else {
        return index_line(c).map(Line::Index);
    };
    if let ConstraintKind::Unique { using_index, .. } | ConstraintKind::PrimaryKey { using_index, .. } =
        &mut kind
        && c.eat_all(&["USING", "INDEX"])
    {
        *using_index = Some(c.name()?);
    }
    let mut constraint = Constraint {
        name,
        kind,
        not_valid: false,
        enforced: true,
    };
    loop {
        if c.eat_all(&["NOT", "VALID"]) {
            constraint.not_valid = true;
        } else if c.eat_all(&["NOT", "ENFORCED"]) {
            constraint.enforced = false;
        } else if !(c.eat("ENFORCED")
            || c.eat_all(&["NO", "INHERIT"])
            || timing(c).is_some()
            || (c.is("COMMENT") && c.dialect.is_mysql() && c.take().is_some() && c.take().is_some())
            || c.eat_one_of(&["VISIBLE", "INVISIBLE", "IGNORED"]).is_some()
            || c.eat_all(&["NOT", "IGNORED"]))
        {
            return Some(Line::Constraint(constraint));
        }
    }
}

/// The columns of a key, or the index that it is made of.
fn key(c: &mut Cursor<'_>, named: bool, name: &mut Option<String>, primary: bool) -> Option<ConstraintKind> {
    nulls(c);
    if named && c.kind(0) != Some(Kind::Open) && !c.is("USING") {
        let given = c.ident();
        *name = name.take().or(given);
    }
    if c.is("USING") && !c.is_at(1, "INDEX") {
        c.take();
        c.take();
    }
    let columns = if c.kind(0) == Some(Kind::Open) {
        c.columns()?
    } else if c.starts(&["USING", "INDEX"]) {
        Vec::new()
    } else {
        return None;
    };
    index_tail(c);
    Some(if primary {
        ConstraintKind::PrimaryKey {
            columns,
            using_index: None,
        }
    } else {
        ConstraintKind::Unique {
            columns,
            using_index: None,
        }
    })
}

fn index_line(c: &mut Cursor<'_>) -> Option<Index> {
    let special = c.eat_one_of(&["FULLTEXT", "SPATIAL", "VECTOR"]);
    let word = c.eat("KEY") || c.eat("INDEX");
    if special.is_none() && !word {
        return None;
    }
    c.if_not_exists();
    let mut index = Index {
        special,
        ..Index::default()
    };
    if c.kind(0) != Some(Kind::Open) && !c.is("USING") {
        index.name = Some(c.name()?);
    }
    if c.eat("USING") {
        c.take();
    }
    index.columns = c.columns()?;
    index_options(c, &mut index);
    Some(index)
}

/// MySQL's options of an index.
pub(super) fn index_options(c: &mut Cursor<'_>, index: &mut Index) {
    loop {
        if c.eat_all(&["WITH", "PARSER"]) {
            c.take();
        } else if c.eat("INVISIBLE") || c.eat("IGNORED") {
            index.invisible = true;
        } else if !(c.eat("VISIBLE") || c.eat_all(&["NOT", "IGNORED"])) {
            if c.is_one_of(&[
                "USING",
                "COMMENT",
                "KEY_BLOCK_SIZE",
                "ENGINE_ATTRIBUTE",
                "DISTANCE",
                "M",
            ]) {
                c.take();
                c.eat_symbol("=");
                c.take();
            } else {
                return;
            }
        }
    }
}
