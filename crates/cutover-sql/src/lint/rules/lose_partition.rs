//! Rows that go with their partition.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "lose-partition",
    family: Family::DataLoss,
    severity: Severity::Error,
    dialects: MY,
    lifted: Lifted::Contract,
    summary: "DROP or TRUNCATE PARTITION, DISCARD TABLESPACE, DROP SYSTEM VERSIONING",
    why: "All rows of it are gone, and the old version may still read them.",
    safe: "do it in a contract, after a backup",
    effect: None,
    bad: &[
        Example::my("", "ALTER TABLE t DROP PARTITION p0, p1"),
        Example::my("", "ALTER TABLE t TRUNCATE PARTITION p0"),
        Example::my("", "ALTER TABLE t DISCARD TABLESPACE"),
        Example::maria("", "ALTER TABLE t DROP SYSTEM VERSIONING"),
    ],
    good: &[Example::my("", "ALTER TABLE t ANALYZE PARTITION p0")],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions_on_data() {
        let what = match &action.what {
            Alter::LosePartition(verb) => format!("the rows of its partitions ({verb})"),
            Alter::DiscardTablespace => "all its rows".to_owned(),
            Alter::DropVersioning => "the earlier versions of its rows".to_owned(),
            _ => continue,
        };
        report.add(action.span.clone(), format!("{table} loses {what}"));
    }
}
