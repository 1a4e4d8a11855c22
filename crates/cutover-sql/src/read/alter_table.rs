//! `ALTER TABLE`: what is common to the databases.

use super::column::{self, Line};
use super::cursor::Cursor;
use super::{alter_mysql, alter_postgres};
use crate::Dialect;
use crate::ddl::{Action, Alter, AlterTable, Ddl, Position};
use crate::lexer::Kind;

pub(super) fn alter_table(c: &mut Cursor<'_>) -> Option<Ddl> {
    if c.eat_all(&["ALL", "IN", "TABLESPACE"]) {
        return None;
    }
    let if_exists = c.if_exists();
    c.eat("ONLY");
    let table = c.name()?;
    c.eat_symbol("*");
    if c.dialect == Dialect::MariaDb && c.is_one_of(&["WAIT", "NOWAIT"]) {
        if c.eat("WAIT") {
            c.take()?;
        } else {
            c.take();
        }
    }
    let mut out = AlterTable {
        table,
        if_exists,
        actions: Vec::new(),
        algorithm: None,
        lock: None,
    };
    loop {
        let start = c.offset();
        one(c, &mut out, start)?;
        if c.is_done() {
            break;
        }
        // Partition clauses follow MySQL's list without a comma.
        let goes_on = c.eat_symbol(",") || (c.dialect.is_mysql() && alter_mysql::follows_without_comma(c));
        if !goes_on {
            return None;
        }
    }
    Some(Ddl::AlterTable(out))
}

fn one(c: &mut Cursor<'_>, out: &mut AlterTable, start: usize) -> Option<()> {
    let mut add = |c: &Cursor<'_>, what: Alter| {
        let span = start..c.end_before();
        out.actions.push(Action { span, what });
    };
    if c.dialect.is_mysql() {
        if c.eat("ALGORITHM") {
            c.eat_symbol("=");
            out.algorithm = Some(c.take()?.to_ascii_uppercase());
            return Some(());
        }
        if c.eat("LOCK") {
            c.eat_symbol("=");
            out.lock = Some(c.take()?.to_ascii_uppercase());
            return Some(());
        }
        if let Some(what) = alter_mysql::partition(c) {
            add(c, what);
            return Some(());
        }
    }
    if c.is("ADD") && !(c.dialect == Dialect::Postgres && c.is_at(1, "PARTITION")) {
        c.take();
        if c.dialect.is_mysql() && c.eat_all(&["SYSTEM", "VERSIONING"]) {
            add(c, Alter::Rebuild("ADD SYSTEM VERSIONING".to_owned()));
            return Some(());
        }
        for what in added(c)? {
            add(c, what);
        }
        return Some(());
    }
    if c.is("RENAME") {
        c.take();
        let what = rename(c)?;
        add(c, what);
        return Some(());
    }
    if c.is("DROP") {
        c.take();
        let what = dropped(c)?;
        add(c, what);
        return Some(());
    }
    let what = match c.dialect {
        Dialect::Postgres => alter_postgres::action(c)?,
        Dialect::Mysql | Dialect::MariaDb => alter_mysql::action(c)?,
        Dialect::MongoDb => return None,
        Dialect::Sqlite => {
            // Since 3.53: ALTER COLUMN … SET/DROP NOT NULL.
            alter_postgres::column(c)?
        }
    };
    add(c, what);
    Some(())
}

fn added(c: &mut Cursor<'_>) -> Option<Vec<Alter>> {
    let constraint_word = !c.starts(&["COLUMN"]) && column::is_line(c);
    if constraint_word {
        return match column::line(c)? {
            Line::Constraint(constraint) => Some(vec![Alter::AddConstraint(Box::new(constraint))]),
            Line::Index(index) => Some(vec![Alter::AddIndex(Box::new(index))]),
        };
    }
    c.eat("COLUMN");
    let if_not_exists = c.if_not_exists();
    if c.kind(0) == Some(Kind::Open) {
        // MySQL: ADD COLUMN (a int, b int)
        let range = c.parens()?;
        let mut out = Vec::new();
        for mut one in c.between_commas(range) {
            out.push(if column::is_line(&one) {
                match column::line(&mut one)? {
                    Line::Constraint(constraint) => Alter::AddConstraint(Box::new(constraint)),
                    Line::Index(index) => Alter::AddIndex(Box::new(index)),
                }
            } else {
                Alter::AddColumn {
                    column: Box::new(column::column(&mut one)?),
                    if_not_exists,
                    position: None,
                }
            });
            one.done()?;
        }
        return Some(out);
    }
    let column = Box::new(column::column(c)?);
    Some(vec![Alter::AddColumn {
        column,
        if_not_exists,
        position: position(c)?,
    }])
}

/// `FIRST`, `AFTER x`, or nothing.
#[expect(
    clippy::option_option,
    reason = "outer: whether it could be read; inner: whether it is there"
)]
pub(super) fn position(c: &mut Cursor<'_>) -> Option<Option<Position>> {
    if c.eat("FIRST") {
        return Some(Some(Position::First));
    }
    if c.eat("AFTER") {
        return Some(Some(Position::After(c.ident()?)));
    }
    Some(None)
}

fn rename(c: &mut Cursor<'_>) -> Option<Alter> {
    if c.eat_all(&["CONSTRAINT"]) {
        let from = c.ident()?;
        c.need("TO")?;
        return Some(Alter::RenameConstraint(from, c.ident()?));
    }
    if c.dialect.is_mysql() && (c.is("INDEX") || c.is("KEY")) {
        c.take();
        c.if_exists();
        let from = c.ident()?;
        c.need("TO")?;
        return Some(Alter::RenameIndex(from, c.ident()?));
    }
    if (c.is("TO") || c.is("AS")) && !c.is_at(1, "TO") {
        c.take();
        return Some(Alter::RenameTable(c.name()?));
    }
    if c.dialect.is_mysql() && !c.is("COLUMN") {
        return Some(Alter::RenameTable(c.name()?));
    }
    c.eat("COLUMN");
    c.if_exists();
    let from = c.ident()?;
    c.need("TO")?;
    Some(Alter::RenameColumn { from, to: c.ident()? })
}

fn dropped(c: &mut Cursor<'_>) -> Option<Alter> {
    let mysql = c.dialect.is_mysql();
    if c.eat("CONSTRAINT") {
        c.if_exists();
        let name = c.ident()?;
        cascade(c);
        return Some(Alter::DropConstraint {
            name,
            foreign_key: false,
        });
    }
    if mysql {
        if c.eat_all(&["PRIMARY", "KEY"]) {
            return Some(Alter::DropPrimaryKey);
        }
        if c.eat_all(&["FOREIGN", "KEY"]) {
            c.if_exists();
            return Some(Alter::DropConstraint {
                name: c.ident()?,
                foreign_key: true,
            });
        }
        if c.eat_all(&["SYSTEM", "VERSIONING"]) {
            return Some(Alter::DropVersioning);
        }
        if c.eat("INDEX") || c.eat("KEY") {
            c.if_exists();
            return Some(Alter::DropIndex(c.ident()?));
        }
        if c.eat("CHECK") {
            return Some(Alter::DropConstraint {
                name: c.ident()?,
                foreign_key: false,
            });
        }
    }
    c.eat("COLUMN");
    let if_exists = c.if_exists();
    let name = c.ident()?;
    cascade(c);
    Some(Alter::DropColumn { name, if_exists })
}

pub(super) fn cascade(c: &mut Cursor<'_>) -> bool {
    let found = c.eat("CASCADE");
    if !found {
        c.eat("RESTRICT");
    }
    found
}
