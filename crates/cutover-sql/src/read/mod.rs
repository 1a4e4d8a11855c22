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
mod server;
mod types;

use cursor::Cursor;

use crate::Dialect;
use crate::ddl::{Control, Ddl};
use crate::lexer::{Token, tokens};

/// Reads one statement, without its semicolon.
#[must_use]
pub fn read(dialect: Dialect, statement: &str) -> Ddl {
    let Ok(mut all) = tokens(dialect, statement) else {
        return Ddl::NotUnderstood { at: 0 };
    };
    // MySQL runs what stands in `/*! … */`, which is not read.
    if dialect.is_mysql()
        && all
            .iter()
            .any(|token| !token.is_significant() && runs(token, statement))
    {
        return Ddl::NotUnderstood { at: 0 };
    }
    all.retain(Token::is_significant);
    let mut cursor = Cursor::new(dialect, statement, &all);
    read_tokens(&mut cursor)
}

fn runs(token: &Token, statement: &str) -> bool {
    let text = token.text(statement);
    text.starts_with("/*!") || text.starts_with("/*M!")
}

fn read_tokens(cursor: &mut Cursor<'_>) -> Ddl {
    let found = statement(cursor);
    match found {
        Some(ddl) if cursor.is_done() => ddl,
        _ => Ddl::NotUnderstood { at: cursor.offset() },
    }
}

fn statement(c: &mut Cursor<'_>) -> Option<Ddl> {
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

fn control(c: &Cursor<'_>) -> Option<Control> {
    if c.is("BEGIN") || c.starts(&["START", "TRANSACTION"]) {
        Some(Control::Begin)
    } else if c.is_one_of(&["COMMIT", "END"]) || c.starts(&["PREPARE", "TRANSACTION"]) {
        Some(Control::Commit)
    } else if c.starts(&["ROLLBACK", "TO"])
        || c.starts(&["ROLLBACK", "TRANSACTION", "TO"])
        || c.is_one_of(&["SAVEPOINT", "RELEASE"])
    {
        Some(Control::Within)
    } else if c.is_one_of(&["ROLLBACK", "ABORT"]) {
        Some(Control::Rollback)
    } else {
        None
    }
}
