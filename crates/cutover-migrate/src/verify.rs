//! Queries that count what must not be there: before a file's statements, and after them.

use cutover_model::{Diagnostic, MigrationPhase};
use cutover_ports::PortError;

use crate::failure::Failure;
use crate::job::Job;
use crate::session::Session;
use crate::{HistoryRow, MigrationFile};

/// Before the first statement: what the file says must not be there is not there.
pub(crate) async fn prechecks<S: Session>(session: &mut S, file: &MigrationFile) -> Result<(), Failure> {
    for query in &file.prechecks {
        let found = ask(session, file, "precheck", query).await?;
        if found != 0 {
            return Err(PortError::refused(
                Diagnostic::error(
                    "migrate.precheck-failed",
                    format!(
                        "{} cannot run yet: its precheck returns {found}, not 0",
                        file.migration.id
                    ),
                )
                .note("query", query)
                .help("cutover migrate up"),
            )
            .into());
        }
    }
    Ok(())
}

/// A file is done when its query says so, not when its statements ran.
pub(crate) async fn after<S: Session>(session: &mut S, file: &MigrationFile) -> Result<(), Failure> {
    let Some(query) = &file.migration.verify else {
        return Ok(());
    };
    match ask(session, file, "verify", query).await? {
        0 => Ok(()),
        left => Err(failed(file, left, "cutover migrate validate").into()),
    }
}

/// Before a contract removes what the old version knew: every backfill that it stands on is complete, and still true.
///
/// Those below an earlier contract that is applied were verified then; their queries may name columns that it removed.
pub(crate) async fn before_contract<S: Session>(
    session: &mut S,
    job: &Job,
    history: &[HistoryRow],
) -> Result<(), Failure> {
    let contract = &job.file.migration;
    let verified_up_to = history
        .iter()
        .filter(|row| row.complete && row.phase == MigrationPhase::Contract)
        .map(|row| row.id.number)
        .filter(|number| *number < contract.id.number)
        .max()
        .unwrap_or(0);
    for file in job.backfills.iter() {
        let id = &file.migration.id;
        if id.number >= contract.id.number || id.number < verified_up_to {
            continue;
        }
        if !history.iter().any(|row| row.id == *id && row.complete) {
            return Err(PortError::refused(
                Diagnostic::error(
                    "migrate.backfill-pending",
                    format!("{} needs the backfill {id}, which is pending", contract.id),
                )
                .help("cutover migrate up"),
            )
            .into());
        }
        if let Some(query) = &file.migration.verify {
            match ask(session, file, "verify", query).await? {
                0 => {}
                left => return Err(failed(file, left, "cutover migrate status").into()),
            }
        }
    }
    Ok(())
}

async fn ask<S: Session>(
    session: &mut S,
    file: &MigrationFile,
    kind: &str,
    query: &str,
) -> Result<i64, Failure> {
    session.count(query).await.map_err(|failure| match failure {
        Failure::Statement { said, .. } => PortError::refused(
            Diagnostic::error(
                "migrate.verify-invalid",
                format!("the {kind} query of {} fails: {said}", file.migration.id),
            )
            .note("query", query)
            .help("cutover migrate validate"),
        )
        .into(),
        other => other,
    })
}

fn failed(file: &MigrationFile, left: i64, help: &str) -> PortError {
    let query = file.migration.verify.as_deref().unwrap_or_default();
    PortError::refused(
        Diagnostic::error(
            "migrate.verify-failed",
            format!(
                "{} {} is not done: its verify query returns {left}, not 0",
                match file.migration.phase {
                    MigrationPhase::Backfill => "the backfill",
                    MigrationPhase::Expand | MigrationPhase::Contract => "the migration",
                },
                file.migration.id
            ),
        )
        .note("query", query)
        .help(help),
    )
}
