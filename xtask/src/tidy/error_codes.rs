//! Every code that a person can meet has its page under `docs/errors/`, and every page its code.
//!
//! Codes reach a diagnostic in many ways: directly, through a helper that adds the place, from a table over the
//! variants of an error. So the areas are learned from the files that make diagnostics, and every literal `area.cause`
//! with one of these areas, in any file, counts as a code.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::Finding;
use crate::generate::error_index;
use crate::repository::SourceFile;

/// A file with one of these makes diagnostics, or failures that become some.
const MAKES_DIAGNOSTICS: [&str; 4] = [
    "Diagnostic::error(",
    "Diagnostic::warning(",
    "fn code(",
    "code: \"",
];

/// `state.json` is a file, whatever areas there are.
const EXTENSIONS: [&str; 12] = [
    "db", "json", "lock", "log", "md", "pid", "sock", "socket", "sql", "sqlite", "toml", "yaml",
];

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let sources: Vec<(&str, &str)> = files.iter().filter_map(source).collect();
    let areas: BTreeSet<&str> = sources
        .iter()
        .filter(|(_, text)| MAKES_DIAGNOSTICS.iter().any(|mark| text.contains(mark)))
        .flat_map(|(_, text)| {
            literals(text)
                .map(|(literal, _)| literal)
                .filter(|literal| is_code(literal))
        })
        .chain(error_index::pages(files).map(|(code, _)| code))
        .map(area)
        .collect();
    let mut used: BTreeMap<&str, String> = BTreeMap::new();
    for (path, text) in sources {
        for (code, line) in literals(text).filter(|(code, _)| is_code(code) && areas.contains(area(code))) {
            used.entry(code).or_insert_with(|| format!("{path}:{line}"));
        }
    }
    let pages: BTreeSet<&str> = error_index::pages(files).map(|(code, _)| code).collect();

    let mut findings = Vec::new();
    for (code, place) in &used {
        if !pages.contains(code) {
            findings.push(Finding::new(
                place,
                format!("`{code}` has no page: write {}", error_index::path(code)),
            ));
        }
    }
    for (code, page) in error_index::pages(files) {
        if !used.contains_key(code) {
            findings.push(Finding::new(
                &page.path,
                "no error has this code any more: remove the page",
            ));
        }
        if page.text.lines().next() != Some(&format!("# {code}")) {
            findings.push(Finding::new(
                &page.path,
                format!("does not begin with the line `# {code}`"),
            ));
        } else if error_index::first_sentence(&page.text).is_none() {
            findings.push(Finding::new(
                &page.path,
                "does not say in a sentence below its title what is wrong",
            ));
        }
    }
    findings
}

/// Code that ships: what stands in test modules does not count.
fn source(file: &SourceFile) -> Option<(&str, &str)> {
    let path = file.path.as_str();
    // The simulator and the made-up values of snapshots are never run by a user.
    let made_up = path.starts_with("crates/cutover-sim/") || path.contains("/fixtures/");
    let ships = path.starts_with("crates/") && path.contains("/src/") && path.ends_with(".rs") && !made_up;
    let tests = path.ends_with("/tests.rs") || path.contains("/tests/");
    let text = file
        .text
        .split("\n#[cfg(test)]\nmod ")
        .next()
        .unwrap_or(&file.text);
    (ships && !tests).then_some((path, text))
}

/// What stands between quotation marks on one line, with the line; comments left out.
fn literals(text: &str) -> impl Iterator<Item = (&str, usize)> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .flat_map(|(number, line)| line.split('"').skip(1).map(move |literal| (literal, number + 1)))
}

fn area(code: &str) -> &str {
    code.split('.').next().unwrap_or(code)
}

/// `area.cause`, lower case with hyphens.
fn is_code(text: &str) -> bool {
    let word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    text.split_once('.')
        .is_some_and(|(area, cause)| word(area) && word(cause) && !EXTENSIONS.contains(&cause))
}

#[cfg(test)]
mod tests {
    use super::super::{files, lines};
    use super::*;

    const SOURCE: &str = "
fn a() { Diagnostic::error(\"spec.unknown-key\", format!(\"{x}\")); }
fn b(&self) {
    let (code, help) = match self {
        Self::Locked => (\"store.locked\", \"cutover status\"),
        Self::Gone => (
            \"store.gone\",
            open(\"store.json\"),
        ),
    };
}
// \"spec.commented\"

#[cfg(test)]
mod tests {
    fn d() { Diagnostic::error(\"test.only\", \"x\"); }
}
";

    #[test]
    fn codes_are_found_by_their_areas() {
        let helper = "fn c() { findings.error(\"spec.by-helper\", \"mail.example\") }\n";
        let found = lines(&check(&files(&[
            ("crates/a/src/helper.rs", helper),
            ("crates/a/src/lib.rs", SOURCE),
        ])));
        let codes: Vec<_> = found
            .iter()
            .filter_map(|finding| finding.split('`').nth(1))
            .collect();
        assert_eq!(
            codes,
            ["spec.by-helper", "spec.unknown-key", "store.gone", "store.locked"]
        );
        assert!(found[3].starts_with("crates/a/src/lib.rs:5: "), "{found:?}");
    }

    #[test]
    fn shape() {
        for good in ["spec.unknown-key", "a.b", "io.e2big"] {
            assert!(is_code(good), "{good}");
        }
        for bad in [
            "spec",
            "Spec.key",
            "spec.",
            ".key",
            "a.b.c",
            "a b.c",
            "spec.un_known",
        ] {
            assert!(!is_code(bad), "{bad}");
        }
    }

    #[test]
    fn pages_and_codes_match_both_ways() {
        let found = check(&files(&[
            (
                "crates/a/src/x.rs",
                "\nfn a() { Diagnostic::error(\"a.one\", \"\"); Diagnostic::error(\"a.two\", \"\"); }\n",
            ),
            (
                "crates/a/tests/x.rs",
                "fn a() { Diagnostic::error(\"a.three\", \"\"); }\n",
            ),
            ("docs/errors/README.md", "# Errors\n"),
            ("docs/errors/a.two.md", "# a.two\n\nSomething is wrong. More.\n"),
            ("docs/errors/a.old.md", "# a.older\n\nSomething was wrong.\n"),
        ]));
        assert_eq!(
            lines(&found),
            [
                "crates/a/src/x.rs:2: `a.one` has no page: write docs/errors/a.one.md",
                "docs/errors/a.old.md: no error has this code any more: remove the page",
                "docs/errors/a.old.md: does not begin with the line `# a.old`",
            ]
        );
    }
}
