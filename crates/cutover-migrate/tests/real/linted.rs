//! What the linter says of the files that Cutover writes.

use cutover_model::Severity;
use cutover_sql::Dialect;
use cutover_sql::lint::{Finding, Input, Prior, lint};

/// Rules that are right, and whose finding somebody has to answer: nothing makes such a change of a schema better where it
/// stands. Each is told when the files are written, too.
const RIGHT: &[(Dialect, &str, &str)] = &[
    (
        Dialect::Postgres,
        "change-type",
        "the table is written anew; `--retype` does it by a second column, under another name",
    ),
    (
        Dialect::Postgres,
        "add-column-stored",
        "it is computed for every row at once",
    ),
    (
        Dialect::Postgres,
        "add-column-serial",
        "each row gets its number at once",
    ),
    (
        Dialect::MariaDb,
        "mysql-change-column",
        "the table is copied; `--retype` does it by a second column",
    ),
    (Dialect::MariaDb, "narrow-type", "values are taken out of a SET"),
    (
        Dialect::MariaDb,
        "mysql-primary-key",
        "InnoDB stores the table by its key",
    ),
    (Dialect::MariaDb, "mysql-check", "there is no NOT VALID"),
    (
        Dialect::MariaDb,
        "add-column-stored",
        "it is computed for every row at once",
    ),
    (
        Dialect::MariaDb,
        "mysql-default-expression",
        "it is computed for every row at once",
    ),
    (
        Dialect::MariaDb,
        "mysql-special-index",
        "words are indexed under lock only",
    ),
];

/// The same of single things: the rule, and how its finding begins.
const RIGHT_OF: &[(Dialect, &str, &str)] = &[
    // Of a table with partitions PostgreSQL builds no index beside the traffic.
    (Dialect::Postgres, "create-index", "nobody writes to a while"),
];

fn is_right(dialect: Dialect, finding: &Finding) -> bool {
    let is_listed = RIGHT
        .iter()
        .any(|(of, rule, _)| *of == dialect && *rule == finding.rule);
    let is_one = |(of, rule, begins): &(Dialect, &str, &str)| {
        *of == dialect && *rule == finding.rule && finding.message.starts_with(begins)
    };
    is_listed || RIGHT_OF.iter().any(is_one)
}

/// What `cutover migrate lint` tells of a folder of these files, but for notes and what is right.
pub(crate) fn findings(dialect: Dialect, files: &[(String, String)]) -> Vec<String> {
    let mut prior = Prior::default();
    let mut out = Vec::new();
    for (name, text) in files.iter().filter(|(name, _)| name.ends_with(".up.sql")) {
        let linted = lint(&Input {
            dialect,
            version: None,
            prior: &prior,
            file: name,
            source: text,
            transaction: None,
        });
        // A suppression that nothing needs is a note, and untrue.
        let found = linted
            .findings
            .iter()
            .filter(|one| one.severity > Severity::Note || one.rule == "suppression")
            .filter(|one| !is_right(dialect, one));
        out.extend(found.map(|one| format!("{name}: {}: {}", one.rule, one.message)));
        prior = linted.after;
    }
    out
}
