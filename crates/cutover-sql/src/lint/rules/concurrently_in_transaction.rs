//! What cannot be in a transaction, in one.

use super::prelude::*;
use crate::lint::state::outside;

pub(crate) const RULE: Rule = Rule {
    id: "concurrently-in-transaction",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "CONCURRENTLY or VACUUM within a transaction",
    why: "PostgreSQL refuses it there, and whoever leaves CONCURRENTLY out for that reason locks the table instead.",
    safe: "put it into a file of its own with `-- cutover: transaction=none`",
    effect: None,
    bad: &[
        Example::pg("BEGIN; CREATE INDEX CONCURRENTLY i ON orders (state); COMMIT;"),
        Example::pg("BEGIN; CREATE TABLE o (a int); CREATE INDEX CONCURRENTLY i ON o (a); COMMIT;"),
        Example::pg("START TRANSACTION; VACUUM orders; COMMIT;"),
    ],
    good: &[
        Example::pg("CREATE INDEX CONCURRENTLY i ON orders (state);"),
        Example::pg("BEGIN; CREATE TABLE o (a int); COMMIT; CREATE INDEX CONCURRENTLY i ON orders (state);"),
        Example::pg("BEGIN; CREATE TABLE o (a int); CREATE INDEX i ON o (a); COMMIT;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if look.state.in_transaction() && outside(look.ddl) {
        report.add(
            look.whole(),
            "PostgreSQL refuses this within a transaction".to_owned(),
        );
    }
    // ALTER TYPE … ADD VALUE became possible in a transaction with 12.
    if let Ddl::AddEnumValue { .. } = look.ddl
        && look.state.in_transaction()
        && !look.since(12, 0, 0)
    {
        report.add(
            look.whole(),
            "PostgreSQL before 12 refuses ADD VALUE within a transaction".to_owned(),
        );
    }
}
