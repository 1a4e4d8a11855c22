//! The files of a contract: what waits until the old version is gone. Pure.

use cutover_model::{MigrationPhase, Version};
use cutover_sql::Dialect;
use cutover_sql::catalog::{Catalog, Change, statements};

use super::backfill::kept;
use super::{Draft, Sets, about, apply, inverse, loose, mysql, plain, postgres, unique};

/// On PostgreSQL up to three: what is done beside the traffic has files of its own, before and after the others.
pub(super) fn drafts(dialect: Dialect, mut now: Catalog, mut sets: Sets, retires: &Version) -> Vec<Draft> {
    let changes = std::mem::take(&mut sets.contract);
    let apart = if dialect == Dialect::Postgres {
        postgres::apart(&now, changes)
    } else {
        postgres::Apart {
            rest: changes,
            ..postgres::Apart::default()
        }
    };
    let mut out = Vec::new();
    out.extend(strict(dialect, &mut now, &apart.early, retires));
    if !apart.rest.is_empty() {
        sets.contract = apart.rest;
        out.push(rest(dialect, &now, &sets, retires));
        now = apply(&now, &sets.contract);
    }
    out.extend(strict(dialect, &mut now, &apart.late, retires));
    out
}

/// Each statement in a transaction of its own, or in none.
fn strict(dialect: Dialect, now: &mut Catalog, changes: &[Change], retires: &Version) -> Option<Draft> {
    if changes.is_empty() {
        return None;
    }
    let after = apply(now, changes);
    let draft = Draft {
        suffix: "strict",
        phase: MigrationPhase::Contract,
        transaction: false,
        directives: std::iter::once(format!("retires={retires}"))
            .chain(never_null(dialect, changes))
            .collect(),
        about: about(changes),
        up: postgres::beside(now, changes),
        down: postgres::beside(&after, &inverse(changes)),
    };
    *now = after;
    Some(draft)
}

/// The directives that find rows without a value, before anything is done to a column that is never NULL again.
fn never_null(dialect: Dialect, changes: &[Change]) -> Vec<String> {
    let query = |change: &Change| match change {
        Change::Column {
            table,
            from: Some(from),
            to: Some(to),
        } if !from.not_null && to.not_null => Some(format!(
            "precheck SELECT count(*) FROM {} WHERE {} IS NULL",
            dialect.table(table),
            dialect.quoted(&to.name)
        )),
        _ => None,
    };
    changes.iter().filter_map(query).collect()
}

fn rest(dialect: Dialect, now: &Catalog, sets: &Sets, retires: &Version) -> Draft {
    let up = statements(dialect, now, &sets.contract);
    let (up, mut guards) = if dialect.is_mysql() {
        mysql::guarded(now, &sets.contract, up)
    } else {
        (up, Vec::new())
    };
    if dialect != Dialect::Postgres {
        guards.extend(unique::prechecks(dialect, now, &sets.contract));
    }
    let after = apply(now, &sets.contract);
    // A renamed column comes back empty, is filled, and only then gets what it had.
    let mut back = inverse(&sets.contract);
    let (mut fill, mut strict) = (Vec::new(), Vec::new());
    for one in &sets.moved {
        let (first, table) = (loose(&one.old), &one.table);
        for change in &mut back {
            if let Change::Column {
                table: of,
                from: None,
                to: Some(column),
            } = change
                && of == table
                && column.name == one.old.name
            {
                column.clone_from(&first);
            }
        }
        fill.push(format!(
            "UPDATE {} SET {} = ({}){}",
            dialect.table(table),
            dialect.quoted(&one.old.name),
            one.down,
            kept(dialect, &after, table, &one.old.name)
        ));
        if first != one.old {
            strict.push(Change::Column {
                table: table.clone(),
                from: Some(first),
                to: Some(one.old.clone()),
            });
        }
    }
    let mut down = statements(dialect, &after, &back);
    down.extend(fill);
    down.extend(statements(dialect, &apply(&after, &back), &strict));
    let ended = sets.moved.iter().map(|one| {
        let (table, new) = (one.table.to_string(), one.new.join(","));
        format!("end-sync table={} new={}", plain(&table), plain(&new))
    });
    Draft {
        suffix: "contract",
        phase: MigrationPhase::Contract,
        transaction: true,
        directives: std::iter::once(format!("retires={retires}"))
            .chain(ended)
            .chain(never_null(dialect, &sets.contract))
            .chain(guards)
            .collect(),
        about: about(&sets.contract),
        up,
        down,
    }
}
