//! What a set of files needs on MySQL and MariaDB and nowhere else. Pure.

use cutover_sql::catalog::{Catalog, Change, Column, Constraint, ConstraintKind, renamed};
use cutover_sql::{Dialect, TableName, ticked};

/// The word that a type begins with.
fn word(ty: &str) -> String {
    let end = ty.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(ty.len());
    ty.get(..end).unwrap_or_default().to_lowercase()
}

/// A value that a column of this type may have, for a row that was given none.
pub(crate) fn stand_in(dialect: Dialect, column: &Column) -> Option<String> {
    let is_json = column
        .extra
        .as_deref()
        .is_some_and(|extra| extra.contains("json_valid"));
    let value = match word(&column.ty).as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "decimal" | "numeric"
        | "float" | "double" | "bit" | "bool" | "boolean" | "year" => "0",
        "longtext" if is_json => "'{}'",
        // MySQL takes no literal there, but an expression.
        "tinytext" | "text" | "mediumtext" | "longtext" | "tinyblob" | "blob" | "mediumblob" | "longblob"
            if dialect == Dialect::Mysql =>
        {
            "('')"
        }
        "char" | "varchar" | "binary" | "varbinary" | "tinytext" | "text" | "mediumtext" | "longtext"
        | "tinyblob" | "blob" | "mediumblob" | "longblob" | "set" => "''",
        "json" => "(json_object())",
        "date" => "'2000-01-01'",
        "datetime" | "timestamp" => "'2000-01-01 00:00:00'",
        "time" => "'00:00:00'",
        "uuid" => "'00000000-0000-0000-0000-000000000000'",
        "enum" => return first_value(&column.ty),
        _ => return None,
    };
    Some(value.to_owned())
}

/// `enum('it''s','b')` → `'it''s'`
fn first_value(ty: &str) -> Option<String> {
    let (_, rest) = ty.split_once('\'')?;
    let mut at = 0;
    while let Some(quote) = rest.get(at..)?.find('\'') {
        at += quote + 1;
        if !rest.get(at..)?.starts_with('\'') {
            return Some(format!("'{}", rest.get(..at)?));
        }
        at += 1;
    }
    None
}

/// A value as one of another type: `CAST` has names of its own for types.
pub(crate) fn cast(value: &str, ty: &str) -> String {
    let unsigned = ty.to_lowercase().contains("unsigned");
    let arguments = match (ty.find('('), ty.find(')')) {
        (Some(open), Some(close)) if open < close => ty.get(open..=close).unwrap_or_default(),
        _ => "",
    };
    let name = match word(ty).as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "bool" | "boolean" | "year"
            if !unsigned =>
        {
            "SIGNED".to_owned()
        }
        "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "bit" => "UNSIGNED".to_owned(),
        "decimal" | "numeric" => format!("DECIMAL{arguments}"),
        "float" | "double" | "real" => "DOUBLE".to_owned(),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => {
            "CHAR".to_owned()
        }
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => "BINARY".to_owned(),
        "date" => "DATE".to_owned(),
        "datetime" | "timestamp" => format!("DATETIME{arguments}"),
        "time" => format!("TIME{arguments}"),
        // It becomes what the column makes of it.
        _ => return value.to_owned(),
    };
    format!("CAST({value} AS {name})")
}

/// Why two versions cannot write a column in turn, where the server itself does.
pub(super) fn valued_by_server(column: &Column) -> Option<String> {
    let extra = column.extra.as_deref().unwrap_or_default();
    let own = ["AUTO_INCREMENT", "GENERATED"]
        .iter()
        .any(|word| extra.contains(word));
    own.then(|| "the server itself gives it its values".to_owned())
}

/// What else of the schema names a column, so that it cannot go, in words for people.
pub(super) fn held_by(from: &Catalog, table: &TableName, column: &Column) -> Option<String> {
    let own_values = valued_by_server(column);
    if own_values.is_some() {
        return own_values;
    }
    let names = |text: &str| renamed(Dialect::MariaDb, text, &column.name, "").is_some();
    let own = from.tables.get(table)?;
    let is_primary = |one: &&Constraint| one.kind == ConstraintKind::PrimaryKey;
    if own
        .constraints
        .values()
        .filter(is_primary)
        .any(|one| names(&one.definition))
    {
        return Some("it is of the primary key, by which InnoDB stores the table".to_owned());
    }
    if let Some(other) = own
        .columns
        .iter()
        .find(|other| other.name != column.name && other.extra.as_deref().is_some_and(names))
    {
        return Some(format!("column {} is computed from it", other.name));
    }
    let points_here = format!("REFERENCES {} ", table.ticked());
    for (name, other) in &from.tables {
        for (key, one) in &other.constraints {
            let target = one.definition.split_once(&points_here);
            if target.is_some_and(|(_, columns)| names(columns)) {
                return Some(format!("foreign key {key} of {name} points to it"));
            }
        }
    }
    let dotted = format!(".{}", ticked(&column.name));
    let view = from
        .views
        .iter()
        .find(|view| view.query.contains(&table.ticked()) && view.query.contains(&dotted));
    view.map(|view| format!("view {} reads it", view.name))
}

/// A constraint's or index's definition in which a column has another name: not that of the index, which is often the
/// column's, and not a column of the table that a foreign key points to.
pub(crate) fn definition_renamed(text: &str, from: &str, to: &str) -> Option<String> {
    let begins = text.find('(')?;
    let ends = text.find(" REFERENCES ").unwrap_or(text.len());
    let (head, rest) = text.split_at(begins);
    let (own, other) = rest.split_at(ends.saturating_sub(begins));
    Some(format!(
        "{head}{}{other}",
        renamed(Dialect::MariaDb, own, from, to)?
    ))
}

/// The contract's statements made safe, and the directives that prove it: a foreign key, which would copy the table while nobody writes, without a look at the rows, which are looked at before and
/// after instead.
pub(crate) fn guarded(now: &Catalog, changes: &[Change], up: Vec<String>) -> (Vec<String>, Vec<String>) {
    let (mut out, mut directives, mut queries) = (up, Vec::new(), Vec::new());
    for change in changes {
        match change {
            Change::Constraint {
                table,
                name,
                to: Some(one),
                ..
            } if one.kind == ConstraintKind::ForeignKey => {
                let begins = format!("ALTER TABLE {} ADD CONSTRAINT {} ", table.ticked(), ticked(name));
                let at = out.iter().position(|statement| statement.starts_with(&begins));
                let (Some(query), Some(at)) = (astray(now, table, &one.definition), at) else {
                    continue;
                };
                directives.push(format!("precheck {query}"));
                queries.push(query);
                out.insert(at + 1, "SET foreign_key_checks = 1".to_owned());
                out.insert(at, "SET foreign_key_checks = 0".to_owned());
            }
            _ => {}
        }
    }
    // A file has one of these: of several, their sum.
    match queries.as_slice() {
        [] => {}
        [one] => directives.push(format!("verify {one}")),
        all => directives.push(format!("verify SELECT ({})", all.join(") + ("))),
    }
    (out, directives)
}

/// The names in a list of columns; none where something else stands in it.
fn names_in(list: &str) -> Option<Vec<String>> {
    let inner = list.trim().strip_prefix('(')?.strip_suffix(')')?;
    let names = inner.split(',').map(|part| {
        let part = part.trim().trim_end_matches(" DESC");
        let name = part.strip_prefix('`')?.strip_suffix('`')?;
        (!name.contains('`')).then(|| name.to_owned())
    });
    names.collect()
}

fn all_known(now: &Catalog, table: &TableName, names: &[String]) -> bool {
    now.tables
        .get(table)
        .is_some_and(|table| names.iter().all(|name| table.column(name).is_some()))
}

/// The query that counts the rows that a foreign key would refuse.
fn astray(now: &Catalog, table: &TableName, definition: &str) -> Option<String> {
    let rest = definition.strip_prefix("FOREIGN KEY ")?;
    let (own, rest) = rest.split_once(" REFERENCES ")?;
    let (other, rest) = rest.split_once(" (")?;
    let (theirs, _) = rest.split_once(')')?;
    let own = names_in(own).filter(|names| all_known(now, table, names))?;
    let theirs = names_in(&format!("({theirs})"))?;
    let pairs: Vec<String> = own
        .iter()
        .zip(&theirs)
        .map(|(own, theirs)| format!("target.{} = own.{}", ticked(theirs), ticked(own)))
        .collect();
    let given: Vec<String> = own
        .iter()
        .map(|name| format!("own.{} IS NOT NULL", ticked(name)))
        .collect();
    Some(format!(
        "SELECT count(*) FROM {} AS own LEFT JOIN {other} AS target ON {} WHERE target.{} IS NULL AND {}",
        table.ticked(),
        pairs.join(" AND "),
        ticked(theirs.first()?),
        given.join(" AND ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(ty: &str) -> Column {
        Column {
            name: "c".to_owned(),
            ty: ty.to_owned(),
            not_null: true,
            default: None,
            extra: None,
            comment: None,
        }
    }

    #[test]
    fn a_value_stands_in_for_one_that_was_not_given() {
        for (ty, expected) in [
            ("bigint(20) unsigned", Some("0")),
            ("varchar(10) CHARACTER SET latin1", Some("''")),
            ("enum('it''s','b')", Some("'it''s'")),
            ("datetime(3)", Some("'2000-01-01 00:00:00'")),
            ("geometry", None),
        ] {
            let found = stand_in(Dialect::MariaDb, &column(ty));
            assert_eq!(found.as_deref(), expected, "{ty}");
        }
        assert_eq!(stand_in(Dialect::MariaDb, &column("text")).unwrap(), "''");
        assert_eq!(stand_in(Dialect::Mysql, &column("text")).unwrap(), "('')");
    }

    #[test]
    fn types_are_cast_by_the_names_that_the_server_has_for_them() {
        for (ty, expected) in [
            ("bigint", "CAST(x AS SIGNED)"),
            ("int(10) unsigned", "CAST(x AS UNSIGNED)"),
            ("decimal(10,2)", "CAST(x AS DECIMAL(10,2))"),
            ("varchar(20)", "CAST(x AS CHAR)"),
            ("datetime(3)", "CAST(x AS DATETIME(3))"),
            ("geometry", "x"),
        ] {
            assert_eq!(cast("x", ty), expected);
        }
    }

    #[test]
    fn only_the_columns_of_a_definition_are_renamed() {
        for (text, expected) in [
            (
                "CREATE UNIQUE INDEX `a` ON `a` (`a`(10),`b`)",
                Some("CREATE UNIQUE INDEX `a` ON `a` (`n`(10),`b`)"),
            ),
            (
                "FOREIGN KEY (`a`) REFERENCES `t` (`a`) ON DELETE CASCADE",
                Some("FOREIGN KEY (`n`) REFERENCES `t` (`a`) ON DELETE CASCADE"),
            ),
            ("CHECK (`a` <> 'a')", Some("CHECK (`n` <> 'a')")),
            ("CREATE INDEX `a` ON `t` (`b`)", None),
        ] {
            assert_eq!(definition_renamed(text, "a", "n").as_deref(), expected, "{text}");
        }
    }
}
