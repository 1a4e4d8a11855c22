//! What is known before a statement: the schema, what this text created, and the transaction it runs in.

use std::collections::{BTreeMap, BTreeSet};

use super::undo::Undo;
use crate::command::Command;
use crate::ddl::{Alter, Control, Ddl, Kind, Name};
use crate::schema::Schema;
use crate::{Dialect, read, split};

/// What earlier migrations left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prior {
    /// The schema.
    pub schema: Schema,
    /// Settings of the session, lower case: `timezone` → `utc`.
    pub settings: BTreeMap<String, String>,
    /// About how many rows a table has, where a database was asked.
    pub rows: BTreeMap<Name, u64>,
}

impl Prior {
    /// Learns about how many rows tables have: names as they are written in statements.
    pub fn sizes(&mut self, dialect: Dialect, sizes: &[(String, u64)]) {
        for (name, rows) in sizes {
            // A statement that names nothing else is read for its name.
            if let Ddl::Truncate { tables, .. } = read(dialect, &format!("TRUNCATE {name}"))
                && let [table] = tables.as_slice()
            {
                self.rows.insert(table.clone(), *rows);
            }
        }
    }

    /// Folds a text of earlier migrations. What in it cannot be split or read is left out: the schema then knows less, and
    /// rules assume more.
    #[must_use]
    pub fn from_text(dialect: Dialect, source: &str) -> Self {
        let mut out = Self::default();
        out.fold(dialect, source);
        out
    }

    /// Folds a further text in. What a session keeps for itself ends with it: temporary tables, and the settings of MySQL,
    /// while `SET TIME ZONE` of PostgreSQL also tells how its sessions are set.
    pub fn fold(&mut self, dialect: Dialect, source: &str) {
        let facts: Vec<Ddl> = split(dialect, source)
            .unwrap_or_default()
            .iter()
            .map(|statement| read(dialect, &statement.text))
            .collect();
        let temporary = facts
            .iter()
            .any(|ddl| matches!(ddl, Ddl::CreateTable(create) if create.temporary));
        let mut undo = Undo::new(dialect, &facts);
        for ddl in &facts {
            if let Ddl::Transaction(control) = ddl {
                if let Some(before) = undo.follow(control, || self.clone()) {
                    *self = before;
                }
                if temporary && matches!(control, Control::Commit | Control::Rollback) {
                    self.schema.end_transaction();
                }
            }
            if let Ddl::Set(settings) = ddl
                && !dialect.is_mysql()
            {
                self.settings.extend(settings.iter().cloned());
            }
            self.schema.apply(ddl);
        }
        if temporary {
            self.schema.end_session();
        }
    }
}

/// What a statement runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transaction {
    /// Alone.
    None,
    /// In one that the text begins itself, at that statement.
    Begun(usize),
    /// In one around the whole text, because the caller says so.
    Whole,
    /// In one around the whole text, because that is how Cutover runs files.
    Policy,
}

/// A strong lock on a table that was there before, and which statement took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) table: Name,
    pub(super) statement: usize,
}

pub(super) struct State {
    pub(super) schema: Schema,
    pub(super) rows: BTreeMap<Name, u64>,
    pub(super) settings: BTreeMap<String, String>,
    /// Tables that this text made and nothing has filled.
    fresh: BTreeSet<Name>,
    /// Of those, the ones that may have been there before: made with `IF NOT EXISTS`.
    perhaps: BTreeSet<Name>,
    /// Tables that this text made, filled or not.
    made: BTreeSet<Name>,
    /// Other objects that this text made.
    made_objects: BTreeSet<(Kind, String)>,
    outer: Option<bool>,
    pub(super) transaction: Transaction,
    /// ACCESS EXCLUSIVE, in this transaction.
    pub(super) held: Vec<Held>,
    /// Constraints added NOT VALID in this transaction.
    pub(super) unvalidated: BTreeSet<(Name, String)>,
    /// Columns added in this transaction.
    pub(super) added: BTreeSet<(Name, String)>,
    dialect: Dialect,
    undo: Undo<Before>,
    /// From which statement on the last one took all back.
    pub(super) taken_back: Option<usize>,
}

/// What is known before a statement that others go back to.
#[derive(Debug, Clone)]
struct Before {
    statement: usize,
    schema: Schema,
    settings: BTreeMap<String, String>,
    fresh: BTreeSet<Name>,
    perhaps: BTreeSet<Name>,
    made: BTreeSet<Name>,
    made_objects: BTreeSet<(Kind, String)>,
    held: Vec<Held>,
    unvalidated: BTreeSet<(Name, String)>,
    added: BTreeSet<(Name, String)>,
}

impl State {
    pub(super) fn new(dialect: Dialect, prior: &Prior, whole: Option<bool>) -> Self {
        Self {
            dialect,
            undo: Undo::new(dialect, &[]),
            taken_back: None,
            schema: prior.schema.clone(),
            rows: prior.rows.clone(),
            settings: prior.settings.clone(),
            fresh: BTreeSet::new(),
            perhaps: BTreeSet::new(),
            made: BTreeSet::new(),
            made_objects: BTreeSet::new(),
            outer: whole,
            transaction: Transaction::None,
            held: Vec::new(),
            unvalidated: BTreeSet::new(),
            added: BTreeSet::new(),
        }
    }

    /// Which transaction is around it all.
    pub(super) fn decide_transaction(&mut self, facts: &[Ddl]) {
        let controls = facts.iter().any(|ddl| matches!(ddl, Ddl::Transaction(_)));
        let cannot = facts.iter().any(outside);
        self.transaction = match self.outer {
            Some(true) => Transaction::Whole,
            Some(false) => Transaction::None,
            None if controls || cannot => Transaction::None,
            None => Transaction::Policy,
        };
        self.undo = Undo::new(self.dialect, facts);
        if self.in_transaction() {
            self.follow(&Control::Begin, 0);
        }
    }

    /// Goes back to what was known, if that is what a statement does.
    fn follow(&mut self, control: &Control, at: usize) {
        let now = || Before {
            statement: at,
            schema: self.schema.clone(),
            settings: self.settings.clone(),
            fresh: self.fresh.clone(),
            perhaps: self.perhaps.clone(),
            made: self.made.clone(),
            made_objects: self.made_objects.clone(),
            held: self.held.clone(),
            unvalidated: self.unvalidated.clone(),
            added: self.added.clone(),
        };
        let Some(before) = self.undo.follow(control, now) else {
            return;
        };
        self.taken_back = Some(before.statement);
        self.schema = before.schema;
        // A PRAGMA is no part of a transaction.
        if self.dialect == Dialect::Postgres {
            self.settings = before.settings;
        }
        self.fresh = before.fresh;
        self.perhaps = before.perhaps;
        self.made = before.made;
        self.made_objects = before.made_objects;
        self.held = before.held;
        self.unvalidated = before.unvalidated;
        self.added = before.added;
    }

    /// Where a transaction was begun that is still open at the end.
    pub(super) const fn open_transaction(&self) -> Option<usize> {
        match self.transaction {
            Transaction::Begun(at) => Some(at),
            Transaction::None | Transaction::Whole | Transaction::Policy => None,
        }
    }

    pub(super) fn in_transaction(&self) -> bool {
        self.transaction != Transaction::None
    }

    /// Made here, empty, and seen by nobody else.
    pub(super) fn is_fresh(&self, name: &Name) -> bool {
        self.fresh.contains(name) || self.schema.table(name).is_some_and(|table| table.temporary)
    }

    /// Fresh, and certainly so: where data is at stake, `CREATE TABLE IF NOT EXISTS` proves nothing.
    pub(super) fn is_empty(&self, name: &Name) -> bool {
        self.is_fresh(name) && !self.perhaps.contains(name)
    }

    /// Made here for certain, whether or not it was filled; or nobody else sees it.
    pub(super) fn is_mine(&self, name: &Name) -> bool {
        (self.is_made(name) && !self.perhaps.contains(name)) || self.is_empty(name)
    }

    /// Made here, whether or not it was filled.
    pub(super) fn is_made(&self, name: &Name) -> bool {
        self.made.contains(name)
    }

    pub(super) fn is_made_object(&self, kind: Kind, name: &Name) -> bool {
        self.made_objects.contains(&(kind, name.name.clone()))
    }

    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    pub(super) fn into_prior(mut self) -> Prior {
        self.schema.end_session();
        Prior {
            schema: self.schema,
            settings: BTreeMap::new(),
            rows: self.rows,
        }
    }

    fn forget_transaction(&mut self) {
        self.held.clear();
        self.unvalidated.clear();
        self.added.clear();
    }

    /// Folds a statement in.
    pub(super) fn apply(&mut self, ddl: &Ddl, at: usize) {
        self.taken_back = None;
        if let Ddl::Transaction(control) = ddl {
            self.follow(control, at);
            self.transaction(control, at);
        }
        self.freshness(ddl);
        if let Ddl::Set(settings) = ddl {
            self.settings.extend(settings.iter().cloned());
        }
        if self.in_transaction() {
            self.locks(ddl, at);
        }
        self.schema.apply(ddl);
        let may_end = match ddl {
            Ddl::CreateTable(create) => create.temporary,
            Ddl::Transaction(_) => true,
            _ => false,
        };
        if may_end && !self.in_transaction() {
            for gone in self.schema.end_transaction() {
                self.fresh.remove(&gone);
                self.made.remove(&gone);
            }
        }
    }

    fn transaction(&mut self, control: &Control, at: usize) {
        match control {
            Control::Begin if self.transaction == Transaction::None => {
                self.transaction = Transaction::Begun(at);
                self.forget_transaction();
            }
            Control::Commit | Control::Rollback => {
                self.transaction = Transaction::None;
                self.forget_transaction();
            }
            _ => {}
        }
    }

    fn freshness(&mut self, ddl: &Ddl) {
        match ddl {
            Ddl::Command(command) => self.collections(command),
            Ddl::CreateTable(create) => {
                if let Some(name) = &create.name
                    && !create.replace
                    && !(create.if_not_exists && self.schema.table(name).is_some())
                {
                    self.made.insert(name.clone());
                    if create.if_not_exists && !create.temporary {
                        self.perhaps.insert(name.clone());
                    } else {
                        self.perhaps.remove(name);
                    }
                    if create.from_query {
                        self.fresh.remove(name);
                    } else {
                        self.fresh.insert(name.clone());
                    }
                }
            }
            Ddl::Insert(write) => {
                self.fresh.remove(&write.table);
            }
            Ddl::AlterTable(alter) => {
                for action in &alter.actions {
                    match &action.what {
                        Alter::RenameTable(to) => self.moved(&alter.table, to),
                        Alter::SetSchema(schema) => {
                            let to = Name {
                                schema: Some(schema.clone()).filter(|schema| schema != "public"),
                                name: alter.table.name.clone(),
                            };
                            self.moved(&alter.table, &to);
                        }
                        Alter::AddIndex(index) => {
                            if let Some(name) = &index.name {
                                self.made_objects.insert((Kind::Index, name.name.clone()));
                            }
                        }
                        // A partition of a table that is in use is in use.
                        Alter::Attach { partition, .. } if !self.is_fresh(&alter.table) => {
                            self.fresh.remove(partition);
                        }
                        _ => {}
                    }
                }
            }
            Ddl::RenameTables(pairs) => {
                for (from, to) in pairs {
                    self.moved(from, to);
                }
            }
            Ddl::Drop(drop) => {
                for name in &drop.names {
                    if drop.kind == Kind::Table {
                        self.fresh.remove(name);
                        self.made.remove(name);
                    }
                    self.made_objects.remove(&(drop.kind, name.name.clone()));
                }
            }
            Ddl::CreateIndex { index, .. } => {
                if let Some(name) = &index.name {
                    self.made_objects.insert((Kind::Index, name.name.clone()));
                }
            }
            Ddl::Create {
                kind,
                name: Some(name),
                replace,
                ..
            } => {
                let replaced = *replace && self.schema.others.contains(&(*kind, name.clone()));
                if !replaced {
                    self.made_objects.insert((*kind, name.name.clone()));
                }
            }
            Ddl::CreateEnum { name, .. } => {
                self.made_objects.insert((Kind::Type, name.name.clone()));
            }
            Ddl::CreateDomain { name, .. } => {
                self.made_objects.insert((Kind::Domain, name.name.clone()));
            }
            Ddl::CreateFunction { name, replace, .. }
                if !(*replace && self.schema.functions.contains_key(name)) =>
            {
                self.made_objects.insert((Kind::Function, name.name.clone()));
            }
            _ => {}
        }
    }

    /// A `create` of a collection that is there fails: what it made is new for certain.
    fn collections(&mut self, command: &Command) {
        match command {
            Command::Create { collection, .. } => {
                self.made.insert(Name::plain(collection.as_str()));
                self.fresh.insert(Name::plain(collection.as_str()));
            }
            Command::Insert { collection, .. } => {
                self.fresh.remove(&Name::plain(collection.as_str()));
            }
            Command::Drop { collection } => {
                self.fresh.remove(&Name::plain(collection.as_str()));
                self.made.remove(&Name::plain(collection.as_str()));
            }
            Command::Rename { from, to, .. } => {
                self.moved(&Name::plain(from.as_str()), &Name::plain(to.as_str()))
            }
            _ => {}
        }
    }

    fn moved(&mut self, from: &Name, to: &Name) {
        let to = Name {
            schema: to.schema.clone().or_else(|| from.schema.clone()),
            name: to.name.clone(),
        };
        if self.fresh.remove(from) {
            self.fresh.insert(to.clone());
        }
        if self.perhaps.remove(from) {
            self.perhaps.insert(to.clone());
        }
        if self.made.remove(from) {
            self.made.insert(to);
        }
    }

    fn locks(&mut self, ddl: &Ddl, at: usize) {
        let mut hold = |table: &Name, made: bool| {
            if !made {
                self.held.push(Held {
                    table: table.clone(),
                    statement: at,
                });
            }
        };
        match ddl {
            Ddl::AlterTable(alter) if alter.actions.iter().any(|action| is_exclusive(&action.what)) => {
                hold(&alter.table, self.made.contains(&alter.table));
            }
            Ddl::Truncate { tables, .. } => {
                for table in tables {
                    hold(table, self.made.contains(table));
                }
            }
            Ddl::Drop(drop) if drop.kind == Kind::Table => {
                for table in &drop.names {
                    hold(table, self.made.contains(table));
                }
            }
            _ => {}
        }
        if let Ddl::AlterTable(alter) = ddl {
            for action in &alter.actions {
                match &action.what {
                    Alter::AddConstraint(constraint) if constraint.not_valid => {
                        if let Some(name) = &constraint.name {
                            self.unvalidated.insert((alter.table.clone(), name.clone()));
                        }
                    }
                    Alter::AddColumn {
                        column,
                        if_not_exists: false,
                        ..
                    } => {
                        self.added.insert((alter.table.clone(), column.name.clone()));
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Whether an action of PostgreSQL's `ALTER TABLE` takes ACCESS EXCLUSIVE (its manual, ALTER TABLE, Notes).
fn is_exclusive(what: &Alter) -> bool {
    match what {
        Alter::Validate(_) | Alter::Attach { .. } | Alter::Trigger(_) => false,
        Alter::AddConstraint(constraint) => {
            !matches!(constraint.kind, crate::ddl::ConstraintKind::ForeignKey { .. })
        }
        Alter::Detach { concurrently, .. } => !concurrently,
        Alter::ColumnSetting(_) => false,
        Alter::Setting(word) => !matches!(
            word.as_str(),
            "set options" | "reset options" | "cluster on" | "set without"
        ),
        _ => true,
    }
}

/// What PostgreSQL refuses within a transaction.
pub(super) fn outside(ddl: &Ddl) -> bool {
    match ddl {
        Ddl::CreateIndex { concurrently, .. } | Ddl::Reindex { concurrently, .. } => *concurrently,
        Ddl::Drop(drop) => drop.concurrently || (drop.kind == Kind::Database),
        Ddl::Cluster { concurrently, .. } => *concurrently,
        Ddl::Vacuum { .. } => true,
        Ddl::AlterTable(alter) => alter.actions.iter().any(|action| {
            matches!(
                action.what,
                Alter::Detach {
                    concurrently: true,
                    ..
                }
            )
        }),
        Ddl::Create {
            kind: Kind::Database, ..
        } => true,
        _ => false,
    }
}
