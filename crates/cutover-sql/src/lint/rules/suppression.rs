//! Comments that suppress findings.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "suppression",
    family: Family::Correctness,
    severity: Severity::Warning,
    dialects: EVERY,
    lifted: Lifted::Never,
    summary: "a comment that suppresses findings has no reason, or names no rule",
    why: "A finding that is suppressed is one that somebody looked at: without the reason nobody can look again. Such a comment \
          suppresses nothing. One that nothing needs any more is a note.",
    safe: "write `-- cutover-lint: ignore RULE reason=…` above the statement, or `ignore-file` for the whole file",
    effect: None,
    bad: &[
        Example::pg("-- cutover-lint: ignore drop-column\nALTER TABLE users DROP COLUMN old;"),
        Example::pg(
            "-- cutover-lint: ignore drop-colum reason=nobody reads it\nALTER TABLE users DROP COLUMN old;",
        ),
    ],
    good: &[Example::pg(
        "-- cutover-lint: ignore drop-column reason=nobody has read it since 1.2\nALTER TABLE users DROP COLUMN old;",
    )],
    check,
};

/// The comments belong to the text, not to a statement: the linter looks at them itself.
const fn check(_: &Look<'_>, _: &mut Report) {}
