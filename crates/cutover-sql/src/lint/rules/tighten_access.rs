//! What may no longer be done.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "tighten-access",
    family: Family::Compat,
    severity: Severity::Warning,
    dialects: &[Dialect::Postgres, Dialect::Mysql, Dialect::MariaDb],
    lifted: Lifted::Contract,
    summary: "REVOKE, or row level security is switched on",
    why: "The old version may lose access to what it reads and writes, or see fewer rows without an error.",
    safe: "do it in a contract; create the policies before row level security is switched on",
    effect: None,
    bad: &[
        Example::pg("REVOKE ALL ON orders FROM app;"),
        Example::pg("ALTER TABLE orders ENABLE ROW LEVEL SECURITY;"),
    ],
    good: &[
        Example::pg("GRANT SELECT ON orders TO app;"),
        Example::pg("ALTER TABLE orders DISABLE ROW LEVEL SECURITY;"),
        Example::pg("CREATE TABLE o (a int); ALTER TABLE o ENABLE ROW LEVEL SECURITY;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if *look.ddl == Ddl::Revoke {
        report.add(
            look.whole(),
            "the old version may need what is revoked".to_owned(),
        );
    }
    for (table, action) in look.actions() {
        if action.what == Alter::RowSecurity(true) {
            report.add(
                action.span.clone(),
                format!("the old version may see fewer rows of {table}, without an error"),
            );
        }
    }
}
