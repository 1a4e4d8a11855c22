//! Findings: what in files and history does not fit together. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cutover_model::{Diagnostic, MigrationId, MigrationPhase};
use cutover_sql::{Dialect, locate};

use crate::folder::JSON;
use crate::{Direction, HistoryRow, MigrationFile, half};

/// Everything that must be looked at before anything runs, errors first.
#[must_use]
pub(crate) fn findings(
    files: &[Arc<MigrationFile>],
    history: &[HistoryRow],
    dialect: Dialect,
) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let numbered = history.iter().map(|row| &row.id).filter(|id| !id.is_repeatable());
    let highest = numbered.max();
    let recorded: BTreeMap<&MigrationId, &HistoryRow> = history.iter().map(|row| (&row.id, row)).collect();
    for file in files {
        let id = &file.migration.id;
        match recorded.get(id) {
            Some(row) => out.extend(unfit(file, row, dialect)),
            None => {
                // A contract waits by design while later files go ahead.
                if let Some(highest) = highest
                    && file.migration.phase != MigrationPhase::Contract
                    && id.number < highest.number
                {
                    out.push(out_of_order(file, files, highest.number));
                }
            }
        }
    }
    for file in files {
        let migration = &file.migration;
        if migration.phase == MigrationPhase::Backfill && migration.verify.is_none() {
            out.push(
                Diagnostic::warning(
                    "migrate.verify-missing",
                    format!(
                        "the backfill {} has no verify query, so no contract can tell whether it is still true",
                        migration.id
                    ),
                )
                .at(locate(&file.up.name, &file.up.text, 0, 1))
                .label(if file.up.name.ends_with(JSON) {
                    "add: \"verify\": {\"count\": …, \"query\": …}"
                } else {
                    "add: -- cutover: verify SELECT count(*) FROM … WHERE …"
                })
                .help("cutover migrate validate"),
            );
        }
    }
    let known: BTreeSet<&MigrationId> = files.iter().map(|file| &file.migration.id).collect();
    let repeatable: BTreeSet<&str> = known
        .iter()
        .filter(|id| id.is_repeatable())
        .map(|id| id.base())
        .collect();
    for row in history {
        // The former text of one that will run again is no stranger.
        let former = row.id.is_repeatable() && repeatable.contains(row.id.base());
        if !known.contains(&row.id) && !former {
            let release = row.release.as_ref();
            let by = release.map_or_else(String::new, |version| format!(" by release {version}"));
            out.push(
                Diagnostic::warning(
                    "migrate.unknown",
                    format!("{} was applied{by} and has no file here", row.id),
                )
                .note("applied", format!("{} by {}", row.applied_at, row.applied_by))
                .help("cutover migrate status"),
            );
        }
    }
    out
}

/// Why a file does not fit what is on record of it.
pub(crate) fn unfit(file: &MigrationFile, row: &HistoryRow, dialect: Dialect) -> Option<Diagnostic> {
    match row.half(Some(file)) {
        None => (!row.is_of(&file.migration)).then(|| changed(file, row)),
        Some(half) if half.direction == Direction::Down => Some(half::taken_back(row, half)),
        // A backfill in batches that is another one now begins anew.
        Some(_) => half::changed(dialect, row, &file.up, Direction::Up),
    }
}

/// A file that is not what was applied.
fn changed(file: &MigrationFile, row: &HistoryRow) -> Diagnostic {
    Diagnostic::error(
        "migrate.changed",
        format!("{} was changed after it was applied", file.up.name),
    )
    .at(locate(&file.up.name, &file.up.text, 0, 1))
    .note(
        "applied",
        format!(
            "{} by {}, checksum {}",
            row.applied_at,
            row.applied_by,
            row.checksum.short()
        ),
    )
    .note("file", format!("checksum {}", file.migration.checksum.short()))
    .note(
        "next",
        "bring the file back as it was, and put the change into a new one",
    )
    .help(format!("cutover migrate new {}", file.migration.id.name))
}

fn out_of_order(file: &MigrationFile, files: &[Arc<MigrationFile>], highest: u64) -> Diagnostic {
    let id = &file.migration.id;
    let numbered = files
        .iter()
        .map(|file| &file.migration.id)
        .filter(|id| !id.is_repeatable());
    let last = numbered.map(|id| id.number).max();
    let number = last.unwrap_or(0).max(highest) + 1;
    let width = usize::from(id.width);
    let new = format!("{number:0width$}_{}", id.name);
    let rename = if file.up.name.starts_with('V') {
        let down = file.down.as_ref().map_or(String::new(), |down| {
            format!(" && mv {} U{number}__{}.sql", down.name, id.name)
        });
        format!("mv {} V{number}__{}.sql{down}", file.up.name, id.name)
    } else {
        format!("mv {id}.up.sql {new}.up.sql && mv {id}.down.sql {new}.down.sql")
    };
    Diagnostic::error(
        "migrate.out-of-order",
        format!("{id} is pending below number {highest:0width$}, which is applied"),
    )
    .at(locate(&file.up.name, &file.up.text, 0, 1))
    .note(
        "why",
        "other databases may have them in the other order: it came from a branch that was merged later",
    )
    .help(rename)
}
