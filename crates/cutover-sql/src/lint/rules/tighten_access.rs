//! What may no longer be done.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "tighten-access",
    family: Family::Compat,
    severity: Severity::Warning,
    dialects: &[Dialect::Postgres, Dialect::Mysql, Dialect::MariaDb],
    lifted: Lifted::Contract,
    summary: "REVOKE, a locked role, row level security, a RESTRICTIVE policy, a rule INSTEAD, or NO INHERIT",
    why: "The old version may lose access to what it reads and writes, or see fewer rows without an error. What a rule does INSTEAD it \
          does to the old version's writes too, and what no longer inherits is not found in the parent.",
    safe: "do it in a contract; create the policies before row level security is switched on",
    effect: None,
    bad: &[
        Example::pg("REVOKE ALL ON orders FROM app;"),
        Example::pg("ALTER TABLE orders ENABLE ROW LEVEL SECURITY;"),
        Example::pg("CREATE POLICY own ON orders AS RESTRICTIVE USING (owner = current_user);"),
        Example::pg("CREATE RULE frozen AS ON UPDATE TO orders DO INSTEAD NOTHING;"),
        Example::pg("ALTER TABLE orders_2020 NO INHERIT orders;"),
        Example::pg("ALTER ROLE app NOLOGIN;"),
        Example::my("", "ALTER USER 'app'@'%' ACCOUNT LOCK"),
    ],
    good: &[
        Example::pg("GRANT SELECT ON orders TO app;"),
        Example::pg("ALTER TABLE orders DISABLE ROW LEVEL SECURITY;"),
        Example::pg("CREATE TABLE o (a int); ALTER TABLE o ENABLE ROW LEVEL SECURITY;"),
        Example::pg("CREATE POLICY own ON orders USING (owner = current_user);"),
        Example::pg_after(
            "CREATE VIEW recent AS SELECT 1;",
            "CREATE RULE add AS ON INSERT TO recent DO INSTEAD INSERT INTO orders VALUES (NEW.a);",
        ),
        Example::pg("CREATE RULE noted AS ON UPDATE TO orders DO ALSO NOTIFY orders;"),
        Example::pg("CREATE ROLE app; ALTER ROLE app NOLOGIN;"),
        Example::pg("ALTER ROLE app SET statement_timeout = '5s';"),
        Example::my("", "ALTER USER 'app'@'%' ACCOUNT UNLOCK"),
        Example::pg("CREATE TABLE o (a int); REVOKE ALL ON o FROM PUBLIC;"),
        Example::pg(
            "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION f(int) FROM PUBLIC;",
        ),
        Example::pg("CREATE SCHEMA s; REVOKE ALL ON ALL TABLES IN SCHEMA s FROM PUBLIC;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if let Ddl::Revoke { kind, names } = look.ddl
        && !is_own(look, *kind, names)
    {
        report.add(
            look.whole(),
            "the old version may need what is revoked".to_owned(),
        );
    }
    if let Ddl::LockRole { name } = look.ddl
        && !name
            .as_ref()
            .is_some_and(|name| look.state.is_made_object(Kind::Role, name))
    {
        report.add(
            look.whole(),
            "the old version may connect as this role".to_owned(),
        );
    }
    if let Ddl::Create {
        kind,
        table: Some(table),
        restrains: true,
        ..
    } = look.ddl
        && !look.state.is_mine(table)
        && (*kind == Kind::Policy || takes_writes(look, table))
    {
        report.add(
            look.whole(),
            format!("the old version may reach fewer rows of {table}, without an error"),
        );
    }
    for (table, action) in look.actions() {
        if let Alter::Disinherit(parent) = &action.what {
            report.add(
                action.span.clone(),
                format!("the old version does not find the rows of {table} in {parent} any more"),
            );
        }
        if action.what == Alter::RowSecurity(true) {
            report.add(
                action.span.clone(),
                format!("the old version may see fewer rows of {table}, without an error"),
            );
        }
    }
}

/// Whether a rule does something instead of what the old version wants; one on a view is what makes it writable.
fn takes_writes(look: &Look<'_>, table: &Name) -> bool {
    let is_view = look.state.schema.others.contains(&(Kind::View, table.clone()));
    let is_nothing = look
        .text
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| word.eq_ignore_ascii_case("nothing"));
    !is_view && (is_nothing || look.table(table).is_some())
}

/// Whether this text made all of it, so that no old version knows any.
fn is_own(look: &Look<'_>, kind: Kind, names: &[Name]) -> bool {
    let kinds: &[Kind] = match kind {
        // A view and a sequence are called tables there.
        Kind::Table => &[Kind::View, Kind::MaterializedView, Kind::Sequence],
        Kind::Type | Kind::Domain => &[Kind::Type, Kind::Domain],
        _ => &[kind],
    };
    let is_made = |name: &Name| {
        (kind == Kind::Table && look.state.is_mine(name))
            || kinds.iter().any(|kind| look.state.is_made_object(*kind, name))
    };
    !names.is_empty() && names.iter().all(is_made)
}
