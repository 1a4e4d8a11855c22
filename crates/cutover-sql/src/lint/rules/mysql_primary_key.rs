//! Primary keys of MySQL.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mysql-primary-key",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: MY,
    lifted: Lifted::Never,
    summary: "a primary key is added, dropped or changed, or a column counts by itself",
    why: "InnoDB stores rows by their key: the table is rebuilt. Dropping the key alone, and AUTO_INCREMENT, let nobody write \
          meanwhile, and replicas may number the rows differently.",
    safe: "a new table with the right key, filled in a backfill, by gh-ost for example",
    effect: None,
    bad: &[
        Example::my("", "ALTER TABLE t ADD PRIMARY KEY (id)"),
        Example::my("", "ALTER TABLE t DROP PRIMARY KEY"),
        Example::my(
            "",
            "ALTER TABLE t ADD COLUMN id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY",
        ),
        Example::maria("", "ALTER TABLE t ADD id int PRIMARY KEY"),
    ],
    good: &[Example::my(
        "",
        "CREATE TABLE t (id bigint AUTO_INCREMENT PRIMARY KEY)",
    )],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        let what = match &action.what {
            Alter::AddConstraint(constraint)
                if matches!(constraint.kind, ConstraintKind::PrimaryKey { .. }) =>
            {
                "its key changes"
            }
            Alter::DropPrimaryKey => "its key goes, and nobody writes to it",
            Alter::AddColumn { column, .. } if column.auto_increment => {
                "its rows are numbered, and nobody writes to it"
            }
            Alter::AddColumn { column, .. } if column.primary_key => "its key changes",
            _ => continue,
        };
        report.add(action.span.clone(), format!("{table} is rebuilt while {what}"));
    }
}
