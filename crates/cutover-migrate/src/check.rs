//! Findings: what in files and history does not fit together. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cutover_model::{AppliedMigration, Diagnostic, MigrationId, MigrationPhase, renamed};
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
    let known: BTreeSet<&MigrationId> = files.iter().map(|file| &file.migration.id).collect();
    let renamed = renamed_of(files, history);
    // Of the names that two releases have for one file, the record has one.
    let numbers: BTreeSet<u64> = recorded
        .keys()
        .filter(|id| known.contains(*id))
        .map(|id| id.number)
        .collect();
    for file in files {
        let id = &file.migration.id;
        let former = renamed.get(id).and_then(|former| recorded.get(former));
        match recorded.get(id).or(former) {
            Some(row) if row.id != *id => out.push(under_another_name(file, files, row)),
            Some(row) => out.extend(unfit(file, row, dialect)),
            None => {
                // A contract waits by design while later files go ahead.
                if let Some(highest) = highest
                    && file.migration.phase != MigrationPhase::Contract
                    && id.number < highest.number
                    && !numbers.contains(&id.number)
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
    let repeatable: BTreeSet<&str> = known
        .iter()
        .filter(|id| id.is_repeatable())
        .map(|id| id.base())
        .collect();
    for row in history {
        // The former text of one that will run again is no stranger.
        let former = row.id.is_repeatable() && repeatable.contains(row.id.base());
        let has_another_name = renamed.values().any(|former| **former == row.id);
        if !known.contains(&row.id) && !former && !has_another_name {
            let release = row.release.as_ref();
            let by = release.map_or_else(String::new, |version| format!(" by release {version}"));
            out.push(
                Diagnostic::warning(
                    "migrate.unknown",
                    format!("{} was applied{by} and has no file here", row.id),
                )
                .note("applied", format!("{:.0} by {}", row.applied_at, row.applied_by))
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

/// Of each file without a record, the record that is its own under another name.
pub(crate) fn renamed_of<'a>(
    files: &'a [Arc<MigrationFile>],
    history: &'a [HistoryRow],
) -> BTreeMap<&'a MigrationId, &'a MigrationId> {
    renamed(
        files.iter().map(|file| &file.migration),
        history.iter().map(|row| (&row.id, &row.checksum)),
    )
}

/// A file whose record has another name, or whose number has another record.
fn under_another_name(file: &MigrationFile, files: &[Arc<MigrationFile>], row: &HistoryRow) -> Diagnostic {
    let (id, former) = (&file.migration.id, &row.id);
    let same = file.migration.checksum == row.checksum;
    let take_over = format!("cutover migrate repair --only {id} --as file");
    let message = if same {
        format!("{id} is {former} under another name, which is applied")
    } else {
        format!(
            "{id} has the number of {former}, which is applied and has no file here, and other statements"
        )
    };
    let found = Diagnostic::error("migrate.renamed", message)
        .at(locate(&file.up.name, &file.up.text, 0, 1))
        .note("applied", format!("{:.0} by {}", row.applied_at, row.applied_by));
    if same {
        return found
            .note(
                "why",
                "run under its new name it would fail, or do its work twice",
            )
            .help(take_over);
    }
    found
        .note("if it is that file, changed", take_over)
        .note(
            "if it is another one",
            format!(
                "{}, once {former} is back",
                renumbered(file, files, former.number)
            ),
        )
        .help(from_version_control(former))
}

/// The command that finds the files of a migration that was removed or renamed.
fn from_version_control(id: &MigrationId) -> String {
    format!("git log --diff-filter=DR --summary -- '*_{}.*'", id.name)
}

/// Where a number is missing in a folder: what is recorded with it has lost its files, and no other file may take its number. What
/// else is wrong with the files stays as it is.
#[must_use]
pub fn lost(found: Vec<Diagnostic>, applied: &[AppliedMigration]) -> Vec<Diagnostic> {
    let by_number: BTreeMap<u64, &AppliedMigration> = applied
        .iter()
        .filter(|row| row.id.number < MigrationId::RUNNER)
        .map(|row| (row.id.number, row))
        .collect();
    found
        .into_iter()
        .map(|one| {
            let mut notes = one.notes.iter();
            let number = notes.find(|(key, _)| one.code == "migrate.gap" && key == "missing");
            let number = number.and_then(|(_, number)| number.parse().ok());
            match number.and_then(|number: u64| by_number.get(&number)) {
                Some(row) => without_files(one, row),
                None => one,
            }
        })
        .collect()
}

fn without_files(gap: Diagnostic, row: &AppliedMigration) -> Diagnostic {
    let id = &row.id;
    let found = Diagnostic::error(
        "migrate.file-missing",
        format!("{id} is applied, and its files are missing here"),
    )
    .note("applied", format!("{:.0}", row.applied_at))
    .note("next", "get them back from version control")
    .help(from_version_control(id));
    match gap.location {
        Some(place) => found.at(place),
        None => found,
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
            "{:.0} by {}, checksum {}",
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
    .help(format!(
        "cutover migrate new {} --release VERSION",
        file.migration.id.name
    ))
}

/// The command that gives a file the next number.
fn renumbered(file: &MigrationFile, files: &[Arc<MigrationFile>], highest: u64) -> String {
    let id = &file.migration.id;
    let numbered = files
        .iter()
        .map(|file| &file.migration.id)
        .filter(|id| !id.is_repeatable());
    let last = numbered.map(|id| id.number).max();
    let number = last.unwrap_or(0).max(highest) + 1;
    let width = usize::from(id.width);
    let new = format!("{number:0width$}_{}", id.name);
    if file.up.name.starts_with('V') {
        let down = file.down.as_ref().map_or(String::new(), |down| {
            format!(" && mv {} U{number}__{}.sql", down.name, id.name)
        });
        format!("mv {} V{number}__{}.sql{down}", file.up.name, id.name)
    } else {
        let moved = |way: &str, name: &str| {
            let end = name.rsplit_once('.').map_or("sql", |(_, end)| end);
            format!("mv {name} {new}.{way}.{end}")
        };
        let down = file
            .down
            .as_ref()
            .map_or_else(String::new, |down| format!(" && {}", moved("down", &down.name)));
        moved("up", &file.up.name) + &down
    }
}

fn out_of_order(file: &MigrationFile, files: &[Arc<MigrationFile>], highest: u64) -> Diagnostic {
    let id = &file.migration.id;
    let width = usize::from(id.width);
    Diagnostic::error(
        "migrate.out-of-order",
        format!("{id} is pending below number {highest:0width$}, which is applied"),
    )
    .at(locate(&file.up.name, &file.up.text, 0, 1))
    .note(
        "why",
        "other databases may have them in the other order: it came from a branch that was merged later",
    )
    .help(renumbered(file, files, highest))
}
