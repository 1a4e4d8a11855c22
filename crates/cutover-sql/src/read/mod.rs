//! From a statement's tokens to facts.
//!
//! A reader of its own for DDL, not a grammar of SQL: expressions are kept as text, queries are only looked through for
//! what they read. It is strict where it matters: a clause that it does not know makes the whole statement
//! [`Ddl::NotUnderstood`], because half of an `ALTER TABLE` may be the harmless half. It never fails, never recurses into
//! what a text nests, and reads each token a bounded number of times.

mod alter_mysql;
mod alter_postgres;
mod alter_table;
mod column;
mod create;
mod cursor;
mod dml;
mod drop;
mod opaque;
pub(crate) mod parts;
mod server;
mod types;
mod whole;

use cursor::Cursor;
pub(crate) use server::settings_of_statement;

use crate::ddl::{Control, Ddl};
use crate::lexer::{Token, tokens};
use crate::{Dialect, command};

/// Reads one statement, without its semicolon.
#[must_use]
pub fn read(dialect: Dialect, statement: &str) -> Ddl {
    if dialect == Dialect::MongoDb {
        return command::read(statement).map_or(Ddl::NotUnderstood { at: 0 }, |command| {
            Ddl::Command(Box::new(command))
        });
    }
    let Ok(mut all) = tokens(dialect, statement) else {
        return Ddl::NotUnderstood { at: 0 };
    };
    let bare = uncommented(dialect, statement, &all);
    let source = bare.as_deref().unwrap_or(statement);
    if bare.is_some() {
        match tokens(dialect, source) {
            // A comment that runs within one that runs.
            Ok(again) if uncommented(dialect, source, &again).is_some() => {
                return Ddl::NotUnderstood { at: 0 };
            }
            Ok(again) => all = again,
            Err(_) => return Ddl::NotUnderstood { at: 0 },
        }
    }
    all.retain(Token::is_significant);
    let mut cursor = Cursor::new(dialect, source, &all);
    read_tokens(&mut cursor)
}

/// The same text with what MySQL runs of its comments (`/*!50100 … */`) out of them, byte for byte where it was; none when
/// there is nothing of the kind. Which server is meant is not known here: what any might run, runs.
fn uncommented(dialect: Dialect, statement: &str, all: &[Token]) -> Option<String> {
    let mut out: Option<String> = None;
    for token in all {
        let Some(opening) = opening(dialect, token.text(statement)) else {
            continue;
        };
        let text = out.get_or_insert_with(|| statement.to_owned());
        text.replace_range(token.start..token.start + opening, &" ".repeat(opening));
        text.replace_range(token.end - 2..token.end, "  ");
    }
    out
}

/// How many bytes begin a comment that runs: `/*!`, `/*M!`, and the version behind it.
fn opening(dialect: Dialect, comment: &str) -> Option<usize> {
    if !dialect.is_mysql() || !comment.ends_with("*/") {
        return None;
    }
    let mark = if comment.starts_with("/*!") {
        3
    } else if comment.starts_with("/*M!") && dialect == Dialect::MariaDb {
        4
    } else {
        return None;
    };
    let digits = comment[mark..]
        .bytes()
        .take_while(u8::is_ascii_digit)
        .take(6)
        .count();
    // MariaDB leaves alone what is meant for MySQL 5.7 and later.
    let foreign = mark == 3
        && comment[mark..mark + digits]
            .parse::<u32>()
            .is_ok_and(|version| (50_700..100_000).contains(&version));
    (!(foreign && dialect == Dialect::MariaDb) && comment.len() >= mark + digits + 2).then_some(mark + digits)
}

fn read_tokens(cursor: &mut Cursor<'_>) -> Ddl {
    let found = statement(cursor);
    match found {
        Some(ddl) if cursor.is_done() => ddl,
        _ => Ddl::NotUnderstood { at: cursor.offset() },
    }
}

fn statement(c: &mut Cursor<'_>) -> Option<Ddl> {
    // MariaDB's settings for one statement.
    while c.dialect == Dialect::MariaDb && c.eat_all(&["SET", "STATEMENT"]) {
        while !c.is_done() && !c.eat("FOR") {
            c.take();
        }
    }
    if c.is_done() {
        return Some(Ddl::Harmless);
    }
    if c.eat("CREATE") {
        return create::create(c);
    }
    if c.eat("ALTER") {
        return alter(c);
    }
    if c.eat("DROP") {
        return drop::drop(c);
    }
    if let Some(ddl) = dml::dml(c) {
        return Some(ddl);
    }
    // A body outside of a routine, which is no transaction.
    if c.dialect.is_mysql() && c.starts(&["BEGIN", "NOT"]) {
        return opaque::opaque(c);
    }
    if let Some(control) = control(c) {
        c.skip_all();
        return Some(Ddl::Transaction(control));
    }
    server::server(c)
}

fn alter(c: &mut Cursor<'_>) -> Option<Ddl> {
    c.eat_one_of(&["ONLINE", "OFFLINE", "IGNORE"]);
    if c.eat("FOREIGN") || c.is("TABLE") {
        c.need("TABLE")?;
        return alter_table::alter_table(c);
    }
    drop::alter_object(c)
}

fn control(c: &mut Cursor<'_>) -> Option<Control> {
    if c.is("BEGIN") || c.starts(&["START", "TRANSACTION"]) {
        return Some(Control::Begin);
    }
    if c.is_one_of(&["COMMIT", "END"]) || c.starts(&["PREPARE", "TRANSACTION"]) {
        return Some(Control::Commit);
    }
    if c.eat("SAVEPOINT") {
        return Some(Control::Savepoint(c.ident()?));
    }
    if c.eat("RELEASE") {
        c.eat("SAVEPOINT");
        return Some(Control::Release(c.ident()?));
    }
    c.eat_one_of(&["ROLLBACK", "ABORT"])?;
    c.eat_one_of(&["TRANSACTION", "WORK"]);
    if c.eat("TO") {
        c.eat("SAVEPOINT");
        return Some(Control::RollbackTo(c.ident()?));
    }
    Some(Control::Rollback)
}
