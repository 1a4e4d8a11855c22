//! `ALTER TABLE` of PostgreSQL.

use super::cursor::Cursor;
use super::types::type_name;
use crate::ddl::Alter;
use crate::lexer::Kind;

pub(super) fn action(c: &mut Cursor<'_>) -> Option<Alter> {
    if c.starts(&["ALTER", "CONSTRAINT"]) {
        c.take();
        c.take();
        let name = c.ident()?;
        let enforced = if c.eat_all(&["NOT", "ENFORCED"]) {
            Some(false)
        } else if c.eat("ENFORCED") {
            Some(true)
        } else {
            None
        };
        c.skip_all();
        return Some(Alter::AlterConstraint(name, enforced));
    }
    if c.is("ALTER") {
        return column(c);
    }
    if c.eat_all(&["VALIDATE", "CONSTRAINT"]) {
        return Some(Alter::Validate(c.ident()?));
    }
    if c.eat_all(&["ATTACH", "PARTITION"]) {
        let partition = c.name()?;
        if c.eat("DEFAULT") {
            return Some(Alter::Attach {
                partition,
                bounds: None,
            });
        }
        c.need("FOR")?;
        c.need("VALUES")?;
        let bounds = Some(c.rest().text);
        return Some(Alter::Attach { partition, bounds });
    }
    if c.eat_all(&["DETACH", "PARTITION"]) {
        let partition = c.name()?;
        let concurrently = c.eat("CONCURRENTLY") || c.eat("FINALIZE");
        return Some(Alter::Detach {
            partition,
            concurrently,
        });
    }
    if c.eat("SET") {
        return set(c);
    }
    switches(c)
}

fn set(c: &mut Cursor<'_>) -> Option<Alter> {
    if c.eat("LOGGED") {
        Some(Alter::SetLogged(true))
    } else if c.eat("UNLOGGED") {
        Some(Alter::SetLogged(false))
    } else if c.eat_all(&["ACCESS", "METHOD"]) {
        c.ident()?;
        Some(Alter::SetAccessMethod)
    } else if c.eat("TABLESPACE") {
        c.ident()?;
        c.eat("NOWAIT");
        Some(Alter::SetTablespace)
    } else if c.eat("SCHEMA") {
        Some(Alter::SetSchema(c.ident()?))
    } else if c.eat_all(&["WITHOUT", "CLUSTER"]) || c.eat_all(&["WITHOUT", "OIDS"]) {
        Some(Alter::Setting("set without".to_owned()))
    } else if c.kind(0) == Some(Kind::Open) {
        c.parens()?;
        Some(Alter::Setting("set options".to_owned()))
    } else {
        None
    }
}

fn switches(c: &mut Cursor<'_>) -> Option<Alter> {
    let setting = |word: &str| Some(Alter::Setting(word.to_owned()));
    if c.eat("RESET") {
        c.parens()?;
        return setting("reset options");
    }
    if c.eat_all(&["OWNER", "TO"]) {
        c.ident()?;
        return setting("owner");
    }
    if c.eat_all(&["CLUSTER", "ON"]) {
        c.ident()?;
        return setting("cluster on");
    }
    if c.eat_all(&["REPLICA", "IDENTITY"]) {
        if c.eat_all(&["USING", "INDEX"]) {
            c.ident()?;
        } else {
            c.take()?;
        }
        return setting("replica identity");
    }
    if c.eat_all(&["NO", "INHERIT"]) {
        return Some(Alter::Disinherit(c.name()?));
    }
    if c.eat("INHERIT") || c.eat("OF") {
        c.name()?;
        return setting("inheritance");
    }
    if c.eat_all(&["NOT", "OF"]) {
        return setting("inheritance");
    }
    if c.eat_all(&["NO", "FORCE", "ROW", "LEVEL", "SECURITY"]) {
        // It holds on for all but the owner.
        return setting("no force row level security");
    }
    if c.eat_all(&["FORCE", "ROW", "LEVEL", "SECURITY"]) {
        return Some(Alter::RowSecurity(true));
    }
    let on = c.eat_one_of(&["ENABLE", "DISABLE"])? == "ENABLE";
    c.eat_one_of(&["REPLICA", "ALWAYS"]);
    if c.eat_all(&["ROW", "LEVEL", "SECURITY"]) {
        return Some(Alter::RowSecurity(on));
    }
    if c.eat("TRIGGER") || c.eat("RULE") {
        c.ident()?;
        return Some(Alter::Trigger(on));
    }
    None
}

/// `ALTER [COLUMN] name …`.
pub(super) fn column(c: &mut Cursor<'_>) -> Option<Alter> {
    c.need("ALTER")?;
    c.eat("COLUMN");
    let name = c.ident()?;
    if c.eat_all(&["SET", "NOT", "NULL"]) {
        return Some(Alter::SetNotNull(name));
    }
    if c.eat_all(&["DROP", "NOT", "NULL"]) {
        return Some(Alter::DropNotNull(name));
    }
    if c.eat_all(&["DROP", "DEFAULT"]) {
        return Some(Alter::DropDefault(name));
    }
    if c.eat_all(&["DROP", "EXPRESSION"]) {
        c.if_exists();
        return Some(Alter::DropExpression(name));
    }
    if c.eat_all(&["DROP", "IDENTITY"]) {
        c.if_exists();
        return Some(Alter::DropIdentity(name));
    }
    if c.eat_all(&["SET", "DEFAULT"]) {
        let start = c.position();
        let value = c.expr_until(&[]);
        return (c.position() > start).then_some(Alter::SetDefault(name, value));
    }
    if c.eat_all(&["SET", "EXPRESSION", "AS"]) {
        c.parens()?;
        return Some(Alter::SetExpression(name));
    }
    if c.eat_all(&["SET", "DATA", "TYPE"]) || c.eat("TYPE") {
        let mut ty = type_name(c)?;
        if c.eat("COLLATE") {
            ty.collation = Some(c.name()?.name);
        }
        let using = c.eat("USING").then(|| c.expr_until(&[]));
        return Some(Alter::SetType {
            column: name,
            ty,
            using,
        });
    }
    if c.eat_all(&["ADD", "GENERATED"]) {
        if c.eat("BY") {
            c.need("DEFAULT")?;
        } else {
            c.need("ALWAYS")?;
        }
        c.need("AS")?;
        c.need("IDENTITY")?;
        if c.kind(0) == Some(Kind::Open) {
            c.parens();
        }
        return Some(Alter::AddIdentity(name));
    }
    let begin = c.position();
    setting(c)?;
    let end = c.position();
    let set = c.within(begin..end);
    let generated = (0..set.length()).rev().find(|at| set.is_at(*at, "GENERATED"));
    Some(match generated {
        Some(at) => Alter::SetGenerated(name, set.is_at(at + 1, "ALWAYS")),
        None => Alter::ColumnSetting(name),
    })
}

fn setting(c: &mut Cursor<'_>) -> Option<()> {
    let mut any = false;
    while !c.is_done() && !c.is_symbol(",") {
        if c.eat("RESTART") {
            c.eat("WITH");
            if c.kind(0) == Some(Kind::Word) {
                c.take();
            }
        } else if c.eat("RESET") {
            c.parens()?;
        } else {
            c.need("SET")?;
            if c.kind(0) == Some(Kind::Open) {
                c.parens()?;
            } else if c.eat("GENERATED") {
                if !c.eat("ALWAYS") {
                    c.need("BY")?;
                    c.need("DEFAULT")?;
                }
            } else if c.eat_one_of(&["STATISTICS", "STORAGE", "COMPRESSION"]).is_some() {
                c.eat_symbol("-");
                c.take()?;
            } else {
                // Sequence options of an identity: INCREMENT BY, MAXVALUE, CACHE …
                c.eat_one_of(&[
                    "INCREMENT",
                    "MINVALUE",
                    "MAXVALUE",
                    "START",
                    "CACHE",
                    "NO",
                    "CYCLE",
                    "RESTART",
                ])?;
                while !c.is_done() && !c.is_symbol(",") && !c.is("SET") {
                    c.take();
                }
            }
        }
        any = true;
    }
    any.then_some(())
}
