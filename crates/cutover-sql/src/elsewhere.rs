//! Statements of MySQL and MariaDB that reach out of the database that the session works in: on a scratch database of a
//! server they would change what is in use there.

use crate::Dialect;
use crate::lexer::{Kind, Token, tokens};

/// Where a statement reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// Into another database, or a whole one.
    Database(String),
    /// What the server has for all of its databases: accounts, rights, settings, replicas.
    Server,
}

/// What stands before a table and never before a column.
const BEFORE_TABLES: [&str; 17] = [
    "INTO",
    "UPDATE",
    "TABLE",
    "TABLES",
    "FROM",
    "JOIN",
    "VIEW",
    "TRIGGER",
    "PROCEDURE",
    "FUNCTION",
    "EVENT",
    "SEQUENCE",
    "EXISTS",
    "REFERENCES",
    "CALL",
    "TO",
    "LIKE",
];

/// What a statement begins with that concerns the server.
const OF_SERVER: [&[&str]; 28] = [
    &["GRANT"],
    &["REVOKE"],
    &["FLUSH"],
    &["KILL"],
    &["INSTALL"],
    &["UNINSTALL"],
    &["PURGE"],
    &["RESET"],
    &["SHUTDOWN"],
    &["RESTART"],
    &["CHANGE"],
    &["START", "SLAVE"],
    &["START", "REPLICA"],
    &["STOP"],
    &["SET", "GLOBAL"],
    &["SET", "PERSIST"],
    &["SET", "PASSWORD"],
    &["SET", "DEFAULT", "ROLE"],
    &["CREATE", "USER"],
    &["ALTER", "USER"],
    &["DROP", "USER"],
    &["RENAME", "USER"],
    &["CREATE", "ROLE"],
    &["DROP", "ROLE"],
    &["CREATE", "SERVER"],
    &["DROP", "SERVER"],
    &["CREATE", "TABLESPACE"],
    &["DROP", "TABLESPACE"],
];

/// Where a statement reaches, by the names of the server's other databases; none: nowhere but in its own. A name before a
/// dot may be that of a table or its alias, which stands in the statement alone as well.
#[must_use]
pub fn elsewhere(statement: &str, databases: &[String]) -> Option<Elsewhere> {
    let text = unwrapped(statement);
    let all: Vec<Token> = tokens(Dialect::MariaDb, &text)
        .ok()?
        .into_iter()
        .filter(Token::is_significant)
        .collect();
    let bare = |at: usize| all.get(at).map_or("", |token| token.text(&text));
    // `CREATE OR REPLACE`, `IF NOT EXISTS`: what is made or dropped stands behind.
    let words: Vec<String> = (0..all.len().min(8))
        .map(|at| bare(at).to_uppercase())
        .filter(|word| !matches!(word.as_str(), "OR" | "REPLACE" | "IF" | "NOT" | "EXISTS"))
        .collect();
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let of_whole = match (word(0), word(1)) {
        ("USE", _) => Some(1),
        ("CREATE" | "DROP" | "ALTER", "DATABASE" | "SCHEMA") => Some(2),
        _ => None,
    };
    if let Some(at) = of_whole {
        let name = word(at).to_owned();
        let as_written = all.iter().map(|token| token.text(&text));
        let name = as_written.into_iter().find(|own| own.to_uppercase() == name);
        return Some(Elsewhere::Database(unquoted(name.unwrap_or_default())));
    }
    let begins = |begin: &&[&str]| begin.iter().enumerate().all(|(at, own)| word(at) == *own);
    let global = word(0) == "SET" && (0..all.len()).any(|at| bare(at).eq_ignore_ascii_case("global"));
    if global || OF_SERVER.iter().any(begins) {
        return Some(Elsewhere::Server);
    }
    let is_name = |at: usize| {
        all.get(at)
            .is_some_and(|token| matches!(token.kind, Kind::Word | Kind::Name))
    };
    (0..all.len()).find_map(|at| {
        let name = unquoted(bare(at));
        let known = databases.iter().any(|other| other.eq_ignore_ascii_case(&name));
        let before = at.checked_sub(1).map_or("", bare);
        if !known || !is_name(at) || bare(at + 1) != "." || before == "." {
            return None;
        }
        let of_table = BEFORE_TABLES.iter().any(|word| before.eq_ignore_ascii_case(word));
        let alone = (0..all.len()).any(|other| {
            let dotted = bare(other + 1) == "." || other.checked_sub(1).is_some_and(|last| bare(last) == ".");
            is_name(other) && !dotted && unquoted(bare(other)).eq_ignore_ascii_case(&name)
        });
        (of_table || !alone).then_some(Elsewhere::Database(name))
    })
}

fn unquoted(text: &str) -> String {
    text.trim_matches('`').replace("``", "`")
}

/// With what the server runs of its comments (`/*!50100 … */`) as statements have it.
fn unwrapped(statement: &str) -> String {
    let mut out = statement.to_owned();
    while let Ok(all) = tokens(Dialect::MariaDb, &out) {
        let Some(token) = all
            .iter()
            .find(|token| token.kind == Kind::Other && token.text(&out).starts_with("/*"))
        else {
            break;
        };
        let inner = token
            .text(&out)
            .trim_start_matches(['/', '*', 'M', '!'])
            .trim_start_matches(|digit: char| digit.is_ascii_digit())
            .trim_end_matches(['*', '/'])
            .to_owned();
        out.replace_range(token.start..token.end, &format!(" {inner} "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(statement: &str) -> Option<Elsewhere> {
        elsewhere(statement, &["shop".to_owned(), "Odd one".to_owned()])
    }

    #[test]
    fn another_database_is_found() {
        for text in [
            "CREATE TABLE shop.users (id int)",
            "create table if not exists SHOP . users (id int)",
            "INSERT INTO `shop`.`users` SELECT 1",
            "UPDATE a, shop.b SET a.x = shop.b.x",
            "CREATE TRIGGER t BEFORE INSERT ON shop.users FOR EACH ROW SET NEW.a = 1",
            "/*!50003 DROP TABLE shop.users */",
            "SELECT shop.id FROM shop.shop, shop",
            "USE shop",
            "DROP DATABASE IF EXISTS shop",
            "ALTER SCHEMA shop CHARACTER SET utf8mb4",
            "CREATE PROCEDURE p() BEGIN DELETE FROM shop.users; END",
        ] {
            let found = reached(text);
            assert!(
                matches!(&found, Some(Elsewhere::Database(name)) if name.eq_ignore_ascii_case("shop")),
                "{text}: {found:?}"
            );
        }
        assert_eq!(
            reached("DELETE FROM `Odd one`.t"),
            Some(Elsewhere::Database("Odd one".to_owned()))
        );
        assert_eq!(
            reached("CREATE OR REPLACE DATABASE other"),
            Some(Elsewhere::Database("other".to_owned()))
        );
    }

    #[test]
    fn what_concerns_the_server_is_found() {
        for text in [
            "GRANT SELECT ON t TO 'a'@'%'",
            "CREATE USER IF NOT EXISTS a",
            "CREATE OR REPLACE ROLE a",
            "SET GLOBAL max_connections = 5",
            "SET @@global.max_connections = 5",
            "/*!80000 SET PERSIST x = 1 */",
            "FLUSH PRIVILEGES",
        ] {
            assert_eq!(reached(text), Some(Elsewhere::Server), "{text}");
        }
    }

    #[test]
    fn a_table_or_an_alias_of_that_name_is_none() {
        for text in [
            "UPDATE shop SET shop.a = 1",
            "SELECT shop.id FROM users shop WHERE shop.id > 1",
            "INSERT INTO users VALUES ('FROM shop.users')",
            "ALTER TABLE users ADD COLUMN shop int",
            "CREATE TABLE users (id int, global int)",
            "SET SESSION sql_mode = ''",
            "START TRANSACTION",
        ] {
            assert_eq!(reached(text), None, "{text}");
        }
    }
}
