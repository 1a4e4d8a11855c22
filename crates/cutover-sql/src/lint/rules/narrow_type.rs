//! Values that do not fit any more.

use super::prelude::*;
use crate::lint::{mysql, types};
use crate::schema::mentions;

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
            Alter::SetType {
                column,
                using: Some(using),
                ..
            } if !mentions(&using.text, column) => {
                report.add(
                    action.span.clone(),
                    format!("what {table}.{column} holds is replaced by {}", using.text),
                );
                continue;
            }
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
        if types::is_narrower(look.dialect, before, ty) {
            report.add(
                action.span.clone(),
                format!("values of {table}.{name} that fit {before} may not fit {ty}"),
            );
        }
        if let Some(known) = look.table(table)
            && let Some(charset) = mysql::loses_characters(known, before, ty)
        {
            report.add(
                action.span.clone(),
                format!("characters of {table}.{name} that {charset} does not have are lost"),
            );
        }
    }
}
