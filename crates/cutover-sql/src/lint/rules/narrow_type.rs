//! Values that do not fit any more.

use super::prelude::*;
use crate::lint::types;

pub(crate) const RULE: Rule = Rule {
    id: "narrow-type",
    family: Family::DataLoss,
    severity: Severity::Warning,
    dialects: &[Dialect::Postgres, Dialect::Mysql, Dialect::MariaDb],
    lifted: Lifted::Never,
    summary: "a column becomes narrower",
    why: "Values that do not fit are rounded or cut, or make the statement fail; and what the old version still writes may not fit.",
    safe: "look for values that do not fit, add a second column, and drop the wide one in a contract",
    effect: None,
    bad: &[
        Example::pg_after(
            "CREATE TABLE orders (n bigint);",
            "ALTER TABLE orders ALTER COLUMN n TYPE int;",
        ),
        Example::pg_after(
            "CREATE TABLE orders (n text);",
            "ALTER TABLE orders ALTER COLUMN n TYPE varchar(10);",
        ),
        Example::my(
            "CREATE TABLE orders (n varchar(30));",
            "ALTER TABLE orders MODIFY n varchar(10)",
        ),
        Example::my(
            "CREATE TABLE orders (n enum('a','b'));",
            "ALTER TABLE orders MODIFY n enum('a')",
        ),
    ],
    good: &[
        Example::pg_after(
            "CREATE TABLE orders (n int);",
            "ALTER TABLE orders ALTER COLUMN n TYPE bigint;",
        ),
        Example::my(
            "CREATE TABLE orders (n int);",
            "ALTER TABLE orders MODIFY n bigint",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        let (name, ty) = match &action.what {
            Alter::SetType { column, ty, .. } => (column, ty),
            Alter::Modify { old, column, .. } => match &column.ty {
                Some(ty) => (old, ty),
                None => continue,
            },
            _ => continue,
        };
        let Some(before) = look.column(table, name).and_then(|column| column.ty.as_ref()) else {
            continue;
        };
        if types::is_narrower(before, ty) {
            report.add(
                action.span.clone(),
                format!("values of {table}.{name} that fit {before} may not fit {ty}"),
            );
        }
    }
}
