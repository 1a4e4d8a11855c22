//! `DROP …`, and `ALTER` of what is no table.

use super::alter_table::cascade;
use super::cursor::Cursor;
use super::types::type_name;
use crate::Dialect;
use crate::ddl::{Action, Alter, AlterTable, Ddl, DomainAction, Drop, Kind};
use crate::lexer;

pub(super) fn drop(c: &mut Cursor<'_>) -> Option<Ddl> {
    let temporary = c.eat("TEMPORARY");
    c.eat("FOREIGN");
    if c.eat_all(&["OWNED", "BY"]) {
        c.skip_all();
        return Some(Ddl::Drop(Drop {
            kind: Kind::Schema,
            names: Vec::new(),
            table: None,
            if_exists: false,
            cascade: true,
            concurrently: false,
        }));
    }
    if c.starts(&["PREPARE"]) {
        c.skip_all();
        return Some(Ddl::Harmless);
    }
    let kind = kind(c)?;
    // MySQL drops by this only what the session itself has made.
    if temporary && kind == Kind::Table {
        c.skip_all();
        return Some(Ddl::Harmless);
    }
    let concurrently = c.eat("CONCURRENTLY");
    let if_exists = c.if_exists();
    let mut out = Drop {
        kind,
        names: Vec::new(),
        table: None,
        if_exists,
        cascade: false,
        concurrently,
    };
    if matches!(kind, Kind::Other | Kind::Role) {
        c.skip_all();
        return Some(Ddl::Drop(out));
    }
    loop {
        out.names.push(c.name()?);
        if c.is_symbol("(") {
            c.parens()?;
        }
        if !c.eat_symbol(",") {
            break;
        }
    }
    if c.eat("ON") {
        out.table = Some(c.name()?);
        if c.dialect.is_mysql() {
            // ALGORITHM= and LOCK= of DROP INDEX.
            c.skip_all();
        }
    }
    if c.is_symbol("(") || c.eat("WITH") || c.is_one_of(&["WAIT", "NOWAIT"]) {
        c.skip_all();
    }
    out.cascade = cascade(c);
    Some(Ddl::Drop(out))
}

fn kind(c: &mut Cursor<'_>) -> Option<Kind> {
    if c.eat_all(&["MATERIALIZED", "VIEW"]) {
        return Some(Kind::MaterializedView);
    }
    if c.eat_all(&["EVENT", "TRIGGER"]) {
        return Some(Kind::Other);
    }
    Some(
        match c.eat_one_of(&[
            "TABLE",
            "TABLES",
            "INDEX",
            "VIEW",
            "SEQUENCE",
            "TYPE",
            "DOMAIN",
            "SCHEMA",
            "DATABASE",
            "FUNCTION",
            "PROCEDURE",
            "ROUTINE",
            "TRIGGER",
            "EVENT",
            "POLICY",
            "RULE",
            "EXTENSION",
            "ROLE",
            "USER",
            "GROUP",
            "AGGREGATE",
            "OPERATOR",
            "CAST",
            "COLLATION",
            "CONVERSION",
            "LANGUAGE",
            "PUBLICATION",
            "SUBSCRIPTION",
            "SERVER",
            "STATISTICS",
            "TABLESPACE",
            "TEXT",
            "ACCESS",
            "TRANSFORM",
            "PACKAGE",
            "LOGFILE",
            "UNDO",
        ])? {
            "TABLE" | "TABLES" => Kind::Table,
            "INDEX" => Kind::Index,
            "VIEW" => Kind::View,
            "SEQUENCE" => Kind::Sequence,
            "TYPE" => Kind::Type,
            "DOMAIN" => Kind::Domain,
            "SCHEMA" if c.dialect.is_mysql() => Kind::Database,
            "SCHEMA" => Kind::Schema,
            "DATABASE" => Kind::Database,
            "FUNCTION" | "ROUTINE" | "AGGREGATE" => Kind::Function,
            "PROCEDURE" => Kind::Procedure,
            "TRIGGER" => Kind::Trigger,
            "EVENT" => Kind::Event,
            "POLICY" => Kind::Policy,
            "RULE" => Kind::Rule,
            "EXTENSION" => Kind::Extension,
            "ROLE" | "USER" | "GROUP" => Kind::Role,
            _ => Kind::Other,
        },
    )
}

/// `ALTER VIEW | INDEX | TYPE | DOMAIN | …`.
pub(super) fn alter_object(c: &mut Cursor<'_>) -> Option<Ddl> {
    if c.is("DEFINER") || c.is("ALGORITHM") || c.is("SQL") {
        // MySQL's ALTER VIEW and EVENT, which define it anew.
        c.skip_all();
        return Some(Ddl::Harmless);
    }
    if c.eat("TYPE") {
        return alter_type(c);
    }
    if c.eat("DOMAIN") {
        return alter_domain(c);
    }
    if c.eat_one_of(&["ROLE", "USER", "GROUP"]).is_some() {
        return Some(alter_role(c));
    }
    if c.is_one_of(&["SYSTEM", "DEFAULT", "LARGE", "INSTANCE"]) {
        c.skip_all();
        return Some(Ddl::Harmless);
    }
    let kind = if c.eat_all(&["EVENT", "TRIGGER"]) {
        Kind::Other
    } else {
        kind(c)?
    };
    c.if_exists();
    let name = c.name()?;
    if c.is_symbol("(") {
        c.parens()?;
    }
    if matches!(kind, Kind::Trigger | Kind::Policy | Kind::Rule) && c.eat("ON") {
        c.name()?;
    }
    if c.eat("RENAME") {
        if c.eat("COLUMN") || (!c.is("TO") && c.is_at(1, "TO")) {
            let part = Some(c.ident()?);
            c.need("TO")?;
            return Some(Ddl::Rename {
                kind,
                name,
                part,
                to: c.ident()?,
            });
        }
        c.need("TO")?;
        return Some(Ddl::Rename {
            kind,
            name,
            part: None,
            to: c.ident()?,
        });
    }
    if c.eat_all(&["SET", "SCHEMA"]) {
        let to = format!("{}.{}", c.ident()?, name.name);
        return Some(Ddl::Rename {
            kind,
            name,
            part: None,
            to,
        });
    }
    if matches!(kind, Kind::Index | Kind::MaterializedView) && c.eat_all(&["SET", "TABLESPACE"]) {
        c.ident()?;
        c.eat("NOWAIT");
        let span = 0..c.source.len();
        return Some(Ddl::AlterTable(AlterTable {
            table: name,
            if_exists: false,
            actions: vec![Action {
                span,
                what: Alter::SetTablespace,
            }],
            algorithm: None,
            lock: None,
        }));
    }
    if kind == Kind::MaterializedView && c.eat_all(&["SET", "ACCESS", "METHOD"]) {
        c.ident()?;
        let span = 0..c.source.len();
        return Some(Ddl::AlterTable(AlterTable {
            table: name,
            if_exists: false,
            actions: vec![Action {
                span,
                what: Alter::SetAccessMethod,
            }],
            algorithm: None,
            lock: None,
        }));
    }
    if kind == Kind::Function
        && let Some(how) = within(c, &["IMMUTABLE", "STABLE", "VOLATILE"])
    {
        c.skip_all();
        let steady = how != "VOLATILE";
        return Some(Ddl::AlterFunction { name, steady });
    }
    c.skip_all();
    Some(Ddl::Harmless)
}

/// The first of some words that stands anywhere ahead.
fn within(c: &Cursor<'_>, words: &[&'static str]) -> Option<&'static str> {
    let ahead = 0..c.length();
    ahead
        .filter_map(|at| words.iter().copied().find(|word| c.is_at(at, word)))
        .next()
}

fn alter_role(c: &mut Cursor<'_>) -> Ddl {
    c.if_exists();
    let name = c.name();
    if let Some(name) = &name
        && c.eat_all(&["RENAME", "TO"])
        && let Some(to) = c.ident()
    {
        return Ddl::Rename {
            kind: Kind::Role,
            name: name.clone(),
            part: None,
            to,
        };
    }
    let locks = (0..c.length())
        .any(|at| c.is_at(at, "NOLOGIN") || (c.is_at(at, "ACCOUNT") && c.is_at(at + 1, "LOCK")));
    c.skip_all();
    if locks {
        Ddl::LockRole { name }
    } else {
        Ddl::Harmless
    }
}

fn alter_type(c: &mut Cursor<'_>) -> Option<Ddl> {
    let name = c.name()?;
    if c.eat_all(&["RENAME", "TO"]) {
        return Some(Ddl::Rename {
            kind: Kind::Type,
            name,
            part: None,
            to: c.ident()?,
        });
    }
    if c.eat_all(&["RENAME", "VALUE"]) {
        let part = Some(c.take()?.to_owned());
        c.need("TO")?;
        return Some(Ddl::Rename {
            kind: Kind::Type,
            name,
            part,
            to: c.take()?.to_owned(),
        });
    }
    if c.eat_all(&["RENAME", "ATTRIBUTE"]) {
        let part = Some(c.ident()?);
        c.need("TO")?;
        let to = c.ident()?;
        cascade(c);
        return Some(Ddl::Rename {
            kind: Kind::Type,
            name,
            part,
            to,
        });
    }
    if c.eat_all(&["SET", "SCHEMA"]) {
        let to = format!("{}.{}", c.ident()?, name.name);
        return Some(Ddl::Rename {
            kind: Kind::Type,
            name,
            part: None,
            to,
        });
    }
    if c.eat_all(&["ADD", "VALUE"]) {
        c.if_not_exists();
        let value = c.take()?.to_owned();
        let placed = c.eat_one_of(&["BEFORE", "AFTER"]).is_some();
        if placed {
            c.take()?;
        }
        return Some(Ddl::AddEnumValue { name, value, placed });
    }
    if c.is_one_of(&["ADD", "DROP", "ALTER"]) {
        let mut breaks = false;
        loop {
            let verb = c.eat_one_of(&["ADD", "DROP", "ALTER"])?;
            c.need("ATTRIBUTE")?;
            breaks |= verb != "ADD";
            c.if_exists();
            c.ident()?;
            if verb == "ALTER" {
                c.eat_all(&["SET", "DATA"]);
                c.need("TYPE")?;
            }
            if verb != "DROP" {
                type_name(c)?;
                if c.eat("COLLATE") {
                    c.name()?;
                }
            }
            cascade(c);
            if !c.eat_symbol(",") {
                break;
            }
        }
        return Some(Ddl::AlterComposite { name, breaks });
    }
    c.skip_all();
    Some(Ddl::Harmless)
}

fn alter_domain(c: &mut Cursor<'_>) -> Option<Ddl> {
    let name = c.name()?;
    if c.eat_all(&["RENAME", "TO"]) {
        return Some(Ddl::Rename {
            kind: Kind::Domain,
            name,
            part: None,
            to: c.ident()?,
        });
    }
    let action = if c.eat_all(&["SET", "NOT", "NULL"]) {
        DomainAction::SetNotNull
    } else if c.eat_all(&["DROP", "NOT", "NULL"]) {
        DomainAction::DropNotNull
    } else if c.eat_all(&["VALIDATE", "CONSTRAINT"]) {
        c.ident()?;
        DomainAction::Validate
    } else if c.eat_all(&["DROP", "CONSTRAINT"]) {
        c.if_exists();
        c.ident()?;
        cascade(c);
        DomainAction::DropConstraint
    } else if c.eat("ADD") {
        if c.eat("CONSTRAINT") {
            c.ident()?;
        }
        if c.eat_all(&["NOT", "NULL"]) {
            DomainAction::SetNotNull
        } else {
            c.need("CHECK")?;
            c.parens()?;
            DomainAction::AddCheck {
                not_valid: c.eat_all(&["NOT", "VALID"]),
            }
        }
    } else {
        c.skip_all();
        DomainAction::Other
    };
    Some(Ddl::AlterDomain { name, action })
}

/// Whether a word may stand where a name does.
pub(super) fn is_name(c: &Cursor<'_>) -> bool {
    matches!(c.kind(0), Some(lexer::Kind::Word | lexer::Kind::Name))
        || (c.dialect == Dialect::Sqlite && c.kind(0) == Some(lexer::Kind::Literal))
}
