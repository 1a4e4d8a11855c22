//! EXCLUDE.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "exclusion-constraint",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "EXCLUDE builds its index while the table is locked",
    why: "It has no NOT VALID and no USING INDEX: its index is built under ACCESS EXCLUSIVE, and nobody reads or writes the table \
          meanwhile.",
    safe: "make a new table with the constraint, write to both, fill it in a backfill, and read from it",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: false,
        scan: true,
    }),
    bad: &[Example::pg_after(
        "CREATE TABLE rooms (during tsrange);",
        "ALTER TABLE rooms ADD CONSTRAINT once EXCLUDE USING gist (during WITH &&);",
    )],
    good: &[Example::pg(
        "CREATE TABLE rooms (during tsrange, EXCLUDE USING gist (during WITH &&));",
    )],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        if let Alter::AddConstraint(constraint) = &action.what
            && constraint.kind == ConstraintKind::Exclude
        {
            report.add(
                action.span.clone(),
                format!("nobody reads or writes {table} while its index is built"),
            );
        }
    }
}
