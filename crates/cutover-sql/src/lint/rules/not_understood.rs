//! What could not be read.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "not-understood",
    family: Family::Correctness,
    severity: Severity::Warning,
    dialects: EVERY,
    lifted: Lifted::Never,
    summary: "a statement that the linter cannot read",
    why: "It may be anything, so nothing is said about it: least of all that it is safe.",
    safe: "look at it with a colleague, and suppress this with a reason",
    effect: None,
    bad: &[
        Example::pg("ALTER TABLE orders FROBNICATE state;"),
        Example::my("", "ALTER TABLE t yes"),
    ],
    good: &[Example::pg("SELECT 1;")],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if let Ddl::NotUnderstood { at } = look.ddl {
        // A reader may stop in the middle of a letter.
        let at = look.text.floor_char_boundary(*at);
        let rest = &look.text[at..];
        let length = rest.split_whitespace().next().map_or(0, str::len);
        report.add(
            at..at + length,
            "this is not understood, and so nothing else is said about the statement".to_owned(),
        );
    }
}
