//! The header of a migration file: `-- cutover: …` comments above its first statement.
//!
//! Directives are words with values (`phase=contract retires=2.0.0`), or `precheck QUERY`, `verify QUERY` and
//! `irreversible reason=…`, which take the rest of their comment. A remark may follow after two or more spaces. What is not known is an error:
//! a misspelt directive that is silently a comment would run a contract as an expand.

use std::ops::Range;

use cutover_model::{InvalidVersion, MigrationPhase, Span, Version};

use crate::lexer::{Kind, tokens};
use crate::{Batches, Dialect, EndSync, SplitError, Sync, command, declare};

/// What a file's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// `phase=expand|backfill|contract`.
    pub phase: Option<MigrationPhase>,
    /// `retires=VERSION`: versions below it cannot live with this file.
    pub retires: Option<Version>,
    /// False with `transaction=none`.
    pub transaction: bool,
    /// `timeout=10m|none`: how long each of its statements may run, whatever holds for the database.
    pub timeout: Option<Timeout>,
    /// `precheck QUERY`, in order: each must return 0 before the first statement.
    pub prechecks: Vec<String>,
    /// `verify QUERY`: must return 0.
    pub verify: Option<String>,
    /// `irreversible reason=…`.
    pub irreversible: Option<String>,
    /// `adopted=yes`: this file, and those with a lower number, were written for another tool.
    pub adopted: bool,
    /// `reviewed=no`: Cutover wrote the file, and nobody has read it yet.
    pub unreviewed: Option<Range<usize>>,
    /// The first line of the first other comment.
    pub summary: Option<String>,
    /// `sync table=… …`: two-way triggers that come with this file.
    pub syncs: Vec<Placed<Sync>>,
    /// `end-sync table=… …`: two-way triggers that go with this file.
    pub ended: Vec<Placed<EndSync>>,
    /// `backfill table=… …`: the file runs in batches.
    pub batches: Option<Placed<Batches>>,
}

/// How long a statement may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// As long as it takes.
    Never,
    /// So long; never zero.
    After(Span),
}

impl Timeout {
    /// What it may be, for messages.
    pub(crate) const ALLOWED: &str = "a time such as 10m, none";

    /// As a header says it.
    pub(crate) fn read(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::Never),
            _ => text
                .parse()
                .ok()
                .filter(|span| *span > Span::ZERO)
                .map(Self::After),
        }
    }
}

/// A directive and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// What it says.
    pub value: T,
    /// As written, for the checksum: white space counts as one blank.
    pub text: String,
    /// Which bytes of the file.
    pub range: Range<usize>,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            phase: None,
            retires: None,
            transaction: true,
            timeout: None,
            prechecks: Vec::new(),
            verify: None,
            irreversible: None,
            adopted: false,
            unreviewed: None,
            summary: None,
            syncs: Vec::new(),
            ended: Vec::new(),
            batches: None,
        }
    }
}

/// What is wrong with a directive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectiveProblem {
    /// Not one of the known ones.
    #[error("`{word}` is not a directive")]
    Unknown {
        /// As written.
        word: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// A known one with a value that it cannot have.
    #[error("`{value}` is not a value of `{key}`: it is one of {allowed}")]
    Value {
        /// Its key.
        key: &'static str,
        /// As written.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// `retires=` with something that is no version.
    #[error(transparent)]
    Version(#[from] InvalidVersion),
    /// Given twice.
    #[error("`{0}` is given twice")]
    Twice(&'static str),
    /// `verify` without a query, `irreversible` without a reason.
    #[error("`{directive}` needs {needs}")]
    Incomplete {
        /// The directive.
        directive: &'static str,
        /// What is missing.
        needs: &'static str,
    },
    /// Two phases in one file.
    #[error("it is both {0} and {1}")]
    MixedPhases(MigrationPhase, MigrationPhase),
    /// `sync`, `end-sync` or `backfill` with values that do not fit.
    #[error("{directive}: {said}")]
    Declaration {
        /// The directive.
        directive: &'static str,
        /// What is wrong.
        said: String,
    },
    /// Not quite `cutover:`, but what follows is a directive.
    #[error("`{0}` is not how a directive begins")]
    Form(String),
    /// Below the first statement.
    #[error("directives stand above the first statement")]
    TooLate,
    /// The text around cannot be read.
    #[error(transparent)]
    Text(#[from] SplitError),
}

/// What is wrong with a directive, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct DirectiveError {
    /// What.
    pub problem: DirectiveProblem,
    /// Which bytes of the file.
    pub range: Range<usize>,
}

const KNOWN: [&str; 12] = [
    "phase",
    "adopted",
    "reviewed",
    "retires",
    "transaction",
    "timeout",
    "precheck",
    "verify",
    "irreversible",
    "sync",
    "end-sync",
    "backfill",
];

/// Reads a file's header.
///
/// # Errors
/// All that is wrong with it, not only the first.
pub fn header(dialect: Dialect, source: &str) -> Result<Header, Vec<DirectiveError>> {
    if dialect == Dialect::MongoDb {
        return command::header(source);
    }
    let all = tokens(dialect, source).map_err(|error| {
        let range = error.byte_offset..error.byte_offset;
        vec![DirectiveError {
            problem: error.into(),
            range,
        }]
    })?;
    let mut reader = Reader {
        dialect,
        source,
        header: Header::default(),
        errors: Vec::new(),
    };
    let mut body = false;
    for token in all {
        match token.kind {
            Kind::Space => {}
            Kind::LineComment => match token.text(source).as_bytes() {
                [b'-', b'-', ..] => reader.comment(token.start + 2..token.end, body),
                [b'#', ..] => reader.comment(token.start + 1..token.end, body),
                // A DELIMITER line.
                _ => {}
            },
            Kind::BlockComment => reader.comment(token.start + 2..token.end - 2, body),
            _ => body = true,
        }
    }
    if reader.errors.is_empty() {
        Ok(reader.header)
    } else {
        Err(reader.errors)
    }
}

struct Reader<'a> {
    dialect: Dialect,
    source: &'a str,
    header: Header,
    errors: Vec<DirectiveError>,
}

impl<'a> Reader<'a> {
    fn refuse(&mut self, range: Range<usize>, problem: DirectiveProblem) {
        self.errors.push(DirectiveError { problem, range });
    }

    fn comment(&mut self, range: Range<usize>, body: bool) {
        let range = self.trimmed(range);
        let text = &self.source[range.clone()];
        let Some(directives) = text.strip_prefix("cutover:") else {
            if let Some(length) = meant(text) {
                let form = text[..length].to_owned();
                self.refuse(range.start..range.start + length, DirectiveProblem::Form(form));
                return;
            }
            if self.header.summary.is_none()
                && let Some(line) = text.lines().next().map(str::trim)
                && line.chars().any(char::is_alphanumeric)
            {
                self.header.summary = Some(line.to_owned());
            }
            return;
        };
        if body {
            self.refuse(range, DirectiveProblem::TooLate);
            return;
        }
        self.directives(range.end - directives.len()..range.end);
    }

    fn trimmed(&self, range: Range<usize>) -> Range<usize> {
        let text = &self.source[range.clone()];
        let start = range.start + (text.len() - text.trim_start().len());
        start..start + text.trim().len()
    }

    fn directives(&mut self, range: Range<usize>) {
        let mut at = range.start;
        let mut seen = false;
        while let Some((spaces, word)) = self.word(at..range.end) {
            at = word.end;
            let text = &self.source[word.clone()];
            let rest = self.trimmed(at..range.end);
            if matches!(text, "sync" | "end-sync" | "backfill") {
                self.declared(text, word.start..rest.end, rest);
                return;
            } else if let Some((key, value)) = text.split_once('=') {
                self.keyed(key, value, word);
            } else if text == "verify" || text == "precheck" {
                let query = self.source[rest].trim_end_matches(';').trim();
                if query.is_empty() {
                    let directive = if text == "verify" { "verify" } else { "precheck" };
                    self.incomplete(word, directive, "a query that returns a count");
                } else if text == "precheck" {
                    self.header.prechecks.push(query.to_owned());
                } else if self.once("verify", self.header.verify.is_some(), &word) {
                    self.header.verify = Some(query.to_owned());
                }
                return;
            } else if text == "irreversible" {
                self.irreversible(word, rest);
                return;
            } else if seen && spaces >= 2 {
                self.remark(word.start..range.end);
                return;
            } else {
                self.unknown(text, word);
            }
            seen = true;
        }
    }

    /// The next word and how many blanks stand before it.
    fn word(&self, range: Range<usize>) -> Option<(usize, Range<usize>)> {
        let text = &self.source[range.clone()];
        let spaces = text.len() - text.trim_start().len();
        let word = text.split_whitespace().next()?;
        let start = range.start + spaces;
        Some((spaces, start..start + word.len()))
    }

    /// A remark must not hide a directive.
    fn remark(&mut self, range: Range<usize>) {
        let mut at = range.start;
        while let Some((_, word)) = self.word(at..range.end) {
            at = word.end;
            let text = &self.source[word.clone()];
            if let Some((key, _)) = text.split_once('=')
                && (KNOWN.contains(&key) || nearest(key).is_some())
            {
                self.unknown(key, word);
            }
        }
    }

    fn unknown(&mut self, text: &str, range: Range<usize>) {
        let problem = DirectiveProblem::Unknown {
            word: text.to_owned(),
            nearest: nearest(text),
        };
        self.refuse(range, problem);
    }

    fn incomplete(&mut self, range: Range<usize>, directive: &'static str, needs: &'static str) {
        self.refuse(range, DirectiveProblem::Incomplete { directive, needs });
    }

    fn once(&mut self, key: &'static str, given: bool, range: &Range<usize>) -> bool {
        if given {
            self.refuse(range.clone(), DirectiveProblem::Twice(key));
        }
        !given
    }

    fn irreversible(&mut self, word: Range<usize>, rest: Range<usize>) {
        let reason = self.source[rest]
            .strip_prefix("reason=")
            .map(|text| text.trim().trim_matches(|quote| quote == '"' || quote == '\''));
        match reason {
            Some(reason) if !reason.is_empty() => {
                if self.once("irreversible", self.header.irreversible.is_some(), &word) {
                    self.header.irreversible = Some(reason.to_owned());
                }
            }
            _ => self.incomplete(word, "irreversible", "reason=…"),
        }
    }

    fn declared(&mut self, directive: &str, whole: Range<usize>, rest: Range<usize>) {
        let text = &self.source[rest];
        let shown = format!(
            "{directive} {}",
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        );
        let range = whole.clone();
        let done = match directive {
            "sync" => declare::sync(self.dialect, text)
                .map(|value| {
                    self.header.syncs.push(Placed {
                        value,
                        text: shown,
                        range,
                    })
                })
                .map_err(|said| ("sync", said)),
            "end-sync" => declare::end_sync(text)
                .map(|value| {
                    self.header.ended.push(Placed {
                        value,
                        text: shown,
                        range,
                    })
                })
                .map_err(|said| ("end-sync", said)),
            _ if self.header.batches.is_some() => {
                self.refuse(whole, DirectiveProblem::Twice("backfill"));
                return;
            }
            _ => declare::batches(text)
                .map(|value| {
                    self.header.batches = Some(Placed {
                        value,
                        text: shown,
                        range,
                    })
                })
                .map_err(|said| ("backfill", said)),
        };
        if let Err((directive, said)) = done {
            self.refuse(whole, DirectiveProblem::Declaration { directive, said });
        }
    }

    fn keyed(&mut self, key: &'a str, value: &'a str, range: Range<usize>) {
        let value_range = range.end - value.len()..range.end;
        match key {
            "phase" => {
                let phase = match value {
                    "expand" => Some(MigrationPhase::Expand),
                    "backfill" => Some(MigrationPhase::Backfill),
                    "contract" => Some(MigrationPhase::Contract),
                    _ => None,
                };
                if phase.is_none() {
                    self.bad_value("phase", value, "expand, backfill, contract", value_range);
                } else if let (Some(one), Some(other)) = (self.header.phase, phase)
                    && one != other
                {
                    self.refuse(range, DirectiveProblem::MixedPhases(one, other));
                } else if self.once("phase", self.header.phase.is_some(), &range) {
                    self.header.phase = phase;
                }
            }
            "retires" => match value.parse() {
                Err(error) => self.refuse(value_range, DirectiveProblem::Version(error)),
                Ok(version) => {
                    if self.once("retires", self.header.retires.is_some(), &range) {
                        self.header.retires = Some(version);
                    }
                }
            },
            "adopted" => match value {
                "yes" => self.header.adopted = true,
                _ => self.bad_value("adopted", value, "yes", value_range),
            },
            "reviewed" => match value {
                "no" => self.header.unreviewed = Some(range),
                "yes" => self.header.unreviewed = None,
                _ => self.bad_value("reviewed", value, "yes, no", value_range),
            },
            "transaction" => match value {
                "none" => self.header.transaction = false,
                "one" => self.header.transaction = true,
                _ => self.bad_value("transaction", value, "none, one", value_range),
            },
            "timeout" => match Timeout::read(value) {
                None => self.bad_value("timeout", value, Timeout::ALLOWED, value_range),
                timeout => {
                    if self.once("timeout", self.header.timeout.is_some(), &range) {
                        self.header.timeout = timeout;
                    }
                }
            },
            _ => self.unknown(key, range.start..range.start + key.len()),
        }
    }

    fn bad_value(&mut self, key: &'static str, value: &str, allowed: &'static str, range: Range<usize>) {
        let problem = DirectiveProblem::Value {
            key,
            value: value.to_owned(),
            allowed,
        };
        self.refuse(range, problem);
    }
}

/// How long the beginning of a comment is that was meant to be `cutover:`: another case, a blank before the colon or no colon. What
/// tells it from prose that begins with the name is a directive behind it, and without a colon the beginning of its value, too.
fn meant(text: &str) -> Option<usize> {
    const NAME: &str = "cutover";
    let name = text.get(..NAME.len())?;
    let rest = &text[NAME.len()..];
    let colon = rest.trim_start().strip_prefix(':');
    if !name.eq_ignore_ascii_case(NAME) || (colon.is_none() && !rest.starts_with(char::is_whitespace)) {
        return None;
    }
    let said = colon.unwrap_or(rest);
    let word = said.split_whitespace().next()?;
    let (key, has_value) = match word.split_once('=') {
        Some((key, _)) => (key, true),
        None => (word, false),
    };
    let key = key.to_lowercase();
    let known = KNOWN.contains(&key.as_str()) || (has_value && nearest(&key).is_some());
    let said_more = || {
        let said = said.to_lowercase();
        has_value
            || ["select", "table=", "reason="]
                .iter()
                .any(|value| said.contains(value))
    };
    let length = text.len() - said.len();
    (known && (colon.is_some() || said_more())).then_some(length)
}

fn nearest(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    KNOWN
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(known, &word), known))
        .filter(|(distance, known)| *distance <= known.len() / 3 + 1 && *distance < known.len())
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Header {
        header(Dialect::Postgres, source).unwrap()
    }

    fn problems(source: &str) -> Vec<DirectiveProblem> {
        header(Dialect::Postgres, source)
            .unwrap_err()
            .into_iter()
            .map(|error| error.problem)
            .collect()
    }

    #[test]
    fn everything_a_header_can_say() {
        let found = read(
            "-- cutover: phase=contract retires=2.0.0      versions below 2.0.0 cannot live with this
             -- cutover: transaction=none
             -- Drops the old names.
             -- cutover: irreversible reason=\"the values are gone\"
             ALTER TABLE users DROP first_name; -- and that is that",
        );
        assert_eq!(found.phase, Some(MigrationPhase::Contract));
        assert_eq!(found.retires, Some(Version::new(2, 0, 0)));
        assert!(!found.transaction);
        assert_eq!(found.irreversible.as_deref(), Some("the values are gone"));
        assert_eq!(found.summary.as_deref(), Some("Drops the old names."));
    }

    #[test]
    fn a_verify_query_takes_the_rest_even_over_lines() {
        let one = read("-- cutover: phase=backfill\n-- cutover: verify SELECT count(*) FROM t WHERE a = b;");
        assert_eq!(one.verify.as_deref(), Some("SELECT count(*) FROM t WHERE a = b"));
        let many = read("/* cutover: verify SELECT count(*)\n FROM t */ SELECT 1");
        assert_eq!(many.verify.as_deref(), Some("SELECT count(*)\n FROM t"));
    }

    #[test]
    fn a_time_out_is_a_time_or_none() {
        let of = |text: &str| read(&format!("-- cutover: phase=expand {text}\nSELECT 1")).timeout;
        assert_eq!(of(""), None);
        assert_eq!(of("timeout=none"), Some(Timeout::Never));
        assert_eq!(of("timeout=1h30m"), Some(Timeout::After(Span::from_mins(90))));
        for text in ["timeout=0", "timeout=600", "timeout=soon", "timeout="] {
            let found = problems(&format!("-- cutover: {text}"));
            let is_value = matches!(&found[..], [DirectiveProblem::Value { key: "timeout", .. }]);
            assert!(is_value, "{text}: {found:?}");
        }
        assert_eq!(
            problems("-- cutover: timeout=1m timeout=none"),
            [DirectiveProblem::Twice("timeout")]
        );
    }

    #[test]
    fn prechecks_may_be_several() {
        let found = read(
            "-- cutover: phase=expand\n-- cutover: precheck SELECT 1;\n-- cutover: precheck SELECT 2\nSELECT 3",
        );
        assert_eq!(found.prechecks, ["SELECT 1", "SELECT 2"]);
    }

    #[test]
    fn mistakes_are_named_with_the_nearest_spelling() {
        assert_eq!(
            problems("-- cutover: phse=expand"),
            [DirectiveProblem::Unknown {
                word: "phse".to_owned(),
                nearest: Some("phase")
            }]
        );
        assert!(matches!(
            &problems("-- cutover: phase=contract  retire=2.0.0")[..],
            [DirectiveProblem::Unknown {
                nearest: Some("retires"),
                ..
            }]
        ));
        assert!(matches!(
            &problems("-- cutover: phase=contract   see below, retire=2.0.0")[..],
            [DirectiveProblem::Unknown {
                nearest: Some("retires"),
                ..
            }]
        ));
        assert!(matches!(
            &problems("-- cutover: phase=shrink retires=2 transaction=no")[..],
            [
                DirectiveProblem::Value { key: "phase", .. },
                DirectiveProblem::Version(_),
                DirectiveProblem::Value {
                    key: "transaction",
                    ..
                }
            ]
        ));
        assert!(matches!(
            &problems("-- cutover: verify\n-- cutover: irreversible why=x")[..],
            [
                DirectiveProblem::Incomplete { .. },
                DirectiveProblem::Incomplete { .. }
            ]
        ));
        assert_eq!(
            problems("-- cutover: phase=expand\n-- cutover: phase=expand"),
            [DirectiveProblem::Twice("phase")]
        );
        assert_eq!(
            problems("-- cutover: phase=expand\n-- cutover: phase=contract"),
            [DirectiveProblem::MixedPhases(
                MigrationPhase::Expand,
                MigrationPhase::Contract
            )]
        );
        assert_eq!(
            problems("SELECT 1;\n-- cutover: phase=expand"),
            [DirectiveProblem::TooLate]
        );
    }

    #[test]
    fn what_is_almost_a_directive_is_no_comment() {
        for (source, form) in [
            ("-- Cutover: precheck SELECT 1", "Cutover:"),
            ("-- cutover precheck SELECT 1", "cutover"),
            ("-- cutover : verify SELECT 1", "cutover :"),
            ("-- CUTOVER: phase=contract retires=2.0.0", "CUTOVER:"),
            ("-- cutover phse=contract", "cutover"),
            ("/* Cutover: sync table=t */", "Cutover:"),
            ("SELECT 1;\n-- Cutover: verify SELECT 1", "Cutover:"),
        ] {
            let found = header(Dialect::Postgres, source).unwrap_err().remove(0);
            assert_eq!(found.problem, DirectiveProblem::Form(form.to_owned()), "{source}");
            assert_eq!(&source[found.range], form);
        }
        for prose in [
            "-- Cutover runs this in batches",
            "-- cutover backfill of the names",
            "-- Cutover: the old names go",
            "-- cutover-lint: ignore drop-table reason=it was empty",
            "-- cutovers phase=contract",
            "-- cutover",
        ] {
            assert!(header(Dialect::Postgres, prose).is_ok(), "{prose}");
        }
    }

    #[test]
    fn the_place_is_the_word() {
        let source = "-- cutover: phase=expand retirs=1.0.0";
        let error = header(Dialect::Sqlite, source).unwrap_err().remove(0);
        assert_eq!(&source[error.range], "retirs");
    }
}
