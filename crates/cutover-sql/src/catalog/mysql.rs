//! MySQL and MariaDB say of a table, by `SHOW CREATE TABLE`, the statement that makes it, with each column, key and
//! constraint as one item, and so it is read. The statement is SQL on both servers, where `information_schema` quotes
//! defaults in two ways and knows of some things only on one.

use super::{Column, Constraint, ConstraintKind, Index, Table};
use crate::lexer::{Kind, Token, tokens};
use crate::{Dialect, TableName, ticked};

/// Where the type of a column ends. What comes before, with its character set, is stored; what comes after is said of it.
const CLAUSES: [&str; 20] = [
    "NOT",
    "NULL",
    "DEFAULT",
    "GENERATED",
    "AS",
    "VIRTUAL",
    "STORED",
    "PERSISTENT",
    "AUTO_INCREMENT",
    "ON",
    "COMMENT",
    "CHECK",
    "INVISIBLE",
    "VISIBLE",
    "UNIQUE",
    "PRIMARY",
    "REFERENCES",
    "WITH",
    "WITHOUT",
    "COLUMN_FORMAT",
];

/// A name without its backticks.
fn bare(text: &str) -> String {
    match text.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        Some(inner) => inner.replace("``", "`"),
        None => text.to_owned(),
    }
}

/// The significant tokens of a text, and the text.
#[derive(Clone, Copy)]
struct Item<'a> {
    source: &'a str,
    tokens: &'a [Token],
}

impl<'a> Item<'a> {
    fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.text(self.source))
    }

    fn kind(&self, at: usize) -> Option<Kind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.kind(at) == Some(Kind::Word) && self.text(at).eq_ignore_ascii_case(word)
    }

    /// As it is written, from one token up to another.
    fn slice(&self, from: usize, to: usize) -> &'a str {
        match (
            self.tokens.get(from),
            to.checked_sub(1).and_then(|last| self.tokens.get(last)),
        ) {
            (Some(first), Some(last)) if from < to => {
                self.source.get(first.start..last.end).unwrap_or_default()
            }
            _ => "",
        }
    }

    /// Behind a group in parentheses that begins at a token, or behind that token.
    fn behind(&self, at: usize) -> usize {
        let mut depth = 0_usize;
        for (offset, token) in self.tokens.iter().enumerate().skip(at) {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return offset + 1;
            }
        }
        self.tokens.len()
    }

    /// Whether a clause of a column begins here. A comment that the server runs is one, unless it says how the type is
    /// stored.
    fn is_clause(&self, at: usize) -> bool {
        let text = self.text(at);
        match self.kind(at) {
            Some(Kind::Word) => CLAUSES.iter().any(|word| text.eq_ignore_ascii_case(word)),
            Some(Kind::Other) => text.starts_with("/*") && !text.contains("COMPRESSED"),
            _ => false,
        }
    }

    /// Where the next clause begins, or the end; what stands in parentheses is skipped.
    fn next_clause(&self, from: usize) -> usize {
        let mut at = from;
        while at < self.tokens.len() && !self.is_clause(at) {
            at = self.behind(at);
        }
        at
    }
}

fn significant(sql: &str) -> Option<Vec<Token>> {
    let all = tokens(Dialect::MariaDb, sql).ok()?;
    Some(all.into_iter().filter(Token::is_significant).collect())
}

/// Reads what `SHOW CREATE TABLE` says of a table; none when there is something in it that is not understood.
#[must_use]
pub fn read_shown_table(name: &TableName, sql: &str) -> Option<Table> {
    let all = significant(sql)?;
    let whole = Item {
        source: sql,
        tokens: &all,
    };
    let open = all.iter().position(|token| token.kind == Kind::Open)?;
    let close = whole.behind(open).checked_sub(1)?;
    let mut table = Table {
        options: options(&Item {
            source: sql,
            tokens: all.get(close + 1..)?,
        }),
        ..Table::default()
    };
    let (mut start, mut at) = (open + 1, open + 1);
    while at <= close {
        if at == close || whole.text(at) == "," {
            let item = Item {
                source: sql,
                tokens: all.get(start..at)?,
            };
            entry(&mut table, name, item)?;
            start = at + 1;
            at += 1;
        } else {
            at = whole.behind(at);
        }
    }
    Some(table)
}

/// All but how far its numbers have come, which is data.
fn options(item: &Item<'_>) -> String {
    let end = item.tokens.len();
    let counter = (0..end).find(|at| item.is(*at, "AUTO_INCREMENT") && item.text(at + 1) == "=");
    let Some(at) = counter else {
        return item.slice(0, end).to_owned();
    };
    [item.slice(0, at), item.slice(at + 3, end)]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn entry(table: &mut Table, name: &TableName, item: Item<'_>) -> Option<()> {
    let end = item.tokens.len();
    if item.kind(0)? == Kind::Name {
        table.columns.push(column(item));
        return Some(());
    }
    let first = item.text(0).to_uppercase();
    match first.as_str() {
        "PRIMARY" => {
            let definition = item.slice(0, end).to_owned();
            let kind = ConstraintKind::PrimaryKey;
            table
                .constraints
                .insert("PRIMARY".to_owned(), Constraint { kind, definition });
        }
        "UNIQUE" | "FULLTEXT" | "SPATIAL" | "KEY" | "INDEX" => {
            let at = (0..end).find(|at| item.kind(*at) == Some(Kind::Name))?;
            let special = match first.as_str() {
                "KEY" | "INDEX" => String::new(),
                special => format!("{special} "),
            };
            let own = item.text(at);
            let definition = format!(
                "CREATE {special}INDEX {own} ON {} {}",
                name.ticked(),
                item.slice(at + 1, end)
            );
            let unique = first == "UNIQUE";
            table.indexes.insert(bare(own), Index { definition, unique });
        }
        "CONSTRAINT" => {
            let kind = match item.text(2).to_uppercase().as_str() {
                "FOREIGN" => ConstraintKind::ForeignKey,
                "CHECK" => ConstraintKind::Check,
                _ => return None,
            };
            let definition = item.slice(2, end).to_owned();
            table
                .constraints
                .insert(bare(item.text(1)), Constraint { kind, definition });
        }
        _ => return None,
    }
    Some(())
}

fn column(item: Item<'_>) -> Column {
    let end = item.tokens.len();
    let ends = item.next_clause(1);
    let mut out = Column {
        name: bare(item.text(0)),
        ty: item.slice(1, ends).to_owned(),
        not_null: false,
        default: None,
        extra: None,
        comment: None,
    };
    let mut extra: Vec<&str> = Vec::new();
    let mut at = ends;
    while at < end {
        if item.is(at, "NOT") && item.is(at + 1, "NULL") {
            out.not_null = true;
            at += 2;
        } else if item.is(at, "NULL") {
            at += 1;
        } else if item.is(at, "DEFAULT") {
            // Its first word may be NULL.
            let behind = item.next_clause(item.behind(at + 1));
            let value = item.slice(at + 1, behind);
            out.default = (!value.eq_ignore_ascii_case("NULL")).then(|| value.to_owned());
            at = behind;
        } else {
            let behind = item.next_clause(item.behind(at));
            extra.push(item.slice(at, behind));
            at = behind;
        }
    }
    if !extra.is_empty() {
        out.extra = Some(extra.join(" "));
    }
    out
}

/// What `SHOW CREATE VIEW` says of a view, without whose it is: its options where they are not the default, and its query.
#[must_use]
pub fn read_shown_view(sql: &str) -> Option<(String, String)> {
    let all = significant(sql)?;
    let item = Item {
        source: sql,
        tokens: &all,
    };
    let view = (0..all.len()).find(|at| item.is(*at, "VIEW"))?;
    let mut options = Vec::new();
    for at in 0..view {
        if item.is(at, "ALGORITHM") && !item.is(at + 2, "UNDEFINED") {
            options.push(format!("ALGORITHM={}", item.text(at + 2)));
        }
        if item.is(at, "SECURITY") && !item.is(at + 1, "DEFINER") {
            options.push(format!("SQL SECURITY {}", item.text(at + 1)));
        }
    }
    // MySQL lists the columns between the name and the query, which names them as well.
    let mut begins = view + 1;
    while begins < all.len() && !item.is(begins, "AS") {
        begins = item.behind(begins);
    }
    Some((options.join(" "), item.slice(begins + 1, all.len()).to_owned()))
}

/// A text without the name of the database that it stands in, where the server puts that before other names.
#[must_use]
pub fn without_database(text: &str, database: &str) -> String {
    let own = ticked(database);
    let Some(all) = significant(text) else {
        return text.to_owned();
    };
    let dotted = |at: usize| {
        all.get(at + 1).is_some_and(|token| token.text(text) == ".")
            && all.get(at + 2).is_some_and(|token| token.kind == Kind::Name)
    };
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (at, token) in all.iter().enumerate() {
        let follows = at > 0 && all.get(at - 1).is_some_and(|token| token.text(text) == ".");
        if token.kind == Kind::Name && token.text(text) == own && dotted(at) && !follows {
            out.push_str(text.get(done..token.start).unwrap_or_default());
            done = all.get(at + 1).map_or(done, |dot| dot.end);
        }
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> TableName {
        TableName::parse("users")
    }

    fn columns(table: &Table) -> Vec<String> {
        table
            .columns
            .iter()
            .map(|c| {
                let null = if c.not_null { "!" } else { "" };
                let default = c.default.as_deref().unwrap_or("-");
                format!(
                    "{}{null} | {} | {default} | {}",
                    c.name,
                    c.ty,
                    c.extra.as_deref().unwrap_or("-")
                )
            })
            .collect()
    }

    /// As MariaDB 10.11 says it.
    #[test]
    fn a_table_of_mariadb_is_read() {
        let table = read_shown_table(
            &name(),
            "CREATE TABLE `users` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `age` int(11) DEFAULT NULL CHECK (`age` > 0),
  `b``c` varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT 'it''s, NOT NULL',
  `e` enum('a','b''c') DEFAULT 'a',
  `at` timestamp NULL DEFAULT NULL,
  `at2` timestamp(3) NOT NULL DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3),
  `g` int(11) GENERATED ALWAYS AS (`age` + 1) STORED COMMENT 'hi',
  `inv` int(11) INVISIBLE DEFAULT 3,
  `c` text /*M!100301 COMPRESSED*/ DEFAULT NULL,
  `d` decimal(10,2) DEFAULT -1.50,
  PRIMARY KEY (`id`),
  UNIQUE KEY `mail` (`e`),
  KEY `k` (`b``c`(10),`age` DESC) USING HASH COMMENT 'ix',
  FULLTEXT KEY `f` (`c`),
  CONSTRAINT `fk` FOREIGN KEY (`age`) REFERENCES `ages` (`id`) ON DELETE CASCADE,
  CONSTRAINT `chk` CHECK (`age` < 200)
) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=latin1 COMMENT='tbl'
 PARTITION BY HASH (`id`)",
        )
        .unwrap();
        assert_eq!(
            columns(&table),
            [
                "id! | bigint(20) unsigned | - | AUTO_INCREMENT",
                "age | int(11) | - | CHECK (`age` > 0)",
                "b`c | varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin | 'it''s, NOT NULL' | -",
                "e | enum('a','b''c') | 'a' | -",
                "at | timestamp | - | -",
                "at2! | timestamp(3) | current_timestamp(3) | ON UPDATE current_timestamp(3)",
                "g | int(11) | - | GENERATED ALWAYS AS (`age` + 1) STORED COMMENT 'hi'",
                "inv | int(11) | 3 | INVISIBLE",
                "c | text /*M!100301 COMPRESSED*/ | - | -",
                "d | decimal(10,2) | -1.50 | -",
            ]
        );
        assert_eq!(
            table.options,
            "ENGINE=InnoDB DEFAULT CHARSET=latin1 COMMENT='tbl'\n PARTITION BY HASH (`id`)"
        );
        let indexes: Vec<&str> = table
            .indexes
            .values()
            .map(|one| one.definition.as_str())
            .collect();
        assert_eq!(
            indexes,
            [
                "CREATE FULLTEXT INDEX `f` ON `users` (`c`)",
                "CREATE INDEX `k` ON `users` (`b``c`(10),`age` DESC) USING HASH COMMENT 'ix'",
                "CREATE UNIQUE INDEX `mail` ON `users` (`e`)",
            ]
        );
        let constraints: Vec<String> = table
            .constraints
            .iter()
            .map(|(name, one)| format!("{name}: {}", one.definition))
            .collect();
        assert_eq!(
            constraints,
            [
                "PRIMARY: PRIMARY KEY (`id`)",
                "chk: CHECK (`age` < 200)",
                "fk: FOREIGN KEY (`age`) REFERENCES `ages` (`id`) ON DELETE CASCADE",
            ]
        );
    }

    /// As the manual of MySQL 8.0 shows it.
    #[test]
    fn a_table_of_mysql_is_read() {
        let table = read_shown_table(
            &name(),
            "CREATE TABLE `users` (
  `id` int NOT NULL AUTO_INCREMENT,
  `n` varchar(20) COLLATE utf8mb4_bin GENERATED ALWAYS AS (concat(_utf8mb4'a',`id`)) VIRTUAL NOT NULL,
  `u` char(36) DEFAULT (uuid()),
  `at` datetime DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `p` geometry NOT NULL /*!80003 SRID 4326 */,
  `i` int DEFAULT '3' /*!80023 INVISIBLE */,
  PRIMARY KEY (`id`),
  KEY `low` ((lower(`n`))) /*!80000 INVISIBLE */,
  CONSTRAINT `users_chk_1` CHECK ((`id` > 0)) /*!80016 NOT ENFORCED */
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
/*!50100 PARTITION BY HASH (`id`)
PARTITIONS 4 */",
        )
        .unwrap();
        assert_eq!(
            columns(&table),
            [
                "id! | int | - | AUTO_INCREMENT",
                "n! | varchar(20) COLLATE utf8mb4_bin | - | GENERATED ALWAYS AS (concat(_utf8mb4'a',`id`)) VIRTUAL",
                "u | char(36) | (uuid()) | -",
                "at | datetime | CURRENT_TIMESTAMP | ON UPDATE CURRENT_TIMESTAMP",
                "p! | geometry | - | /*!80003 SRID 4326 */",
                "i | int | '3' | /*!80023 INVISIBLE */",
            ]
        );
        assert_eq!(
            table.indexes["low"].definition,
            "CREATE INDEX `low` ON `users` ((lower(`n`))) /*!80000 INVISIBLE */"
        );
        assert_eq!(
            table.constraints["users_chk_1"].definition,
            "CHECK ((`id` > 0)) /*!80016 NOT ENFORCED */"
        );
        assert!(table.options.ends_with("PARTITIONS 4 */"));
    }

    #[test]
    fn what_is_not_understood_is_no_table() {
        let text = "CREATE TABLE `users` (`a` timestamp(6) GENERATED ALWAYS AS ROW START, PERIOD FOR SYSTEM_TIME (`a`, `b`)) WITH SYSTEM VERSIONING";
        assert_eq!(read_shown_table(&name(), text), None);
        assert_eq!(read_shown_table(&name(), "CREATE TABLE `users"), None);
    }

    #[test]
    fn a_view_is_its_options_and_its_query() {
        let text = "CREATE ALGORITHM=UNDEFINED DEFINER=`root`@`localhost` SQL SECURITY DEFINER VIEW `v` AS select `u`.`id` AS `id` from `u` WITH CASCADED CHECK OPTION";
        assert_eq!(
            read_shown_view(text).unwrap(),
            (
                String::new(),
                "select `u`.`id` AS `id` from `u` WITH CASCADED CHECK OPTION".to_owned()
            )
        );
        let text =
            "CREATE ALGORITHM=MERGE DEFINER=`r`@`%` SQL SECURITY INVOKER VIEW `v` (`a`) AS select 1 AS `a`";
        assert_eq!(
            read_shown_view(text).unwrap(),
            (
                "ALGORITHM=MERGE SQL SECURITY INVOKER".to_owned(),
                "select 1 AS `a`".to_owned()
            )
        );
    }

    #[test]
    fn the_database_is_taken_from_names() {
        for (text, expected) in [
            (
                "select `d`.`t`.`a` AS `d` from `d`.`t`",
                "select `t`.`a` AS `d` from `t`",
            ),
            ("nextval(`d`.`s`)", "nextval(`s`)"),
            ("`t`.`d`.`x` + 'd.`a`'", "`t`.`d`.`x` + 'd.`a`'"),
            ("`e`.`t`", "`e`.`t`"),
        ] {
            assert_eq!(without_database(text, "d"), expected);
        }
    }
}
