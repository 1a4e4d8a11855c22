//! Directives with values of their own: `sync`, `end-sync` and `backfill`.
//!
//! Each takes the rest of its comment, which may be a block comment over several lines: `key=value`, or `key="…"` for
//! a value with blanks, in which `""` is one quote.

use crate::lexer::{Kind, tokens};
use crate::{Dialect, Sync, TableName};

/// `end-sync table=users new=full_name`: the triggers of that sync go, before anything else of the file happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndSync {
    /// Whose.
    pub table: TableName,
    /// The new side of the sync, as it was declared.
    pub new: Vec<String>,
}

/// `backfill table=users key=id batch=5000`: the file runs in ranges of a key, each a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batches {
    /// Whose rows.
    pub table: TableName,
    /// The column whose ranges make the batches: unique, never NULL, with an index.
    pub key: String,
    /// The most rows of one batch, 1 to 100,000.
    pub size: u32,
    /// The new side of the sync that is filled; none: the file's own statement says what to do.
    pub new: Option<Vec<String>>,
}

/// The largest batch: beyond it locks are held for seconds.
const LARGEST: u32 = 100_000;
const USUAL: u32 = 5_000;

/// `key=value` pairs; the error says what is wrong.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut out: Vec<(String, String)> = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once('=') else {
            return Err(format!("`{}` has no value", first_word(rest)));
        };
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Err(format!("`{}` is no key", first_word(rest)));
        }
        if out.iter().any(|(known, _)| known == key) {
            return Err(format!("`{key}` is given twice"));
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                unquote(quoted).ok_or_else(|| format!("the value of `{key}` has no closing \""))?
            }
            None => {
                let end = after.find(char::is_whitespace).unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
        };
        if value.trim().is_empty() {
            return Err(format!("`{key}` has no value"));
        }
        out.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(out)
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// The text up to the closing quote, and what comes after it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        out.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                out.push('"');
                rest = more;
            }
            None => return Some((out, after)),
        }
    }
}

struct Values(Vec<(String, String)>);

impl Values {
    fn read(text: &str, known: &[&str]) -> Result<Self, String> {
        let found = pairs(text)?;
        match found.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            Some((key, _)) => Err(format!("`{key}` is not one of {}", known.join(", "))),
            None => Ok(Self(found)),
        }
    }

    fn optional(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    fn needed(&self, key: &str) -> Result<&str, String> {
        self.optional(key).ok_or_else(|| format!("`{key}=…` is missing"))
    }

    fn table(&self) -> Result<TableName, String> {
        Ok(TableName::parse(self.needed("table")?))
    }

    fn columns(&self, key: &str) -> Result<Vec<String>, String> {
        columns(self.needed(key)?)
    }
}

fn columns(text: &str) -> Result<Vec<String>, String> {
    let out: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    match out
        .iter()
        .enumerate()
        .find(|(at, name)| name.is_empty() || out[..*at].contains(name))
    {
        Some((_, name)) => Err(format!("`{text}` names `{name}` twice or leaves a name out")),
        None => Ok(out),
    }
}

/// Splits at the commas that are not within parentheses, brackets or quotes.
fn expressions(dialect: Dialect, text: &str) -> Result<Vec<String>, String> {
    let all = tokens(dialect, text).map_err(|error| error.problem.to_string())?;
    let mut out = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for token in &all {
        match (token.kind, token.text(text)) {
            (Kind::Open, _) | (_, "[") => depth += 1,
            (Kind::Close, _) | (_, "]") => depth -= 1,
            (Kind::Semicolon, _) => {
                return Err(format!("`{text}` is not one expression a column: it holds a `;`"));
            }
            (Kind::LineComment | Kind::BlockComment, _) => {
                return Err(format!("`{text}` holds a comment"));
            }
            (_, ",") if depth == 0 => {
                out.push(text[start..token.start].trim().to_owned());
                start = token.end;
            }
            _ => {}
        }
        if depth < 0 {
            return Err(format!("`{text}` closes what it did not open"));
        }
    }
    out.push(text[start..].trim().to_owned());
    if depth != 0 {
        return Err(format!("`{text}` opens what it does not close"));
    }
    if text.contains(crate::sync::DOLLAR) {
        return Err(format!("`{text}` holds {}", crate::sync::DOLLAR));
    }
    if out.iter().any(String::is_empty) {
        return Err(format!("`{text}` leaves an expression out"));
    }
    Ok(out)
}

pub(crate) fn sync(dialect: Dialect, text: &str) -> Result<Sync, String> {
    let values = Values::read(text, &["table", "old", "new", "up", "down", "key"])?;
    let (old, new) = (values.columns("old")?, values.columns("new")?);
    if let Some(both) = old.iter().find(|name| new.contains(name)) {
        return Err(format!("`{both}` is on both sides"));
    }
    let up = expressions(dialect, values.needed("up")?)?;
    let down = expressions(dialect, values.needed("down")?)?;
    for (key, found, side) in [("up", &up, &new), ("down", &down, &old)] {
        if found.len() != side.len() {
            return Err(format!(
                "`{key}` has {} expressions for {} columns: one each, with a comma between",
                found.len(),
                side.len()
            ));
        }
    }
    let key = values.optional("key").map(columns).transpose()?;
    Ok(Sync {
        table: values.table()?,
        old,
        new,
        up,
        down,
        key,
    })
}

pub(crate) fn end_sync(text: &str) -> Result<EndSync, String> {
    let values = Values::read(text, &["table", "new"])?;
    Ok(EndSync {
        table: values.table()?,
        new: values.columns("new")?,
    })
}

pub(crate) fn batches(text: &str) -> Result<Batches, String> {
    let values = Values::read(text, &["table", "key", "batch", "new"])?;
    let size = match values.optional("batch") {
        None => USUAL,
        Some(text) => text
            .replace('_', "")
            .parse()
            .ok()
            .filter(|size| (1..=LARGEST).contains(size))
            .ok_or_else(|| format!("`batch={text}` is not a number from 1 to {LARGEST}"))?,
    };
    Ok(Batches {
        table: values.table()?,
        key: values.needed("key")?.to_owned(),
        size,
        new: values.optional("new").map(columns).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Sync, String> {
        sync(Dialect::Postgres, text)
    }

    #[test]
    fn a_sync_has_an_expression_for_each_column() {
        let found = read(
            "table=app.users old=first_name,last_name new=full_name\n \
             up=\"concat_ws(' ', first_name, last_name)\" down=\"split_part(full_name, ' ', 1), substr(\"\"x\"\", 2)\"",
        )
        .unwrap();
        assert_eq!(found.table, TableName::parse("app.users"));
        assert_eq!(found.up, ["concat_ws(' ', first_name, last_name)"]);
        assert_eq!(found.down, ["split_part(full_name, ' ', 1)", "substr(\"x\", 2)"]);
    }

    #[test]
    fn what_is_wrong_with_one_is_said() {
        for (text, said) in [
            ("table=t old=a new=b up=a", "`down=…` is missing"),
            (
                "table=t old=a new=b up=a,a down=b",
                "`up` has 2 expressions for 1 columns",
            ),
            ("table=t old=a new=a up=a down=a", "`a` is on both sides"),
            ("table=t old=a,a new=b up=a down=b", "names `a` twice"),
            (
                "table=t old=a new=b up=\"a\" down=\"b; DROP TABLE t\"",
                "holds a `;`",
            ),
            (
                "table=t old=a new=b up=\"a)\" down=b",
                "closes what it did not open",
            ),
            (
                "table=t old=a new=b up=\"(a\" down=b",
                "opens what it does not close",
            ),
            ("table=t old=a new=b up=\"a -- x\" down=b", "holds a comment"),
            ("table=t old=a new=b up=\"a", "no closing \""),
            ("table=t old=a new=b up=a down=b keys=id", "`keys` is not one of"),
            ("table=t table=t", "given twice"),
            ("table=t old", "`old` has no value"),
            ("table=t old=a new=b up=\"'\" down=b", "never closed"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.contains(said), "{text}: {found}");
        }
    }

    #[test]
    fn batches_are_bounded() {
        let found = batches("table=t key=id").unwrap();
        assert_eq!((found.size, found.new), (USUAL, None));
        assert_eq!(batches("table=t key=id batch=10_000 new=b").unwrap().size, 10_000);
        for text in ["table=t key=id batch=0", "table=t key=id batch=100001", "table=t"] {
            assert!(batches(text).is_err(), "{text}");
        }
    }
}
