//! FULLTEXT and SPATIAL.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mysql-special-index",
    family: Family::Lock,
    severity: Severity::Warning,
    dialects: MY,
    lifted: Lifted::Never,
    summary: "a FULLTEXT or SPATIAL index is built",
    why: "Nobody writes to the table while it is built, and the first FULLTEXT index of a table rebuilds the table.",
    safe: "a new table with the index, filled in a backfill, by gh-ost for example",
    effect: None,
    bad: &[
        Example::my("", "ALTER TABLE t ADD FULLTEXT INDEX words (body)"),
        Example::my("", "CREATE SPATIAL INDEX places ON t (g)"),
    ],
    good: &[Example::my(
        "",
        "ALTER TABLE t ADD INDEX by_a (a), ALGORITHM=INPLACE, LOCK=NONE",
    )],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if let Ddl::CreateIndex { index, table, .. } = look.ddl
        && let Some(special) = index.special
        && !look.state.is_fresh(table)
    {
        report.add(
            look.whole(),
            format!("nobody writes to {table} while the {special} index is built"),
        );
    }
    for (table, action) in look.actions() {
        if let Alter::AddIndex(index) = &action.what
            && let Some(special) = index.special
        {
            report.add(
                action.span.clone(),
                format!("nobody writes to {table} while the {special} index is built"),
            );
        }
    }
}
