//! What a rule is, and what it reports.

use std::ops::Range;

use cutover_model::Severity;

use super::finding::Family;
use super::look::Look;
use crate::Dialect;

/// When what a rule finds is no longer wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifted {
    /// Never.
    Never,
    /// In a contract: no instance of the old version is left.
    Contract,
}

/// What a statement does on a PostgreSQL server, as the tests measure it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// The strongest lock on a table that was there before, as `pg_locks` names it; empty: none.
    pub lock: &'static str,
    /// Whether a table or index gets a new file.
    pub rewrite: bool,
    /// Whether rows of the table are read.
    pub scan: bool,
}

/// A text that a rule finds, or leaves alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// Whose SQL.
    pub dialect: Dialect,
    /// What was there before.
    pub setup: &'static str,
    /// The text.
    pub sql: &'static str,
}

impl Example {
    /// PostgreSQL, with nothing known of the schema.
    #[must_use]
    pub const fn pg(sql: &'static str) -> Self {
        Self::pg_after("", sql)
    }

    /// PostgreSQL, after other migrations.
    #[must_use]
    pub const fn pg_after(setup: &'static str, sql: &'static str) -> Self {
        Self {
            dialect: Dialect::Postgres,
            setup,
            sql,
        }
    }

    /// MySQL, after other migrations.
    #[must_use]
    pub const fn my(setup: &'static str, sql: &'static str) -> Self {
        Self {
            dialect: Dialect::Mysql,
            setup,
            sql,
        }
    }

    /// MariaDB, after other migrations.
    #[must_use]
    pub const fn maria(setup: &'static str, sql: &'static str) -> Self {
        Self {
            dialect: Dialect::MariaDb,
            setup,
            sql,
        }
    }

    /// SQLite, after other migrations.
    #[must_use]
    pub const fn lite(setup: &'static str, sql: &'static str) -> Self {
        Self {
            dialect: Dialect::Sqlite,
            setup,
            sql,
        }
    }
}

impl Example {
    /// MongoDB, after other migrations.
    #[must_use]
    pub const fn mongo(setup: &'static str, sql: &'static str) -> Self {
        Self {
            dialect: Dialect::MongoDb,
            setup,
            sql,
        }
    }
}

/// One rule.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its name: stable.
    pub id: &'static str,
    /// What it is about.
    pub family: Family,
    /// How much it weighs where it does not say otherwise.
    pub severity: Severity,
    /// Where it holds.
    pub dialects: &'static [Dialect],
    /// When it no longer does.
    pub lifted: Lifted,
    /// In a line: what it finds.
    pub summary: &'static str,
    /// What happens, and to whom.
    pub why: &'static str,
    /// What to do instead.
    pub safe: &'static str,
    /// What the first bad example of PostgreSQL does on a server; none: nothing that a server shows.
    pub effect: Option<Effect>,
    /// What it finds.
    pub bad: &'static [Example],
    /// What it leaves alone.
    pub good: &'static [Example],
    /// The check.
    pub(super) check: fn(&Look<'_>, &mut Report),
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

/// All databases that speak SQL.
pub(super) const ALL: &[Dialect] = &[
    Dialect::Postgres,
    Dialect::Mysql,
    Dialect::MariaDb,
    Dialect::Sqlite,
];
/// All databases.
pub(super) const EVERY: &[Dialect] = &[
    Dialect::Postgres,
    Dialect::Mysql,
    Dialect::MariaDb,
    Dialect::Sqlite,
    Dialect::MongoDb,
];
/// MongoDB alone.
pub(super) const MONGO: &[Dialect] = &[Dialect::MongoDb];
/// PostgreSQL alone.
pub(super) const PG: &[Dialect] = &[Dialect::Postgres];
/// MySQL and MariaDB.
pub(super) const MY: &[Dialect] = &[Dialect::Mysql, Dialect::MariaDb];
/// SQLite alone.
pub(super) const LITE: &[Dialect] = &[Dialect::Sqlite];

/// What one rule found in one statement.
pub(super) struct Report {
    rule: &'static Rule,
    found: Vec<Found>,
}

pub(super) struct Found {
    pub(super) severity: Severity,
    /// Within the statement.
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
    pub(super) fix: Option<String>,
}

impl Report {
    pub(super) const fn new(rule: &'static Rule) -> Self {
        Self {
            rule,
            found: Vec::new(),
        }
    }

    pub(super) const fn rule(&self) -> &'static Rule {
        self.rule
    }

    /// Adds a finding of the rule's own weight.
    pub(super) fn add(&mut self, span: Range<usize>, message: String) -> &mut Found {
        self.weigh(self.rule.severity, span, message)
    }

    /// Adds a finding of another weight.
    pub(super) fn weigh(&mut self, severity: Severity, span: Range<usize>, message: String) -> &mut Found {
        let at = self.found.len();
        self.found.push(Found {
            severity,
            span,
            message,
            help: None,
            fix: None,
        });
        &mut self.found[at]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether one of them is more than a note.
    pub(super) fn is_serious(&self) -> bool {
        self.found.iter().any(|one| one.severity > Severity::Note)
    }

    pub(super) fn shift(&mut self, by: usize) {
        for one in &mut self.found {
            one.span = one.span.start + by..one.span.end + by;
        }
    }

    pub(super) fn into_found(self) -> Vec<Found> {
        self.found
    }
}

impl Found {
    /// Another way out than the rule's.
    pub(super) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Statements to write instead.
    pub(super) fn fix(&mut self, fix: impl Into<String>) -> &mut Self {
        self.fix = Some(fix.into());
        self
    }
}
