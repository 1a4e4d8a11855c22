//! Character sets of whole tables.

use super::prelude::*;
use crate::lint::mysql::has_charset;

pub(crate) const RULE: Rule = Rule {
    id: "mysql-charset",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: MY,
    lifted: Lifted::Never,
    summary: "CONVERT TO CHARACTER SET",
    why: "Every text column is written anew: the table is rebuilt or copied, and nobody writes to it meanwhile. \
          MariaDB does nothing of the kind where all is in that set already.",
    safe: "gh-ost or pt-online-schema-change; DEFAULT CHARACTER SET alone changes only what is added later",
    effect: None,
    bad: &[Example::my(
        "",
        "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci",
    )],
    good: &[
        Example::my("", "ALTER TABLE t DEFAULT CHARACTER SET utf8mb4"),
        Example::maria(
            "CREATE TABLE t (a varchar(20), n int) CHARSET=utf8mb4;",
            "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        if let Alter::ConvertCharset(charset) = &action.what
            && !(look.dialect == Dialect::MariaDb
                && look.table(table).is_some_and(|known| has_charset(known, charset)))
        {
            report.add(
                action.span.clone(),
                format!("{table} is written anew in {charset}, and nobody writes to it meanwhile"),
            );
        }
    }
}
