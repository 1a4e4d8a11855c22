//! What goes on under another name or as another type: beside the old one, kept equal, until that can go.

use super::One;
use super::column::not_null;
use super::piece::Piece;
use super::statement::{is_simple, key_of, sql};
use crate::ddl::{Column, ConstraintKind, Name, TypeName};
use crate::quoted;
use crate::read::parts::set_type;
use crate::schema::{Table, mentions};

/// Under its new name, with a view under the old one until the old version is gone.
pub(super) fn table(one: &One<'_>, to: &Name) -> Vec<Piece> {
    let new = Name {
        schema: to.schema.clone().or_else(|| one.table.schema.clone()),
        name: to.name.clone(),
    };
    let (old, new) = (sql(one.table), sql(&new));
    vec![
        Piece::expand(&format!("{} {}", one.head, one.text)).apart(),
        Piece::expand(&format!("CREATE VIEW {old} AS SELECT * FROM {new}")),
        Piece::contract(&format!("DROP VIEW {old}")),
    ]
}

pub(super) fn rename(one: &One<'_>, from: &str, to: &str) -> Option<Vec<Piece>> {
    let column = movable(one, from)?;
    let ty = written(column.ty.as_ref()?)?;
    let (up, down) = (quoted(from), quoted(to));
    let mut out = beside(one, from, to, &ty, &up, &down)?;
    if column.not_null {
        out.extend(not_null(one, to));
    }
    out.extend(end(one, from, to, column));
    Some(out)
}

/// The new column takes the name of the old one at the moment at which that goes, so that who uses the name is not asked.
pub(super) fn retype(one: &One<'_>, name: &str, to: &TypeName, using: bool) -> Option<Vec<Piece>> {
    // A value that does not fit is cut by a cast, and refused by the original: that is no rewriting.
    if !one.only(&["change-type", "lock-held"]) {
        return None;
    }
    let column = movable(one, name)?;
    let old = written(column.ty.as_ref()?)?;
    let (ty, expression) = set_type(one.text)?;
    let ty = one.text.get(ty)?;
    let new = format!("{name}_{}", to.name.split([' ', '.']).next_back()?);
    if !is_simple(&new) || one.prior.schema.table(one.table)?.column(&new).is_some() {
        return None;
    }
    let up = match expression.filter(|_| using) {
        Some(range) => one.text.get(range)?.trim().to_owned(),
        None => format!("CAST({} AS {ty})", quoted(name)),
    };
    let down = format!("CAST({} AS {old})", quoted(&new));
    let mut out = beside(one, name, &new, ty, &up, &down)?;
    if column.not_null {
        out.extend(not_null(one, &new));
    }
    out.extend(end(one, name, &new, column));
    out.push(Piece::contract(&format!(
        "{} RENAME COLUMN {} TO {}",
        one.head,
        quoted(&new),
        quoted(name)
    )));
    Some(out)
}

/// A column that can be made a second time: nothing else of the table stands on it.
fn movable<'a>(one: &One<'a>, name: &str) -> Option<&'a Column> {
    let table = one.prior.schema.table(one.table).filter(|table| table.complete)?;
    let column = table.column(name)?;
    let plain = !column.identity
        && column.generated.is_none()
        && !column.ty.as_ref()?.is_serial()
        && table.partition_by.is_empty()
        && table.parent.is_none()
        && !table.has_index_on(name)
        && !stands_on(table, name)
        && !one
            .prior
            .schema
            .pointing_to(one.table)
            .any(|other| points_at(other, one.table, name));
    (plain && is_simple(name) && is_simple(&one.table.name)).then_some(column)
}

fn stands_on(table: &Table, name: &str) -> bool {
    table.constraints.iter().any(|one| match &one.constraint.kind {
        ConstraintKind::Check(expr) => mentions(&expr.text, name),
        ConstraintKind::ForeignKey { columns, .. } => columns.iter().any(|column| column == name),
        ConstraintKind::Exclude => true,
        ConstraintKind::NotNull(column) => column == name,
        ConstraintKind::Unique { .. } | ConstraintKind::PrimaryKey { .. } => false,
    }) || table.columns.iter().any(|column| {
        column
            .generated
            .as_ref()
            .is_some_and(|one| mentions(&one.expr.text, name))
    })
}

fn points_at(other: &Table, table: &Name, name: &str) -> bool {
    other.constraints.iter().any(|one| {
        matches!(&one.constraint.kind, ConstraintKind::ForeignKey { references, .. }
            if references.table == *table && references.columns.iter().any(|column| column == name))
    })
}

/// A type as it is written again; none when its words are not known any more.
fn written(ty: &TypeName) -> Option<String> {
    let text = ty.to_string();
    let plain = text
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || " _(),[]".contains(c));
    (plain && ty.collation.is_none() && ty.name != "interval").then_some(text)
}

/// The second column, kept equal, and filled.
fn beside(one: &One<'_>, old: &str, new: &str, ty: &str, up: &str, down: &str) -> Option<Vec<Piece>> {
    let key = key_of(one.prior, one.table)?;
    // The directive is a line of its own.
    let broken = [up, down].iter().any(|text| text.contains('\n'));
    if !is_simple(new) || new == key || old == key || broken {
        return None;
    }
    let table = one.table;
    let escaped = |text: &str| text.replace('"', "\"\"");
    let sync = format!(
        "sync table={table} old={old} new={new} up=\"{}\" down=\"{}\"",
        escaped(up),
        escaped(down)
    );
    Some(vec![
        Piece::expand(&format!("{} ADD COLUMN {} {ty}", one.head, quoted(new)))
            .with(sync)
            .apart(),
        Piece::backfill("", vec![format!("backfill table={table} key={key} new={new}")]),
    ])
}

/// The old one goes, and what was said of it is said of the new one.
fn end(one: &One<'_>, old: &str, new: &str, column: &Column) -> Vec<Piece> {
    let mut out = vec![
        Piece::contract(&format!("{} DROP COLUMN {}", one.head, quoted(old)))
            .with(format!("end-sync table={} new={new}", one.table))
            .apart(),
    ];
    if let Some(default) = &column.default {
        out.push(Piece::contract(&format!(
            "{} ALTER COLUMN {} SET DEFAULT {}",
            one.head,
            quoted(new),
            default.text
        )));
    }
    out
}
