//! What `cutover migrate status` shows: a line per file, of the folder and of the history. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cutover_model::{MigrationId, MigrationPhase, Span, Timestamp, Version};
use serde::{Deserialize, Serialize};

use crate::{HistoryRow, MigrationFile};

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
    /// Begun and not finished; it resumes where it stopped.
    Interrupted,
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
}

/// One migration on one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusLine {
    /// Which.
    pub id: MigrationId,
    /// When it may run.
    pub phase: MigrationPhase,
    /// Where it stands.
    pub status: MigrationStatus,
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
pub(crate) fn lines(files: &[Arc<MigrationFile>], history: &[HistoryRow]) -> Vec<StatusLine> {
    let numbered = history.iter().map(|row| &row.id).filter(|id| !id.is_repeatable());
    let highest = numbered.map(|id| id.number).max();
    let recorded: BTreeMap<&MigrationId, &HistoryRow> = history.iter().map(|row| (&row.id, row)).collect();
    let known: BTreeSet<&MigrationId> = files.iter().map(|file| &file.migration.id).collect();
    let mut out: Vec<StatusLine> = files
        .iter()
        .map(|file| {
            let migration = &file.migration;
            let row = recorded.get(&migration.id).copied();
            let status = match row {
                Some(row) if !row.is_of(migration) => MigrationStatus::Changed,
                Some(row) => of_row(row),
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
                migration.phase,
                status,
                row,
                migration.summary.clone(),
            )
        })
        .collect();
    let unknown = history
        .iter()
        .filter(|row| !known.contains(&row.id))
        // The former text of a repeatable one, whose present text has a line of its own.
        .filter(|row| {
            let is_same = |id: &&MigrationId| id.is_repeatable() && id.base() == row.id.base();
            !row.id.is_repeatable() || !known.iter().any(is_same)
        })
        .map(|row| line(&row.id, row.phase, MigrationStatus::Unknown, Some(row), None));
    out.extend(unknown);
    out.sort_by(|a, b| a.id.cmp(&b.id));
    out
}

fn of_row(row: &HistoryRow) -> MigrationStatus {
    match (row.complete, row.reopened_at) {
        (true, _) => MigrationStatus::Applied,
        (false, Some(since)) => MigrationStatus::Reopened { since },
        (false, None) => MigrationStatus::Interrupted,
    }
}

fn line(
    id: &MigrationId,
    phase: MigrationPhase,
    status: MigrationStatus,
    row: Option<&HistoryRow>,
    summary: Option<String>,
) -> StatusLine {
    StatusLine {
        id: id.clone(),
        phase,
        status,
        summary,
        applied_at: row.map(|row| row.applied_at),
        applied_by: row.map(|row| row.applied_by.clone()),
        took: row.map(|row| row.took),
        release: row.and_then(|row| row.release.clone()),
    }
}
