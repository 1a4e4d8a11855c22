//! Views, types, functions and others that go.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "drop-object",
    family: Family::Compat,
    severity: Severity::Warning,
    dialects: ALL,
    lifted: Lifted::Contract,
    summary: "a view, sequence, type, function or the like is dropped",
    why: "What the old version does with it fails from that moment on. One that the same file makes anew is left alone; triggers, \
          policies and rules are a note, because the application does not name them.",
    safe: "drop it in a contract",
    effect: None,
    bad: &[
        Example::pg("DROP VIEW active;"),
        Example::pg("DROP TYPE IF EXISTS state;"),
        Example::pg("DROP FUNCTION total(int);"),
        Example::my("", "DROP PROCEDURE settle"),
        Example::lite("", "DROP VIEW active"),
    ],
    good: &[
        Example::pg("DROP VIEW IF EXISTS active; CREATE VIEW active AS SELECT 1;"),
        Example::pg("DROP TRIGGER touch ON orders;"),
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
