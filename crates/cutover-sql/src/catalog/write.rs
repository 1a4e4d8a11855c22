//! Changes as statements.

mod column;

use super::change::{EXTENSION, SCHEMA, adds_only, is_foreign, is_same};
use super::{Catalog, Change, Column, Constraint, ConstraintKind, Table, View};
use crate::{Dialect, TableName, quoted};

/// The statements that make the changes in a database that is as `from` says, in an order that works: what stands on
/// others goes first and comes last.
#[must_use]
pub fn statements(dialect: Dialect, from: &Catalog, changes: &[Change]) -> Vec<String> {
    let to = changes
        .iter()
        .fold(from.clone(), |catalog, change| catalog.with(change));
    if dialect.is_mysql() {
        return super::write_mysql::statements(from, &to, changes);
    }
    let mut writer = Writer {
        dialect,
        from,
        to: &to,
        out: Vec::new(),
    };
    writer.spaces(changes);
    let rebuilt = writer.rebuilt(changes);
    let views = writer.views(changes, &rebuilt);
    for view in views.iter().rev().filter_map(|name| from.view(name)) {
        writer.push(format!("DROP {} {}", view_kind(view), view.name.sql()));
    }
    writer.loosen(changes, &rebuilt);
    writer.types(changes);
    writer.tables(changes);
    writer.columns(changes, &rebuilt);
    for name in &rebuilt {
        writer.rebuild(name);
    }
    writer.tighten(changes, &rebuilt);
    writer.drop_tables(changes);
    writer.drop_types(changes);
    for view in views.iter().filter_map(|name| to.view(name)) {
        let options = if view.options.is_empty() {
            String::new()
        } else {
            format!(" {}", view.options)
        };
        writer.push(format!(
            "CREATE {} {}{options} AS\n{}",
            view_kind(view),
            view.name.sql(),
            view.query.trim().trim_end_matches(';')
        ));
        if let Some(comment) = &view.comment {
            writer.comment(view_kind(view), &view.name.sql(), Some(comment));
        }
        writer.beside_view(view);
    }
    writer.comments(changes, &views);
    writer.drop_spaces(changes);
    writer.out
}

const fn view_kind(view: &View) -> &'static str {
    if view.materialized {
        "MATERIALIZED VIEW"
    } else {
        "VIEW"
    }
}

struct Writer<'a> {
    dialect: Dialect,
    from: &'a Catalog,
    to: &'a Catalog,
    out: Vec<String>,
}

impl Writer<'_> {
    fn push(&mut self, statement: String) {
        self.out.push(statement);
    }

    /// What tables are made in, and what brings their types.
    fn spaces(&mut self, changes: &[Change]) {
        for kind in [SCHEMA, EXTENSION] {
            for change in changes {
                if let Change::Other {
                    name, to: Some(_), ..
                } = change
                    && name.kind == kind
                {
                    self.push(format!("CREATE {} {}", kind.to_uppercase(), name.name));
                }
            }
        }
    }

    fn drop_spaces(&mut self, changes: &[Change]) {
        for kind in [EXTENSION, SCHEMA] {
            for change in changes {
                if let Change::Other { name, to: None, .. } = change
                    && name.kind == kind
                {
                    self.push(format!("DROP {} {}", kind.to_uppercase(), name.name));
                }
            }
        }
    }

    fn comment(&mut self, kind: &str, name: &str, text: Option<&str>) {
        let text = text.map_or_else(|| "NULL".to_owned(), literal);
        self.push(format!("COMMENT ON {kind} {name} IS {text}"));
    }

    fn comments(&mut self, changes: &[Change], made: &[TableName]) {
        for change in changes {
            match change {
                Change::Comment { name, to, .. } if !made.contains(name) => {
                    let kind = self.to.view(name).map_or("TABLE", view_kind);
                    self.comment(kind, &name.sql(), to.as_deref());
                }
                Change::Table {
                    name,
                    from: None,
                    to: Some(table),
                } => {
                    if let Some(comment) = &table.comment {
                        self.comment("TABLE", &name.sql(), Some(comment));
                    }
                    for column in &table.columns {
                        self.column_comment(name, None, column);
                    }
                }
                Change::Column {
                    table,
                    from,
                    to: Some(to),
                } => {
                    let before = from.as_ref().and_then(|from| from.comment.as_deref());
                    self.column_comment(table, before, to);
                }
                _ => {}
            }
        }
    }

    fn column_comment(&mut self, table: &TableName, before: Option<&str>, column: &Column) {
        if before != column.comment.as_deref() {
            let name = format!("{}.{}", table.sql(), quoted(&column.name));
            self.comment("COLUMN", &name, column.comment.as_deref());
        }
    }

    /// Indexes, rules and triggers that went with a view which stepped aside.
    fn beside_view(&mut self, view: &View) {
        if self.from.view(&view.name).is_none() {
            return;
        }
        let place = format!(" on {}", view.name);
        for (other, text) in &self.from.others {
            if ["index", "rule", "trigger"].contains(&other.kind.as_str()) && other.name.ends_with(&place) {
                self.out.push(text.clone());
            }
        }
    }

    /// SQLite changes a table only by adding a plain column; for all else the table is made anew.
    fn rebuilt(&self, changes: &[Change]) -> Vec<TableName> {
        let mut out: Vec<TableName> = Vec::new();
        if self.dialect != Dialect::Sqlite {
            return out;
        }
        for change in changes {
            let table = match change {
                Change::Column {
                    table,
                    from: None,
                    to: Some(column),
                } if !addable(column) => table,
                Change::Column {
                    table,
                    from: Some(old),
                    to: None,
                } if !self.droppable(table, old) => table,
                Change::Column {
                    table,
                    from: Some(_),
                    to: Some(_),
                }
                | Change::Constraint { table, .. } => table,
                _ => continue,
            };
            if !out.contains(table) {
                out.push(table.clone());
            }
        }
        out
    }

    /// Whether SQLite drops the column where it stands: nothing else may name it.
    fn droppable(&self, table: &TableName, column: &Column) -> bool {
        let Some(own) = self.from.tables.get(table) else {
            return false;
        };
        let named = |text: &str| mentions(self.dialect, text, &column.name);
        column.extra.is_none()
            && !own.constraints.values().any(|one| named(&one.definition))
            && !own.indexes.values().any(|one| named(&one.definition))
            && !own
                .columns
                .iter()
                .any(|other| other.extra.as_deref().is_some_and(&named))
            && !self.from.views.iter().any(|view| named(&view.query))
            && !self.from.others.values().any(|text| named(text))
            && !self.from.tables.values().any(|other| {
                other
                    .constraints
                    .values()
                    .any(|one| is_foreign(one) && named(&one.definition))
            })
    }

    /// The views that are dropped, made, or must step aside, each after those that it reads.
    fn views(&self, changes: &[Change], rebuilt: &[TableName]) -> Vec<TableName> {
        let mut touched: Vec<&str> = rebuilt.iter().map(|name| name.name.as_str()).collect();
        for change in changes {
            match change {
                Change::Column {
                    table,
                    from: Some(old),
                    to,
                } if to.as_ref().is_none_or(|new| column::disturbs(old, new)) => {
                    touched.push(&table.name);
                }
                Change::Table { name, to: None, .. } => touched.push(&name.name),
                Change::Enum {
                    name,
                    from: Some(from),
                    to: Some(to),
                } if !adds_only(from, to) => {
                    touched.extend(self.from.columns_of(name).iter().filter_map(|(table, _)| {
                        self.from
                            .tables
                            .keys()
                            .find(|known| *known == table)
                            .map(|known| known.name.as_str())
                    }));
                }
                _ => {}
            }
        }
        let mut out: Vec<TableName> = Vec::new();
        for view in self.from.views.iter().chain(&self.to.views) {
            if out.contains(&view.name) {
                continue;
            }
            let changed = match (self.from.view(&view.name), self.to.view(&view.name)) {
                (Some(from), Some(to)) => !is_same(from, to),
                _ => true,
            };
            let stands_on = |name: &str| mentions(self.dialect, &view.query, name);
            if changed
                || touched.iter().any(|name| stands_on(name))
                || out.iter().any(|name| stands_on(&name.name))
            {
                out.push(view.name.clone());
            }
        }
        out
    }

    /// What refuses or builds on things goes before they change.
    fn loosen(&mut self, changes: &[Change], rebuilt: &[TableName]) {
        let mut last = Vec::new();
        for change in changes {
            match change {
                Change::Index {
                    name,
                    from: Some(_),
                    table,
                    ..
                } => {
                    self.push(format!("DROP INDEX {}", beside(table, name)));
                }
                Change::Constraint {
                    table,
                    name,
                    from: Some(old),
                    ..
                } if !rebuilt.contains(table) => {
                    let drop = format!("ALTER TABLE {} DROP CONSTRAINT {}", table.sql(), quoted(name));
                    if is_foreign(old) {
                        self.push(drop);
                    } else {
                        last.push(drop);
                    }
                }
                // Tables that point to each other go in any order once nothing points.
                Change::Table {
                    name,
                    from: Some(table),
                    to: None,
                } if self.dialect != Dialect::Sqlite => {
                    for (key, _) in table.constraints.iter().filter(|(_, one)| is_foreign(one)) {
                        self.push(format!(
                            "ALTER TABLE {} DROP CONSTRAINT {}",
                            name.sql(),
                            quoted(key)
                        ));
                    }
                }
                _ => {}
            }
        }
        self.out.extend(last);
    }

    fn types(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Enum {
                    name,
                    from: None,
                    to: Some(values),
                } => self.create_enum(name, values),
                Change::Enum {
                    name,
                    from: Some(from),
                    to: Some(to),
                } if adds_only(from, to) => self.add_values(name, from, to),
                Change::Enum {
                    name,
                    from: Some(_),
                    to: Some(values),
                } => self.remake_enum(name, values, changes),
                _ => {}
            }
        }
    }

    fn create_enum(&mut self, name: &TableName, values: &[String]) {
        let values: Vec<String> = values.iter().map(|value| literal(value)).collect();
        self.push(format!(
            "CREATE TYPE {} AS ENUM ({})",
            name.sql(),
            values.join(", ")
        ));
    }

    fn add_values(&mut self, name: &TableName, from: &[String], to: &[String]) {
        let mut known: Vec<&String> = from.iter().collect();
        for (at, value) in to.iter().enumerate() {
            if known.contains(&value) {
                continue;
            }
            let place = match to.get(at.wrapping_sub(1)).filter(|_| at > 0) {
                Some(before) => format!(" AFTER {}", literal(before)),
                None => to
                    .iter()
                    .find(|other| from.contains(other))
                    .map_or_else(String::new, |next| format!(" BEFORE {}", literal(next))),
            };
            self.push(format!(
                "ALTER TYPE {} ADD VALUE {}{place}",
                name.sql(),
                literal(value)
            ));
            known.push(value);
        }
    }

    fn tables(&mut self, changes: &[Change]) {
        let made = changes.iter().filter_map(|change| match change {
            Change::Table {
                name,
                from: None,
                to: Some(table),
            } => Some((name, table)),
            _ => None,
        });
        for (name, table) in self.in_order(made.collect()) {
            // Foreign keys come when all tables are there; SQLite asks for them only when rows are written.
            let text = self.create(name, table, self.dialect == Dialect::Sqlite);
            self.push(text);
            for index in table.indexes.values() {
                self.push(index.definition.clone());
            }
        }
    }

    /// A partition after the table that it is of, and what inherits after what it inherits from.
    fn in_order<'b>(&self, mut waiting: Vec<(&'b TableName, &'b Table)>) -> Vec<(&'b TableName, &'b Table)> {
        let mut out = Vec::new();
        while !waiting.is_empty() {
            let (later, now): (Vec<_>, Vec<_>) = waiting.iter().copied().partition(|(own, table)| {
                waiting
                    .iter()
                    .any(|(name, _)| name != own && mentions(self.dialect, &table.options, &name.name))
            });
            let is_ring = now.is_empty();
            out.extend(if is_ring { later.clone() } else { now });
            waiting = if is_ring { Vec::new() } else { later };
        }
        out
    }

    fn create(&self, name: &TableName, table: &Table, foreign: bool) -> String {
        let mut parts: Vec<String> = table.columns.iter().map(definition).collect();
        let constraints = table
            .constraints
            .iter()
            .filter(|(_, one)| foreign || !is_foreign(one));
        parts.extend(constraints.map(|(key, one)| self.constraint(key, one)));
        let (options, kind) = match table.options.strip_suffix("UNLOGGED") {
            Some(rest) if self.dialect == Dialect::Postgres => (rest.trim_end(), "UNLOGGED TABLE"),
            _ => (table.options.as_str(), "TABLE"),
        };
        let parts = match parts.join(",\n    ") {
            parts if parts.is_empty() => "()".to_owned(),
            parts => format!("(\n    {parts}\n)"),
        };
        // Its columns are those of the other.
        if let Some((of, bounds)) = options.split_once('\n') {
            let parts = if parts == "()" {
                String::new()
            } else {
                format!(" {parts}")
            };
            return format!("CREATE {kind} {} {of}{parts} {bounds}", name.sql());
        }
        let blank = if options.is_empty() { "" } else { " " };
        format!("CREATE {kind} {} {parts}{blank}{options}", name.sql())
    }

    fn constraint(&self, name: &str, constraint: &Constraint) -> String {
        match self.dialect {
            Dialect::Sqlite => constraint.definition.clone(),
            _ => format!("CONSTRAINT {} {}", quoted(name), constraint.definition),
        }
    }

    /// SQLite's own way to change a table in any respect: the rows go through another one.
    fn rebuild(&mut self, name: &TableName) {
        let (Some(old), Some(new)) = (self.from.tables.get(name), self.to.tables.get(name)) else {
            return;
        };
        let other = TableName {
            schema: name.schema.clone(),
            name: format!("{}_new", name.name),
        };
        let text = self.create(&other, new, true);
        self.push(text);
        let kept: Vec<String> = new
            .columns
            .iter()
            .filter(|column| old.column(&column.name).is_some() && !generated(column))
            .map(|column| quoted(&column.name))
            .collect();
        let kept = kept.join(", ");
        if !kept.is_empty() {
            self.push(format!(
                "INSERT INTO {} ({kept}) SELECT {kept} FROM {}",
                other.sql(),
                name.sql()
            ));
        }
        self.push(format!("DROP TABLE {}", name.sql()));
        self.push(format!(
            "ALTER TABLE {} RENAME TO {}",
            other.sql(),
            quoted(&name.name)
        ));
        for index in new.indexes.values() {
            self.push(index.definition.clone());
        }
        // They went with the old table.
        for (other, text) in &self.from.others {
            if other.kind == "trigger" && other.name.ends_with(&format!(" on {}", name.name)) {
                self.out.push(text.clone());
            }
        }
    }

    fn tighten(&mut self, changes: &[Change], rebuilt: &[TableName]) {
        let mut foreign = Vec::new();
        let mut add = |writer: &mut Self, table: &TableName, name: &str, one: &Constraint| {
            let text = format!("ALTER TABLE {} ADD {}", table.sql(), writer.constraint(name, one));
            if is_foreign(one) {
                foreign.push(text)
            } else {
                writer.push(text)
            }
        };
        let mut constraints: Vec<(&TableName, &String, &Constraint)> = Vec::new();
        for change in changes {
            match change {
                Change::Constraint {
                    table,
                    name,
                    to: Some(one),
                    ..
                } if !rebuilt.contains(table) => constraints.push((table, name, one)),
                Change::Table {
                    name,
                    from: None,
                    to: Some(table),
                } if self.dialect != Dialect::Sqlite => {
                    constraints.extend(
                        table
                            .constraints
                            .iter()
                            .filter(|(_, one)| is_foreign(one))
                            .map(|(key, one)| (name, key, one)),
                    );
                }
                _ => {}
            }
        }
        // A foreign key points to what a key makes unique.
        constraints.sort_by_key(|(_, _, one)| one.kind != ConstraintKind::PrimaryKey);
        for (table, name, one) in constraints {
            add(self, table, name, one);
        }
        for change in changes {
            if let Change::Index {
                table,
                to: Some(index),
                ..
            } = change
                && !rebuilt.contains(table)
            {
                self.push(index.definition.clone());
            }
        }
        self.out.extend(foreign);
    }

    fn drop_tables(&mut self, changes: &[Change]) {
        let gone = changes.iter().filter_map(|change| match change {
            Change::Table {
                name,
                from: Some(table),
                to: None,
            } => Some((name, table)),
            _ => None,
        });
        for (name, _) in self.in_order(gone.collect()).into_iter().rev() {
            self.push(format!("DROP TABLE {}", name.sql()));
        }
    }

    fn drop_types(&mut self, changes: &[Change]) {
        for change in changes {
            if let Change::Enum {
                name,
                from: Some(_),
                to: None,
            } = change
            {
                self.push(format!("DROP TYPE {}", name.sql()));
            }
        }
    }
}

fn definition(column: &Column) -> String {
    let mut out = quoted(&column.name);
    let mut word = |text: &str| {
        if !text.is_empty() {
            out.push(' ');
            out.push_str(text);
        }
    };
    word(&column.ty);
    let extra = column.extra.as_deref().unwrap_or_default();
    word(extra);
    if let Some(default) = &column.default {
        word(&format!("DEFAULT {default}"));
    }
    if column.not_null {
        word("NOT NULL");
    }
    out
}

fn beside(table: &TableName, name: &str) -> String {
    TableName {
        schema: table.schema.clone(),
        name: name.to_owned(),
    }
    .sql()
}

fn generated(column: &Column) -> bool {
    let extra = format!(" {} ", column.extra.as_deref().unwrap_or_default());
    extra.contains(" as ")
}

/// Whether SQLite adds the column where the table stands.
fn addable(column: &Column) -> bool {
    let extra = column.extra.as_deref().unwrap_or_default();
    let constant = column
        .default
        .as_deref()
        .is_none_or(|default| !default.starts_with('(') && !default.starts_with("current_"));
    let plain = extra.is_empty() || extra.starts_with("collate ") && extra.split(' ').count() == 2;
    plain && constant && (!column.not_null || column.default.is_some())
}

/// Whether a text names something: as a word or quoted.
fn mentions(dialect: Dialect, text: &str, name: &str) -> bool {
    let Ok(all) = crate::lexer::tokens(dialect, text) else {
        return true;
    };
    all.iter().any(|token| {
        let own = token.text(text).trim_matches(['"', '`', '[', ']']);
        token.is_significant() && own.eq_ignore_ascii_case(name)
    })
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A text in which a column has another name; none where it does not name it.
#[must_use]
pub fn renamed(dialect: Dialect, text: &str, from: &str, to: &str) -> Option<String> {
    let all = crate::lexer::tokens(dialect, text).ok()?;
    let mut out = String::new();
    let mut found = false;
    for token in all {
        let own = token.text(text);
        let text_of_mysql = dialect.is_mysql() && token.kind == crate::lexer::Kind::Literal;
        if token.is_significant() && !text_of_mysql && own.trim_matches(['"', '`', '[', ']']) == from {
            out.push_str(&dialect.quoted(to));
            found = true;
        } else {
            out.push_str(own);
        }
    }
    found.then_some(out)
}
