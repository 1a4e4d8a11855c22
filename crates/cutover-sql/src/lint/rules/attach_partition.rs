//! Partitions that are looked through.

use super::prelude::*;
use crate::schema::Table;

pub(crate) const RULE: Rule = Rule {
    id: "attach-partition",
    family: Family::Lock,
    severity: Severity::Warning,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "ATTACH PARTITION looks at every row of the new partition",
    why: "The new partition is read under ACCESS EXCLUSIVE to see that its rows belong there; a validated CHECK that says the same \
          is proof enough. A DEFAULT partition is read too.",
    safe: "give the new partition a CHECK with the same bounds first (NOT VALID, then VALIDATE), attach it, and drop the CHECK",
    effect: Some(Effect {
        lock: "AccessExclusiveLock",
        rewrite: false,
        scan: true,
    }),
    bad: &[Example::pg_after(
        "CREATE TABLE logs (at int) PARTITION BY RANGE (at); CREATE TABLE new (at int);",
        "ALTER TABLE logs ATTACH PARTITION new FOR VALUES FROM (10) TO (20);",
    )],
    good: &[
        Example::pg_after(
            "CREATE TABLE logs (at int) PARTITION BY RANGE (at);
             CREATE TABLE new (at int NOT NULL, CHECK (at >= 10 AND at < 20));",
            "ALTER TABLE logs ATTACH PARTITION new FOR VALUES FROM (10) TO (20);",
        ),
        Example::pg(
            "CREATE TABLE new (at int); ALTER TABLE logs ATTACH PARTITION new FOR VALUES FROM (10) TO (20);",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        let Alter::Attach { partition, bounds } = &action.what else {
            continue;
        };
        let known = look.table(partition);
        let proved = known
            .zip(bounds.as_ref())
            .is_some_and(|(known, bounds)| is_proved(known, look.table(table), bounds));
        if !look.state.is_fresh(partition) && !proved {
            report.add(
                action.span.clone(),
                format!("every row of {partition} is read while nobody can use it"),
            );
        }
    }
}

/// Whether a validated CHECK holds each value of the bounds, and no column of it may be null.
///
/// Short of a prover: the same literals beside the key's columns. PostgreSQL proves more, and less only for a CHECK that
/// says something else about the same numbers.
fn is_proved(partition: &Table, parent: Option<&Table>, bounds: &str) -> bool {
    let values: Vec<&str> = bounds
        .split([' ', '(', ')', ','])
        .filter(|word| word.starts_with('\'') || word.starts_with(|first: char| first.is_ascii_digit()))
        .collect();
    partition.constraints.iter().any(|one| {
        let ConstraintKind::Check(expr) = &one.constraint.kind else {
            return false;
        };
        let key_is_there = parent.is_none_or(|parent| {
            parent.partition_by.iter().all(|column| {
                expr.text.split(' ').any(|word| word.trim_matches('"') == column)
                    && (partition.column(column).is_some_and(|column| column.not_null)
                        || expr.text.contains(&format!("{column} is not null")))
            })
        });
        one.validated
            && key_is_there
            && !values.is_empty()
            && values
                .iter()
                .all(|value| expr.text.split(' ').any(|word| word == *value))
    })
}
