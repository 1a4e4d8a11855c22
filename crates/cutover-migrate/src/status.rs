//! What `cutover migrate status` shows: a line per file, of the folder and of the history. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cutover_model::{MigrationId, MigrationPhase, Span, Timestamp, Version};
use cutover_sql::Dialect;
use serde::{Deserialize, Serialize};

use crate::half::{self, Half};
use crate::{Direction, Faulty, HistoryRow, MigrationFile, check};

/// Where a migration stands on a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum MigrationStatus {
    /// Applied, whole.
    Applied,
    /// Not applied; next in its turn.
    Pending,
    /// A contract that waits until no instance below a version is left.
    Waiting {
        /// That version.
        retires: Version,
    },
    /// Begun and not finished; it resumes where it stopped, the same way.
    Interrupted {
        /// Whether it is being applied or taken back.
        direction: Direction,
        /// How many of its statements that way are done.
        done: usize,
        /// Of how many; none: there is no file of it here.
        total: Option<usize>,
    },
    /// A backfill that must run once more, because the old version may have written since.
    Reopened {
        /// Since when.
        since: Timestamp,
    },
    /// Applied, and its file was changed since.
    Changed,
    /// Applied, and there is no file of it here.
    Unknown,
    /// Pending below a number that is applied.
    OutOfOrder,
    /// Applied under another name.
    Renamed {
        /// That name.
        from: MigrationId,
    },
}

/// What is wrong with the files of a migration, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// Of the first thing that is wrong.
    pub code: String,
    /// What it says.
    pub message: String,
}

/// One migration on one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusLine {
    /// Which.
    pub id: MigrationId,
    /// When it may run; none of one that is not recorded and whose files do not say it.
    pub phase: Option<MigrationPhase>,
    /// Where it stands. Of one whose files have a fault: by the history alone.
    pub status: MigrationStatus,
    /// How many rows the batches of a backfill have changed so far that was begun and not finished.
    pub rows: Option<u64>,
    /// Why its files cannot be used.
    pub fault: Option<Fault>,
    /// What it does, from its file.
    pub summary: Option<String>,
    /// When it was applied or begun.
    pub applied_at: Option<Timestamp>,
    /// By whom.
    pub applied_by: Option<String>,
    /// How long it ran.
    pub took: Option<Span>,
    /// The release that brought it.
    pub release: Option<Version>,
}

/// All lines, by number.
pub(crate) fn lines(
    files: &[Arc<MigrationFile>],
    faulty: &[Faulty],
    history: &[HistoryRow],
    dialect: Dialect,
) -> Vec<StatusLine> {
    let numbered = history.iter().map(|row| &row.id).filter(|id| !id.is_repeatable());
    let highest = numbered.map(|id| id.number).max();
    let recorded: BTreeMap<&MigrationId, &HistoryRow> = history.iter().map(|row| (&row.id, row)).collect();
    let read = files.iter().map(|file| &file.migration.id);
    let known: BTreeSet<&MigrationId> = read.chain(faulty.iter().map(|one| &one.id)).collect();
    let renamed = check::renamed_of(files, history);
    // Another release's text of it says nothing of this one's.
    let is_faulty = |file: &&Arc<MigrationFile>| faulty.iter().any(|one| one.id == file.migration.id);
    let mut out: Vec<StatusLine> = files
        .iter()
        .filter(|file| !is_faulty(file))
        .map(|file| {
            let migration = &file.migration;
            let former = renamed.get(&migration.id).and_then(|former| recorded.get(former));
            let row = recorded.get(&migration.id).or(former).copied();
            let status = match row {
                Some(row) if row.id != migration.id => MigrationStatus::Renamed { from: row.id.clone() },
                Some(row) => of_row(file, row, dialect),
                None => match &migration.retires {
                    Some(retires) => MigrationStatus::Waiting {
                        retires: retires.clone(),
                    },
                    None if highest.is_some_and(|highest| migration.id.number < highest) => {
                        MigrationStatus::OutOfOrder
                    }
                    None => MigrationStatus::Pending,
                },
            };
            line(
                &migration.id,
                Some(migration.phase),
                status,
                row,
                migration.summary.clone(),
            )
        })
        .collect();
    out.extend(faulty.iter().map(|one| of_faulty(one, history)));
    let unknown = history
        .iter()
        .filter(|row| !known.contains(&row.id) && !renamed.values().any(|former| **former == row.id))
        // The former text of a repeatable one, whose present text has a line of its own.
        .filter(|row| {
            let is_same = |id: &&MigrationId| id.is_repeatable() && id.base() == row.id.base();
            !row.id.is_repeatable() || !known.iter().any(is_same)
        })
        .map(|row| {
            let status = row.half(None).map_or(MigrationStatus::Unknown, interrupted);
            line(&row.id, Some(row.phase), status, Some(row), None)
        });
    out.extend(unknown);
    out.sort_by(|a, b| a.id.cmp(&b.id));
    out
}

fn of_row(file: &MigrationFile, row: &HistoryRow, dialect: Dialect) -> MigrationStatus {
    let half = row.half(Some(file));
    let script = match half.map(|half| half.direction) {
        Some(Direction::Down) => file.down.as_ref(),
        Some(Direction::Up) | None => Some(&file.up),
    };
    match (half, row.reopened_at) {
        (Some(half), _) => {
            let changed = script.and_then(|script| half::changed(dialect, row, script, half.direction));
            changed.map_or_else(|| interrupted(half), |_| MigrationStatus::Changed)
        }
        (None, _) if !row.is_of(&file.migration) => MigrationStatus::Changed,
        (None, Some(since)) => MigrationStatus::Reopened { since },
        (None, None) => MigrationStatus::Applied,
    }
}

/// Where one stands of which only the record counts.
fn of_faulty(faulty: &Faulty, history: &[HistoryRow]) -> StatusLine {
    let id = &faulty.id;
    let row = history.iter().rev().find(|row| faulty.is(&row.id));
    let status = match row {
        None => MigrationStatus::Pending,
        Some(row) => match (row.half(None), row.reopened_at) {
            (Some(half), _) => interrupted(half),
            (None, Some(since)) => MigrationStatus::Reopened { since },
            (None, None) => MigrationStatus::Applied,
        },
    };
    let phase = row.map(|row| row.phase).or(faulty.phase);
    StatusLine {
        fault: faulty.wrong.first().map(|first| Fault {
            code: first.code.clone(),
            message: first.message.clone(),
        }),
        ..line(id, phase, status, row, faulty.summary.clone())
    }
}

const fn interrupted(half: Half) -> MigrationStatus {
    MigrationStatus::Interrupted {
        direction: half.direction,
        done: half.done,
        total: half.total,
    }
}

fn line(
    id: &MigrationId,
    phase: Option<MigrationPhase>,
    status: MigrationStatus,
    row: Option<&HistoryRow>,
    summary: Option<String>,
) -> StatusLine {
    StatusLine {
        id: id.clone(),
        phase,
        status,
        rows: None,
        fault: None,
        summary,
        applied_at: row.map(|row| row.applied_at),
        applied_by: row.map(|row| row.applied_by.clone()),
        took: row.map(|row| row.took),
        release: row.and_then(|row| row.release.clone()),
    }
}
