//! Files that are written by Cutover: what stands in each, before it has a number. Pure.

use cutover_model::{MigrationPhase, Version};
use cutover_sql::catalog::{
    Catalog, Change, Column, Constraint, ConstraintKind, Index, Safety, changes, renamed, statements,
};
use cutover_sql::{Dialect, TableName, beside_traffic};

pub(crate) mod backfill;
mod contract;
mod follow;
pub(crate) mod held;
pub(crate) mod mysql;
pub(crate) mod postgres;
mod reasons;
mod unique;

pub use reasons::remarks;

/// A pair of files to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What its name ends in, behind the name that was asked for: empty, or `backfill`.
    pub suffix: &'static str,
    /// When it may run.
    pub phase: MigrationPhase,
    /// Whether it runs in one transaction.
    pub transaction: bool,
    /// The header's other directives, without `cutover:`.
    pub directives: Vec<String>,
    /// What it does, in a line.
    pub about: String,
    /// The up file's statements.
    pub up: Vec<String>,
    /// The down file's statements.
    pub down: Vec<String>,
}

/// A column that has another name in the new version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// Whose.
    pub table: TableName,
    /// Before.
    pub from: String,
    /// Afterwards.
    pub to: String,
}

impl std::str::FromStr for Rename {
    type Err = String;
    /// `users.email:email_address`
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(old, to)| {
            let (table, from) = old.rsplit_once('.')?;
            (!table.is_empty() && !from.is_empty() && !to.is_empty()).then(|| Self {
                table: TableName::parse(table),
                from: from.to_owned(),
                to: to.to_owned(),
            })
        });
        parts.ok_or_else(|| format!("`{text}` is not TABLE.OLD:NEW, such as users.email:email_address"))
    }
}

/// What cannot be told from two schemas: whether this is one thing with another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A column is gone and one of the same type is there.
    Column(Rename),
    /// A table is gone and one with the same columns is there.
    Table {
        /// Before.
        from: TableName,
        /// Afterwards.
        to: TableName,
    },
}

/// What was answered.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// Columns that have another name.
    pub renames: Vec<Rename>,
    /// Columns (`users.email`) and tables that are dropped.
    pub drops: Vec<String>,
}

/// What is asked before files can be written.
#[must_use]
pub fn questions(from: &Catalog, to: &Catalog, answers: &Answers) -> Vec<Question> {
    let mut out = Vec::new();
    let all = changes(from, to);
    let dropped = |name: &str| answers.drops.iter().any(|drop| drop == name);
    for change in &all {
        match change {
            Change::Column {
                table,
                from: Some(old),
                to: None,
            } => {
                let known = |rename: &Rename| rename.table == *table && rename.from == old.name;
                if answers.renames.iter().any(known) || dropped(&format!("{table}.{}", old.name)) {
                    continue;
                }
                let taken = |name: &str| {
                    answers
                        .renames
                        .iter()
                        .any(|rename| rename.table == *table && rename.to == name)
                };
                let like = all.iter().find_map(|other| match other {
                    Change::Column {
                        table: of,
                        from: None,
                        to: Some(new),
                    } if of == table && new.ty == old.ty && !taken(&new.name) => Some(new),
                    _ => None,
                });
                out.extend(like.map(|new| {
                    Question::Column(Rename {
                        table: table.clone(),
                        from: old.name.clone(),
                        to: new.name.clone(),
                    })
                }));
            }
            Change::Table {
                name,
                from: Some(old),
                to: None,
            } if !dropped(&name.to_string()) => {
                let like = all.iter().find_map(|other| match other {
                    Change::Table {
                        name,
                        from: None,
                        to: Some(new),
                    } if new.columns == old.columns => Some(name),
                    _ => None,
                });
                out.extend(like.map(|new| Question::Table {
                    from: name.clone(),
                    to: new.clone(),
                }));
            }
            _ => {}
        }
    }
    out
}

/// Without what an insert of the old version cannot give.
fn loose(column: &Column) -> Column {
    Column {
        not_null: false,
        default: None,
        extra: None,
        ..column.clone()
    }
}

/// The files that lead from one schema to another: what harms nobody first, an index of a large table beside the
/// traffic, and in a contract what the old version cannot live with. The second value is what was not written.
#[must_use]
pub fn autogenerate(
    dialect: Dialect,
    from: &Catalog,
    to: &Catalog,
    renames: &[Rename],
    retires: &Version,
) -> (Vec<Draft>, Vec<Change>) {
    let (written, left): (Vec<Change>, Vec<Change>) =
        changes(from, to).into_iter().partition(Change::is_written);
    let mut sets = Sets::default();
    for change in written {
        sets.sort(dialect, from, renames, change);
    }
    sets.follow_views(dialect);
    sets.follow_types(dialect);
    sets.follow_columns(dialect);
    if dialect.is_mysql() {
        sets.renew_foreign(from, to);
    }
    (assemble(dialect, from, sets, retires), left)
}

fn assemble(dialect: Dialect, from: &Catalog, mut sets: Sets, retires: &Version) -> Vec<Draft> {
    sets.follow_guards(dialect, from);
    let mut out = Vec::new();
    let mut now = from.clone();
    let mut expand = |changes: &[Change], suffix, now: &mut Catalog| {
        if changes.is_empty() {
            return;
        }
        let (up, down, after) = both_ways(dialect, now, changes);
        *now = after;
        out.push(Draft {
            suffix,
            phase: MigrationPhase::Expand,
            transaction: true,
            directives: Vec::new(),
            about: about(changes),
            up,
            down,
        });
    };
    // A new value of a type can be used once the transaction that adds it is over.
    expand(&sets.values, "values", &mut now);
    expand(&sets.expand, "", &mut now);
    if let Some(draft) = out.last_mut().filter(|_| !sets.moved.is_empty()) {
        draft.directives.extend(sets.moved.iter().map(|one| {
            format!(
                "sync table={} old={} new={}{} up={} down={}",
                plain(&one.table.to_string()),
                plain(&one.old.name),
                plain(&one.new.join(",")),
                rowless_key(dialect, from, &one.table),
                value(&one.up.join(", ")),
                value(&one.down)
            )
        }));
    }
    if !sets.concurrent.is_empty() {
        let after = apply(&now, &sets.concurrent);
        out.push(Draft {
            suffix: "indexes",
            phase: MigrationPhase::Expand,
            transaction: false,
            directives: Vec::new(),
            about: about(&sets.concurrent),
            up: postgres::beside(&now, &sets.concurrent),
            down: postgres::beside(&after, &inverse(&sets.concurrent)),
        });
        now = after;
    }
    out.extend(sets.moved.iter().map(|one| backfill::moved(from, one)));
    out.extend(
        sets.fills
            .iter()
            .map(|(table, name)| backfill::filled(dialect, from, table, name, "DEFAULT")),
    );
    out.extend(contract::drafts(dialect, now, sets, retires));
    reasons::give(dialect, from, &mut out);
    out
}

/// Expressions as a directive has values.
fn value(expression: &str) -> String {
    format!("\"{}\"", expression.replace('"', "\"\""))
}

/// A name, or several, as a directive has them.
fn plain(names: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ',' | '-' | '$');
    if names.chars().all(is_plain) {
        names.to_owned()
    } else {
        value(names)
    }
}

/// The key that a sync names on SQLite where a table has no `rowid`.
fn rowless_key(dialect: Dialect, from: &Catalog, table: &TableName) -> String {
    let own = from
        .tables
        .get(table)
        .filter(|own| own.options.contains("without rowid"));
    let Some(own) = own.filter(|_| dialect == Dialect::Sqlite) else {
        return String::new();
    };
    let in_line = own.columns.iter().find(|column| {
        column
            .extra
            .as_deref()
            .is_some_and(|extra| extra.contains("primary key"))
    });
    let of_key = |column: &&Column| {
        let mut keys = own
            .constraints
            .values()
            .filter(|one| one.kind == ConstraintKind::PrimaryKey);
        keys.any(|one| renamed(dialect, &one.definition, &column.name, "").is_some())
    };
    let names: Vec<&str> = match in_line {
        Some(column) => vec![column.name.as_str()],
        None => own
            .columns
            .iter()
            .filter(of_key)
            .map(|column| column.name.as_str())
            .collect(),
    };
    format!(" key={}", plain(&names.join(",")))
}

/// A column whose values go to others, by a sync, until a contract drops it.
struct Moved {
    table: TableName,
    /// As it is when the contract drops it.
    old: Column,
    new: Vec<String>,
    up: Vec<String>,
    down: String,
}

#[derive(Default)]
struct Sets {
    values: Vec<Change>,
    expand: Vec<Change>,
    concurrent: Vec<Change>,
    contract: Vec<Change>,
    moved: Vec<Moved>,
    /// Columns whose default is not the same for every row: those that are there get theirs by a backfill.
    fills: Vec<(TableName, String)>,
}

impl Sets {
    fn sort(&mut self, dialect: Dialect, catalog: &Catalog, renames: &[Rename], change: Change) {
        if let Change::Column { table, from, to } = &change {
            let of = |rename: &&Rename| rename.table == *table;
            let step = |from: Option<&Column>, to: &Column| Change::Column {
                table: table.clone(),
                from: from.cloned(),
                to: Some(to.clone()),
            };
            match (from, to) {
                (None, Some(new)) if renames.iter().filter(of).any(|rename| rename.to == new.name) => {
                    let first = loose(new);
                    if first != *new {
                        self.contract.push(step(Some(&first), new));
                    }
                    self.expand.push(step(None, &first));
                    return;
                }
                (None, Some(new)) if dialect == Dialect::Postgres && postgres::differs_by_row(table, new) => {
                    let bare = Column {
                        not_null: false,
                        default: None,
                        ..new.clone()
                    };
                    let given = Column {
                        not_null: false,
                        ..new.clone()
                    };
                    self.expand.extend([step(None, &bare), step(Some(&bare), &given)]);
                    self.fills.push((table.clone(), new.name.clone()));
                    if given != *new {
                        self.contract.push(step(Some(&given), new));
                    }
                    return;
                }
                // Rows that are there have no value for it, and inserts of the old version give none.
                (None, Some(new))
                    if change.safety() == Safety::Contract
                        && new.not_null
                        && new.default.is_none()
                        && !new.counts_itself() =>
                {
                    let first = Column {
                        not_null: false,
                        ..new.clone()
                    };
                    self.contract.push(step(Some(&first), new));
                    self.expand.push(step(None, &first));
                    return;
                }
                (Some(old), None) => {
                    match renames.iter().filter(of).find(|rename| rename.from == old.name) {
                        Some(rename) => {
                            let (up, down) = (vec![dialect.quoted(&rename.from)], dialect.quoted(&rename.to));
                            self.moves(dialect, table, old, vec![rename.to.clone()], up, down);
                        }
                        None => self.contract.push(change),
                    }
                    return;
                }
                _ => {}
            }
        }
        match (&change, change.safety()) {
            (Change::Enum { from: Some(_), .. }, Safety::Expand) => self.values.push(change),
            (Change::Index { table, .. }, Safety::Expand | Safety::Concurrent)
                if dialect == Dialect::Postgres && postgres::is_plain(catalog, table) =>
            {
                self.concurrent.push(change);
            }
            (_, Safety::Expand | Safety::Concurrent) => self.expand.push(change),
            (_, Safety::Contract) => self.contract.push(change),
        }
    }
}

impl Sets {
    /// What guards the old column stays as long as it does. On PostgreSQL so does what a key or index succeeds, and the indexes
    /// of the new column come before the new version does.
    fn follow_guards(&mut self, dialect: Dialect, from: &Catalog) {
        let moved = &self.moved;
        let names = |table: &TableName, text: &str, of: fn(&Moved) -> Vec<&str>| {
            moved.iter().filter(|one| one.table == *table).any(|one| {
                of(one)
                    .into_iter()
                    .any(|name| definition_renamed(dialect, text, name, "").is_some())
            })
        };
        let guards_old = |change: &Change| {
            let (table, text) = match change {
                Change::Constraint {
                    table,
                    from: Some(one),
                    to: None,
                    ..
                } => (table, &one.definition),
                Change::Index {
                    table,
                    from: Some(one),
                    to: None,
                    ..
                } => (table, &one.definition),
                _ => return false,
            };
            names(table, text, |one| vec![&one.old.name])
        };
        for set in [&mut self.expand, &mut self.concurrent] {
            let (later, now): (Vec<Change>, Vec<Change>) =
                std::mem::take(set).into_iter().partition(guards_old);
            *set = now;
            self.contract.extend(later);
        }
        if dialect != Dialect::Postgres {
            return;
        }
        for set in [&mut self.expand, &mut self.concurrent] {
            let contract = &self.contract;
            let follows = |gone: &Change| contract.iter().any(|comes| postgres::succeeds(gone, comes));
            let (later, now): (Vec<Change>, Vec<Change>) = std::mem::take(set).into_iter().partition(follows);
            *set = now;
            self.contract.extend(later);
        }
        let guards_new = |change: &Change| {
            let (table, text) = match change {
                Change::Constraint {
                    table, to: Some(one), ..
                } => (table, &one.definition),
                Change::Index {
                    table, to: Some(one), ..
                } => (table, &one.definition),
                _ => return false,
            };
            postgres::is_plain(from, table)
                && names(table, text, |one| one.new.iter().map(String::as_str).collect())
        };
        for change in std::mem::take(&mut self.contract) {
            if guards_new(&change) {
                if matches!(change, Change::Index { from: None, .. }) {
                    self.concurrent.push(change);
                    continue;
                }
                if let Some(ahead) = postgres::ahead(&change) {
                    self.contract.push(ahead.inverse());
                    self.concurrent.push(ahead);
                }
            }
            self.contract.push(change);
        }
    }

    /// The old column is there until the contract. SQLite refuses an insert that leaves it out before a trigger can fill
    /// it, so it may be NULL from the expand on. So does MySQL when the triggers are gone and the column not yet, so it gets
    /// a default, which is never NULL to the old version.
    fn moves(
        &mut self,
        dialect: Dialect,
        table: &TableName,
        old: &Column,
        new: Vec<String>,
        up: Vec<String>,
        down: String,
    ) {
        let mut kept = old.clone();
        if old.not_null && old.default.is_none() {
            match dialect {
                Dialect::Sqlite => kept.not_null = false,
                Dialect::Mysql | Dialect::MariaDb => {
                    kept.default = mysql::stand_in(dialect, old);
                    kept.not_null = kept.default.is_some();
                }
                Dialect::Postgres | Dialect::MongoDb => {}
            }
        }
        if kept != *old {
            self.expand.push(Change::Column {
                table: table.clone(),
                from: Some(old.clone()),
                to: Some(kept.clone()),
            });
        }
        self.contract.push(Change::Column {
            table: table.clone(),
            from: Some(kept.clone()),
            to: None,
        });
        self.moved.push(Moved {
            table: table.clone(),
            old: kept,
            new,
            up,
            down,
        });
    }
}

/// One column becomes others: the whole set of files. Indexes and constraints of the old column go with it; where one
/// column takes its place, they come back on that.
pub(crate) fn moved(
    dialect: Dialect,
    from: &Catalog,
    table: &TableName,
    old: &Column,
    new: &[Column],
    (up, down): (Vec<String>, String),
    retires: &Version,
) -> Vec<Draft> {
    let mut sets = Sets::default();
    for column in new {
        let first = loose(column);
        if first != *column {
            sets.contract.push(Change::Column {
                table: table.clone(),
                from: Some(first.clone()),
                to: Some(column.clone()),
            });
        }
        sets.expand.push(Change::Column {
            table: table.clone(),
            from: None,
            to: Some(first),
        });
    }
    let names = new.iter().map(|column| column.name.clone()).collect();
    sets.moves(dialect, table, old, names, up, down);
    let place = match new {
        [one] => Some(one.name.as_str()),
        _ => None,
    };
    if let Some(own) = from.tables.get(table) {
        for (name, index) in &own.indexes {
            let to = place.unwrap_or_default();
            let Some(text) = definition_renamed(dialect, &index.definition, &old.name, to) else {
                continue;
            };
            let definition = text;
            sets.contract.push(Change::Index {
                table: table.clone(),
                name: name.clone(),
                from: Some(index.clone()),
                to: place.map(|_| Index {
                    definition,
                    unique: index.unique,
                }),
            });
        }
        for (name, constraint) in &own.constraints {
            let to = place.unwrap_or_default();
            let Some(text) = definition_renamed(dialect, &constraint.definition, &old.name, to) else {
                continue;
            };
            let kind = constraint.kind;
            sets.contract.push(Change::Constraint {
                table: table.clone(),
                name: name.clone(),
                from: Some(constraint.clone()),
                to: place.map(|_| Constraint {
                    kind,
                    definition: text,
                }),
            });
        }
    }
    assemble(dialect, from, sets, retires)
}

fn definition_renamed(dialect: Dialect, text: &str, from: &str, to: &str) -> Option<String> {
    if dialect.is_mysql() {
        mysql::definition_renamed(text, from, to)
    } else {
        renamed(dialect, text, from, to)
    }
}

fn apply(catalog: &Catalog, changes: &[Change]) -> Catalog {
    changes
        .iter()
        .fold(catalog.clone(), |catalog, change| catalog.with(change))
}

fn inverse(changes: &[Change]) -> Vec<Change> {
    changes.iter().rev().map(Change::inverse).collect()
}

fn both_ways(dialect: Dialect, from: &Catalog, changes: &[Change]) -> (Vec<String>, Vec<String>, Catalog) {
    let after = apply(from, changes);
    let up = statements(dialect, from, changes);
    let down = statements(dialect, &after, &inverse(changes));
    (up, down, after)
}

fn about(changes: &[Change]) -> String {
    let words: Vec<String> = changes
        .iter()
        .map(|change| {
            change
                .to_string()
                .split("  ")
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    match words.as_slice() {
        [a, b, c, rest @ ..] if !rest.is_empty() => format!("{a}, {b}, {c} and {} more", rest.len()),
        all => all.join(", "),
    }
}

impl Draft {
    /// The text of the up file.
    #[must_use]
    pub fn up_text(&self) -> String {
        let retires = self.directives.iter().find(|one| one.starts_with("retires="));
        let retires = retires.map_or_else(String::new, |one| format!(" {one}"));
        let mut out = format!(
            "-- {}\n-- cutover: phase={}{retires}{}\n-- cutover: reviewed=no\n",
            self.about,
            self.phase,
            self.settings(&self.up)
        );
        for directive in self.directives.iter().filter(|one| !one.starts_with("retires=")) {
            out.push_str(&format!("-- cutover: {directive}\n"));
        }
        out.push_str(&body(&self.up));
        out
    }

    /// The text of the down file.
    #[must_use]
    pub fn down_text(&self) -> String {
        let settings = match self.settings(&self.down) {
            settings if settings.is_empty() => settings,
            settings => format!("-- cutover:{settings}\n"),
        };
        format!("-- Takes back: {}\n{settings}{}", self.about, body(&self.down))
    }

    /// How statements of it are run. What a large table takes long for beside the traffic may take as long as it does, whatever holds
    /// for the database: nobody waits behind it, and cut short it would only begin again.
    fn settings(&self, statements: &[String]) -> String {
        let mut out = String::new();
        if !self.transaction {
            out.push_str(" transaction=none");
        }
        if statements.iter().any(|one| beside_traffic(one)) {
            out.push_str(" timeout=none");
        }
        out
    }
}

fn body(statements: &[String]) -> String {
    statements.iter().map(|one| format!("{one};\n")).collect()
}
