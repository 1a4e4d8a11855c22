//! Defaults that are computed.

use super::prelude::*;
use crate::schema::mentions;

pub(crate) const RULE: Rule = Rule {
    id: "mysql-default-expression",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: MY,
    lifted: Lifted::Never,
    summary: "a new column's default is an expression",
    why: "It is computed for every row: the table is copied, and nobody writes to it meanwhile. A literal, and CURRENT_TIMESTAMP, are \
          stored once; and MariaDB stores any expression once that is the same for every row.",
    safe: "add the column without a default, ALTER COLUMN … SET DEFAULT, and fill the old rows in a backfill",
    effect: None,
    bad: &[
        Example::my(
            "",
            "ALTER TABLE t ADD id2 binary(16) DEFAULT (uuid_to_bin(uuid()))",
        ),
        Example::maria("", "ALTER TABLE t ADD key2 char(36) DEFAULT uuid()"),
        Example::maria("", "ALTER TABLE t ADD at datetime DEFAULT utc_timestamp()"),
    ],
    good: &[
        Example::my("", "ALTER TABLE t ADD at datetime DEFAULT CURRENT_TIMESTAMP"),
        Example::my("", "ALTER TABLE t ADD n int NOT NULL DEFAULT 5"),
        Example::maria(
            "",
            "ALTER TABLE t ADD at datetime DEFAULT (now() + interval 1 day)",
        ),
    ],
    check,
};

/// Functions of MariaDB that answer differently from row to row.
const BY_ROW: [&str; 10] = [
    "uuid",
    "uuid_v4",
    "uuid_v7",
    "uuid_short",
    "sys_guid",
    "random_bytes",
    "nextval",
    "lastval",
    "sleep",
    "sysdate",
];

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, column, span) in look.added_columns() {
        let Some(default) = &column.default else { continue };
        let by_row = if look.dialect == Dialect::MariaDb {
            let others = look.table(table).map(|known| known.columns.as_slice());
            default.calls.iter().any(|call| BY_ROW.contains(&call.as_str()))
                || default.text.contains("next value for")
                // With or without parentheses; `utc_date` is the same for all rows.
                || mentions(&default.text, "utc_timestamp")
                || has_user_variable(&default.text)
                || others
                    .unwrap_or_default()
                    .iter()
                    .any(|other| !default.is_literal() && mentions(&default.text, &other.name))
        } else {
            default.text.starts_with('(') && !default.is_literal()
        };
        if by_row {
            report.add(
                span,
                format!("{table} is copied to compute {} for every row", column.name),
            );
        }
    }
}

/// `@x`, as opposed to a setting of the server, `@@x`.
fn has_user_variable(text: &str) -> bool {
    text.split_whitespace()
        .any(|word| word.ends_with('@') && !word.ends_with("@@"))
}
