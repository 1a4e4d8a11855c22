//! The same sync for MySQL and MariaDB: `BEFORE` triggers that set the other side in the row that is being written.
//!
//! DDL commits by itself there, so the order counts. The trigger for updates comes first: a row whose new side is there is
//! never left behind its old side. The backfill fills what was inserted until the second one came.
//!
//! Values are compared byte by byte, unless both are numbers or times: most collations take `a` for `A`, and a change of
//! case is a change.

use crate::Dialect;
use crate::lexer::{Kind, tokens};
use crate::sync::{Sync, TableName, name};

/// What the names of its triggers begin with.
const PREFIX: &str = "cutover_sync_";

/// A name in backticks.
#[must_use]
pub fn ticked(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn list(columns: &[String]) -> String {
    let columns: Vec<String> = columns.iter().map(|column| ticked(column)).collect();
    columns.join(", ")
}

/// Whether two values are the same, as a condition that is never NULL. A coercibility of 5 is a number's or a time's.
fn same(a: &str, b: &str) -> String {
    // Bytes that are no text are compared as they are: converted, those that are not UTF-8 would all be the same.
    let bytes = |value: &str| {
        format!("CAST(IF(CHARSET({value}) = 'binary', {value}, CONVERT({value} USING utf8mb4)) AS BINARY)")
    };
    format!(
        "IF(COERCIBILITY({a}) = 5 AND COERCIBILITY({b}) = 5, ({a}) + 0 <=> ({b}) + 0, {} <=> {})",
        bytes(a),
        bytes(b)
    )
}

/// An expression in which the columns are those of a row of a trigger.
fn of_row(expression: &str, columns: &[String], row: &str) -> String {
    let Ok(all) = tokens(Dialect::MariaDb, expression) else {
        return expression.to_owned();
    };
    let mut out = String::with_capacity(expression.len());
    for (at, token) in all.iter().enumerate() {
        let text = token.text(expression);
        let bare = match token.kind {
            Kind::Name => text.trim_matches('`').replace("``", "`"),
            Kind::Word => text.to_owned(),
            _ => {
                out.push_str(text);
                continue;
            }
        };
        let next = all[at + 1..].iter().find(|token| token.is_significant());
        let is_function = next.is_some_and(|token| token.kind == Kind::Open) && token.kind == Kind::Word;
        match columns.iter().find(|column| column.eq_ignore_ascii_case(&bare)) {
            Some(column) if !is_function => {
                out.push_str(row);
                out.push('.');
                out.push_str(&ticked(column));
            }
            _ => out.push_str(text),
        }
    }
    out
}

impl Sync {
    fn mysql_trigger(&self, event: &str) -> String {
        name(&format!("{PREFIX}{event}_"), &self.table.name, &self.new)
    }

    /// A trigger that is there as long as the sync is.
    pub(crate) fn mysql_marker(&self) -> String {
        self.mysql_trigger("update")
    }

    fn mysql_unlike(columns: &[String], expressions: &[String]) -> String {
        let terms: Vec<String> = columns
            .iter()
            .zip(expressions)
            .map(|(column, expression)| format!("NOT {}", same(&ticked(column), &format!("({expression})"))))
            .collect();
        format!("({})", terms.join(" OR "))
    }

    pub(crate) fn mysql_disagreement(&self) -> String {
        format!(
            "{} AND {}",
            Self::mysql_unlike(&self.new, &self.up),
            Self::mysql_unlike(&self.old, &self.down)
        )
    }

    pub(crate) fn mysql_fill(&self) -> String {
        let set: Vec<String> = self
            .new
            .iter()
            .zip(&self.up)
            .map(|(column, expression)| format!("{} = ({expression})", ticked(column)))
            .collect();
        let empty: Vec<String> = self
            .new
            .iter()
            .map(|column| format!("{} IS NULL", ticked(column)))
            .collect();
        format!(
            "UPDATE {} SET {} WHERE {} AND ({} OR {}) AND {{batch}}",
            self.table.ticked(),
            set.join(", "),
            Self::mysql_unlike(&self.new, &self.up),
            Self::mysql_unlike(&self.old, &self.down),
            empty.join(" AND ")
        )
    }

    /// First what fails where an expression names what is not there: the server looks into a trigger when it fires, not
    /// when it is made.
    pub(crate) fn mysql_begin(&self) -> Vec<String> {
        let shown = self.table.ticked();
        let check = |from: &[String], expressions: &[String]| {
            let values: Vec<String> = expressions.iter().map(|one| format!("({one})")).collect();
            format!(
                "SELECT {} FROM (SELECT {} FROM {shown} WHERE FALSE) AS {}",
                values.join(", "),
                list(from),
                ticked(&self.table.name)
            )
        };
        let new_of =
            |expression: &String, columns: &[String]| format!("({})", of_row(expression, columns, "NEW"));
        let unlike = |side: &[String], expressions: &[String], from: &[String]| {
            let terms: Vec<String> = side
                .iter()
                .zip(expressions)
                .map(|(column, expression)| {
                    let own = format!("NEW.{}", ticked(column));
                    format!("NOT {}", same(&own, &new_of(expression, from)))
                })
                .collect();
            terms.join(" OR ")
        };
        let set = |side: &[String], expressions: &[String], from: &[String]| {
            let set: Vec<String> = side
                .iter()
                .zip(expressions)
                .map(|(column, expression)| format!("NEW.{} = {}", ticked(column), new_of(expression, from)))
                .collect();
            format!("SET {};", set.join(", "))
        };
        let changed = |side: &[String]| {
            let terms: Vec<String> = side
                .iter()
                .map(|one| {
                    let (new, old) = (format!("NEW.{}", ticked(one)), format!("OLD.{}", ticked(one)));
                    format!("NOT {}", same(&new, &old))
                })
                .collect();
            terms.join(" OR ")
        };
        let untold: Vec<String> = self
            .new
            .iter()
            .map(|one| format!("NEW.{} IS NULL", ticked(one)))
            .collect();
        let to_new = set(&self.new, &self.up, &self.old);
        let to_old = set(&self.old, &self.down, &self.new);
        let new_apart = unlike(&self.new, &self.up, &self.old);
        let old_apart = unlike(&self.old, &self.down, &self.new);
        let trigger = |event: &str, body: &str| {
            format!(
                "CREATE TRIGGER {} BEFORE {} ON {shown} FOR EACH ROW BEGIN\n{body}\nEND",
                TableName {
                    schema: self.table.schema.clone(),
                    name: self.mysql_trigger(event),
                }
                .ticked(),
                event.to_uppercase()
            )
        };
        vec![
            check(&self.old, &self.up),
            check(&self.new, &self.down),
            trigger(
                "update",
                &format!(
                    "    IF {} THEN\n        IF {new_apart} THEN {to_old} END IF;\n    ELSEIF {} THEN\n        \
                     IF {old_apart} THEN {to_new} END IF;\n    END IF;",
                    changed(&self.new),
                    changed(&self.old)
                ),
            ),
            trigger(
                "insert",
                &format!(
                    "    IF {} THEN {to_new}\n    ELSEIF {new_apart} THEN {to_old}\n    END IF;",
                    untold.join(" AND ")
                ),
            ),
        ]
    }

    /// The one for inserts goes first: while the other is there, a row that is updated is true to itself.
    pub(crate) fn mysql_end(&self) -> Vec<String> {
        ["insert", "update"]
            .iter()
            .map(|event| {
                let trigger = TableName {
                    schema: self.table.schema.clone(),
                    name: self.mysql_trigger(event),
                };
                format!("DROP TRIGGER IF EXISTS {}", trigger.ticked())
            })
            .collect()
    }
}

impl TableName {
    /// In backticks, with its database.
    #[must_use]
    pub fn ticked(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", ticked(schema), ticked(&self.name)),
            None => ticked(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_those_of_the_row() {
        let columns = ["first".to_owned(), "left".to_owned(), "a`b".to_owned()];
        for (text, expected) in [
            (
                "concat(First, ' first ', `left`)",
                "concat(NEW.`first`, ' first ', NEW.`left`)",
            ),
            ("left(first, 1)", "left(NEW.`first`, 1)"),
            ("`a``b` + other", "NEW.`a``b` + other"),
        ] {
            assert_eq!(of_row(text, &columns, "NEW"), expected);
        }
    }

    #[test]
    fn names_are_short_enough_and_the_update_trigger_comes_first() {
        let sync = Sync {
            table: TableName::parse("users"),
            old: vec!["a".repeat(60)],
            new: vec!["b".repeat(60)],
            up: vec!["a".repeat(60)],
            down: vec!["b".repeat(60)],
            key: None,
        };
        assert!(sync.mysql_marker().len() <= 64);
        let begin = sync.mysql_begin();
        assert!(begin[2].contains("BEFORE UPDATE") && begin[3].contains("BEFORE INSERT"));
        assert!(sync.mysql_end()[0].contains("_insert_"));
    }
}
