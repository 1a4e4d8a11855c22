//! DELETE without a bound.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "delete-all",
    family: Family::DataLoss,
    severity: Severity::Error,
    dialects: ALL,
    lifted: Lifted::Never,
    summary: "DELETE without WHERE",
    why: "All rows are gone, and all are locked until the transaction ends.",
    safe: "say by a WHERE what may go, and delete in batches, after a backup",
    effect: None,
    bad: &[
        Example::pg("DELETE FROM orders;"),
        Example::my("", "DELETE FROM orders"),
        Example::lite("", "DELETE FROM orders WHERE 1"),
    ],
    good: &[
        Example::pg("DELETE FROM orders WHERE at < '2001-01-01';"),
        Example::pg("CREATE TABLE o (a int); DELETE FROM o;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if let Ddl::Delete(write) = look.ddl
        && !write.bounded
        && !look.state.is_mine(&write.table)
    {
        report.add(look.whole(), format!("all rows of {} are lost", write.table));
    }
}
