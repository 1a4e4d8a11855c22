//! Every rule against its own examples.

use std::collections::BTreeSet;

use cutover_model::Severity;

use super::{Example, Input, Prior, RULES, ServerVersion, lint};
use crate::Dialect;

fn found(
    dialect: Dialect,
    version: Option<ServerVersion>,
    setup: &str,
    sql: &str,
) -> Vec<(String, Severity)> {
    let prior = Prior::from_text(dialect, setup);
    lint(&Input {
        dialect,
        version,
        prior: &prior,
        file: "test.sql",
        source: sql,
        transaction: None,
    })
    .findings
    .into_iter()
    .map(|finding| (finding.rule, finding.severity))
    .collect()
}

/// The names of the rules that find something, for a server.
pub(super) fn ids_at(dialect: Dialect, version: ServerVersion, setup: &str, sql: &str) -> Vec<String> {
    found(dialect, Some(version), setup, sql)
        .into_iter()
        .map(|(rule, _)| rule)
        .collect()
}

#[test]
fn rules_find_what_they_say() {
    for rule in RULES {
        for Example { dialect, setup, sql } in rule.bad {
            let found = found(*dialect, None, setup, sql);
            assert!(
                found
                    .iter()
                    .any(|(id, severity)| id == rule.id && *severity >= rule.severity.min(Severity::Warning)),
                "{}: {sql}: {found:?}",
                rule.id
            );
        }
        for Example { dialect, setup, sql } in rule.good {
            let found = found(*dialect, None, setup, sql);
            assert!(
                !found.iter().any(|(id, severity)| id == rule.id
                    && (*severity > Severity::Note || rule.severity == Severity::Note)),
                "{}: {sql}: {found:?}",
                rule.id
            );
        }
    }
}

#[test]
fn every_example_is_understood() {
    for rule in RULES.iter().filter(|rule| rule.id != "not-understood") {
        for Example { dialect, setup, sql } in rule.bad.iter().chain(rule.good) {
            for text in [setup, sql] {
                let found = found(*dialect, None, "", text);
                assert!(
                    !found.iter().any(|(id, _)| id == "not-understood"),
                    "{}: {text}",
                    rule.id
                );
            }
        }
    }
}

#[test]
fn names_are_unique_and_sorted() {
    let names: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}
