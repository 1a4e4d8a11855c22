//! What InnoDB does when a column is defined anew (MySQL manual 17.12.1, MariaDB "InnoDB Online DDL Operations").

use super::look::Look;
use crate::Dialect;
use crate::ddl::{Column, Name, TypeName};
use crate::schema::Table;

/// What it costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cost {
    /// Only the dictionary is written, or the table is rebuilt while others go on.
    InPlace,
    /// Others do not write; why.
    Copy(String),
}

/// `MODIFY` or `CHANGE` of a column.
pub(super) fn modify(look: &Look<'_>, table: &Name, old: &str, new: &Column) -> Cost {
    let Some(after) = &new.ty else {
        return Cost::InPlace;
    };
    let (Some(known), Some(before)) = (look.table(table), look.column(table, old)) else {
        return Cost::Copy(format!("unless {old} is {after} already"));
    };
    let Some(from) = &before.ty else {
        return Cost::InPlace;
    };
    if let Some(why) = stored_differently(before, new) {
        return Cost::Copy(why);
    }
    if new.auto_increment && !before.auto_increment {
        return Cost::Copy(format!("{old} begins to count"));
    }
    if from.name != after.name {
        // MariaDB turns binary-compatible texts into each other? No: it copies as well.
        return Cost::Copy(format!("{old} is {from}, not {after}"));
    }
    if charset(known, from) != charset(known, after)
        && is_text(from)
        && !(look.dialect == Dialect::MariaDb
            && contains_charset(known, from, after)
            && !known.has_index_on(old))
    {
        return Cost::Copy(format!("{old} has another character set"));
    }
    if from.collation != after.collation
        && is_text(from)
        && known.has_index_on(old)
        && after.collation.is_some()
    {
        return Cost::Copy(format!("{old} has another collation, and an index"));
    }
    match from.name.as_str() {
        "enum" | "set" => members(from, after),
        "varchar" | "varbinary" => lengths(look.dialect, known, from, after),
        _ => numbers(from, after),
    }
}

/// A computed column becomes a plain one, or the other way round.
fn stored_differently(before: &Column, new: &Column) -> Option<String> {
    let name = &new.name;
    match (&before.generated, &new.generated) {
        (None, None) => None,
        (Some(a), Some(b)) if a.stored == b.stored && (!a.stored || a.expr == b.expr) => None,
        _ => Some(format!("{name} is stored in another way")),
    }
}

fn is_text(ty: &TypeName) -> bool {
    ty.name.ends_with("text") || matches!(ty.name.as_str(), "char" | "varchar" | "enum" | "set")
}

fn charset<'a>(table: &'a Table, ty: &'a TypeName) -> Option<&'a str> {
    ty.charset
        .as_deref()
        .or_else(|| {
            ty.collation
                .as_deref()
                .and_then(|collation| collation.split('_').next())
        })
        .or(table.charset.as_deref())
}

/// Whether every text of the one is one of the other byte by byte, and MariaDB knows it: utf8mb3 in utf8mb4.
fn contains_charset(table: &Table, from: &TypeName, to: &TypeName) -> bool {
    matches!(charset(table, from), Some("utf8" | "utf8mb3"))
        && charset(table, to) == Some("utf8mb4")
        && from.members.is_empty()
}

/// Whether `CONVERT TO` a character set finds all in it already.
pub(super) fn has_charset(table: &Table, wanted: &str) -> bool {
    let columns = table.columns.iter().filter_map(|column| column.ty.as_ref());
    let mut texts = columns.filter(|ty| is_text(ty));
    table.complete
        && table.charset.as_deref() == Some(wanted)
        && texts.all(|ty| charset(table, ty) == Some(wanted))
}

/// The character set of a text column that has fewer characters than the one before, where both are known.
pub(super) fn loses_characters<'a>(
    table: &'a Table,
    from: &'a TypeName,
    to: &'a TypeName,
) -> Option<&'a str> {
    if !is_text(from) || !is_text(to) {
        return None;
    }
    let (before, after) = (charset(table, from)?, charset(table, to)?);
    let unicode = |name: &str| name.starts_with("utf") || name == "ucs2";
    (before != after && unicode(before) && !(unicode(after) && before != "utf8mb4")).then_some(after)
}

/// Values may be added at the end, as long as one is stored in as many bytes.
fn members(from: &TypeName, to: &TypeName) -> Cost {
    let appended =
        to.members.len() >= from.members.len() && to.members[..from.members.len()] == from.members[..];
    if !appended {
        return Cost::Copy("values are removed, or not added at the end".to_owned());
    }
    let bytes = |ty: &TypeName| {
        let count = ty.members.len();
        match ty.name.as_str() {
            "set" => match count.div_ceil(8) {
                0 | 1 => 1,
                2 => 2,
                3 => 3,
                4 => 4,
                _ => 8,
            },
            _ => 1 + usize::from(count > 255),
        }
    };
    if bytes(from) == bytes(to) {
        Cost::InPlace
    } else {
        Cost::Copy("its values need more bytes".to_owned())
    }
}

/// The bytes of a character, at most.
fn character(charset: Option<&str>, binary: bool) -> u64 {
    match charset {
        _ if binary => 1,
        Some("latin1" | "latin2" | "ascii" | "binary" | "cp1252" | "cp1251" | "koi8r" | "cp850") => 1,
        Some("ucs2" | "gbk" | "sjis" | "big5" | "euckr") => 2,
        Some("utf8" | "utf8mb3" | "ujis") => 3,
        // What is not declared is utf8mb4 since MySQL 8.0.
        _ => 4,
    }
}

fn lengths(dialect: Dialect, table: &Table, from: &TypeName, to: &TypeName) -> Cost {
    let (Some(before), Some(after)) = (from.arg(0), to.arg(0)) else {
        return Cost::InPlace;
    };
    if after < before {
        return Cost::Copy(format!("{to} is shorter"));
    }
    let bytes = |ty: &TypeName, length: u64| length * character(charset(table, ty), ty.name == "varbinary");
    let (before, after) = (bytes(from, before), bytes(to, after));
    let one_byte = |bytes: u64| bytes <= 255;
    // MariaDB marks a length of two bytes by the first bit of the first: below 128 it is free.
    if one_byte(before) == one_byte(after) || (dialect == Dialect::MariaDb && before <= 127) {
        Cost::InPlace
    } else {
        Cost::Copy("its length needs two bytes instead of one".to_owned())
    }
}

fn numbers(from: &TypeName, to: &TypeName) -> Cost {
    if from.unsigned != to.unsigned {
        return Cost::Copy("it is signed differently".to_owned());
    }
    // A display width of an integer is not stored.
    let integer = matches!(
        from.name.as_str(),
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" | "bit"
    );
    let width_only = integer && from.name != "bit";
    if width_only || normal(from) == normal(to) {
        Cost::InPlace
    } else {
        Cost::Copy(format!("{from} is stored in another way than {to}"))
    }
}

/// Arguments with those that are meant when none are written.
fn normal(ty: &TypeName) -> Vec<String> {
    let defaults: &[&str] = match ty.name.as_str() {
        "decimal" => &["10", "0"],
        "char" | "binary" | "bit" => &["1"],
        "datetime" | "timestamp" | "time" => &["0"],
        _ => &[],
    };
    let given = ty.args.iter().map(String::as_str);
    given
        .chain(defaults.iter().copied().skip(ty.args.len()))
        .map(str::to_owned)
        .collect()
}
