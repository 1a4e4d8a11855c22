//! Columns that come, go and change, and what the server wants out of the way meanwhile.

use super::{Writer, beside, definition, literal, mentions};
use crate::catalog::{Change, Column, ConstraintKind, Table};
use crate::{Dialect, TableName, quoted};

impl Writer<'_> {
    pub(super) fn columns(&mut self, changes: &[Change], rebuilt: &[TableName]) {
        let own: Vec<(&TableName, Option<&Column>, Option<&Column>)> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Column { table, from, to } if !rebuilt.contains(table) => {
                    Some((table, from.as_ref(), to.as_ref()))
                }
                _ => None,
            })
            .collect();
        let aside = self.aside(&own);
        for (table, column) in &aside {
            self.push(format!(
                "ALTER TABLE {} DROP COLUMN {}",
                table.sql(),
                quoted(&column.name)
            ));
        }
        let steps_aside = |table: &TableName, name: &str| {
            aside
                .iter()
                .any(|(of, column)| of == table && column.name == name)
        };
        // What is computed comes last: it names others.
        let (computed, plain): (Vec<_>, Vec<_>) = own
            .into_iter()
            .partition(|(_, from, to)| from.is_none() && to.is_some_and(is_computed));
        for (table, from, to) in plain.into_iter().chain(computed) {
            let alter = format!("ALTER TABLE {}", table.sql());
            match (from, to) {
                (None, Some(new)) => self.push(format!("{alter} ADD COLUMN {}", definition(new))),
                (Some(old), _) if steps_aside(table, &old.name) => {}
                (Some(old), None) => self.push(format!("{alter} DROP COLUMN {}", quoted(&old.name))),
                (Some(old), Some(new)) => self.alter(table, old, new),
                (None, None) => {}
            }
        }
        for (table, column) in &aside {
            self.comes_back(table, column, changes);
        }
    }

    /// Computed columns that are there and stay, and are computed in another way from now on, or from a column that changes: the
    /// server alters neither.
    fn aside(&self, own: &[(&TableName, Option<&Column>, Option<&Column>)]) -> Vec<(TableName, Column)> {
        if self.dialect != Dialect::Postgres {
            return Vec::new();
        }
        let mut out = Vec::new();
        for (name, table) in &self.from.tables {
            let changed = |text: &str| {
                own.iter().any(|(of, from, to)| match (from, to) {
                    (Some(from), Some(to)) => {
                        *of == name && is_retyped(from, to) && mentions(self.dialect, text, &from.name)
                    }
                    _ => false,
                })
            };
            for column in table.columns.iter().filter(|column| is_computed(column)) {
                let stays = self
                    .to
                    .tables
                    .get(name)
                    .and_then(|table| table.column(&column.name));
                let text = column.extra.as_deref().unwrap_or_default();
                if stays
                    .is_some_and(|now| is_retyped(column, now) || now.extra != column.extra || changed(text))
                {
                    out.push((name.clone(), column.clone()));
                }
            }
        }
        out
    }

    /// A computed column as it is wanted, with what went with it: indexes and constraints that no change names.
    fn comes_back(&mut self, table: &TableName, column: &Column, changes: &[Change]) {
        let Some(now) = self.to.tables.get(table) else {
            return;
        };
        let Some(column) = now.column(&column.name) else {
            return;
        };
        let alter = format!("ALTER TABLE {}", table.sql());
        self.push(format!("{alter} ADD COLUMN {}", definition(column)));
        if let Some(comment) = &column.comment {
            let name = format!("{}.{}", table.sql(), quoted(&column.name));
            self.comment("COLUMN", &name, Some(comment));
        }
        for (name, one) in &now.constraints {
            let is_named = changes.iter().any(
                |change| matches!(change, Change::Constraint { table: of, name: own, .. } if of == table && own == name),
            );
            if !is_named && mentions(self.dialect, &one.definition, &column.name) {
                let text = format!("{alter} ADD {}", self.constraint(name, one));
                self.push(text);
            }
        }
        for (name, index) in &now.indexes {
            let is_named = changes
                .iter()
                .any(|change| matches!(change, Change::Index { table: of, name: own, .. } if of == table && own == name));
            if !is_named && mentions(self.dialect, &index.definition, &column.name) {
                self.push(index.definition.clone());
            }
        }
    }

    fn alter(&mut self, table: &TableName, old: &Column, new: &Column) {
        let alter = format!("ALTER TABLE {} ALTER COLUMN {}", table.sql(), quoted(&new.name));
        let (was, is) = (serial(&old.ty), serial(&new.ty));
        let (identity, other_identity) = (identity_of(old), identity_of(new));
        if was.is_some() && is.is_none() {
            self.count_no_more(table, old, other_identity.is_some());
        }
        if identity.is_some() && other_identity.is_none() {
            self.push(format!("{alter} DROP IDENTITY"));
        }
        let retyped = is_retyped(old, new);
        if old.default.is_some() && (retyped || new.default.is_none()) {
            self.push(format!("{alter} DROP DEFAULT"));
        }
        if retyped {
            // Without it, the column would get the collation of its type.
            let collation = collation(new).map_or_else(String::new, |text| format!(" {text}"));
            let ty = is.unwrap_or(&new.ty);
            self.push(format!(
                "{alter} TYPE {ty}{collation} USING {}::{ty}",
                quoted(&new.name)
            ));
        }
        match (old.not_null, new.not_null) {
            (false, true) => self.push(format!("{alter} SET NOT NULL")),
            (true, false) => self.push(format!("{alter} DROP NOT NULL")),
            _ => {}
        }
        if let Some(default) = &new.default
            && (retyped || old.default.as_ref() != Some(default))
        {
            self.push(format!("{alter} SET DEFAULT {default}"));
        }
        match (was, is) {
            (None, Some(ty)) => self.count(table, new, ty),
            (Some(was), Some(is)) if was != is => {
                self.push(format!("ALTER SEQUENCE {} AS {is}", sequence(table, new)));
            }
            _ => {}
        }
        match (identity, other_identity) {
            (None, Some(text)) => {
                self.push(format!("{alter} ADD {text}"));
                let own = format!(
                    "pg_get_serial_sequence({}, {})",
                    literal(&table.sql()),
                    literal(&new.name)
                );
                self.goes_on(table, new, &own, was.is_some());
            }
            (Some(old), Some(new)) if old != new => {
                self.push(format!("{alter} SET {}", new.trim_end_matches(" AS IDENTITY")));
            }
            _ => {}
        }
    }

    /// A `serial` is a default and a sequence. Where another sequence goes on for it, it is needed a moment longer.
    fn count_no_more(&mut self, table: &TableName, column: &Column, goes_on: bool) {
        let (own, name) = (quoted(&column.name), sequence(table, column));
        self.push(format!(
            "ALTER TABLE {} ALTER COLUMN {own} DROP DEFAULT",
            table.sql()
        ));
        if goes_on {
            self.push(format!("ALTER SEQUENCE {name} OWNED BY NONE"));
            let old = quoted(&former(table, column));
            self.push(format!("ALTER SEQUENCE {name} RENAME TO {old}"));
        } else {
            self.push(format!("DROP SEQUENCE {name}"));
        }
    }

    /// The default and the sequence of a `serial`, which goes on behind what is there.
    fn count(&mut self, table: &TableName, column: &Column, ty: &str) {
        let name = sequence(table, column);
        let own = quoted(&column.name);
        self.push(format!(
            "CREATE SEQUENCE {name} AS {ty} OWNED BY {}.{own}",
            table.sql()
        ));
        self.goes_on(table, column, &literal(&name), false);
        self.push(format!(
            "ALTER TABLE {} ALTER COLUMN {own} SET DEFAULT nextval({}::regclass)",
            table.sql(),
            literal(&name)
        ));
    }

    /// A sequence goes on where the one before it stood, or behind the highest value: it gives no value twice.
    fn goes_on(&mut self, table: &TableName, column: &Column, own: &str, from_former: bool) {
        if from_former {
            let old = beside(table, &former(table, column));
            self.push(format!("SELECT setval({own}, last_value, is_called) FROM {old}"));
            self.push(format!("DROP SEQUENCE {old}"));
        } else {
            let highest = format!("(SELECT max({}) FROM {})", quoted(&column.name), table.sql());
            self.push(format!("SELECT setval({own}, greatest({highest}, 0) + 1, false)"));
        }
    }

    /// PostgreSQL takes no value out of a type: another type takes its place. What compares values of it goes meanwhile.
    pub(super) fn remake_enum(&mut self, name: &TableName, values: &[String], changes: &[Change]) {
        let old = format!("{}_old", name.name);
        let mut after = Vec::new();
        for (table, own) in &self.from.tables {
            let Some(now) = self.to.tables.get(table) else {
                continue;
            };
            self.out
                .extend(guards_of(table, own, now, name, changes, &mut after));
        }
        self.push(format!("ALTER TYPE {} RENAME TO {}", name.sql(), quoted(&old)));
        self.create_enum(name, values);
        for (table, column) in self.from.columns_of(name) {
            let now = self
                .to
                .tables
                .get(&table)
                .and_then(|table| table.column(&column.name));
            let Some(now) = now.filter(|new| new.ty == column.ty) else {
                continue;
            };
            let (of, own) = (
                format!(
                    "ALTER TABLE {} ALTER COLUMN {}",
                    table.sql(),
                    quoted(&column.name)
                ),
                &column.ty,
            );
            let array = if own.ends_with("[]") { "[]" } else { "" };
            if column.default.is_some() {
                self.push(format!("{of} DROP DEFAULT"));
            }
            self.push(format!(
                "{of} TYPE {own} USING {}::text{array}::{own}",
                quoted(&column.name)
            ));
            // That of before may be a value that is gone.
            if let Some(default) = now.default.as_ref().filter(|_| column.default.is_some()) {
                self.push(format!("{of} SET DEFAULT {default}"));
            }
        }
        self.push(format!("DROP TYPE {}", beside(name, &old)));
        self.out.extend(after);
    }
}

/// Statements that take away the checks and indexes in which values of a type stand and that no change names; into `after` goes what
/// brings them back.
fn guards_of(
    table: &TableName,
    own: &Table,
    now: &Table,
    ty: &TableName,
    changes: &[Change],
    after: &mut Vec<String>,
) -> Vec<String> {
    let casts = [
        format!("::{}", ty.name),
        format!("::{}", quoted(&ty.name)),
        format!("::{ty}"),
    ];
    let has = |text: &str| casts.iter().any(|cast| text.contains(cast.as_str()));
    let mut out = Vec::new();
    for (name, one) in own
        .constraints
        .iter()
        .filter(|(_, one)| one.kind == ConstraintKind::Check)
    {
        if has(&one.definition) && now.constraints.get(name) == Some(one) {
            let alter = format!("ALTER TABLE {}", table.sql());
            out.push(format!("{alter} DROP CONSTRAINT {}", quoted(name)));
            after.push(format!(
                "{alter} ADD CONSTRAINT {} {}",
                quoted(name),
                one.definition
            ));
        }
    }
    for (name, index) in own.indexes.iter().filter(|(_, index)| has(&index.definition)) {
        let is_named = changes
            .iter()
            .any(|change| matches!(change, Change::Index { table: of, name: own, .. } if of == table && own == name));
        if !is_named && now.indexes.get(name) == Some(index) {
            out.push(format!("DROP INDEX {}", beside(table, name)));
            after.push(index.definition.clone());
        }
    }
    out
}

/// Whether PostgreSQL computes the column from others.
fn is_computed(column: &Column) -> bool {
    column
        .extra
        .as_deref()
        .is_some_and(|extra| extra.contains("GENERATED ALWAYS AS ("))
}

/// Whether it gets another type, or its type another collation.
fn is_retyped(old: &Column, new: &Column) -> bool {
    let ty = |column: &Column| serial(&column.ty).map_or_else(|| column.ty.clone(), str::to_owned);
    ty(old) != ty(new) || collation(old) != collation(new)
}

/// Whether what reads the column has to step aside for the change: a view stays for a sequence that comes or goes.
pub(super) fn disturbs(old: &Column, new: &Column) -> bool {
    is_retyped(old, new) || old.extra != new.extra && (is_computed(old) || is_computed(new))
}

fn collation(column: &Column) -> Option<&str> {
    let extra = column.extra.as_deref()?;
    let end = extra.find(" GENERATED ").unwrap_or(extra.len());
    extra.get(..end).filter(|text| text.starts_with("COLLATE "))
}

fn identity_of(column: &Column) -> Option<&str> {
    let extra = column.extra.as_deref()?;
    extra.ends_with("AS IDENTITY").then_some(extra)
}

/// The type of the numbers of a `serial`.
fn serial(ty: &str) -> Option<&'static str> {
    match ty {
        "serial" => Some("integer"),
        "bigserial" => Some("bigint"),
        "smallserial" => Some("smallint"),
        _ => None,
    }
}

/// The name that the sequence of a `serial` has: under another one it is not read as a `serial`.
fn sequence(table: &TableName, column: &Column) -> String {
    beside(table, &format!("{}_{}_seq", table.name, column.name))
}

fn former(table: &TableName, column: &Column) -> String {
    format!("{}_{}_seq_old", table.name, column.name)
}
