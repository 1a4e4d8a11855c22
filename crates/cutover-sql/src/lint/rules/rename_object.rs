//! Views, types, functions and others under another name.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "rename-object",
    family: Family::Compat,
    severity: Severity::Error,
    dialects: &[Dialect::Postgres, Dialect::Mysql, Dialect::MariaDb],
    lifted: Lifted::Contract,
    summary: "a view, sequence, type, enum value, function, schema or role is renamed",
    why: "The old version knows it under its old name, and what it does with it fails from that moment on. Names of indexes, \
          constraints and triggers are seldom used by queries, so renaming these is a note.",
    safe: "make a second one under the new name, and drop the old one in a contract",
    effect: None,
    bad: &[
        Example::pg("ALTER VIEW active RENAME TO current_ones;"),
        Example::pg("ALTER TYPE state RENAME VALUE 'done' TO 'finished';"),
        Example::pg("ALTER SCHEMA shop RENAME TO store;"),
        Example::pg("ALTER SEQUENCE numbers RENAME TO counters;"),
        Example::pg("ALTER FUNCTION total(int) RENAME TO sum_of;"),
        Example::pg("ALTER TYPE pair RENAME ATTRIBUTE a TO b;"),
        Example::pg("ALTER ROLE app RENAME TO shop;"),
        Example::my("", "RENAME USER 'app'@'%' TO 'shop'@'%'"),
    ],
    good: &[
        Example::pg("ALTER INDEX by_state RENAME TO orders_by_state;"),
        Example::pg("CREATE TYPE s AS ENUM ('a'); ALTER TYPE s RENAME VALUE 'a' TO 'b';"),
        Example::pg("CREATE ROLE a; ALTER ROLE a RENAME TO b;"),
        Example::pg("ALTER TRIGGER touch ON orders RENAME TO touched;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (_, action) in look.actions() {
        if let Alter::RenameConstraint(from, to) | Alter::RenameIndex(from, to) = &action.what {
            report.weigh(
                Severity::Note,
                action.span.clone(),
                format!("hints and ON CONFLICT ON CONSTRAINT that name {from} do not find {to}"),
            );
        }
    }
    let Ddl::Rename { kind, name, part, to } = look.ddl else {
        return;
    };
    if look.state.is_made_object(*kind, name) || look.state.is_fresh(name) {
        return;
    }
    let what = kind.word();
    match (kind, part) {
        (Kind::View | Kind::MaterializedView, Some(_)) => {}
        (Kind::Index | Kind::Trigger | Kind::Rule | Kind::Policy | Kind::Event, _) => {
            report.weigh(
                Severity::Note,
                look.whole(),
                format!("what names the {what} {name} does not find {to}"),
            );
        }
        (_, Some(part)) => {
            report.add(
                look.whole(),
                format!("the old version knows {part} of {name}, not {to}"),
            );
        }
        (_, None) => {
            report.add(
                look.whole(),
                format!("the old version knows the {what} {name}, not {to}"),
            );
        }
    }
}
