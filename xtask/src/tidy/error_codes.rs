//! Every code that a person can meet has its page under `docs/errors/`, and every page its code.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::Finding;
use crate::generate::error_index;
use crate::repository::SourceFile;

/// What a code is given to, as its first argument.
const CALLS: [&str; 2] = ["::error(", "::warning("];

/// The other place for codes: `fn code(&self) -> &'static str` over the variants of an error.
const METHOD: &str = "fn code(";

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut used: BTreeMap<&str, String> = BTreeMap::new();
    for file in files {
        if file.path.starts_with("crates/") && file.path.contains("/src/") && file.path.ends_with(".rs") {
            for (code, line) in codes(&file.text) {
                used.entry(code)
                    .or_insert_with(|| format!("{}:{line}", file.path));
            }
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

/// The codes in a source file with their lines; what stands in its test module does not count.
fn codes(text: &str) -> Vec<(&str, usize)> {
    let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text);
    let mut codes = Vec::new();
    for call in CALLS {
        for (at, _) in text.match_indices(call) {
            codes.extend(leading_literal(&text[at + call.len()..]).map(|code| (code, at)));
        }
    }
    for (at, _) in text.match_indices(METHOD) {
        // Until the next function; what is between in quotation marks is a code or is not shaped like one.
        let body = &text[at + METHOD.len()..];
        let body = body.split("fn ").next().unwrap_or(body);
        codes.extend(body.split('"').skip(1).step_by(2).map(|literal| (literal, at)));
    }
    let mut found: Vec<_> = codes
        .into_iter()
        .filter(|(code, _)| is_code(code))
        .map(|(code, at)| (code, text[..at].matches('\n').count() + 1))
        .collect();
    found.sort_unstable();
    found
}

fn leading_literal(rest: &str) -> Option<&str> {
    rest.trim_start().strip_prefix('"')?.split('"').next()
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
        .is_some_and(|(area, cause)| word(area) && word(cause))
}

#[cfg(test)]
mod tests {
    use super::super::{files, lines};
    use super::*;

    const SOURCE: &str = "
fn a() { Diagnostic::error(\"spec.unknown-key\", format!(\"{x}\")); }
fn b() {
    Diagnostic::warning(
        \"spec.deprecated\",
        \"old\",
    );
}
fn code(&self) -> &'static str {
    match self {
        Self::Locked => \"store.locked\",
        Self::Gone => \"store.gone\",
    }
}
fn c() { tracing::error!(\"not.a-code\"); other(\"neither.this\") }

#[cfg(test)]
mod tests {
    fn d() { Diagnostic::error(\"test.only\", \"x\"); }
}
";

    #[test]
    fn codes_are_found_where_they_are_given() {
        let found: Vec<_> = codes(SOURCE).into_iter().map(|(code, _)| code).collect();
        assert_eq!(
            found,
            [
                "spec.deprecated",
                "spec.unknown-key",
                "store.gone",
                "store.locked"
            ]
        );
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
