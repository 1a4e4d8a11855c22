//! One action of an `ALTER TABLE`.

use super::piece::Piece;
use super::statement::{is_partitioned, sql};
use super::{One, column, distinct, moved};
use crate::ddl::{Alter, Constraint, ConstraintKind};
use crate::quoted;
use crate::read::parts::after_word;
use crate::schema::mentions;

/// The longest name that PostgreSQL keeps whole.
const LONGEST: usize = 63;

/// The names that what comes later may have in common with it.
pub(super) fn names(what: &Alter) -> Vec<String> {
    match what {
        Alter::DropColumn { name, .. } | Alter::DropConstraint { name, .. } => vec![name.clone()],
        Alter::DropNotNull(name) | Alter::DropDefault(name) | Alter::DropIdentity(name) => vec![name.clone()],
        Alter::RenameColumn { from, to } => distinct([from.clone(), to.clone()]),
        Alter::SetType { column, .. } => vec![column.clone()],
        _ => Vec::new(),
    }
}

pub(super) fn fix(one: &One<'_>, what: &Alter) -> Option<Vec<Piece>> {
    match what {
        Alter::AddColumn { column, .. } => column::fix(one, column),
        Alter::SetNotNull(name) => Some(column::not_null(one, name)),
        Alter::AddConstraint(constraint) => added(one, constraint),
        Alter::Validate(_)
        | Alter::Detach {
            concurrently: true, ..
        } => Some(vec![Piece::alone(&whole(one)).apart()]),
        Alter::Detach {
            concurrently: false, ..
        } => Some(vec![Piece::alone(&format!("{} CONCURRENTLY", whole(one)))]),
        Alter::SetType { column, ty, using } => moved::retype(one, column, ty, using.is_some()),
        Alter::RenameColumn { from, to } => moved::rename(one, from, to),
        Alter::RenameTable(to) => Some(moved::table(one, to)),
        // What is held too long in company is fine alone.
        _ if one.only(&["lock-held"]) => Some(vec![Piece::alone(&whole(one))]),
        _ => None,
    }
}

pub(super) fn whole(one: &One<'_>) -> String {
    format!("{} {}", one.head, one.text)
}

fn added(one: &One<'_>, constraint: &Constraint) -> Option<Vec<Piece>> {
    if constraint.not_valid {
        return Some(vec![Piece::expand(&whole(one)).apart()]);
    }
    if is_partitioned(one.prior, one.table) {
        return None;
    }
    let name = name_of(one, constraint)?;
    match &constraint.kind {
        ConstraintKind::Check(_) | ConstraintKind::ForeignKey { .. } => {
            let rest = definition(one, constraint)?;
            Some(not_valid(one, &name, rest))
        }
        ConstraintKind::Unique {
            columns,
            using_index: None,
        } => {
            let rest = definition(one, constraint)?;
            is_plain(rest, "UNIQUE").then(|| unique(one, &name, columns))
        }
        ConstraintKind::PrimaryKey {
            columns,
            using_index: None,
        } => {
            let rest = definition(one, constraint)?;
            is_plain(rest, "KEY").then(|| primary_key(one, &name, columns))
        }
        _ => None,
    }
}

/// Added without a look at the rows, and then validated.
pub(super) fn not_valid(one: &One<'_>, name: &str, definition: &str) -> Vec<Piece> {
    let (head, name) = (one.head, quoted(name));
    vec![
        Piece::alone(&format!("{head} ADD CONSTRAINT {name} {definition} NOT VALID")),
        Piece::alone(&format!("{head} VALIDATE CONSTRAINT {name}")),
    ]
}

pub(super) fn unique(one: &One<'_>, name: &str, columns: &[String]) -> Vec<Piece> {
    let name = quoted(name);
    let adopt = format!("{} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}", one.head);
    vec![index(one, &name, columns), Piece::alone(&adopt)]
}

fn index(one: &One<'_>, name: &str, columns: &[String]) -> Piece {
    let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
    Piece::alone(&format!(
        "CREATE UNIQUE INDEX CONCURRENTLY {name} ON {} ({})",
        sql(one.table),
        columns.join(", ")
    ))
}

/// The index beside the traffic; the key itself, with what it says of nulls, in a contract.
pub(super) fn primary_key(one: &One<'_>, name: &str, columns: &[String]) -> Vec<Piece> {
    let quoted_name = quoted(name);
    let mut out = vec![index(one, &quoted_name, columns)];
    let known = one.prior.schema.table(one.table);
    for column in columns {
        let never_null = known
            .and_then(|known| known.column(column))
            .is_some_and(|column| column.not_null);
        if !never_null {
            out.extend(column::not_null(one, column));
        }
    }
    out.push(Piece::contract_alone(&format!(
        "{} ADD CONSTRAINT {quoted_name} PRIMARY KEY USING INDEX {quoted_name}",
        one.head
    )));
    out
}

/// What follows `ADD [CONSTRAINT name]`.
fn definition<'a>(one: &One<'a>, constraint: &Constraint) -> Option<&'a str> {
    let word = match &constraint.kind {
        ConstraintKind::Check(_) => "CHECK",
        ConstraintKind::ForeignKey { .. } => "FOREIGN",
        ConstraintKind::Unique { .. } => "UNIQUE",
        ConstraintKind::PrimaryKey { .. } => "PRIMARY",
        ConstraintKind::NotNull(_) | ConstraintKind::Exclude => return None,
    };
    let end = after_word(one.text, &[word])?;
    one.text.get(end - word.len()..)
}

/// Whether nothing follows the columns.
fn is_plain(definition: &str, word: &str) -> bool {
    after_word(definition, &[word]).is_some_and(|at| {
        let rest = definition[at..].trim();
        rest.starts_with('(') && rest.ends_with(')') && rest.matches('(').count() == 1
    })
}

/// Its name, or the one that PostgreSQL would give it; none when that cannot be told, or is taken.
fn name_of(one: &One<'_>, constraint: &Constraint) -> Option<String> {
    if let Some(name) = &constraint.name {
        return Some(name.clone());
    }
    let table = &one.table.name;
    let known = one.prior.schema.table(one.table);
    let name = match &constraint.kind {
        ConstraintKind::PrimaryKey { .. } => format!("{table}_pkey"),
        ConstraintKind::Unique { columns, .. } => format!("{table}_{}_key", columns.join("_")),
        ConstraintKind::ForeignKey { columns, .. } => format!("{table}_{}_fkey", columns.join("_")),
        ConstraintKind::Check(expr) => {
            let known = known.filter(|known| known.complete)?;
            let mut used = known
                .columns
                .iter()
                .filter(|column| mentions(&expr.text, &column.name));
            match (used.next(), used.next()) {
                (Some(only), None) => format!("{table}_{}_check", only.name),
                _ => format!("{table}_check"),
            }
        }
        ConstraintKind::NotNull(_) | ConstraintKind::Exclude => return None,
    };
    let taken = known.is_some_and(|known| known.constraint(&name).is_some());
    (name.len() <= LONGEST && !taken).then_some(name)
}
