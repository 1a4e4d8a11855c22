//! What rebuilds a table of MySQL.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mysql-rebuild",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: MY,
    lifted: Lifted::Never,
    summary: "ENGINE, ROW_FORMAT, FORCE, ORDER BY, OPTIMIZE, system versioning",
    why: "The whole table is built anew: hours of reading and writing for a large one, as much space again, and replicas that fall \
          behind by as long; with another engine, ORDER BY or encryption nobody writes meanwhile.",
    safe: "gh-ost or pt-online-schema-change, at a quiet time",
    effect: None,
    bad: &[
        Example::my("", "ALTER TABLE t ENGINE=InnoDB"),
        Example::my("", "ALTER TABLE t ROW_FORMAT=COMPRESSED, KEY_BLOCK_SIZE=8"),
        Example::my("", "OPTIMIZE TABLE t"),
        Example::maria("", "ALTER TABLE t ADD SYSTEM VERSIONING"),
    ],
    good: &[
        Example::my(
            "",
            "ALTER TABLE t COMMENT='x', AUTO_INCREMENT=100, STATS_PERSISTENT=0",
        ),
        Example::my("", "ANALYZE TABLE t"),
        Example::maria("", "ALTER TABLE t CHECKSUM=1"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if let Ddl::Rebuild { verb, tables } = look.ddl {
        for table in tables.iter().filter(|table| !look.state.is_fresh(table)) {
            report.add(look.whole(), format!("{verb} builds {table} anew"));
        }
    }
    for (table, action) in look.actions() {
        let what = match &action.what {
            Alter::Engine(engine) => format!("ENGINE={engine}"),
            // MariaDB only notes them for InnoDB.
            Alter::Rebuild(what)
                if look.dialect == Dialect::MariaDb && matches!(what.as_str(), "CHECKSUM" | "PACK_KEYS") =>
            {
                continue;
            }
            Alter::Rebuild(what) => what.clone(),
            _ => continue,
        };
        report.add(action.span.clone(), format!("{what} builds {table} anew"));
    }
}
