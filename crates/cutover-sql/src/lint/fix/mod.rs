//! `--fix`: a text, rewritten into the files that do the same while others work.
//!
//! Statement by statement, in order: what is found in it decides. What only the old version minds waits in contracts; what
//! locks is done in the steps that do not; rows are written by backfills. Expands and backfills keep the order of the text,
//! because that is the order in which they run; what waits for a contract takes with it whatever comes later and names the
//! same things. What cannot be rewritten is left as it is, and its findings are answered: they are those of the new files,
//! linted again, so nothing is promised that was not looked at.

mod action;
mod column;
mod moved;
mod piece;
mod statement;

use std::collections::BTreeSet;

use cutover_model::{MigrationPhase, Severity};

use super::{Finding, Input, Prior, lint};
use crate::ddl::{Alter, AlterTable, Control, Ddl, Name};
use crate::schema::mentions;
use crate::{Dialect, Statement, header, read, split};
pub use piece::FixedFile;
use piece::{Piece, files};

/// What was made of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// In the order in which they run.
    pub files: Vec<FixedFile>,
    /// What the linter still finds in them; `file` is the number of the file in the list, from 1.
    pub left: Vec<Finding>,
}

/// Why a text is not rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotFixed {
    /// Another database.
    #[error("only files for PostgreSQL are rewritten")]
    Dialect,
    /// It cannot be split, or holds what cannot be read.
    #[error("there is a statement in it that is not understood")]
    NotUnderstood,
    /// A part of it may never happen.
    #[error("it takes back a part of itself (ROLLBACK, SAVEPOINT)")]
    Rollback,
    /// Its header says more than how it runs.
    #[error("its header has directives of its own (sync, end-sync, backfill, precheck, verify)")]
    Directives,
}

/// Rewrites one text of PostgreSQL. What is found by rules that are allowed in it stays as it is; what only a contract makes
/// right goes into one all the same, because that is what its phase is.
///
/// # Errors
/// [`NotFixed`]: it is not even tried.
pub fn fix(input: &Input<'_>, allowed: &[&str]) -> Result<Fixed, NotFixed> {
    if input.dialect != Dialect::Postgres {
        return Err(NotFixed::Dialect);
    }
    let head = header(input.dialect, input.source).map_err(|_| NotFixed::NotUnderstood)?;
    let more = !head.syncs.is_empty() || !head.ended.is_empty() || head.batches.is_some();
    if more || !head.prechecks.is_empty() || head.verify.is_some() {
        return Err(NotFixed::Directives);
    }
    let statements = split(input.dialect, input.source).map_err(|_| NotFixed::NotUnderstood)?;
    let stays: Vec<&str> = allowed.iter().copied().filter(|rule| !is_lifted(rule)).collect();
    let found = serious(lint(input).findings, &stays);
    let mut fixer = Fixer {
        prior: input.prior.clone(),
        pieces: Vec::new(),
        waiting: Vec::new(),
        settings: Vec::new(),
    };
    for statement in &statements {
        let ddl = read(input.dialect, &statement.text);
        let range = statement.byte_offset..statement.byte_offset + statement.text.len();
        let own: Vec<&Finding> = found
            .iter()
            .filter(|finding| range.contains(&finding.span.start))
            .collect();
        fixer.one(statement, &ddl, &own)?;
        fixer.prior.schema.apply(&ddl);
    }
    let files = files(fixer.pieces, &fixer.settings);
    let left = left(input, &files, allowed);
    Ok(Fixed { files, left })
}

/// What is more than a note, and not allowed.
fn serious(mut found: Vec<Finding>, allowed: &[&str]) -> Vec<Finding> {
    found.retain(|finding| finding.severity > Severity::Note && !allowed.contains(&finding.rule.as_str()));
    found
}

/// What is found in the new files, linted one after the other.
fn left(input: &Input<'_>, files: &[FixedFile], allowed: &[&str]) -> Vec<Finding> {
    let mut prior = input.prior.clone();
    let mut out = Vec::new();
    for (at, file) in files.iter().enumerate() {
        let name = (at + 1).to_string();
        let text = file.text(None);
        let again = Input {
            file: &name,
            source: &text,
            prior: &prior,
            transaction: None,
            ..input.clone()
        };
        let linted = lint(&again);
        out.extend(serious(linted.findings, allowed));
        prior = linted.after;
    }
    out
}

struct Fixer {
    /// Before the statement, as the text has it.
    prior: Prior,
    pieces: Vec<Piece>,
    /// What waits for a contract: later statements with both names wait too.
    waiting: Vec<Waiting>,
    /// What sets the session: every file begins with it.
    settings: Vec<String>,
}

/// A thing that is changed in a contract.
struct Waiting {
    /// Whose; none: its name alone says it.
    table: Option<String>,
    name: String,
}

impl Fixer {
    fn one(&mut self, statement: &Statement, ddl: &Ddl, found: &[&Finding]) -> Result<(), NotFixed> {
        let text = statement.text.trim();
        match ddl {
            Ddl::NotUnderstood { .. } => return Err(NotFixed::NotUnderstood),
            Ddl::Transaction(Control::Begin | Control::Commit) => return Ok(()),
            Ddl::Transaction(_) => return Err(NotFixed::Rollback),
            Ddl::Set(_) => {
                self.settings.push(text.to_owned());
                return Ok(());
            }
            _ => {}
        }
        if self.waits(text) {
            self.push(vec![Piece::contract(text)]);
            return Ok(());
        }
        if self.says_nothing_new(ddl) {
            return Ok(());
        }
        if let Ddl::AlterTable(alter) = ddl
            && !found.is_empty()
        {
            self.alter(statement, alter, found);
            return Ok(());
        }
        let found = &beside_held(found);
        let pieces = if found.is_empty() {
            None
        } else if all_wait(found) {
            self.wait(None, statement::names(ddl));
            Some(vec![Piece::contract(text)])
        } else {
            statement::fix(&self.prior, text, ddl, found)
        };
        self.push(pieces.unwrap_or_else(|| vec![Piece::plain(text, ddl)]));
        Ok(())
    }

    /// One action after the other, each as a statement.
    fn alter(&mut self, statement: &Statement, alter: &AlterTable, found: &[&Finding]) {
        let Some(first) = alter.actions.first() else {
            return;
        };
        let head = statement.text[..first.span.start].trim_end();
        for action in &alter.actions {
            let own: Vec<&Finding> = found
                .iter()
                .copied()
                .filter(|finding| {
                    let start = finding.span.start - statement.byte_offset;
                    action.span.contains(&start) || start < first.span.start
                })
                .collect();
            let own = beside_held(&own);
            let text = statement.text.get(action.span.clone()).unwrap_or_default();
            let whole = format!("{head} {text}");
            if self.waits(&whole) {
                self.push(vec![Piece::contract(&whole)]);
                continue;
            }
            let pieces = if own.is_empty() {
                vec![Piece::expand(&whole)]
            } else if all_wait(&own)
                && (!is_move(&action.what) || self.has_waiting(&action.what, &alter.table))
            {
                self.wait(Some(&alter.table), action::names(&action.what));
                vec![Piece::contract(&whole)]
            } else {
                let one = One {
                    prior: &self.prior,
                    table: &alter.table,
                    head,
                    text,
                    found: &own,
                };
                let pieces = action::fix(&one, &action.what);
                match (&action.what, &pieces) {
                    // The old name is a view until the contract.
                    (Alter::RenameTable(_), Some(_)) => self.wait(None, vec![alter.table.name.clone()]),
                    (Alter::RenameColumn { .. } | Alter::SetType { .. }, Some(_)) => {
                        self.wait(Some(&alter.table), action::names(&action.what));
                    }
                    _ => {}
                }
                pieces.unwrap_or_else(|| vec![Piece::expand(&whole)])
            };
            self.push(pieces);
        }
    }

    fn wait(&mut self, table: Option<&Name>, names: Vec<String>) {
        self.waiting.extend(names.into_iter().map(|name| Waiting {
            table: table.map(|table| table.name.clone()),
            name,
        }));
    }

    fn waits(&self, text: &str) -> bool {
        let lower = text.to_lowercase();
        let says = |name: &str| mentions(text, name) || mentions(&lower, name);
        self.waiting
            .iter()
            .any(|one| says(&one.name) && one.table.as_deref().is_none_or(says))
    }

    /// NOT NULL once more: what makes it so may have become a contract.
    fn says_nothing_new(&self, ddl: &Ddl) -> bool {
        let Ddl::AlterTable(alter) = ddl else { return false };
        let known = self.prior.schema.table(&alter.table);
        alter.actions.iter().all(|action| match &action.what {
            Alter::SetNotNull(name) => known
                .and_then(|known| known.column(name))
                .is_some_and(|column| column.not_null),
            _ => false,
        })
    }

    /// A table of which something waits under its old name goes on under it until then.
    fn has_waiting(&self, what: &Alter, table: &Name) -> bool {
        matches!(what, Alter::RenameTable(_)) && self.pieces.iter().any(|piece| piece.waits_for(&table.name))
    }

    fn push(&mut self, pieces: Vec<Piece>) {
        self.pieces.extend(pieces);
    }
}

/// One action of an `ALTER TABLE`, as text and with what was found in it.
struct One<'a> {
    prior: &'a Prior,
    table: &'a Name,
    /// `ALTER TABLE IF EXISTS ONLY t`, as written.
    head: &'a str,
    /// The action, as written.
    text: &'a str,
    found: &'a [&'a Finding],
}

impl One<'_> {
    fn has(&self, rule: &str) -> bool {
        self.found.iter().any(|finding| finding.rule == rule)
    }

    /// Rules that the finding is about, apart from these.
    fn only(&self, rules: &[&str]) -> bool {
        self.found
            .iter()
            .all(|finding| rules.contains(&finding.rule.as_str()))
    }
}

/// What was found, without that it holds a lock for long where there is more to say: in a file of its own it does not.
fn beside_held<'a>(found: &[&'a Finding]) -> Vec<&'a Finding> {
    let more: Vec<&Finding> = found
        .iter()
        .copied()
        .filter(|finding| finding.rule != "lock-held")
        .collect();
    if more.is_empty() { found.to_vec() } else { more }
}

/// Whether all that was found is lifted by a contract.
fn all_wait(found: &[&Finding]) -> bool {
    !found.is_empty() && found.iter().all(|finding| is_lifted(&finding.rule))
}

/// Whether a contract makes right what a rule finds.
fn is_lifted(name: &str) -> bool {
    super::RULES
        .iter()
        .any(|rule| rule.id == name && rule.lifted == super::Lifted::Contract)
}

/// What goes on under another name, and so does not simply wait.
const fn is_move(what: &Alter) -> bool {
    matches!(what, Alter::RenameColumn { .. } | Alter::RenameTable(_))
}

/// Names of one text, without repetition.
fn distinct(names: impl IntoIterator<Item = String>) -> Vec<String> {
    names.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// When a piece runs, for files of which the header says something else.
const fn is_contract(phase: MigrationPhase) -> bool {
    matches!(phase, MigrationPhase::Contract)
}
