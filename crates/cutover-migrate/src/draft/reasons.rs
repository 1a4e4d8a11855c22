//! What the linter finds in files that Cutover writes, and is meant so: the statement says why. What is not listed here stays
//! found, because nothing does it better and somebody must choose the moment. Pure.

use cutover_model::{MigrationPhase, Severity};
use cutover_sql::Dialect;
use cutover_sql::catalog::{Catalog, changes, statements};
use cutover_sql::lint::{Finding, Input, Linted, Prior, lint};

use super::{Draft, body, unique};

/// A rule, the phase of the file, and why it is written all the same.
const REASONS: [(&str, MigrationPhase, &str); 3] = [
    (
        "drop-not-null",
        MigrationPhase::Expand,
        "the new version writes NULL as soon as it runs, so see that the old one can read it",
    ),
    (
        "drop-constraint",
        MigrationPhase::Expand,
        "the new version writes what this refuses as soon as it runs, so see that the old one can read it",
    ),
    ("unique-key", MigrationPhase::Contract, unique::REASON),
];

/// Writes the reasons above the statements that they are of.
pub(super) fn give(dialect: Dialect, from: &Catalog, drafts: &mut [Draft]) {
    let mut prior = prior(dialect, from);
    for draft in drafts {
        let linted = look(dialect, &prior, draft);
        let mut begins = draft.up_text().len() - body(&draft.up).len();
        for one in &mut draft.up {
            let ends = begins + body(std::slice::from_ref(one)).len();
            let own =
                serious(&linted.findings).filter(|finding| (begins..ends).contains(&finding.span.start));
            let rules: Vec<&str> = own.map(|finding| finding.rule.as_str()).collect();
            for (rule, phase, reason) in REASONS {
                let is_proved =
                    rule != "unique-key" || draft.directives.iter().any(|one| unique::proves(one));
                if rules.contains(&rule) && draft.phase == phase && is_proved {
                    *one = format!("-- cutover-lint: ignore {rule} reason={reason}\n{one}");
                }
            }
            begins = ends;
        }
        prior = linted.after;
    }
}

/// What the linter still finds in the files, each with the place of its draft in the list.
#[must_use]
pub fn remarks(dialect: Dialect, from: &Catalog, drafts: &[Draft]) -> Vec<(usize, Finding)> {
    let mut prior = prior(dialect, from);
    let mut out = Vec::new();
    for (at, draft) in drafts.iter().enumerate() {
        let linted = look(dialect, &prior, draft);
        out.extend(serious(&linted.findings).map(|finding| (at, finding.clone())));
        prior = linted.after;
    }
    out
}

fn prior(dialect: Dialect, from: &Catalog) -> Prior {
    let nothing = Catalog::default();
    let there = statements(dialect, &nothing, &changes(&nothing, from));
    Prior::from_text(dialect, &body(&there))
}

fn look(dialect: Dialect, prior: &Prior, draft: &Draft) -> Linted {
    lint(&Input {
        dialect,
        version: None,
        prior,
        file: "",
        source: &draft.up_text(),
        transaction: None,
    })
}

fn serious(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings
        .iter()
        .filter(|finding| finding.severity > Severity::Note)
}
