//! What a set of files needs on PostgreSQL and nowhere else: what reads every row of a table, or builds an index of one that
//! is there, is done beside the traffic, in steps that hold no lock for long. Pure.

mod key;

use cutover_sql::catalog::{Catalog, Change, Column, Constraint, ConstraintKind, Index, renamed};
use cutover_sql::lint::{Input, Prior, lint};
use cutover_sql::{Dialect, TableName, quoted};

use key::{Key, new_name, under_name, waiting_name};
pub(crate) use key::{ahead, succeeds};

/// What stands behind a constraint's definition as long as older rows were never looked at.
const NOT_VALID: &str = " NOT VALID";

/// A contract's changes, by where they are made.
#[derive(Debug, Default)]
pub(crate) struct Apart {
    /// Beside the traffic, before the others.
    pub(crate) early: Vec<Change>,
    /// In one transaction.
    pub(crate) rest: Vec<Change>,
    /// Beside the traffic, after them: what names a column that gets another type.
    pub(crate) late: Vec<Change>,
}

/// Divides the changes of a contract. What guards a column goes before the column that it takes the place of does, so that
/// no moment is without it.
pub(crate) fn apart(now: &Catalog, changes: Vec<Change>) -> Apart {
    let moving = Moving::of(&changes);
    let mut out = Apart::default();
    for change in changes {
        match &change {
            Change::Column {
                table,
                from: Some(from),
                to: Some(to),
            } if !from.not_null && to.not_null && is_plain(now, table) => {
                let step = |from: &Column, to: &Column| Change::Column {
                    table: table.clone(),
                    from: Some(from.clone()),
                    to: Some(to.clone()),
                };
                let mid = Column {
                    not_null: false,
                    ..to.clone()
                };
                // What the server counts is never NULL.
                let is_counted = to.ty.ends_with("serial")
                    || to
                        .extra
                        .as_deref()
                        .is_some_and(|extra| extra.ends_with("AS IDENTITY"));
                if mid == *from {
                    out.early.push(step(from, to));
                } else if is_counted {
                    let first = Column {
                        not_null: true,
                        ..from.clone()
                    };
                    out.early.push(step(from, &first));
                    out.rest.push(step(&first, to));
                } else {
                    out.rest.push(step(from, &mid));
                    out.late.push(step(&mid, to));
                }
            }
            // It may not fit the column as that is between: it goes with the type, and older rows are looked at later.
            Change::Constraint {
                table,
                name,
                from: Some(from),
                to: Some(to),
            } if to.kind == ConstraintKind::Check
                && is_plain(now, table)
                && !to.definition.ends_with(NOT_VALID)
                && moving.is_late(table, Some(&from.definition), &to.definition) =>
            {
                let unlooked = Constraint {
                    definition: format!("{}{NOT_VALID}", to.definition),
                    ..to.clone()
                };
                let step = |from: &Constraint, to: &Constraint| Change::Constraint {
                    table: table.clone(),
                    name: name.clone(),
                    from: Some(from.clone()),
                    to: Some(to.clone()),
                };
                out.rest.push(step(from, &unlooked));
                out.late.push(step(&unlooked, to));
            }
            Change::Constraint {
                table,
                from,
                to: Some(to),
                ..
            } if is_plain(now, table) && is_gentle(to) => {
                let from = from.as_ref().map(|from| from.definition.as_str());
                if moving.is_late(table, from, &to.definition) {
                    out.late.push(change);
                } else {
                    out.early.push(change);
                }
            }
            Change::Index { table, from, to, .. } if is_plain(now, table) => {
                let from = from.as_ref().map(|from| from.definition.as_str());
                let is_late = |to: &Index| moving.is_late(table, from, &to.definition);
                if to.as_ref().is_some_and(is_late) {
                    out.late.push(change);
                } else {
                    out.early.push(change);
                }
            }
            _ => out.rest.push(change),
        }
    }
    out
}

/// A table without partitions: PostgreSQL builds no index of one that has some beside the traffic.
pub(crate) fn is_plain(now: &Catalog, table: &TableName) -> bool {
    now.tables
        .get(table)
        .is_some_and(|table| !table.options.contains("PARTITION BY"))
}

/// Whether the rows of a table that is there would be written anew for a column's default: the linter knows which functions
/// give each row a value of its own.
pub(crate) fn differs_by_row(table: &TableName, column: &Column) -> bool {
    let Some(default) = column
        .default
        .as_deref()
        .filter(|_| !column.ty.ends_with("serial"))
    else {
        return false;
    };
    let source = format!("ALTER TABLE {} ADD COLUMN c text DEFAULT {default}", table.sql());
    let linted = lint(&Input {
        dialect: Dialect::Postgres,
        version: None,
        prior: &Prior::default(),
        file: "",
        source: &source,
        transaction: None,
    });
    let rule = "add-column-volatile-default";
    linted.findings.iter().any(|finding| finding.rule == rule)
}

fn is_gentle(one: &Constraint) -> bool {
    match one.kind {
        ConstraintKind::Check | ConstraintKind::ForeignKey => true,
        ConstraintKind::Unique | ConstraintKind::PrimaryKey => Key::of(one).is_some(),
        ConstraintKind::Exclude => false,
    }
}

/// What a contract changes under the feet of constraints and indexes.
struct Moving {
    dropped: Vec<(TableName, String)>,
    retyped: Vec<(TableName, String)>,
    enums: Vec<String>,
}

impl Moving {
    fn of(changes: &[Change]) -> Self {
        let mut out = Self {
            dropped: Vec::new(),
            retyped: Vec::new(),
            enums: Vec::new(),
        };
        for change in changes {
            match change {
                Change::Column {
                    table,
                    from: Some(from),
                    to: None,
                } => out.dropped.push((table.clone(), from.name.clone())),
                Change::Column {
                    table,
                    from: Some(from),
                    to: Some(to),
                } if from.ty != to.ty => out.retyped.push((table.clone(), to.name.clone())),
                Change::Enum {
                    name, from: Some(_), ..
                } => out.enums.push(name.name.clone()),
                _ => {}
            }
        }
        out
    }

    fn is_late(&self, table: &TableName, from: Option<&str>, to: &str) -> bool {
        let names = |text: &str, name: &str| renamed(Dialect::Postgres, text, name, "").is_some();
        let any = |all: &[(TableName, String)], text: &str| {
            all.iter()
                .any(|(of, name)| (of == table || names(text, &of.name)) && names(text, name))
        };
        let loses = from.is_some_and(|from| any(&self.dropped, from));
        !loses && (any(&self.retyped, to) || self.enums.iter().any(|name| names(to, name)))
    }
}

/// Statements that make the changes beside the traffic, each in a transaction of its own or in none: what stands on
/// others goes first and comes last.
pub(crate) fn beside(before: &Catalog, changes: &[Change]) -> Vec<String> {
    let mut sorted: Vec<&Change> = changes.iter().collect();
    let writer = Writer { before, all: changes };
    sorted.sort_by_key(|change| writer.place(change));
    sorted.into_iter().flat_map(|change| writer.one(change)).collect()
}

struct Writer<'a> {
    before: &'a Catalog,
    all: &'a [Change],
}

impl Writer<'_> {
    /// Its name may be wanted by what comes.
    fn place(&self, change: &Change) -> u8 {
        match change {
            Change::Constraint { to: None, from, .. } => match from.as_ref().map(|one| one.kind) {
                Some(ConstraintKind::ForeignKey) => 0,
                _ => 1,
            },
            Change::Column { to: Some(to), .. } if to.not_null => 2,
            Change::Constraint { to: Some(to), .. } => match to.kind {
                ConstraintKind::PrimaryKey => 3,
                ConstraintKind::Unique => 4,
                ConstraintKind::Check | ConstraintKind::Exclude => 6,
                ConstraintKind::ForeignKey => 7,
            },
            Change::Index {
                table,
                name,
                to: None,
                ..
            } if !self.is_of_key(table, name) => 1,
            Change::Index { .. } => 5,
            _ => 8,
        }
    }

    fn one(&self, change: &Change) -> Vec<String> {
        match change {
            Change::Column {
                table, to: Some(to), ..
            } if to.not_null => not_null(table, &to.name),
            Change::Column {
                table, to: Some(to), ..
            } => vec![format!(
                "ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL",
                table.sql(),
                quoted(&to.name)
            )],
            Change::Constraint {
                table,
                name,
                from,
                to,
            } => self.constraint(table, name, from.as_ref(), to.as_ref()),
            Change::Index {
                table,
                name,
                from,
                to,
            } => self.index(table, name, from.as_ref(), to.as_ref()),
            _ => Vec::new(),
        }
    }

    fn constraint(
        &self,
        table: &TableName,
        name: &str,
        from: Option<&Constraint>,
        to: Option<&Constraint>,
    ) -> Vec<String> {
        let alter = format!("ALTER TABLE {}", table.sql());
        // One that stood on a column which is gone went with it.
        let gone = format!("DROP CONSTRAINT IF EXISTS {}", quoted(name));
        let Some(to) = to else {
            return vec![format!("{alter} {gone}")];
        };
        let replaces = from.map_or_else(String::new, |_| format!("{gone}, "));
        if let Some(key) = Key::of(to) {
            let (index, there) = self.index_for(table, name, from.is_some(), &key);
            let build = (!there).then(|| key.index(table, &index));
            let adopt = format!("{alter} {replaces}{}", key.adopt(name, &index));
            return build.into_iter().chain([adopt]).collect();
        }
        let definition = to.definition.strip_suffix(NOT_VALID).unwrap_or(&to.definition);
        if let Some(from) = from
            && from
                .definition
                .strip_suffix(NOT_VALID)
                .unwrap_or(&from.definition)
                == definition
        {
            // All that is left to do is to look at older rows; what was looked at stays so.
            let validate = format!("{alter} VALIDATE CONSTRAINT {}", quoted(name));
            return if to.definition.ends_with(NOT_VALID) {
                Vec::new()
            } else {
                vec![validate]
            };
        }
        let add = format!("{alter} {replaces}ADD CONSTRAINT {} {definition}", quoted(name));
        // What is not enforced is not looked at.
        if definition.ends_with("NOT ENFORCED") {
            return vec![add];
        }
        let mut out = vec![format!("{add}{NOT_VALID}")];
        if !to.definition.ends_with(NOT_VALID) {
            out.push(format!("{alter} VALIDATE CONSTRAINT {}", quoted(name)));
        }
        out
    }

    /// The index that a key takes over, and whether it is there.
    fn index_for(&self, table: &TableName, name: &str, replaces: bool, key: &Key<'_>) -> (String, bool) {
        if let Some(there) = self.taken_over(table, key) {
            return (there.to_owned(), true);
        }
        let waiting = waiting_name(name, replaces);
        let indexes = self.before.tables.get(table).map(|table| &table.indexes);
        let is_taken = indexes.is_some_and(|all| all.contains_key(&waiting));
        (if is_taken { new_name(&waiting) } else { waiting }, false)
    }

    /// The index that goes by these changes because a key stands on it from now on.
    fn taken_over(&self, table: &TableName, key: &Key<'_>) -> Option<&str> {
        self.all.iter().find_map(|change| match change {
            Change::Index {
                table: of,
                name,
                from: Some(index),
                to: None,
            } if of == table && key.is_on(table, index) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether a key takes this one over.
    fn is_of_key(&self, table: &TableName, index: &str) -> bool {
        self.all.iter().any(|change| match change {
            Change::Constraint {
                table: of,
                to: Some(to),
                ..
            } if of == table => Key::of(to).is_some_and(|key| self.taken_over(table, &key) == Some(index)),
            _ => false,
        })
    }

    /// Whether an index with this definition goes by these changes, or comes.
    fn is_among(&self, table: &TableName, name: &str, definition: Option<&str>, goes: bool) -> bool {
        self.all.iter().any(|change| match change {
            Change::Index {
                table: of,
                name: own,
                from,
                to,
            } if of == table && own == name => {
                let (there, other) = if goes { (from, to) } else { (to, from) };
                let own = there.as_ref().map(|index| index.definition.as_str());
                other.is_none() && own.is_some() && own == definition
            }
            _ => false,
        })
    }

    /// Whether it is what an index that changes is called for the time between.
    fn is_of_index(&self, table: &TableName, index: &str, goes: bool) -> bool {
        self.all.iter().any(|change| match change {
            Change::Index {
                table: of,
                name,
                from: Some(from),
                to: Some(to),
            } if of == table && waiting_name(name, true) == index => {
                let own = under_name(if goes { &to.definition } else { &from.definition }, name, index);
                self.is_among(table, index, own.as_deref(), goes)
            }
            _ => false,
        })
    }

    fn index(&self, table: &TableName, name: &str, from: Option<&Index>, to: Option<&Index>) -> Vec<String> {
        let sql = |name: &str| {
            let whole = TableName {
                schema: table.schema.clone(),
                name: name.to_owned(),
            };
            whole.sql()
        };
        let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", sql(name));
        match (from, to) {
            (Some(_), None) if self.is_of_index(table, name, true) || self.is_of_key(table, name) => {
                Vec::new()
            }
            (Some(_), None) => vec![drop],
            (None, Some(_)) if self.is_of_index(table, name, false) => Vec::new(),
            (None, Some(to)) => vec![concurrently(&to.definition)],
            (Some(from), Some(to)) => {
                let new = waiting_name(name, true);
                let (old, made) = (
                    under_name(&from.definition, name, &new),
                    under_name(&to.definition, name, &new),
                );
                let rename = format!("ALTER INDEX {} RENAME TO {}", sql(&new), quoted(name));
                if self.is_among(table, &new, made.as_deref(), true) {
                    return vec![drop, rename];
                }
                // The other way: what is there goes on under the name for the time between.
                if self.is_among(table, &new, old.as_deref(), false) {
                    let away = format!("ALTER INDEX {} RENAME TO {}", sql(name), quoted(&new));
                    return vec![away, concurrently(&to.definition)];
                }
                match made {
                    Some(definition) => vec![concurrently(&definition), drop, rename],
                    None => vec![drop, concurrently(&to.definition)],
                }
            }
            (None, None) => Vec::new(),
        }
    }
}

fn concurrently(definition: &str) -> String {
    definition.replacen(" INDEX ", " INDEX CONCURRENTLY ", 1)
}

/// The scan beside the traffic, then a change that needs none.
pub(crate) fn not_null(table: &TableName, column: &str) -> Vec<String> {
    let alter = format!("ALTER TABLE {}", table.sql());
    let (own, check) = (
        quoted(column),
        quoted(&format!("{}_{column}_not_null", table.name)),
    );
    vec![
        format!("{alter} ADD CONSTRAINT {check} CHECK ({own} IS NOT NULL) NOT VALID"),
        format!("{alter} VALIDATE CONSTRAINT {check}"),
        format!("{alter} ALTER COLUMN {own} SET NOT NULL"),
        format!("{alter} DROP CONSTRAINT {check}"),
    ]
}
