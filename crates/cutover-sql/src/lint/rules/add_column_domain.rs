//! Columns of a domain that demands something.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "add-column-domain",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "a new column is of a domain with a CHECK or NOT NULL",
    why: "PostgreSQL tries what the domain demands on every row, null or not: the table is rewritten under ACCESS EXCLUSIVE, and \
          nobody reads or writes it meanwhile.",
    safe: "add a column of the plain type, with a CHECK that is NOT VALID, and validate it in another transaction",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: true,
        scan: true,
    }),
    bad: &[Example::pg_after(
        "CREATE DOMAIN amount AS int CHECK (VALUE > 0); CREATE TABLE orders (id int);",
        "ALTER TABLE orders ADD COLUMN total amount;",
    )],
    good: &[Example::pg_after(
        "CREATE DOMAIN amount AS int;",
        "ALTER TABLE orders ADD COLUMN total amount;",
    )],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, column, span) in look.added_columns() {
        let Some(ty) = &column.ty else { continue };
        let name = match ty.name.split_once('.') {
            Some((schema, name)) => Name {
                schema: Some(schema.to_owned()).filter(|schema| schema != "public"),
                name: name.to_owned(),
            },
            None => Name::plain(ty.name.clone()),
        };
        if look
            .state
            .schema
            .domains
            .get(&name)
            .is_some_and(|(_, constrained)| *constrained)
        {
            report.add(
                span,
                format!("{table} is rewritten to try what {name} demands on every row"),
            );
        }
    }
}
