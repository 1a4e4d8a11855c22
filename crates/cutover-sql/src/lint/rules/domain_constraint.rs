//! Domains that demand more.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "domain-constraint",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "a domain gets a CHECK or NOT NULL",
    why: "Every table with a column of the domain is read, and nobody writes to any of them meanwhile (SHARE lock).",
    safe: "add the CHECK NOT VALID; or put it at the tables, NOT VALID, and validate it table by table",
    effect: Some(Effect {
        lock: "ShareLock",
        rewrite: false,
        scan: true,
    }),
    bad: &[
        Example::pg_after(
            "CREATE DOMAIN amount AS int; CREATE TABLE orders (total amount);",
            "ALTER DOMAIN amount ADD CONSTRAINT positive CHECK (VALUE > 0);",
        ),
        Example::pg("ALTER DOMAIN amount SET NOT NULL;"),
    ],
    good: &[
        Example::pg("ALTER DOMAIN amount ADD CONSTRAINT positive CHECK (VALUE > 0) NOT VALID;"),
        Example::pg("CREATE DOMAIN amount AS int; ALTER DOMAIN amount ADD CHECK (VALUE > 0);"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Ddl::AlterDomain { name, action } = look.ddl else {
        return;
    };
    if look.state.is_made_object(Kind::Domain, name) {
        return;
    }
    match action {
        DomainAction::AddCheck { not_valid: false } | DomainAction::SetNotNull => {
            report.add(
                look.whole(),
                format!("nobody writes to any table with a column of type {name} while all of them are read"),
            );
        }
        DomainAction::Validate => {
            report.weigh(
                Severity::Note,
                look.whole(),
                format!("every table with a column of type {name} is locked against writes while it is read"),
            );
        }
        _ => {}
    }
}
