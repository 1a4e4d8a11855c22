//! `-- cutover-lint: ignore RULE reason=…`: findings that somebody has looked at.
//!
//! Above a statement, or within it, `ignore` holds for that statement; `ignore-file` holds for the whole text. A reason is
//! required: one without is a finding itself, and suppresses nothing. Where there are no comments, the file says it:
//! `"ignore": [{"rule": …, "reason": …}]`.

use std::ops::Range;

use super::rules::RULES;
use crate::lexer::{Kind, tokens};
use crate::{Dialect, Statement, command};

/// One comment.
pub(super) struct Suppression {
    rules: Vec<String>,
    reason: bool,
    /// Which statement; none: all.
    statement: Option<usize>,
    /// Which bytes of the text say it.
    pub(super) span: Range<usize>,
    used: bool,
}

/// What is wrong with it, if something is.
pub(super) enum Flaw {
    /// No reason is given.
    NoReason,
    /// It names a rule that there is not, or none.
    Unknown(String),
    /// It suppresses nothing.
    Unused,
}

pub(super) fn suppressions(dialect: Dialect, source: &str, statements: &[Statement]) -> Vec<Suppression> {
    if dialect == Dialect::MongoDb {
        return command::suppressions(source)
            .into_iter()
            .map(|one| Suppression {
                rules: vec![one.rule],
                reason: one.reason,
                statement: None,
                span: one.range,
                used: false,
            })
            .collect();
    }
    let all = tokens(dialect, source).unwrap_or_default();
    all.iter()
        .filter(|token| matches!(token.kind, Kind::LineComment | Kind::BlockComment))
        .filter_map(|token| {
            let text = token.text(source);
            let text = text
                .trim_start_matches(['-', '/', '*', '#', ' '])
                .trim_end_matches(['*', '/', ' ', '\r']);
            let text = text.strip_prefix("cutover-lint:")?.trim_start();
            let (whole, rest) = match text.strip_prefix("ignore-file") {
                Some(rest) => (true, rest),
                None => (false, text.strip_prefix("ignore")?),
            };
            let (rules, reason) = rest.split_once("reason=").unwrap_or((rest, ""));
            // The first statement that ends after the comment does.
            let next = statements
                .iter()
                .position(|statement| statement.byte_offset + statement.text.len() > token.end);
            Some(Suppression {
                rules: rules
                    .split([',', ' '])
                    .filter(|rule| !rule.is_empty())
                    .map(str::to_owned)
                    .collect(),
                reason: !reason.trim().is_empty(),
                statement: if whole {
                    None
                } else {
                    Some(next.unwrap_or(usize::MAX))
                },
                span: token.start..token.end,
                used: false,
            })
        })
        .collect()
}

impl Suppression {
    /// Whether it holds for a rule's finding at a statement.
    pub(super) fn takes(&mut self, rule: &str, statement: usize) -> bool {
        let holds = self.reason
            && self.statement.is_none_or(|own| own == statement)
            && self.rules.iter().any(|own| own == rule);
        self.used |= holds;
        holds
    }

    pub(super) fn flaw(&self) -> Option<Flaw> {
        let unknown = self
            .rules
            .iter()
            .find(|rule| !RULES.iter().any(|known| known.id == **rule));
        if let Some(rule) = unknown {
            return Some(Flaw::Unknown(rule.clone()));
        }
        if self.rules.is_empty() {
            return Some(Flaw::Unknown(String::new()));
        }
        if !self.reason {
            return Some(Flaw::NoReason);
        }
        (!self.used).then_some(Flaw::Unused)
    }
}
