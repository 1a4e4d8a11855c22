//! AFTER and FIRST.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mysql-column-position",
    family: Family::Lock,
    severity: Severity::Note,
    dialects: MY,
    lifted: Lifted::Never,
    summary: "a column is added or moved by rebuilding the table",
    why: "MySQL before 8.0.12 rebuilds the table for every new column, before 8.0.29 for one that is not at the end; MariaDB before \
          10.3 and 10.4 likewise. Moving a column rebuilds it still on MySQL. Others go on reading and writing.",
    safe: "add it at the end",
    effect: None,
    bad: &[Example::my(
        "CREATE TABLE t (a int, b int);",
        "ALTER TABLE t MODIFY b int FIRST",
    )],
    good: &[Example::my("", "ALTER TABLE t ADD x int AFTER a")],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let maria = look.dialect == Dialect::MariaDb;
    for (table, action) in look.actions() {
        let rebuilds = match &action.what {
            Alter::AddColumn { position, .. } => {
                let instant = if maria {
                    look.since(10, 3, 2)
                } else {
                    look.since(8, 0, 12)
                };
                let anywhere = if maria {
                    look.since(10, 4, 0)
                } else {
                    look.since(8, 0, 29)
                };
                !instant || (position.is_some() && !anywhere)
            }
            Alter::Modify { position, .. } => position.is_some() && !(maria && look.since(10, 4, 0)),
            _ => false,
        };
        if rebuilds {
            report.add(
                action.span.clone(),
                format!("{table} is rebuilt while others go on"),
            );
        }
    }
}
