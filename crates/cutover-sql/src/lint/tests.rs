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
fn old_servers_of_mongodb_lock_while_they_build() {
    let build = r#"[{"createIndexes": "a", "indexes": [{"key": {"x": 1}, "name": "x"}]}]"#;
    let beside = build.replace(r#""name""#, r#""background": true, "name""#);
    let ids =
        |major, minor, text: &str| ids_at(Dialect::MongoDb, ServerVersion::new(major, minor, 0), "[]", text);
    assert_eq!(ids(4, 0, build), ["mongo-index-build"]);
    assert!(ids(4, 0, &beside).is_empty());
    assert!(ids(4, 2, build).is_empty());
}

#[test]
fn commands_of_mongodb_are_suppressed_for_their_file() {
    let ids = |text: &str| ids_at(Dialect::MongoDb, ServerVersion::new(7, 0, 0), "[]", text);
    let drop = |ignore: &str| format!(r#"{{"ignore": [{ignore}], "commands": [{{"drop": "a"}}]}}"#);
    let known = r#"{"rule": "mongo-drop-collection", "reason": "nobody has read it since 1.2"}"#;
    assert!(ids(&drop(known)).is_empty());
    let bare = r#"{"rule": "mongo-drop-collection"}"#;
    assert_eq!(ids(&drop(bare)), ["suppression", "mongo-drop-collection"]);
    assert_eq!(ids("[{\"create\": \"a\"}"), ["not-understood"]);
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

#[test]
fn a_suppression_holds_for_its_statement_or_its_file() {
    let ids = |sql: &str| ids_at(Dialect::Postgres, ServerVersion::new(16, 0, 0), "", sql);
    let one = "-- cutover-lint: ignore drop-table reason=it was empty\nDROP TABLE a;\nDROP TABLE b;";
    assert_eq!(ids(one), ["drop-table"]);
    let all = "-- cutover-lint: ignore-file drop-table, drop-column reason=nobody uses them\n\
        DROP TABLE a; DROP TABLE b;";
    assert!(ids(all).is_empty());
    let within = "DROP TABLE /* cutover-lint: ignore drop-table reason=x */ a;";
    assert!(ids(within).is_empty());
    assert_eq!(
        ids("-- cutover-lint: ignore drop-table reason=x\nSELECT 1;"),
        ["suppression"]
    );
}

#[test]
fn statements_of_a_with_are_looked_at_one_by_one() {
    let ids = |sql: &str| ids_at(Dialect::Postgres, ServerVersion::new(16, 0, 0), "", sql);
    let moves = "WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO a SELECT * FROM gone";
    assert_eq!(ids(moves), ["update-all", "delete-all"]);
    assert!(ids("WITH x AS (SELECT 1) SELECT * FROM x FOR UPDATE").is_empty());
}

#[test]
fn sizes_weigh() {
    let mut prior = Prior::from_text(
        Dialect::Postgres,
        "CREATE TABLE small (a int); CREATE TABLE s.\"Big\" (a int); CREATE TABLE middle (a int);",
    );
    let sizes = [("small", 120), ("s.\"Big\"", 80_000_000), ("middle", 500_000)];
    prior.sizes(
        Dialect::Postgres,
        &sizes.map(|(name, rows)| (name.to_owned(), rows)),
    );
    let weight = |sql: &str| {
        let linted = lint(&Input {
            dialect: Dialect::Postgres,
            version: None,
            prior: &prior,
            file: "test.sql",
            source: sql,
            transaction: None,
        });
        linted.findings.first().map(|finding| finding.severity)
    };
    assert_eq!(weight("CREATE INDEX i ON small (a)"), Some(Severity::Note));
    assert_eq!(weight("CREATE INDEX i ON middle (a)"), Some(Severity::Error));
    assert_eq!(
        weight("REFRESH MATERIALIZED VIEW s.\"Big\""),
        Some(Severity::Error)
    );
    assert_eq!(
        weight("REFRESH MATERIALIZED VIEW middle"),
        Some(Severity::Warning)
    );
    // What waits in the queue for a lock waits however small the table is, and data is data.
    assert_eq!(weight("ALTER TABLE small DROP COLUMN a"), Some(Severity::Error));
    assert_eq!(weight("DROP INDEX small_i"), Some(Severity::Warning));
}

/// A small generator of its own: the same mutations in every run.
struct Lottery(u64);

impl Lottery {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound.max(1)
    }
}

#[test]
fn a_place_is_never_in_the_middle_of_a_letter() {
    let source = "DO $$ BEGIN ALTER TABLE orders \u{1f600}\u{1f600}ADD COLUMN a int; END $$;";
    let dialect = Dialect::Postgres;
    let prior = Prior::from_text(dialect, "");
    let linted = lint(&Input {
        dialect,
        version: None,
        prior: &prior,
        file: "letters.sql",
        source,
        transaction: None,
    });
    let places: Vec<&str> = linted
        .findings
        .iter()
        .map(|found| &source[found.span.clone()])
        .collect();
    assert_eq!(places, ["\u{1f600}ADD"]);
}

/// Statements with pieces left out, doubled, exchanged and put in from others: none makes the linter panic or hang. The
/// number is small here; `cargo xtask soak lint` runs a million.
#[test]
fn mutated_statements_are_survived() {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long to try is the caller's, not the linter's"
    )]
    let rounds: usize = std::env::var("CUTOVER_SOAK")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_500);
    let corpus: Vec<&Example> = RULES
        .iter()
        .flat_map(|rule| rule.bad.iter().chain(rule.good))
        .collect();
    let pieces = [
        "(",
        ")",
        ",",
        ";",
        "'",
        "\"",
        "`",
        "$$",
        "--",
        "/*",
        "*/",
        "::",
        "[",
        "]",
        "E'\\",
        "/*!",
        "BEGIN",
        "END",
        "\u{1F600}",
        "\0",
    ];
    let dialects = [
        Dialect::Postgres,
        Dialect::Mysql,
        Dialect::MariaDb,
        Dialect::Sqlite,
        Dialect::MongoDb,
    ];
    let mut lottery = Lottery(20_261_127);
    for _ in 0..rounds {
        let one = corpus[lottery.below(corpus.len())];
        let other = corpus[lottery.below(corpus.len())];
        let mut words: Vec<&str> = one.sql.split_inclusive([' ', '(', ')', ',']).collect();
        let others: Vec<&str> = other.sql.split_inclusive([' ', '(', ')', ',']).collect();
        for _ in 0..=lottery.below(4) {
            let at = lottery.below(words.len());
            match lottery.below(5) {
                0 if words.len() > 1 => {
                    words.remove(at);
                }
                1 => words.insert(at, words[at]),
                2 => words.insert(at, others[lottery.below(others.len())]),
                3 => words.insert(at, pieces[lottery.below(pieces.len())]),
                _ => {
                    let with = lottery.below(words.len());
                    words.swap(at, with);
                }
            }
        }
        let text = words.concat();
        let dialect = if lottery.below(4) == 0 {
            dialects[lottery.below(dialects.len())]
        } else {
            one.dialect
        };
        let setup = if lottery.below(2) == 0 {
            one.setup
        } else {
            other.setup
        };
        let prior = Prior::from_text(dialect, setup);
        let linted = lint(&Input {
            dialect,
            version: None,
            prior: &prior,
            file: "mutated.sql",
            source: &text,
            transaction: None,
        });
        for finding in linted.findings {
            assert!(
                text.is_char_boundary(finding.span.start.min(text.len())),
                "{text}"
            );
        }
    }
}
