//! Changes as statements of MySQL and MariaDB.
//!
//! Each commits by itself, so the order is such that what stands is whole in between: a view is replaced, never dropped
//! first; columns go last; an index whose place another takes goes in the statement that makes the other. A change of a
//! primary key, or of a column that counts by itself, is one statement with all else of its table: the server wants such
//! a column to have a key at every moment.

use super::change::is_foreign;
use super::{Catalog, Change, Column, Constraint, ConstraintKind, Index, Table};
use crate::{TableName, ticked};

struct Writer<'a> {
    from: &'a Catalog,
    to: &'a Catalog,
    changes: &'a [Change],
    out: Vec<String>,
}

pub(super) fn statements(from: &Catalog, to: &Catalog, changes: &[Change]) -> Vec<String> {
    let mut writer = Writer {
        from,
        to,
        changes,
        out: Vec::new(),
    };
    writer.drop_views();
    writer.drop_foreign();
    writer.create_tables();
    let mut at_once: Vec<&TableName> = Vec::new();
    for change in changes {
        if let Some(table) = renumbered(change)
            && !at_once.contains(&table)
        {
            at_once.push(table);
        }
    }
    writer.checks(false);
    for table in &at_once {
        writer.at_once(table);
    }
    writer.drop_spatial(&at_once);
    writer.columns(&at_once);
    writer.indexes(&at_once);
    writer.checks(true);
    writer.add_foreign();
    writer.replace_views();
    writer.drop_columns(&at_once);
    writer.drop_tables();
    writer.out
}

/// The table, where the change is one of its primary key or of a column that counts by itself.
fn renumbered(change: &Change) -> Option<&TableName> {
    let counts = |column: &Option<Column>| column.as_ref().is_some_and(Column::counts_itself);
    let is_primary = |one: &Option<Constraint>| {
        one.as_ref()
            .is_some_and(|one| one.kind == ConstraintKind::PrimaryKey)
    };
    match change {
        Change::Column { table, from, to } if counts(from) || counts(to) => Some(table),
        Change::Constraint { table, from, to, .. } if is_primary(from) || is_primary(to) => Some(table),
        _ => None,
    }
}

impl Writer<'_> {
    fn alter(&mut self, table: &TableName, actions: &[String]) {
        if !actions.is_empty() {
            let actions = actions.join(", ");
            self.out.push(format!("ALTER TABLE {} {actions}", table.ticked()));
        }
    }

    fn drop_views(&mut self) {
        let changes = self.changes;
        for view in self.from.views.iter().rev() {
            let gone =
                |change: &Change| matches!(change, Change::View { name, to: None, .. } if *name == view.name);
            if changes.iter().any(gone) {
                self.out.push(format!("DROP VIEW {}", view.name.ticked()));
            }
        }
    }

    fn replace_views(&mut self) {
        for view in &self.to.views {
            let new = |change: &Change| matches!(change, Change::View { name, to: Some(_), .. } if *name == view.name);
            if !self.changes.iter().any(new) {
                continue;
            }
            let replace = if self.from.view(&view.name).is_some() {
                "OR REPLACE "
            } else {
                ""
            };
            let options = match view.options.as_str() {
                "" => String::new(),
                options => format!("{options} "),
            };
            self.out.push(format!(
                "CREATE {replace}{options}VIEW {} AS\n{}",
                view.name.ticked(),
                view.query.trim().trim_end_matches(';')
            ));
        }
    }

    /// Foreign keys stand in the way of indexes, columns and tables.
    fn drop_foreign(&mut self) {
        for change in self.changes {
            match change {
                Change::Constraint {
                    table,
                    name,
                    from: Some(old),
                    ..
                } if is_foreign(old) => {
                    self.alter(table, &[format!("DROP FOREIGN KEY {}", ticked(name))]);
                }
                Change::Table {
                    name,
                    from: Some(table),
                    to: None,
                } => {
                    for (key, _) in table.constraints.iter().filter(|(_, one)| is_foreign(one)) {
                        self.alter(name, &[format!("DROP FOREIGN KEY {}", ticked(key))]);
                    }
                }
                _ => {}
            }
        }
    }

    /// Those of new tables come when all tables are there.
    fn add_foreign(&mut self) {
        for change in self.changes {
            match change {
                Change::Constraint {
                    table,
                    name,
                    to: Some(new),
                    ..
                } if is_foreign(new) => self.alter(table, &[format!("ADD {}", constraint(name, new))]),
                Change::Table {
                    name,
                    from: None,
                    to: Some(table),
                } => {
                    for (key, one) in table.constraints.iter().filter(|(_, one)| is_foreign(one)) {
                        self.alter(name, &[format!("ADD {}", constraint(key, one))]);
                    }
                }
                _ => {}
            }
        }
    }

    fn create_tables(&mut self) {
        for change in self.changes {
            if let Change::Table {
                name,
                from: None,
                to: Some(table),
            } = change
            {
                self.out.push(create(name, table));
            }
        }
    }

    fn drop_tables(&mut self) {
        for change in self.changes {
            if let Change::Table { name, to: None, .. } = change {
                self.out.push(format!("DROP TABLE {}", name.ticked()));
            }
        }
    }

    /// Before columns change those that go, and afterwards those that come.
    fn checks(&mut self, added: bool) {
        for change in self.changes {
            if let Change::Constraint {
                table,
                name,
                from,
                to,
            } = change
            {
                let side = if added { to } else { from };
                let is_check = |one: &&Constraint| one.kind == ConstraintKind::Check;
                if let Some(one) = side.as_ref().filter(is_check) {
                    let action = if added {
                        format!("ADD {}", constraint(name, one))
                    } else {
                        format!("DROP CONSTRAINT {}", ticked(name))
                    };
                    self.alter(table, &[action]);
                }
            }
        }
    }

    fn at_once(&mut self, table: &TableName) {
        let mut actions = Vec::new();
        for change in self.changes {
            match change {
                Change::Constraint {
                    table: of, from, to, ..
                } if of == table => {
                    let primary = |one: &&Constraint| one.kind == ConstraintKind::PrimaryKey;
                    if from.as_ref().filter(primary).is_some() {
                        actions.push("DROP PRIMARY KEY".to_owned());
                    }
                    if let Some(new) = to.as_ref().filter(primary) {
                        actions.push(format!("ADD {}", new.definition));
                    }
                }
                Change::Column { table: of, from, to } if of == table => {
                    actions.extend(match (from, to) {
                        (Some(old), None) => Some(format!("DROP COLUMN {}", ticked(&old.name))),
                        (None, Some(new)) => Some(format!("ADD COLUMN {}", definition(new))),
                        (Some(old), Some(new)) => Some(changed(old, new)),
                        (None, None) => None,
                    });
                }
                Change::Index {
                    table: of,
                    name,
                    from,
                    to,
                } if of == table => actions.extend(index_actions(table, name, from.as_ref(), to.as_ref())),
                _ => {}
            }
        }
        self.alter(table, &actions);
    }

    fn columns(&mut self, at_once: &[&TableName]) {
        for change in self.changes {
            let Change::Column {
                table,
                from,
                to: Some(new),
            } = change
            else {
                continue;
            };
            if at_once.contains(&table) {
                continue;
            }
            let action = match from {
                None => format!("ADD COLUMN {}", definition(new)),
                Some(old) => changed(old, new),
            };
            self.alter(table, &[action]);
        }
    }

    /// An index that refuses a column that may be NULL goes before its column becomes one.
    fn drop_spatial(&mut self, at_once: &[&TableName]) {
        for change in self.changes {
            if let Change::Index { table, name, .. } = change
                && is_gone_spatial(change)
                && !at_once.contains(&table)
            {
                self.alter(table, &[format!("DROP INDEX {}", ticked(name))]);
            }
        }
    }

    /// What comes before what goes: a foreign key never lacks the index that it needs.
    fn indexes(&mut self, at_once: &[&TableName]) {
        for only_gone in [false, true] {
            for change in self.changes {
                let Change::Index {
                    table,
                    name,
                    from,
                    to,
                } = change
                else {
                    continue;
                };
                if to.is_none() != only_gone || at_once.contains(&table) || is_gone_spatial(change) {
                    continue;
                }
                match (from, to) {
                    (None, Some(new)) => self.out.push(new.definition.clone()),
                    _ => self.alter(table, &index_actions(table, name, from.as_ref(), to.as_ref())),
                }
            }
        }
    }

    fn drop_columns(&mut self, at_once: &[&TableName]) {
        let mut done: Vec<&TableName> = at_once.to_vec();
        for change in self.changes {
            let Change::Column { table, to: None, .. } = change else {
                continue;
            };
            if done.contains(&table) {
                continue;
            }
            done.push(table);
            let actions: Vec<String> = self
                .changes
                .iter()
                .filter_map(|other| match other {
                    Change::Column {
                        table: of,
                        from: Some(old),
                        to: None,
                    } if of == table => Some(format!("DROP COLUMN {}", ticked(&old.name))),
                    _ => None,
                })
                .collect();
            self.alter(table, &actions);
        }
    }
}

fn is_gone_spatial(change: &Change) -> bool {
    let Change::Index {
        from: Some(index),
        to: None,
        ..
    } = change
    else {
        return false;
    };
    index.definition.contains(" SPATIAL ")
}

fn create(name: &TableName, table: &Table) -> String {
    let mut parts: Vec<String> = table.columns.iter().map(definition).collect();
    for (key, one) in &table.constraints {
        match one.kind {
            ConstraintKind::ForeignKey => {}
            ConstraintKind::PrimaryKey => parts.push(one.definition.clone()),
            _ => parts.push(constraint(key, one)),
        }
    }
    parts.extend(table.indexes.values().map(|index| within(name, index)));
    let options = match table.options.as_str() {
        "" => String::new(),
        options => format!(" {options}"),
    };
    format!(
        "CREATE TABLE {} (\n    {}\n){options}",
        name.ticked(),
        parts.join(",\n    ")
    )
}

fn constraint(name: &str, constraint: &Constraint) -> String {
    format!("CONSTRAINT {} {}", ticked(name), constraint.definition)
}

/// An index as it is written within a table: without `CREATE`, and without its table.
fn within(table: &TableName, index: &Index) -> String {
    let text = index.definition.trim_start_matches("CREATE ");
    text.replacen(&format!(" ON {} ", table.ticked()), " ", 1)
}

fn index_actions(table: &TableName, name: &str, from: Option<&Index>, to: Option<&Index>) -> Vec<String> {
    let gone = from.map(|_| format!("DROP INDEX {}", ticked(name)));
    let new = to.map(|index| format!("ADD {}", within(table, index)));
    gone.into_iter().chain(new).collect()
}

/// The action that makes a column another. What it costs depends on what is said, so no more is said than changes.
fn changed(old: &Column, new: &Column) -> String {
    let name = ticked(&new.name);
    let same = Column {
        default: old.default.clone(),
        ..new.clone()
    };
    if same == *old {
        match &new.default {
            Some(value) if is_constant(value) => return format!("ALTER COLUMN {name} SET DEFAULT {value}"),
            // Without any default, an insert that leaves the column out would fail.
            None if !new.not_null => return format!("ALTER COLUMN {name} SET DEFAULT NULL"),
            None => return format!("ALTER COLUMN {name} DROP DEFAULT"),
            Some(_) => {}
        }
    }
    // No server turns what is computed on each reading into what is stored, or back.
    if is_virtual(old) != is_virtual(new) {
        return format!("DROP COLUMN {name}, ADD COLUMN {}", definition(new));
    }
    format!("MODIFY COLUMN {}", definition(new))
}

fn is_constant(value: &str) -> bool {
    value.starts_with(|first: char| matches!(first, '\'' | '-' | '(') || first.is_ascii_digit())
}

fn is_generated(column: &Column) -> bool {
    let extra = column.extra.as_deref().unwrap_or_default();
    extra.starts_with("GENERATED") || extra.starts_with("AS ")
}

fn is_virtual(column: &Column) -> bool {
    is_generated(column)
        && !column
            .extra
            .as_deref()
            .is_some_and(|extra| extra.contains(" STORED"))
}

pub(super) fn definition(column: &Column) -> String {
    let mut out = ticked(&column.name);
    let mut word = |text: &str| {
        if !text.is_empty() {
            out.push(' ');
            out.push_str(text);
        }
    };
    word(&column.ty);
    let extra = column.extra.as_deref().unwrap_or_default();
    if is_generated(column) {
        word(extra);
    }
    // Said of a timestamp, which older servers take for NOT NULL otherwise.
    if column.not_null {
        word("NOT NULL");
    } else if column.ty.starts_with("timestamp") && !is_generated(column) {
        word("NULL");
    }
    if let Some(default) = &column.default {
        word(&format!("DEFAULT {default}"));
    }
    // MariaDB wants a CHECK at the end.
    if !is_generated(column) {
        word(extra);
    }
    out
}
