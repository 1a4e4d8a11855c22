//! BEGIN without COMMIT.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "uncommitted-transaction",
    family: Family::Correctness,
    severity: Severity::Error,
    dialects: ALL,
    lifted: Lifted::Never,
    summary: "a transaction is begun and not committed, or begun twice",
    why: "What is not committed when the session ends never happened; a second BEGIN is ignored, and the first COMMIT ends both.",
    safe: "leave transactions to Cutover: a file is one",
    effect: None,
    bad: &[
        Example::pg("BEGIN; ALTER TABLE orders ADD COLUMN a int;"),
        Example::pg("BEGIN; BEGIN; ALTER TABLE orders ADD COLUMN a int; COMMIT;"),
    ],
    good: &[Example::pg("BEGIN; ALTER TABLE orders ADD COLUMN a int; COMMIT;")],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    use crate::ddl::Control;
    use crate::lint::state::Transaction;
    if *look.ddl == Ddl::Transaction(Control::Begin)
        && matches!(look.state.transaction, Transaction::Begun(_) | Transaction::Whole)
    {
        report.add(look.whole(), "a transaction is under way already".to_owned());
    }
}
