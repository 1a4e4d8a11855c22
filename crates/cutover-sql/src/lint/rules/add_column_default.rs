//! Defaults that were written into every row, before PostgreSQL 11.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "add-column-default",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "a new column has a default, on PostgreSQL 10 or older",
    why: "Before PostgreSQL 11 a default is written into every row at once: the table is rewritten under ACCESS EXCLUSIVE, and \
          nobody reads or writes it meanwhile.",
    safe: "add the column without a default, then ALTER COLUMN … SET DEFAULT, then fill the old rows in a backfill",
    effect: None,
    bad: &[],
    good: &[Example::pg("ALTER TABLE orders ADD COLUMN state int DEFAULT 0;")],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if look.since(11, 0, 0) {
        return;
    }
    for (table, column, span) in look.added_columns() {
        if column.default.as_ref().is_some_and(|default| !default.is_null()) {
            report.add(
                span,
                format!("{table} is rewritten to hold the default of {}", column.name),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::tests::ids_at;
    use crate::{Dialect, lint::ServerVersion};

    #[test]
    fn only_on_old_servers() {
        let sql = "ALTER TABLE t ADD COLUMN a int DEFAULT 1";
        let ids = |major| ids_at(Dialect::Postgres, ServerVersion::new(major, 0, 0), "", sql);
        assert_eq!(ids(10), ["add-column-default"]);
        assert!(ids(11).is_empty());
    }
}
