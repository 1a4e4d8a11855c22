//! Promises that no longer hold.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "drop-constraint",
    family: Family::Compat,
    severity: Severity::Warning,
    dialects: &[Dialect::Postgres, Dialect::Mysql, Dialect::MariaDb],
    lifted: Lifted::Contract,
    summary: "a constraint is dropped, or no longer enforced",
    why: "The old version counts on it: the new version may write rows that the old one has never had to read, and a key that \
          replication, foreign keys or ON CONFLICT stand on is gone.",
    safe: "drop it in a contract",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: false,
        scan: false,
    }),
    bad: &[
        Example::pg_after(
            "CREATE TABLE orders (n int CONSTRAINT positive CHECK (n > 0));",
            "ALTER TABLE orders DROP CONSTRAINT positive;",
        ),
        Example::my("", "ALTER TABLE orders DROP FOREIGN KEY buyer"),
        Example::my("", "ALTER TABLE orders ALTER CHECK positive NOT ENFORCED"),
    ],
    good: &[
        Example::pg_after(
            "CREATE TABLE o (n int NOT NULL); ALTER TABLE o ADD CONSTRAINT c CHECK (n IS NOT NULL);",
            "ALTER TABLE o DROP CONSTRAINT c;",
        ),
        Example::pg(
            "ALTER TABLE o DROP CONSTRAINT c; ALTER TABLE o ADD CONSTRAINT c CHECK (n > 0) NOT VALID;",
        ),
        Example::pg(
            "ALTER TABLE o DROP CONSTRAINT a, ADD CONSTRAINT a FOREIGN KEY (n) REFERENCES p NOT VALID;",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if let Ddl::AlterDomain {
        name,
        action: DomainAction::DropConstraint,
    } = look.ddl
        && !look.state.is_made_object(Kind::Domain, name)
    {
        report.add(
            look.whole(),
            format!("the old version counts on what {name} demands"),
        );
    }
    for (table, action) in look.actions() {
        let name = match &action.what {
            Alter::DropConstraint { name, .. } => name,
            Alter::AlterConstraint(name, Some(false)) => name,
            _ => continue,
        };
        if is_implied(look, table, name)
            || is_replaced(look, table, name)
            || look.state.unvalidated.contains(&(table.clone(), name.clone()))
        {
            continue;
        }
        report.add(
            action.span.clone(),
            format!("the old version counts on {name} of {table}"),
        );
    }
}

/// A CHECK (column IS NOT NULL) on a column that is NOT NULL says nothing new.
fn is_implied(look: &Look<'_>, table: &Name, name: &str) -> bool {
    let Some(known) = look.table(table) else {
        return false;
    };
    let Some(one) = known.constraint(name) else {
        return false;
    };
    let ConstraintKind::Check(expr) = &one.constraint.kind else {
        return false;
    };
    let words: Vec<&str> = expr
        .text
        .split([' ', '(', ')', '"', '`'])
        .filter(|word| !word.is_empty())
        .collect();
    let set_before = |column: &str| {
        look.earlier().iter().chain([look.ddl]).any(|ddl| {
            matches!(ddl, Ddl::AlterTable(alter) if alter.table == *table
                && alter.actions.iter().any(|action| action.what == Alter::SetNotNull(column.to_owned())))
        })
    };
    match words.as_slice() {
        [column, "is", "not", "null"] => {
            known.column(column).is_some_and(|column| column.not_null) || set_before(column)
        }
        _ => false,
    }
}

/// One of the same name follows, in the same statement or the same file.
fn is_replaced(look: &Look<'_>, table: &Name, name: &str) -> bool {
    std::iter::once(look.ddl).chain(look.later()).any(|ddl| match ddl {
        Ddl::AlterTable(alter) if alter.table == *table => alter.actions.iter().any(|action| {
            matches!(&action.what, Alter::AddConstraint(constraint) if constraint.name.as_deref() == Some(name))
        }),
        _ => false,
    })
}
