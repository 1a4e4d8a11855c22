//! `cargo xtask tidy`: the repository's rules that no other tool knows. One rule a file, each a pure function over
//! the files.

mod crate_docs;
mod error_codes;
mod leftovers;
mod length;
mod links;
mod whitespace;

use anyhow::Result;

use crate::finding::{Finding, report};
use crate::repository::{Repository, SourceFile};

type Rule = fn(&[SourceFile]) -> Vec<Finding>;

const RULES: [Rule; 6] = [
    crate_docs::check,
    error_codes::check,
    leftovers::check,
    length::check,
    links::check,
    whitespace::check,
];

pub(crate) fn run(repository: &Repository) -> Result<()> {
    let files = repository.files()?;
    let findings = RULES.iter().flat_map(|rule| rule(&files)).collect();
    report(findings, &format!("{} files are tidy", files.len()))
}

/// Files for the tests of the rules.
#[cfg(test)]
fn files(files: &[(&str, &str)]) -> Vec<SourceFile> {
    files
        .iter()
        .map(|(path, text)| SourceFile {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        })
        .collect()
}

/// What a rule says, for its tests.
#[cfg(test)]
fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}
