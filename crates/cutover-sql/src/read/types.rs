//! Data types.

use super::cursor::Cursor;
use crate::Dialect;
use crate::ddl::TypeName;
use crate::lexer::Kind;

/// Reads a type, with everything that belongs to it rather than to its column.
pub(super) fn type_name(c: &mut Cursor<'_>) -> Option<TypeName> {
    let mut ty = TypeName::default();
    c.eat("SETOF");
    let quoted = c.kind(0) == Some(Kind::Name);
    let name = c.name()?;
    let first = name.name;
    if let Some(schema) = name.schema.filter(|schema| schema != "pg_catalog") {
        ty.name = format!("{schema}.{first}");
    } else if quoted && first == "char" && c.dialect == Dialect::Postgres {
        // One byte, and another type than `char`.
        ty.name = "\"char\"".to_owned();
    } else if quoted {
        ty.name = first;
    } else {
        ty.name = words(c, first);
    }
    arguments(c, &mut ty)?;
    suffix(c, &mut ty);
    canonical(c.dialect, &mut ty);
    Some(ty)
}

/// Types of several words.
fn words(c: &mut Cursor<'_>, first: String) -> String {
    match first.as_str() {
        "double" if c.eat("PRECISION") => "double precision".to_owned(),
        "character" | "char" | "nchar" if c.eat("VARYING") => "varchar".to_owned(),
        "national" => {
            let _ = c.eat("CHARACTER") || c.eat("CHAR") || c.eat("VARCHAR");
            if c.eat("VARYING") {
                "varchar".to_owned()
            } else {
                "char".to_owned()
            }
        }
        "bit" if c.eat("VARYING") => "varbit".to_owned(),
        "long" if c.dialect.is_mysql() => {
            if c.eat("VARBINARY") {
                "mediumblob".to_owned()
            } else {
                "mediumtext".to_owned()
            }
        }
        _ => first,
    }
}

fn arguments(c: &mut Cursor<'_>, ty: &mut TypeName) -> Option<()> {
    if ty.name == "interval" {
        // `interval year to month`
        while let Some(field) = c.eat_one_of(&["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "TO"]) {
            if field != "TO" {
                ty.members.push(field.to_ascii_lowercase());
            }
        }
    }
    if c.kind(0) == Some(Kind::Open) {
        let range = c.parens()?;
        for mut one in c.between_commas(range) {
            let text = one.rest().text;
            if matches!(ty.name.as_str(), "enum" | "set") && c.dialect.is_mysql() {
                ty.members.push(text);
            } else {
                ty.args.push(text);
            }
        }
    }
    Some(())
}

fn suffix(c: &mut Cursor<'_>, ty: &mut TypeName) {
    if c.dialect == Dialect::Postgres {
        if matches!(ty.name.as_str(), "timestamp" | "time") {
            if c.eat_all(&["WITH", "TIME", "ZONE"]) {
                ty.name.push_str("tz");
            } else {
                c.eat_all(&["WITHOUT", "TIME", "ZONE"]);
            }
        }
        while c.eat_symbol("[") {
            if !c.is_symbol("]") {
                c.take();
            }
            c.eat_symbol("]");
            ty.dimensions = ty.dimensions.saturating_add(1);
        }
        if c.eat("ARRAY") {
            ty.dimensions = ty.dimensions.max(1);
            if c.eat_symbol("[") {
                c.take();
                c.eat_symbol("]");
            }
        }
        return;
    }
    if c.dialect == Dialect::Sqlite {
        // Any words make a type there: `unsigned big int`.
        while c.kind(0) == Some(Kind::Word) && !c.is_one_of(&super::column::STARTS) {
            if let Some(word) = c.take() {
                ty.name.push(' ');
                ty.name.push_str(&word.to_ascii_lowercase());
            }
        }
        if ty.args.is_empty() {
            let _ = arguments(c, ty);
        }
        return;
    }
    loop {
        if c.eat("UNSIGNED") || c.eat("ZEROFILL") {
            ty.unsigned = true;
        } else if c.eat_all(&["CHARACTER", "SET"]) || c.eat_all(&["CHAR", "SET"]) || c.eat("CHARSET") {
            ty.charset = c
                .take()
                .map(|text| text.trim_matches(['\'', '"', '`']).to_ascii_lowercase());
        } else if c.eat("COLLATE") {
            ty.collation = c
                .take()
                .map(|text| text.trim_matches(['\'', '"', '`']).to_ascii_lowercase());
        } else if !(c.eat("SIGNED") || c.eat("BINARY") || c.eat("ASCII") || c.eat("UNICODE")) {
            return;
        }
    }
}

fn canonical(dialect: Dialect, ty: &mut TypeName) {
    let name = match (dialect, ty.name.as_str()) {
        (Dialect::Postgres, "int" | "int4") => "integer",
        (Dialect::Postgres, "int8") => "bigint",
        (Dialect::Postgres, "int2") => "smallint",
        (Dialect::Postgres, "bool") => "boolean",
        (Dialect::Postgres, "float4") => "real",
        (Dialect::Postgres, "float8") => "double precision",
        (Dialect::Postgres, "float") => {
            let single = ty.arg(0).is_some_and(|bits| bits <= 24);
            ty.args.clear();
            if single { "real" } else { "double precision" }
        }
        (Dialect::Postgres, "char" | "character") => {
            if ty.args.is_empty() {
                ty.args.push("1".to_owned());
            }
            "char"
        }
        // Without a length it has no limit.
        (Dialect::Postgres, "bpchar") if !ty.args.is_empty() => "char",
        (Dialect::Postgres, "decimal" | "dec") => "numeric",
        (Dialect::Postgres, "serial4") => "serial",
        (Dialect::Postgres, "serial8") => "bigserial",
        (Dialect::Postgres, "serial2") => "smallserial",
        (Dialect::Mysql | Dialect::MariaDb, "integer" | "int4") => "int",
        (Dialect::Mysql | Dialect::MariaDb, "int8") => "bigint",
        (Dialect::Mysql | Dialect::MariaDb, "int2") => "smallint",
        (Dialect::Mysql | Dialect::MariaDb, "int1") => "tinyint",
        (Dialect::Mysql | Dialect::MariaDb, "int3" | "middleint") => "mediumint",
        (Dialect::Mysql | Dialect::MariaDb, "bool" | "boolean") => "tinyint",
        (Dialect::Mysql | Dialect::MariaDb, "dec" | "numeric" | "fixed") => "decimal",
        (Dialect::Mysql | Dialect::MariaDb, "double precision" | "real" | "float8") => "double",
        (Dialect::Mysql | Dialect::MariaDb, "character") => "char",
        _ => return,
    };
    ty.name = name.to_owned();
}
