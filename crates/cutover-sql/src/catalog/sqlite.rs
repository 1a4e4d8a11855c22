//! SQLite keeps a table as the text that made it, and so it is read: split into columns and constraints, words in
//! lower case, one blank between tokens.

use super::{Column, Constraint, ConstraintKind, Table};
use crate::Dialect;
use crate::lexer::{Kind, tokens};

/// Where the type of a column ends.
const CLAUSES: [&str; 10] = [
    "constraint",
    "primary",
    "not",
    "null",
    "unique",
    "check",
    "default",
    "collate",
    "references",
    "generated",
];

/// Words that are a name in quotes only.
const RESERVED: [&str; 61] = [
    "add",
    "all",
    "alter",
    "and",
    "as",
    "autoincrement",
    "between",
    "case",
    "check",
    "collate",
    "commit",
    "constraint",
    "create",
    "default",
    "deferrable",
    "delete",
    "distinct",
    "drop",
    "else",
    "escape",
    "except",
    "exists",
    "foreign",
    "from",
    "generated",
    "group",
    "having",
    "in",
    "index",
    "insert",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "limit",
    "not",
    "nothing",
    "notnull",
    "null",
    "on",
    "or",
    "order",
    "primary",
    "references",
    "returning",
    "select",
    "set",
    "table",
    "then",
    "to",
    "transaction",
    "union",
    "unique",
    "update",
    "using",
    "values",
    "when",
    "where",
    "true",
    "false",
];

struct Piece {
    text: String,
    kind: Kind,
}

/// Reads the text of `CREATE TABLE`; none when it is not one that lists its columns.
#[must_use]
pub fn read_table(sql: &str) -> Option<Table> {
    let all = tokens(Dialect::Sqlite, sql).ok()?;
    let pieces: Vec<Piece> = all
        .iter()
        .filter(|token| token.is_significant())
        .map(|token| Piece {
            text: normal(token.kind, token.text(sql)),
            kind: token.kind,
        })
        .collect();
    let open = pieces.iter().position(|piece| piece.kind == Kind::Open)?;
    let mut table = Table::default();
    let (mut depth, mut current, mut end) = (1_usize, Vec::new(), pieces.len());
    for (at, piece) in pieces.iter().enumerate().skip(open + 1) {
        match piece.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && piece.text == ",") {
            definition(&mut table, &std::mem::take(&mut current));
        } else {
            current.push(piece);
        }
        if depth == 0 {
            end = at;
            break;
        }
    }
    table.options = join(&pieces[(end + 1).min(pieces.len())..].iter().collect::<Vec<_>>());
    Some(table)
}

/// A statement with its words in lower case and one blank between tokens.
#[must_use]
pub fn canonical(sql: &str) -> String {
    let Ok(all) = tokens(Dialect::Sqlite, sql) else {
        return sql.to_owned();
    };
    let words: Vec<String> = all
        .iter()
        .filter(|token| token.is_significant())
        .map(|token| normal(token.kind, token.text(sql)))
        .collect();
    words.join(" ")
}

fn normal(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Word => text.to_lowercase(),
        Kind::Name => {
            let inner = bare(text);
            let inner = inner.as_str();
            let simple = inner
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            if simple
                && !inner.is_empty()
                && !inner.starts_with(|first: char| first.is_ascii_digit())
                && !RESERVED.contains(&inner)
            {
                inner.to_owned()
            } else {
                crate::quoted(inner)
            }
        }
        _ => text.to_owned(),
    }
}

/// A quoted name without its quotes.
fn bare(text: &str) -> String {
    let within = |open: char, close: char| text.strip_prefix(open)?.strip_suffix(close);
    for quote in ['"', '`'] {
        if let Some(inner) = within(quote, quote) {
            return inner.replace(&format!("{quote}{quote}"), &quote.to_string());
        }
    }
    within('[', ']').unwrap_or(text).to_owned()
}

fn join(pieces: &[&Piece]) -> String {
    pieces
        .iter()
        .map(|piece| piece.text.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

fn definition(table: &mut Table, pieces: &[&Piece]) {
    let Some(first) = pieces.first() else { return };
    let kind_of = |word: &str| match word {
        "primary" => Some(ConstraintKind::PrimaryKey),
        "unique" => Some(ConstraintKind::Unique),
        "check" => Some(ConstraintKind::Check),
        "foreign" => Some(ConstraintKind::ForeignKey),
        _ => None,
    };
    let (head, named) = match (first.kind, first.text.as_str()) {
        (Kind::Word, "constraint") => (pieces.get(2), true),
        _ => (Some(first), false),
    };
    let kind = head
        .filter(|head| head.kind == Kind::Word && (named || pieces.len() > 1))
        .and_then(|head| kind_of(&head.text));
    if let Some(kind) = kind {
        let definition = join(pieces);
        table
            .constraints
            .insert(definition.clone(), Constraint { kind, definition });
        return;
    }
    table.columns.push(column(pieces));
}

fn column(pieces: &[&Piece]) -> Column {
    let name = pieces.first().map_or("", |piece| piece.text.as_str());
    let name = bare(name);
    let rest = pieces.get(1..).unwrap_or_default();
    let end = rest
        .iter()
        .position(|piece| {
            piece.kind == Kind::Word && (CLAUSES.contains(&piece.text.as_str()) || piece.text == "as")
        })
        .unwrap_or(rest.len());
    let (ty, mut rest) = rest.split_at(end);
    let mut out = Column {
        name,
        ty: join(ty),
        not_null: false,
        default: None,
        extra: None,
        comment: None,
    };
    let mut extra: Vec<&Piece> = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (
            first.text.as_str(),
            after.first().map(|piece| piece.text.as_str()),
        ) {
            ("not", Some("null")) if extra.last().is_none_or(|last| last.text != "constraint") => {
                out.not_null = true;
                rest = &after[1..];
            }
            ("default", Some(_)) => {
                let length = default_length(after);
                out.default = Some(join(&after[..length]));
                rest = &after[length..];
            }
            ("check" | "as" | "references", _) => {
                // A parenthesis may hold any of the words.
                let length = group_length(after);
                extra.push(first);
                extra.extend(&after[..length]);
                rest = &after[length..];
            }
            _ => extra.push(first),
        }
    }
    if !extra.is_empty() {
        out.extra = Some(join(&extra));
    }
    out
}

fn default_length(pieces: &[&Piece]) -> usize {
    match pieces.first() {
        Some(first) if first.kind == Kind::Open => group_length(pieces),
        Some(first) if matches!(first.text.as_str(), "-" | "+") => 2.min(pieces.len()),
        Some(_) => 1,
        None => 0,
    }
}

/// Up to the end of the first parenthesis.
fn group_length(pieces: &[&Piece]) -> usize {
    let mut depth = 0_usize;
    for (at, piece) in pieces.iter().enumerate() {
        match piece.kind {
            Kind::Open => depth += 1,
            Kind::Close => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ if depth == 0 && at > 0 => return at,
            _ => {}
        }
    }
    pieces.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_its_columns_and_constraints() {
        let table = read_table(
            "CREATE TABLE \"users\" (
                id INTEGER PRIMARY KEY AUTOINCREMENT, -- the key
                \"Name\" varchar(20) NOT NULL DEFAULT 'x, y' COLLATE NOCASE,
                age int CHECK (age > 0 AND age NOT NULL) DEFAULT -1,
                at text DEFAULT (datetime('now')) NOT NULL,
                team int REFERENCES teams (id) ON DELETE CASCADE,
                UNIQUE (\"Name\", age), CONSTRAINT c CHECK (age < 200)
            ) STRICT",
        )
        .unwrap();
        assert_eq!(table.options, "strict");
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|c| format!("{}|{}|{}|{:?}|{:?}", c.name, c.ty, c.not_null, c.default, c.extra))
            .collect();
        assert_eq!(
            columns,
            [
                "id|integer|false|None|Some(\"primary key autoincrement\")",
                "Name|varchar ( 20 )|true|Some(\"'x, y'\")|Some(\"collate nocase\")",
                "age|int|false|Some(\"- 1\")|Some(\"check ( age > 0 and age not null )\")",
                "at|text|true|Some(\"( datetime ( 'now' ) )\")|None",
                "team|int|false|None|Some(\"references teams ( id ) on delete cascade\")",
            ]
        );
        let constraints: Vec<&String> = table.constraints.keys().collect();
        assert_eq!(
            constraints,
            ["constraint c check ( age < 200 )", "unique ( \"Name\" , age )"]
        );
        assert!(read_table("CREATE TABLE t AS SELECT 1").is_none_or(|table| table.columns.is_empty()));
    }

    #[test]
    fn names_that_need_quotes_keep_them() {
        let table =
            read_table("CREATE TABLE t (\"i\"\"d\" int, [select] int CHECK (\"select\" > 0), `a``b` int)")
                .unwrap();
        let names: Vec<&str> = table.columns.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["i\"d", "select", "a`b"]);
        assert_eq!(
            table.columns[1].extra.as_deref(),
            Some("check ( \"select\" > 0 )")
        );
        assert_eq!(
            canonical("CREATE INDEX i ON t (\"select\") WHERE \"group\" > [a b]"),
            "create index i on t ( \"select\" ) where \"group\" > \"a b\""
        );
    }

    #[test]
    fn the_same_table_written_otherwise_is_equal() {
        let one = read_table("CREATE TABLE t (a TEXT, b INT NOT NULL)").unwrap();
        let other = read_table("create table [t]\n(\"a\" text,\n  b int not null /* x */)").unwrap();
        assert_eq!(one, other);
    }
}
