//! `ALTER TABLE` of MySQL and MariaDB.

use super::alter_table::position;
use super::column::column;
use super::cursor::Cursor;
use crate::ddl::Alter;
use crate::lexer::Kind;

/// What may follow without a comma before it.
pub(super) fn follows_without_comma(c: &Cursor<'_>) -> bool {
    c.starts(&["PARTITION", "BY"]) || c.starts(&["REMOVE", "PARTITIONING"]) || c.is_one_of(&TABLE_OPTIONS)
}

const TABLE_OPTIONS: [&str; 20] = [
    "ENGINE",
    "ROW_FORMAT",
    "KEY_BLOCK_SIZE",
    "COMMENT",
    "AUTO_INCREMENT",
    "CHARSET",
    "COLLATE",
    "DEFAULT",
    "CHARACTER",
    "STATS_PERSISTENT",
    "STATS_AUTO_RECALC",
    "STATS_SAMPLE_PAGES",
    "CHECKSUM",
    "ENCRYPTION",
    "COMPRESSION",
    "MAX_ROWS",
    "MIN_ROWS",
    "AVG_ROW_LENGTH",
    "TABLESPACE",
    "PACK_KEYS",
];

/// Partitions; each stands alone.
pub(super) fn partition(c: &mut Cursor<'_>) -> Option<Alter> {
    if c.starts(&["PARTITION", "BY"]) {
        c.skip_all();
        return Some(Alter::PartitionBy);
    }
    if c.eat_all(&["REMOVE", "PARTITIONING"]) {
        return Some(Alter::RemovePartitioning);
    }
    if c.starts(&["ADD", "PARTITION"]) {
        c.take();
        c.take();
        c.eat_one_of(&["NO_WRITE_TO_BINLOG", "LOCAL"]);
        c.if_not_exists();
        let spreads = c.eat("PARTITIONS");
        if spreads {
            c.take()?;
        } else {
            c.parens()?;
        }
        return Some(Alter::AddPartition { spreads });
    }
    if !c.is_at(1, "PARTITION") {
        return None;
    }
    if let Some(verb) = c.eat_one_of(&["DROP", "TRUNCATE", "DISCARD"]) {
        c.skip_all();
        return Some(Alter::LosePartition(verb));
    }
    if let Some(verb) = c.eat_one_of(&[
        "COALESCE",
        "REORGANIZE",
        "REBUILD",
        "OPTIMIZE",
        "REPAIR",
        "EXCHANGE",
        "CONVERT",
    ]) {
        c.skip_all();
        return Some(Alter::RebuildPartition(verb));
    }
    if c.eat_one_of(&["ANALYZE", "CHECK", "IMPORT"]).is_some() {
        c.skip_all();
        return Some(Alter::Setting("partition".to_owned()));
    }
    None
}

pub(super) fn action(c: &mut Cursor<'_>) -> Option<Alter> {
    if c.eat("MODIFY") {
        c.eat("COLUMN");
        c.if_exists();
        let column = Box::new(column(c)?);
        let old = column.name.clone();
        return Some(Alter::Modify {
            old,
            column,
            position: position(c)?,
        });
    }
    if c.eat("CHANGE") {
        c.eat("COLUMN");
        c.if_exists();
        let old = c.ident()?;
        let column = Box::new(column(c)?);
        return Some(Alter::Modify {
            old,
            column,
            position: position(c)?,
        });
    }
    if c.eat("ALTER") {
        return alter(c);
    }
    if c.eat_all(&["CONVERT", "TO"]) {
        let _ = c.eat_all(&["CHARACTER", "SET"]) || c.eat("CHARSET");
        let charset = c.take()?.trim_matches(['\'', '"']).to_ascii_lowercase();
        collate(c)?;
        return Some(Alter::ConvertCharset(charset));
    }
    if c.eat_all(&["ORDER", "BY"]) {
        c.ident()?;
        c.eat_one_of(&["ASC", "DESC"]);
        while c.is_symbol(",") {
            c.take();
            c.ident()?;
            c.eat_one_of(&["ASC", "DESC"]);
        }
        return Some(Alter::Rebuild("ORDER BY".to_owned()));
    }
    if c.eat_all(&["DISCARD", "TABLESPACE"]) {
        return Some(Alter::DiscardTablespace);
    }
    if c.eat_all(&["IMPORT", "TABLESPACE"]) {
        return Some(Alter::Rebuild("IMPORT TABLESPACE".to_owned()));
    }
    if c.eat_all(&["ENABLE", "KEYS"]) || c.eat_all(&["DISABLE", "KEYS"]) {
        return Some(Alter::Setting("keys".to_owned()));
    }
    if c.eat_all(&["WITH", "VALIDATION"]) || c.eat_all(&["WITHOUT", "VALIDATION"]) {
        return Some(Alter::Setting("validation".to_owned()));
    }
    if c.eat("FORCE") {
        return Some(Alter::Rebuild("FORCE".to_owned()));
    }
    option(c)
}

fn collate(c: &mut Cursor<'_>) -> Option<()> {
    if c.eat("COLLATE") {
        c.eat_symbol("=");
        c.take()?;
    }
    Some(())
}

fn alter(c: &mut Cursor<'_>) -> Option<Alter> {
    if c.eat("INDEX") || c.eat("KEY") {
        c.if_exists();
        let name = c.ident()?;
        if c.eat("INVISIBLE") || c.eat("IGNORED") {
            return Some(Alter::IndexVisibility(name, true));
        }
        if c.eat("VISIBLE") || c.eat_all(&["NOT", "IGNORED"]) {
            return Some(Alter::IndexVisibility(name, false));
        }
        return None;
    }
    if c.eat("CHECK") || c.eat("CONSTRAINT") {
        let name = c.ident()?;
        let enforced = !c.eat("NOT");
        c.need("ENFORCED")?;
        return Some(Alter::AlterConstraint(name, Some(enforced)));
    }
    c.eat("COLUMN");
    c.if_exists();
    let name = c.ident()?;
    if c.eat_all(&["SET", "DEFAULT"]) {
        let start = c.position();
        let value = c.expr_until(&[]);
        return (c.position() > start).then_some(Alter::SetDefault(name, value));
    }
    if c.eat_all(&["DROP", "DEFAULT"]) {
        return Some(Alter::DropDefault(name));
    }
    if c.eat_all(&["SET", "VISIBLE"]) {
        return Some(Alter::ColumnVisibility(name, false));
    }
    if c.eat_all(&["SET", "INVISIBLE"]) {
        return Some(Alter::ColumnVisibility(name, true));
    }
    None
}

/// A table option.
fn option(c: &mut Cursor<'_>) -> Option<Alter> {
    c.eat("DEFAULT");
    if c.eat_all(&["CHARACTER", "SET"]) || c.eat("CHARSET") {
        c.eat_symbol("=");
        c.take()?;
        collate(c)?;
        return Some(Alter::Setting("default charset".to_owned()));
    }
    if c.is("COLLATE") {
        collate(c)?;
        return Some(Alter::Setting("default collation".to_owned()));
    }
    if c.kind(0) != Some(Kind::Word) {
        return None;
    }
    let word = c.take()?.to_ascii_uppercase();
    if matches!(word.as_str(), "DATA" | "INDEX") {
        c.need("DIRECTORY")?;
    }
    let known = [
        "ENGINE",
        "ROW_FORMAT",
        "KEY_BLOCK_SIZE",
        "ENCRYPTION",
        "PAGE_COMPRESSED",
        "PAGE_COMPRESSION_LEVEL",
        "ENCRYPTED",
        "TABLESPACE",
        "DATA",
        "INDEX",
        "COMMENT",
        "AUTO_INCREMENT",
        "STATS_PERSISTENT",
        "STATS_AUTO_RECALC",
        "STATS_SAMPLE_PAGES",
        "COMPRESSION",
        "CHECKSUM",
        "MAX_ROWS",
        "MIN_ROWS",
        "AVG_ROW_LENGTH",
        "PACK_KEYS",
        "DELAY_KEY_WRITE",
        "INSERT_METHOD",
        "UNION",
        "SECONDARY_ENGINE",
        "PASSWORD",
        "TRANSACTIONAL",
        "PAGE_CHECKSUM",
        "AUTOEXTEND_SIZE",
        "SECONDARY_LOAD",
        "SECONDARY_UNLOAD",
        "CONNECTION",
    ];
    if !known.contains(&word.as_str()) {
        return None;
    }
    c.eat_symbol("=");
    let value = if c.kind(0) == Some(Kind::Open) {
        c.parens()?;
        String::new()
    } else {
        c.take().unwrap_or_default().to_ascii_lowercase()
    };
    Some(match word.as_str() {
        "ENGINE" => Alter::Engine(value),
        "ROW_FORMAT"
        | "KEY_BLOCK_SIZE"
        | "ENCRYPTION"
        | "PAGE_COMPRESSED"
        | "PAGE_COMPRESSION_LEVEL"
        | "ENCRYPTED"
        | "TABLESPACE"
        | "DATA"
        | "INDEX"
        | "CHECKSUM"
        | "PACK_KEYS" => Alter::Rebuild(word),
        _ => Alter::Setting(word.to_ascii_lowercase()),
    })
}
