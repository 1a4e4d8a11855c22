//! Partitions of MySQL.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mysql-partition",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: MY,
    lifted: Lifted::Never,
    summary: "rows are distributed over other partitions",
    why: "PARTITION BY, REMOVE PARTITIONING, COALESCE, REORGANIZE, REBUILD and ADD PARTITION of HASH or KEY copy rows, and nobody \
          writes to them meanwhile. ADD PARTITION of RANGE or LIST does not.",
    safe: "a new table with the partitions, filled in a backfill, by gh-ost for example",
    effect: None,
    bad: &[
        Example::my("", "ALTER TABLE t PARTITION BY HASH (id) PARTITIONS 8"),
        Example::my("", "ALTER TABLE t REMOVE PARTITIONING"),
        Example::my("", "ALTER TABLE t COALESCE PARTITION 2"),
        Example::my("", "ALTER TABLE t ADD PARTITION PARTITIONS 4"),
        Example::my(
            "",
            "ALTER TABLE t REORGANIZE PARTITION p0 INTO (PARTITION a VALUES LESS THAN (5))",
        ),
    ],
    good: &[Example::my(
        "",
        "ALTER TABLE t ADD PARTITION (PARTITION p3 VALUES LESS THAN (100))",
    )],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        let what = match &action.what {
            Alter::PartitionBy => "PARTITION BY".to_owned(),
            Alter::RemovePartitioning => "REMOVE PARTITIONING".to_owned(),
            Alter::AddPartition { spreads: true } => "ADD PARTITION".to_owned(),
            Alter::RebuildPartition(verb) => format!("{verb} PARTITION"),
            _ => continue,
        };
        report.add(
            action.span.clone(),
            format!("{what} copies rows of {table}, and nobody writes to them meanwhile"),
        );
    }
}
