//! Statements of a rewritten text, and the files that they make.

use std::fmt::Write as _;

use cutover_model::{MigrationPhase, Version};

use super::is_contract;
use crate::ddl::Ddl;
use crate::lint::state::outside;
use crate::schema::mentions;
use crate::{Dialect, beside_traffic, ended};

/// A file as `--fix` writes it, before it has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedFile {
    /// When it may run.
    pub phase: MigrationPhase,
    /// Whether it runs in one transaction.
    pub transaction: bool,
    /// The header's other directives, without `cutover:`.
    pub directives: Vec<String>,
    /// Without their semicolons.
    pub statements: Vec<String>,
}

impl FixedFile {
    /// The text of the file; a contract says from which version on it can be lived with.
    #[must_use]
    pub fn text(&self, retires: Option<&Version>) -> String {
        let mut out = format!("-- cutover: phase={}", self.phase);
        if let Some(version) = retires.filter(|_| is_contract(self.phase)) {
            let _ = write!(out, " retires={version}");
        }
        if !self.transaction {
            out.push_str(" transaction=none");
        }
        // Cut short it would only begin again, and nobody waits behind it.
        if self.statements.iter().any(|one| beside_traffic(one)) {
            out.push_str(" timeout=none");
        }
        out.push_str("\n-- cutover: reviewed=no\n-- cutover: irreversible reason=written by --fix, without a way back\n");
        for directive in &self.directives {
            let _ = writeln!(out, "-- cutover: {directive}");
        }
        for statement in &self.statements {
            out.push_str(&ended(Dialect::Postgres, statement));
        }
        out
    }
}

/// A statement, and how it must run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    phase: MigrationPhase,
    transaction: bool,
    directives: Vec<String>,
    sql: String,
    /// Shares its file with nothing.
    apart: bool,
}

impl Piece {
    /// In an expand, with its neighbours in one transaction.
    pub(super) fn expand(sql: &str) -> Self {
        Self {
            phase: MigrationPhase::Expand,
            transaction: true,
            directives: Vec::new(),
            sql: sql.to_owned(),
            apart: false,
        }
    }

    /// As it is: rows in a backfill, what must be outside of a transaction outside.
    pub(super) fn plain(sql: &str, ddl: &Ddl) -> Self {
        let phase = match ddl {
            Ddl::Update(_) | Ddl::Delete(_) => MigrationPhase::Backfill,
            _ => MigrationPhase::Expand,
        };
        Self {
            phase,
            transaction: !outside(ddl),
            ..Self::expand(sql)
        }
    }

    /// In an expand, each statement in a transaction of its own.
    pub(super) fn alone(sql: &str) -> Self {
        Self {
            transaction: false,
            ..Self::expand(sql)
        }
    }

    /// In a backfill.
    pub(super) fn backfill(sql: &str, directives: Vec<String>) -> Self {
        Self {
            phase: MigrationPhase::Backfill,
            apart: true,
            directives,
            ..Self::expand(sql)
        }
    }

    /// In a contract.
    pub(super) fn contract(sql: &str) -> Self {
        Self {
            phase: MigrationPhase::Contract,
            ..Self::expand(sql)
        }
    }

    /// In a contract, each statement in a transaction of its own.
    pub(super) fn contract_alone(sql: &str) -> Self {
        Self {
            transaction: false,
            ..Self::contract(sql)
        }
    }

    pub(super) fn with(mut self, directive: String) -> Self {
        self.directives.push(directive);
        self
    }

    /// Whether it is of a contract, and names this.
    pub(super) fn waits_for(&self, name: &str) -> bool {
        is_contract(self.phase) && mentions(&self.sql.to_lowercase(), name)
    }

    /// Not in one file with what is before it.
    pub(super) fn apart(mut self) -> Self {
        self.apart = true;
        self
    }
}

/// The files: expands and backfills in order, then contracts in order.
pub(super) fn files(pieces: Vec<Piece>, settings: &[String]) -> Vec<FixedFile> {
    let (contracts, rest): (Vec<Piece>, Vec<Piece>) =
        pieces.into_iter().partition(|piece| is_contract(piece.phase));
    let mut out: Vec<FixedFile> = Vec::new();
    let mut open = false;
    for piece in rest.into_iter().chain(contracts) {
        let fits = open
            && !piece.apart
            && out
                .last()
                .is_some_and(|file| file.phase == piece.phase && file.transaction == piece.transaction);
        if !fits {
            out.push(FixedFile {
                phase: piece.phase,
                transaction: piece.transaction,
                directives: Vec::new(),
                statements: if piece.phase == MigrationPhase::Backfill {
                    Vec::new()
                } else {
                    settings.to_vec()
                },
            });
        }
        open = piece.phase != MigrationPhase::Backfill;
        if let Some(file) = out.last_mut() {
            for directive in piece.directives {
                if !file.directives.contains(&directive) {
                    file.directives.push(directive);
                }
            }
            if !piece.sql.is_empty() {
                file.statements.push(piece.sql);
            }
        }
    }
    out
}
