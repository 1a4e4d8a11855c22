//! What the new table in the place of the old one demands, and the old one did not.

use super::prelude::*;
use crate::lint::swap::{new_checks, new_keys, swap};
use crate::schema::{Table, mentions};

pub(crate) const RULE: Rule = Rule {
    id: "copy-table",
    family: Family::Compat,
    severity: Severity::Error,
    dialects: LITE,
    lifted: Lifted::Contract,
    summary: "the new table in the place of the old one demands more",
    why: "A column that becomes NOT NULL without a default makes the copy fail where a row is null, and the old version's INSERTs fail \
          from that moment on; so does a new one. A new UNIQUE, CHECK, REFERENCES or STRICT refuses what the old version may write. A \
          column that is left out is a matter of copy-table-loss.",
    safe: "keep the column nullable or give it a default, and be strict in a contract",
    effect: None,
    bad: &[
        Example::lite(
            "CREATE TABLE posts (body text);",
            "CREATE TABLE new_posts (body text NOT NULL); INSERT INTO new_posts (body) SELECT body FROM posts;
             DROP TABLE posts; ALTER TABLE new_posts RENAME TO posts;",
        ),
        Example::lite(
            "CREATE TABLE posts (slug text);",
            "CREATE TABLE new_posts (slug text UNIQUE); INSERT INTO new_posts SELECT slug FROM posts;
             DROP TABLE posts; ALTER TABLE new_posts RENAME TO posts;",
        ),
        Example::lite(
            "CREATE TABLE posts (stars int);",
            "CREATE TABLE new_posts (stars int CHECK (stars < 6)); INSERT INTO new_posts SELECT stars FROM posts;
             DROP TABLE posts; ALTER TABLE new_posts RENAME TO posts;",
        ),
        Example::lite(
            "CREATE TABLE posts (stars int);",
            "CREATE TABLE new_posts (stars int) STRICT; INSERT INTO new_posts SELECT stars FROM posts;
             DROP TABLE posts; ALTER TABLE new_posts RENAME TO posts;",
        ),
    ],
    good: &[
        Example::lite(
            "CREATE TABLE posts (body text);",
            "CREATE TABLE new_posts (body text NOT NULL DEFAULT ''); INSERT INTO new_posts (body) SELECT coalesce(body, '') FROM posts;
             DROP TABLE posts; ALTER TABLE new_posts RENAME TO posts;",
        ),
        Example::lite(
            "CREATE TABLE posts (id integer PRIMARY KEY, slug text UNIQUE, stars int CHECK (stars < 6)) STRICT;",
            "CREATE TABLE n (id integer PRIMARY KEY, slug text UNIQUE, stars int CHECK (stars < 6), mark int CHECK (mark > 0)) STRICT;
             INSERT INTO n (id, slug, stars) SELECT id, slug, stars FROM posts; DROP TABLE posts; ALTER TABLE n RENAME TO posts;",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Some(swap) = swap(look) else { return };
    let Some(old) = look.table(swap.old) else { return };
    let Some(new) = swap.result(look) else {
        return;
    };
    for column in new
        .columns
        .iter()
        .filter(|column| column.not_null && !column.has_value())
    {
        match old.column(&column.name) {
            Some(before) if before.not_null || before.primary_key => {}
            Some(_) => {
                report.add(
                    look.whole(),
                    format!("{} of {} must not be null any more", column.name, swap.old),
                );
            }
            // SQLite counts on its own for one that is INTEGER PRIMARY KEY.
            None if old.complete && !column.primary_key => {
                report.add(
                    look.whole(),
                    format!("the old version inserts no {} into {}", column.name, swap.old),
                );
            }
            None => {}
        }
    }
    for column in &old.columns {
        let kept = new.column(&column.name).is_some();
        if !kept && swap.filled.selected.iter().any(|one| mentions(one, &column.name)) {
            report.add(
                look.whole(),
                format!(
                    "the old version knows {}.{}, which goes on under another name",
                    swap.old, column.name
                ),
            );
        }
    }
    if old.complete {
        for demand in demands(&new, old) {
            report.add(
                look.whole(),
                format!("{} has {demand}: the old version's writes may break it", swap.old),
            );
        }
    }
}

/// What the new table asks of rows as the old version writes them.
fn demands(new: &Table, old: &Table) -> Vec<String> {
    let mut out = Vec::new();
    for key in new_keys(new, Some(old)) {
        // Of a column that the old version does not know, it leaves NULL, of which there may be many, or a number of its own.
        let alike = |name: &&str| {
            old.column(name).is_some()
                || new
                    .column(name)
                    .is_some_and(|column| column.default.as_ref().is_some_and(|default| !default.is_null()))
        };
        if key.iter().all(alike) {
            let columns: Vec<&str> = key.into_iter().collect();
            out.push(format!("a new key on {}", columns.join(", ")));
        }
    }
    out.extend(
        new_checks(new, Some(old))
            .into_iter()
            .map(|check| format!("a new CHECK ({check})")),
    );
    for one in &new.constraints {
        if let ConstraintKind::ForeignKey { columns, references } = &one.constraint.kind {
            let had = old.constraints.iter().any(|before| {
                matches!(&before.constraint.kind, ConstraintKind::ForeignKey { columns: own, references: to }
                    if own == columns && to.table == references.table)
            });
            if !had && columns.iter().all(|name| old.column(name).is_some()) {
                out.push(format!("a new reference to {}", references.table));
            }
        }
    }
    let is_strict = |table: &Table| table.options.iter().any(|option| option == "STRICT");
    if is_strict(new) && !is_strict(old) {
        out.push("become STRICT".to_owned());
    }
    out
}
