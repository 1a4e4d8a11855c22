//! The linter: what a migration's statements would do to those who use the database while they run, to the version of the
//! application that still runs, and to the data.
//!
//! Pure and total: a text, the schema that is there before it ([`Prior`]) and the server go in, findings come out. Each rule
//! is a file of `rules`; this module owns only the order of things: what was created in the file, which transaction a
//! statement runs in, which locks are held.

mod finding;
mod fix;
mod look;
mod mysql;
mod phase;
mod rule;
mod rules;
mod state;
mod suppress;
mod swap;
mod types;
mod undo;
mod version;
mod volatile;
mod weight;

pub use finding::{Family, Finding};
pub use fix::{Fixed, FixedFile, NotFixed, fix};
pub use phase::StatementPhase;
pub use rule::{Effect, Example, Lifted, Rule};
pub use rules::RULES;
pub use state::Prior;
pub use version::{InvalidServerVersion, ServerVersion};

use cutover_model::{MigrationPhase, Severity};

use crate::ddl::Ddl;
use crate::place::LineStarts;
use crate::{Dialect, Statement, header, read, split};
use look::Look;
use rule::Report;
use state::State;
use suppress::{Flaw, Suppression, suppressions};

/// What is linted.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// Whose SQL it is.
    pub dialect: Dialect,
    /// The server; none: a present one ([`ServerVersion::present`]).
    pub version: Option<ServerVersion>,
    /// What was there before.
    pub prior: &'a Prior,
    /// The file as people name it.
    pub file: &'a str,
    /// Its text.
    pub source: &'a str,
    /// Whether the whole text runs in one transaction; none: as its header says, and otherwise as Cutover runs it, in one
    /// unless something in it cannot be.
    pub transaction: Option<bool>,
}

/// What was found, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linted {
    /// The findings.
    pub findings: Vec<Finding>,
    /// How many statements were looked at.
    pub statements: usize,
    /// What its statements make of it, in order; those that go into any file are left out.
    pub phases: Vec<StatementPhase>,
    /// The schema after it, for the next file.
    pub after: Prior,
}

/// Lints one text.
#[must_use]
pub fn lint(input: &Input<'_>) -> Linted {
    let mut run = Run::new(input);
    match split(input.dialect, input.source) {
        Ok(statements) => run.statements(&statements),
        Err(error) => run.unreadable(error.byte_offset, &error.problem.to_string()),
    }
    run.finish()
}

struct Run<'a> {
    input: &'a Input<'a>,
    version: ServerVersion,
    state: State,
    declared: Option<MigrationPhase>,
    lines: LineStarts<'a>,
    suppressions: Vec<Suppression>,
    findings: Vec<Finding>,
    count: usize,
    phases: Vec<StatementPhase>,
}

impl<'a> Run<'a> {
    fn new(input: &'a Input<'a>) -> Self {
        let head = header(input.dialect, input.source).ok();
        let declared = head.as_ref().and_then(|head| {
            // Only a contract retires versions.
            let retires = head.retires.as_ref().map(|_| MigrationPhase::Contract);
            head.phase.or(retires)
        });
        // What is outside by its header is outside.
        let whole = match (input.transaction, head) {
            (Some(whole), _) => Some(whole),
            (None, Some(head)) if !head.transaction => Some(false),
            (None, _) => None,
        };
        Self {
            input,
            version: input
                .version
                .unwrap_or_else(|| ServerVersion::present(input.dialect)),
            state: State::new(input.dialect, input.prior, whole),
            declared,
            lines: LineStarts::new(input.source),
            suppressions: Vec::new(),
            findings: Vec::new(),
            count: 0,
            phases: Vec::new(),
        }
    }

    fn statements(&mut self, statements: &[Statement]) {
        let mut facts: Vec<Ddl> = statements
            .iter()
            .map(|statement| read(self.input.dialect, &statement.text))
            .collect();
        self.count = statements.len();
        self.suppressions = suppressions(self.input.dialect, self.input.source, statements);
        self.state.decide_transaction(&facts);
        for (at, statement) in statements.iter().enumerate() {
            let Some(ddl) = facts.get(at) else { break };
            self.one(statement, 0..statement.text.len(), ddl, &facts, at);
            // What runs inside a block is looked at as if it stood there.
            if let Ddl::Opaque { inner, .. } = ddl {
                for (range, ddl) in inner {
                    self.one(statement, range.clone(), ddl, &facts, at);
                    self.state.apply(ddl, at);
                }
            } else {
                self.state.apply(ddl, at);
            }
            // What is taken back has not happened.
            if let Some(begin) = self.state.taken_back {
                facts[begin..at].fill(Ddl::Harmless);
            }
        }
        if let Some(begin) = self.state.open_transaction()
            && let Some(statement) = statements.get(begin)
        {
            let rule = &rules::uncommitted_transaction::RULE;
            let mut report = Report::new(rule);
            report.add(
                0..statement.text.len(),
                "a transaction is begun here and never committed".to_owned(),
            );
            self.take(statement, begin, report, &Ddl::Harmless);
        }
        self.flaws();
    }

    /// What is wrong with the comments that suppress findings.
    fn flaws(&mut self) {
        let rule = &rules::suppression::RULE;
        for one in &self.suppressions {
            let (severity, message) = match one.flaw() {
                None => continue,
                Some(Flaw::NoReason) => (
                    rule.severity,
                    "a suppression without a reason suppresses nothing".to_owned(),
                ),
                Some(Flaw::Unknown(name)) => (rule.severity, format!("there is no rule named `{name}`")),
                Some(Flaw::Unused) => (Severity::Note, "nothing here needs to be suppressed".to_owned()),
            };
            let (line, column) = self.lines.place(one.span.start);
            self.findings.push(Finding {
                rule: rule.id.to_owned(),
                family: rule.family,
                severity,
                file: self.input.file.to_owned(),
                line,
                column,
                statement: self
                    .input
                    .source
                    .get(one.span.clone())
                    .unwrap_or_default()
                    .to_owned(),
                message,
                help: rule.safe.to_owned(),
                fix: None,
                span: one.span.clone(),
            });
        }
    }

    fn one(
        &mut self,
        statement: &Statement,
        range: std::ops::Range<usize>,
        ddl: &Ddl,
        facts: &[Ddl],
        at: usize,
    ) {
        let look = Look {
            dialect: self.input.dialect,
            version: self.version,
            prior: &self.input.prior.schema,
            state: &self.state,
            text: statement.text.get(range.clone()).unwrap_or_default(),
            ddl,
            facts,
            at,
        };
        let mut reports = Vec::new();
        for rule in RULES
            .iter()
            .filter(|rule| rule.dialects.contains(&self.input.dialect))
        {
            let mut report = Report::new(rule);
            (rule.check)(&look, &mut report);
            if !report.is_empty() {
                report.shift(range.start);
                reports.push(report);
            }
        }
        // What stands in a block runs when the block runs, and that is not certain.
        let whole = range.len() == statement.text.len();
        if let Some(phase) = phase::of(&statement.text, ddl, &self.state, &reports).filter(|_| whole) {
            let span = statement.byte_offset..statement.byte_offset + statement.text.len();
            self.phases.push(StatementPhase { phase, span });
        }
        for report in reports {
            self.take(statement, at, report, ddl);
        }
    }

    fn take(&mut self, statement: &Statement, at: usize, report: Report, ddl: &Ddl) {
        let rule = report.rule();
        if self.suppressions.iter_mut().any(|one| one.takes(rule.id, at)) {
            return;
        }
        for one in report.into_found() {
            let offset = statement.byte_offset + one.span.start;
            let (line, column) = self.lines.place(offset);
            // What waits for the old version to be gone is what a contract is for.
            let severity =
                if self.declared == Some(MigrationPhase::Contract) && rule.lifted == Lifted::Contract {
                    Severity::Note
                } else {
                    weight::by_size(rule, ddl, &self.state, one.severity)
                };
            self.findings.push(Finding {
                rule: rule.id.to_owned(),
                family: rule.family,
                severity,
                file: self.input.file.to_owned(),
                line,
                column,
                statement: statement.text.clone(),
                message: one.message,
                help: one.help.unwrap_or_else(|| rule.safe.to_owned()),
                fix: one.fix,
                span: offset..offset + one.span.len(),
            });
        }
    }

    fn unreadable(&mut self, offset: usize, problem: &str) {
        let rule = &rules::not_understood::RULE;
        let (line, column) = self.lines.place(offset);
        let text = self.input.source.get(offset..).unwrap_or_default();
        self.findings.push(Finding {
            rule: rule.id.to_owned(),
            family: rule.family,
            severity: Severity::Error,
            file: self.input.file.to_owned(),
            line,
            column,
            statement: text.lines().next().unwrap_or_default().to_owned(),
            message: problem.to_owned(),
            help: rule.safe.to_owned(),
            fix: None,
            span: offset..offset,
        });
    }

    fn finish(mut self) -> Linted {
        self.findings
            .sort_by_key(|finding| (finding.span.start, finding.severity));
        Linted {
            findings: self.findings,
            statements: self.count,
            phases: self.phases,
            after: self.state.into_prior(),
        }
    }
}

#[cfg(test)]
mod tests;
