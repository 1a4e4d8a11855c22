//! What is neither a definition nor rows: maintenance, locks, settings, blocks.

use super::cursor::Cursor;
use super::opaque;
use crate::Dialect;
use crate::ddl::{Ddl, Kind, Name};
use crate::lexer;
use crate::lexer::{Token, tokens};

pub(super) fn server(c: &mut Cursor<'_>) -> Option<Ddl> {
    if c.eat("TRUNCATE") {
        return truncate(c);
    }
    if c.is("RENAME") && c.is_one_of_at(1, &["TABLE", "TABLES"]) {
        return rename_tables(c);
    }
    if c.is("RENAME") && c.is_at(1, "USER") {
        return rename_user(c);
    }
    if c.eat("VACUUM") {
        return vacuum(c);
    }
    if c.eat("CLUSTER") || c.eat("REPACK") {
        let concurrently = option_is_on(c, "CONCURRENTLY");
        c.eat("VERBOSE");
        let table = if c.is_done() { None } else { Some(c.name()?) };
        c.skip_all();
        return Some(Ddl::Cluster { table, concurrently });
    }
    if c.eat("REINDEX") {
        return reindex(c);
    }
    if c.eat_all(&["REFRESH", "MATERIALIZED", "VIEW"]) {
        let concurrently = c.eat("CONCURRENTLY");
        let name = c.name()?;
        let with_data = !c.eat_all(&["WITH", "NO", "DATA"]);
        c.eat_all(&["WITH", "DATA"]);
        return Some(Ddl::Refresh {
            name,
            concurrently,
            with_data,
        });
    }
    if c.eat("LOCK") {
        return lock(c);
    }
    if c.starts(&["FLUSH", "TABLES"]) {
        c.take();
        c.take();
        let tables = if super::drop::is_name(c) && !c.is("WITH") {
            c.names()?
        } else {
            Vec::new()
        };
        let locks = c.eat_all(&["WITH", "READ", "LOCK"]);
        c.skip_all();
        return Some(if locks {
            Ddl::Lock {
                tables,
                mode: "READ".to_owned(),
            }
        } else {
            Ddl::Harmless
        });
    }
    if c.dialect.is_mysql()
        && let Some(verb) = c.eat_one_of(&["OPTIMIZE", "REPAIR"])
    {
        c.eat_one_of(&["NO_WRITE_TO_BINLOG", "LOCAL"]);
        c.eat_one_of(&["TABLE", "TABLES"])?;
        let tables = c.names()?;
        c.skip_all();
        return Some(Ddl::Rebuild { verb, tables });
    }
    if c.eat("REVOKE") {
        return Some(revoke(c));
    }
    if c.is_one_of(&["DO", "EXECUTE", "CALL", "EXEC"]) {
        return opaque::opaque(c);
    }
    if c.is("PREPARE") {
        c.skip_all();
        return Some(Ddl::Opaque {
            inner: Vec::new(),
            dynamic: true,
        });
    }
    if c.eat("SET") || c.eat("PRAGMA") {
        return set(c);
    }
    harmless(c)
}

fn truncate(c: &mut Cursor<'_>) -> Option<Ddl> {
    c.eat("TABLE");
    let mut tables = Vec::new();
    loop {
        c.eat("ONLY");
        tables.push(c.name()?);
        c.eat_symbol("*");
        if !c.eat_symbol(",") {
            break;
        }
    }
    c.eat_all(&["RESTART", "IDENTITY"]);
    c.eat_all(&["CONTINUE", "IDENTITY"]);
    if c.eat("WAIT") {
        c.take();
    } else {
        c.eat("NOWAIT");
    }
    let cascade = super::alter_table::cascade(c);
    Some(Ddl::Truncate { tables, cascade })
}

fn rename_tables(c: &mut Cursor<'_>) -> Option<Ddl> {
    c.take();
    c.take();
    c.if_exists();
    let mut out = Vec::new();
    loop {
        let from = c.name()?;
        if c.eat("WAIT") {
            c.take();
        } else {
            c.eat("NOWAIT");
        }
        c.need("TO")?;
        out.push((from, c.name()?));
        if !c.eat_symbol(",") {
            return Some(Ddl::RenameTables(out));
        }
    }
}

/// MySQL's, of which the first pair is told.
fn rename_user(c: &mut Cursor<'_>) -> Option<Ddl> {
    c.take();
    c.take();
    let name = Name::plain(c.take()?.trim_matches(['\'', '`', '"']));
    while !c.is_done() && !c.eat("TO") {
        c.take();
    }
    let to = c.take()?.trim_matches(['\'', '`', '"']).to_owned();
    c.skip_all();
    Some(Ddl::Rename {
        kind: Kind::Role,
        name,
        part: None,
        to,
    })
}

/// `(NAME)`, `(NAME true)`, `(OTHER, NAME on)`: whether a parenthesised option is there and not turned off.
fn option_is_on(c: &mut Cursor<'_>, name: &str) -> bool {
    let Some(range) = (c.kind(0) == Some(lexer::Kind::Open))
        .then(|| c.parens())
        .flatten()
    else {
        return false;
    };
    c.between_commas(range)
        .into_iter()
        .any(|mut one| one.eat(name) && !(one.is_one_of(&["FALSE", "OFF"]) || one.is("0")))
}

fn vacuum(c: &mut Cursor<'_>) -> Option<Ddl> {
    if c.dialect == Dialect::Sqlite {
        // `VACUUM INTO` writes another file.
        let into = c.is("INTO") || c.is_at(1, "INTO");
        c.skip_all();
        return Some(if into {
            Ddl::Harmless
        } else {
            Ddl::Vacuum {
                full: true,
                table: None,
            }
        });
    }
    let mut full = option_is_on(c, "FULL");
    while let Some(word) = c.eat_one_of(&["FULL", "FREEZE", "VERBOSE", "ANALYZE", "ANALYSE"]) {
        full |= word == "FULL";
    }
    let table = if c.is_done() { None } else { Some(c.name()?) };
    c.skip_all();
    Some(Ddl::Vacuum { full, table })
}

fn reindex(c: &mut Cursor<'_>) -> Option<Ddl> {
    let mut concurrently = option_is_on(c, "CONCURRENTLY");
    let kind = c.eat_one_of(&["INDEX", "TABLE", "SCHEMA", "DATABASE", "SYSTEM"]);
    concurrently |= c.eat("CONCURRENTLY");
    let name = if c.is_done() { None } else { Some(c.name()?) };
    let whole = matches!(kind, Some("SCHEMA" | "DATABASE" | "SYSTEM"));
    Some(Ddl::Reindex {
        concurrently,
        name: name.filter(|_| !whole),
    })
}

fn lock(c: &mut Cursor<'_>) -> Option<Ddl> {
    if c.dialect.is_mysql() && c.is_one_of(&["INSTANCE", "TABLES", "TABLE"]) {
        if c.eat("INSTANCE") {
            c.skip_all();
            return Some(Ddl::Lock {
                tables: Vec::new(),
                mode: "BACKUP".to_owned(),
            });
        }
        c.take();
        let mut tables = Vec::new();
        let mut mode = "READ";
        loop {
            tables.push(c.name()?);
            if c.eat("AS") || (super::drop::is_name(c) && !c.is_one_of(&["READ", "WRITE", "LOW_PRIORITY"])) {
                c.ident()?;
            }
            c.eat("LOW_PRIORITY");
            if c.eat("WRITE") {
                mode = "WRITE";
            } else {
                c.need("READ")?;
                c.eat("LOCAL");
            }
            if !c.eat_symbol(",") {
                break;
            }
        }
        return Some(Ddl::Lock {
            tables,
            mode: mode.to_owned(),
        });
    }
    c.eat("TABLE");
    c.eat("ONLY");
    let tables = c.names()?;
    let mut mode = String::new();
    if c.eat("IN") {
        while !c.is_done() && !c.eat("MODE") {
            if !mode.is_empty() {
                mode.push(' ');
            }
            mode.push_str(&c.take()?.to_ascii_uppercase());
        }
    } else {
        mode.push_str("ACCESS EXCLUSIVE");
    }
    c.eat("NOWAIT");
    Some(Ddl::Lock { tables, mode })
}

/// Privileges on objects; roles that are taken away name none.
fn revoke(c: &mut Cursor<'_>) -> Ddl {
    while !c.is_done() && !c.is("ON") && !c.is("FROM") {
        // `SELECT (a, b)`
        if c.parens().is_none() {
            c.take();
        }
    }
    let mut kind = Kind::Table;
    let mut names = Vec::new();
    if c.eat("ON") {
        if c.eat("ALL") {
            c.take();
            kind = if c.eat_all(&["IN", "SCHEMA"]) {
                Kind::Schema
            } else {
                Kind::Other
            };
        } else {
            kind = match c.eat_one_of(&[
                "TABLE",
                "SEQUENCE",
                "FUNCTION",
                "PROCEDURE",
                "ROUTINE",
                "SCHEMA",
                "TYPE",
                "DOMAIN",
                "DATABASE",
            ]) {
                None | Some("TABLE") => Kind::Table,
                Some("SEQUENCE") => Kind::Sequence,
                Some("FUNCTION" | "ROUTINE") => Kind::Function,
                Some("PROCEDURE") => Kind::Procedure,
                Some("SCHEMA") => Kind::Schema,
                Some("TYPE") => Kind::Type,
                Some("DOMAIN") => Kind::Domain,
                Some(_) => Kind::Database,
            };
        }
        while let Some(name) = c.name() {
            c.parens();
            names.push(name);
            if !c.eat_symbol(",") {
                break;
            }
        }
        // What follows them is FROM; `*.*`, a language or a server is read no further.
        if !c.is("FROM") {
            names.clear();
        }
    }
    c.skip_all();
    Ddl::Revoke { kind, names }
}

fn set(c: &mut Cursor<'_>) -> Option<Ddl> {
    if c.dialect.is_mysql() {
        let settings = mysql_settings(c, None);
        c.skip_all();
        return Some(Ddl::Set(settings));
    }
    c.eat_one_of(&["LOCAL", "SESSION"]);
    if c.eat_all(&["TIME", "ZONE"]) {
        let value = c.rest().text.trim_matches('\'').to_ascii_lowercase();
        return Some(Ddl::Set(vec![("timezone".to_owned(), value)]));
    }
    let mut name = String::new();
    while !c.is_done() && !c.is("TO") && !c.is_symbol("=") && !c.is_symbol("(") {
        name.push_str(&c.take()?.to_ascii_lowercase());
    }
    c.take();
    let value = c.rest().text.trim_matches(['\'', ' ', ')']).to_ascii_lowercase();
    Some(Ddl::Set(vec![(name, value)]))
}

/// What MySQL's `SET` changes for the session, up to a word or the end. `GLOBAL` and `PERSIST` are for sessions to come, and
/// hold for the rest of the list too; a variable of the user's own keeps its `@`.
fn mysql_settings(c: &mut Cursor<'_>, stop: Option<&str>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut for_session = true;
    while !c.is_done() && stop.is_none_or(|word| !c.is(word)) {
        if let Some(scope) = c.eat_one_of(&["LOCAL", "SESSION", "GLOBAL", "PERSIST", "PERSIST_ONLY"]) {
            for_session = matches!(scope, "LOCAL" | "SESSION");
        }
        let mut name = String::new();
        // What stands together of operators is one token: `=@@x`.
        while !c.is_done() && !c.symbol().is_some_and(|text| text.starts_with(['=', ':', ','])) {
            name.push_str(&c.take().unwrap_or_default().to_ascii_lowercase().replace('`', ""));
        }
        let mut value = String::new();
        if let Some(text) = c.symbol().filter(|text| *text != ",") {
            value.push_str(text.trim_start_matches(':').trim_start_matches('='));
            c.take();
            value.push_str(&c.expr_until(&["FOR"]).text.to_ascii_lowercase().replace(' ', ""));
        }
        let (here, name) = match name.strip_prefix("@@") {
            None => (for_session, name.as_str()),
            Some(name) => match name.split_once('.') {
                Some((scope, name)) => (matches!(scope, "session" | "local"), name),
                None => (true, name),
            },
        };
        if here && !value.is_empty() {
            out.push((name.to_owned(), value.trim_matches(['\'', '"']).to_owned()));
        }
        if !c.eat_symbol(",") {
            break;
        }
    }
    out
}

/// What MariaDB's `SET STATEMENT … FOR` sets for a statement, besides the statement itself.
pub(crate) fn settings_of_statement(dialect: Dialect, statement: &str) -> Vec<(String, String)> {
    let Ok(mut all) = tokens(dialect, statement) else {
        return Vec::new();
    };
    all.retain(Token::is_significant);
    let mut c = Cursor::new(dialect, statement, &all);
    let mut out = Vec::new();
    while dialect == Dialect::MariaDb && c.eat_all(&["SET", "STATEMENT"]) {
        out.extend(mysql_settings(&mut c, Some("FOR")));
        c.eat("FOR");
    }
    out
}

/// What is known and changes no table.
fn harmless(c: &mut Cursor<'_>) -> Option<Ddl> {
    const KNOWN: [&str; 40] = [
        "COMMENT",
        "GRANT",
        "ANALYZE",
        "ANALYSE",
        "SHOW",
        "EXPLAIN",
        "DESCRIBE",
        "DESC",
        "RESET",
        "DISCARD",
        "NOTIFY",
        "LISTEN",
        "UNLISTEN",
        "CHECKPOINT",
        "LOAD",
        "SECURITY",
        "REASSIGN",
        "IMPORT",
        "DEALLOCATE",
        "DECLARE",
        "FETCH",
        "CLOSE",
        "MOVE",
        "USE",
        "CHECK",
        "CHECKSUM",
        "FLUSH",
        "KILL",
        "UNLOCK",
        "ATTACH",
        "DETACH",
        "SAVEPOINT",
        "RELEASE",
        "WAIT",
        "CACHE",
        "HELP",
        "INSTALL",
        "UNINSTALL",
        "PURGE",
        "HANDLER",
    ];
    if c.is_one_of(&KNOWN) {
        // EXPLAIN ANALYZE runs its statement.
        if c.is("EXPLAIN") {
            c.take();
            let mut runs = option_is_on(c, "ANALYZE");
            runs |= c.eat("ANALYZE");
            c.eat("VERBOSE");
            if runs && let Some(ddl) = super::dml::dml(c) {
                return Some(ddl);
            }
        }
        c.skip_all();
        return Some(Ddl::Harmless);
    }
    None
}
