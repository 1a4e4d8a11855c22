//! The type that has no equality.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "add-column-json",
    family: Family::Compat,
    severity: Severity::Warning,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "a new column is of type json",
    why: "json has no equality operator: every SELECT DISTINCT, UNION and GROUP BY over whole rows of the table, which the old \
          version may have, fails from then on.",
    safe: "use jsonb",
    effect: None,
    bad: &[Example::pg("ALTER TABLE orders ADD COLUMN meta json;")],
    good: &[
        Example::pg("ALTER TABLE orders ADD COLUMN meta jsonb;"),
        Example::pg("CREATE TABLE orders (meta json);"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, column, span) in look.added_columns() {
        if column
            .ty
            .as_ref()
            .is_some_and(|ty| ty.name == "json" && ty.dimensions == 0)
        {
            report.add(
                span,
                format!("SELECT DISTINCT over {table} fails once it has a column of type json"),
            );
        }
    }
}
