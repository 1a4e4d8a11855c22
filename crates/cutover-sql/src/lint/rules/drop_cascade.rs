//! What takes columns with it.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "drop-cascade",
    family: Family::DataLoss,
    severity: Severity::Error,
    dialects: PG,
    lifted: Lifted::Contract,
    summary: "a type, domain or extension is dropped with CASCADE",
    why: "Every column of the type, in every table, is dropped with it, and what they hold is gone; so it is with the types that an \
          extension brought.",
    safe: "drop or change the columns one by one in contracts, and the type without CASCADE when none is left",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: false,
        scan: false,
    }),
    bad: &[
        Example::pg_after(
            "CREATE TYPE state AS ENUM ('open'); CREATE TABLE orders (a int, s state);",
            "DROP TYPE state CASCADE;",
        ),
        Example::pg("DROP DOMAIN IF EXISTS amount CASCADE;"),
        Example::pg("DROP EXTENSION citext CASCADE;"),
    ],
    good: &[
        Example::pg("DROP TYPE state;"),
        Example::pg("CREATE TYPE state AS ENUM ('open'); DROP TYPE state CASCADE;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Ddl::Drop(drop) = look.ddl else { return };
    if !drop.cascade || !matches!(drop.kind, Kind::Type | Kind::Domain | Kind::Extension) {
        return;
    }
    for name in &drop.names {
        if !look.state.is_made_object(drop.kind, name) {
            report.add(
                look.whole(),
                format!("every column of the {} {name} is lost", drop.kind.word()),
            );
        }
    }
}
