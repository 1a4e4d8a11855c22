//! Statements and what the linter must say of each: the tables are `verdicts/*.txt`.
//!
//! A line is a verdict, perhaps how the text is run, perhaps what was there before, and the text:
//!
//! ```text
//! lock|compat[11,within] {CREATE TABLE t (a int);} ALTER TABLE t ALTER a SET NOT NULL;
//! ```
//!
//! The verdict names the family, or any of the families, of which there must be a warning or an error; `clean` has none that
//! is about locks, compatibility or data, and is understood. In brackets: a server's version; `within` one transaction,
//! `alone` without.

#![cfg(test)]

use std::fmt::Write as _;

use cutover_model::Severity;
use cutover_sql::Dialect;
use cutover_sql::lint::{Input, Prior, lint};

struct Case<'a> {
    verdict: &'a str,
    version: Option<&'a str>,
    transaction: Option<bool>,
    setup: &'a str,
    sql: String,
}

fn case(line: &str) -> Case<'_> {
    let (mut head, text) = line.split_once(' ').unwrap();
    let mut text = text.trim();
    let mut case = Case {
        verdict: head,
        version: None,
        transaction: None,
        setup: "",
        sql: String::new(),
    };
    if let Some((verdict, how)) = head.split_once('[') {
        head = verdict;
        for word in how.trim_end_matches(']').split(',') {
            match word {
                "within" => case.transaction = Some(true),
                "alone" => case.transaction = Some(false),
                version => case.version = Some(version),
            }
        }
    }
    case.verdict = head;
    if let Some((setup, rest)) = text.strip_prefix('{').and_then(|rest| rest.split_once("} ")) {
        case.setup = setup;
        text = rest;
    }
    case.sql = text.replace("\\n", "\n");
    case
}

/// What is wrong with the answer, if something is.
fn wrong(dialect: Dialect, case: &Case<'_>) -> Option<String> {
    let prior = Prior::from_text(dialect, case.setup);
    let linted = lint(&Input {
        dialect,
        version: case.version.map(|text| text.parse().unwrap()),
        prior: &prior,
        file: "case.sql",
        source: &case.sql,
        transaction: case.transaction,
    });
    let serious: Vec<_> = linted
        .findings
        .iter()
        .filter(|finding| finding.severity > Severity::Note)
        .collect();
    let right = if case.verdict == "clean" {
        serious.iter().all(|finding| {
            !matches!(finding.family.word(), "lock" | "compat" | "data-loss")
                && finding.rule != "not-understood"
        })
    } else {
        case.verdict
            .split('|')
            .any(|family| serious.iter().any(|finding| finding.family.word() == family))
            && (case.verdict == "correctness"
                || !serious.iter().any(|finding| finding.rule == "not-understood"))
    };
    let rules: Vec<_> = linted
        .findings
        .iter()
        .map(|finding| format!("{} ({:?})", finding.rule, finding.severity))
        .collect();
    (!right).then(|| rules.join(", "))
}

fn table(dialect: Dialect, text: &str, at_least: usize) {
    let mut count = 0;
    let mut report = String::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        count += 1;
        if let Some(found) = wrong(dialect, &case(line)) {
            let _ = writeln!(report, "{line}\n    found: {found}");
        }
    }
    assert!(count >= at_least, "only {count} cases");
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn postgres() {
    table(Dialect::Postgres, include_str!("verdicts/postgres.txt"), 400);
}

#[test]
fn mysql() {
    table(Dialect::Mysql, include_str!("verdicts/mysql.txt"), 150);
}

#[test]
fn mariadb() {
    table(Dialect::MariaDb, include_str!("verdicts/mariadb.txt"), 40);
}

#[test]
fn sqlite() {
    table(Dialect::Sqlite, include_str!("verdicts/sqlite.txt"), 40);
}
