//! Validation that keeps the lock of the addition.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "validate-same-transaction",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "a constraint is added NOT VALID and validated in one transaction",
    why: "VALIDATE CONSTRAINT locks nobody out by itself, but a lock is kept to the end of its transaction: the strong one that \
          the addition took lasts while every row is read.",
    safe: "validate in a migration of its own, or end the transaction between",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: false,
        scan: true,
    }),
    bad: &[
        Example::pg_after(
            "CREATE TABLE orders (total int);",
            "BEGIN; ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0) NOT VALID; ALTER TABLE orders VALIDATE CONSTRAINT c; COMMIT;",
        ),
        Example::pg(
            "ALTER TABLE o ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE o VALIDATE CONSTRAINT c;",
        ),
    ],
    good: &[
        Example::pg(
            "BEGIN; ALTER TABLE o ADD CONSTRAINT c CHECK (a > 0) NOT VALID; COMMIT;
             BEGIN; ALTER TABLE o VALIDATE CONSTRAINT c; COMMIT;",
        ),
        Example::pg(
            "-- cutover: transaction=none\nALTER TABLE o ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE o VALIDATE CONSTRAINT c;",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        let Alter::Validate(name) = &action.what else {
            continue;
        };
        let added_before = look.state.unvalidated.contains(&(table.clone(), name.clone()));
        let added_here = look.alter().is_some_and(|alter| {
            alter.actions.iter().any(|one| {
                matches!(&one.what, Alter::AddConstraint(constraint) if constraint.name.as_deref() == Some(name))
            })
        });
        if added_before || added_here {
            report.add(
                action.span.clone(),
                format!("{name} was added in the same transaction, whose lock on {table} lasts while every row is read"),
            );
        }
    }
}
