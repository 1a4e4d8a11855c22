//! What runs and cannot be seen.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "opaque",
    family: Family::Correctness,
    severity: Severity::Warning,
    dialects: &[Dialect::Postgres, Dialect::Mysql, Dialect::MariaDb],
    lifted: Lifted::Never,
    summary: "a block or call that builds its statements when it runs",
    why: "What EXECUTE and CALL run is not in the text, so nothing is said about it. The plain statements of a DO block are looked at \
          one by one.",
    safe: "write the statements out",
    effect: None,
    bad: &[
        Example::pg("DO $$ BEGIN EXECUTE format('DROP TABLE %I', 'a' || 'b'); END $$;"),
        Example::pg("CALL settle();"),
    ],
    good: &[Example::pg(
        "DO $$ BEGIN ALTER TABLE orders ADD COLUMN a int; END $$;",
    )],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if let Ddl::Opaque { dynamic: true, .. } = look.ddl {
        report.add(
            look.whole(),
            "it runs statements that are not in the text".to_owned(),
        );
    }
}
