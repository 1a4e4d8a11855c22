//! Views, types, functions and others that go.

use super::prelude::*;
use crate::ddl::Drop;

pub(crate) const RULE: Rule = Rule {
    id: "drop-object",
    family: Family::Compat,
    severity: Severity::Warning,
    dialects: ALL,
    lifted: Lifted::Contract,
    summary: "a view, sequence, type, function or the like is dropped",
    why: "What the old version does with it fails from that moment on. One that the same file makes anew is left alone. Triggers \
          and rules are a note, because the application does not name them; without a policy that is known it may see no row at all, \
          unless another one of the table is made or row level security is switched off.",
    safe: "drop it in a contract",
    effect: None,
    bad: &[
        Example::pg("DROP VIEW active;"),
        Example::pg("DROP TYPE IF EXISTS state;"),
        Example::pg("DROP FUNCTION total(int);"),
        Example::pg_after(
            "CREATE POLICY own ON orders USING (owner = current_user);",
            "DROP POLICY own ON orders;",
        ),
        Example::my("", "DROP PROCEDURE settle"),
        Example::lite("", "DROP VIEW active"),
    ],
    good: &[
        Example::pg("DROP VIEW IF EXISTS active; CREATE VIEW active AS SELECT 1;"),
        Example::pg("DROP TRIGGER touch ON orders;"),
        Example::pg_after(
            "CREATE POLICY own ON orders USING (true);",
            "DROP POLICY own ON orders; CREATE POLICY mine ON orders USING (true);",
        ),
        Example::pg_after(
            "CREATE POLICY own ON orders USING (true);",
            "ALTER TABLE orders DISABLE ROW LEVEL SECURITY; DROP POLICY own ON orders;",
        ),
        Example::pg("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP FUNCTION f();"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if let Ddl::AlterComposite { name, breaks: true } = look.ddl
        && !look.state.is_made_object(Kind::Type, name)
    {
        report.add(
            look.whole(),
            format!("the old version knows {name} with all its attributes"),
        );
    }
    let Ddl::Drop(drop) = look.ddl else { return };
    match drop.kind {
        Kind::Table | Kind::Index | Kind::Schema | Kind::Database | Kind::Constraint => return,
        Kind::Policy if opens_rows(look, drop) => {}
        Kind::Trigger | Kind::Policy | Kind::Rule | Kind::Event | Kind::Other => {
            report.weigh(
                Severity::Note,
                look.whole(),
                format!(
                    "what the {} did for the old version is no longer done",
                    drop.kind.word()
                ),
            );
            return;
        }
        _ => {}
    }
    for name in &drop.names {
        let again = look.later().iter().any(|ddl| makes(ddl, drop.kind, name));
        if !again && !look.state.is_made_object(drop.kind, name) {
            report.add(
                look.whole(),
                format!("the old version may use the {} {name}", drop.kind.word()),
            );
        }
    }
    if drop.kind == Kind::Role {
        report.add(
            look.whole(),
            "the old version may connect as this role".to_owned(),
        );
    }
}

/// Whether a policy that goes is known to be what shows rows: one that an earlier migration made, without another one that is
/// made now, and while policies are asked.
fn opens_rows(look: &Look<'_>, drop: &Drop) -> bool {
    let replaces = |ddl: &Ddl| match ddl {
        Ddl::Create {
            kind: Kind::Policy,
            table,
            restrains: false,
            ..
        } => *table == drop.table,
        Ddl::AlterTable(alter) => {
            Some(&alter.table) == drop.table.as_ref()
                && alter
                    .actions
                    .iter()
                    .any(|action| action.what == Alter::RowSecurity(false))
        }
        _ => false,
    };
    let known = &look.state.schema.others;
    drop.names.iter().any(|name| {
        known.contains(&(Kind::Policy, name.clone())) && !look.state.is_made_object(Kind::Policy, name)
    }) && !look.facts.iter().any(replaces)
}

fn makes(ddl: &Ddl, kind: Kind, name: &Name) -> bool {
    match ddl {
        Ddl::Create {
            kind: made,
            name: Some(other),
            ..
        } => *made == kind && other == name,
        Ddl::CreateEnum { name: other, .. } => kind == Kind::Type && other == name,
        Ddl::CreateDomain { name: other, .. } => kind == Kind::Domain && other == name,
        Ddl::CreateFunction { name: other, .. } => kind == Kind::Function && other == name,
        // A table or a view in the place of the other.
        Ddl::CreateTable(create) => {
            matches!(kind, Kind::View | Kind::MaterializedView) && create.name.as_ref() == Some(name)
        }
        _ => false,
    }
}
