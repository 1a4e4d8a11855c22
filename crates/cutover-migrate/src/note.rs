//! Changes of the bookkeeping alone: no file is run.

use std::sync::Arc;
use std::time::Duration;

use cutover_model::{Diagnostic, Fence, MigrationId, Span, Timestamp, Version};
use cutover_ports::PortError;
use cutover_sql::Dialect;

use crate::failure::{Failure, plain};
use crate::fence::{self, Meta};
use crate::history::{Act, HistoryRow, LogEntry};
use crate::session::Session;
use crate::stop::Stop;
use crate::{LockPolicy, Repair, job};

/// A change of the bookkeeping.
#[derive(Debug, Clone)]
pub(crate) enum Note {
    RetireBelow(Version),
    Reopen(MigrationId, Timestamp, String),
    /// Raises the generation, and nothing else.
    Claim,
    /// Records what another tool did.
    Log(Box<LogEntry>),
    /// Takes the database over from whatever store it belonged to.
    Adopt,
    /// Corrects what is recorded of one file. The row is what the file says now, and the version what it retires.
    Repair(Repair, Box<HistoryRow>, Option<Version>),
    /// Gives a record the name of its file. The row is what the file says now.
    Rename(MigrationId, Box<HistoryRow>),
    /// Forgets what has no file any more.
    Forget(MigrationId, Timestamp, String),
    /// Records files as applied; only into an empty history. With the highest version that one of them retires.
    Fill(Act, Arc<[HistoryRow]>, String, Option<Version>),
}

/// Whose database, and who writes.
#[derive(Debug, Clone)]
pub(crate) struct Pen {
    pub(crate) what: String,
    pub(crate) dialect: Dialect,
    pub(crate) fence: Fence,
    pub(crate) policy: LockPolicy,
    pub(crate) stop: Stop,
}

/// Changes it in one fenced transaction, tried again while somebody else holds the tables.
pub(crate) async fn write<S: Session>(session: &mut S, pen: &Pen, note: &Note) -> Result<(), PortError> {
    let mut attempt = 1;
    loop {
        pen.stop.check().map_err(|failure| plain(&pen.what, failure))?;
        let failure = match once(session, pen, pen.policy.timeout(attempt), note).await {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        session.rollback().await;
        if !matches!(failure, Failure::Locked { .. }) || attempt >= pen.policy.tries {
            return Err(plain(&pen.what, failure));
        }
        pen.stop.rest(pen.policy.pause(attempt)).await;
        attempt += 1;
    }
}

async fn once<S: Session>(session: &mut S, pen: &Pen, timeout: Duration, note: &Note) -> Result<(), Failure> {
    session.begin(timeout).await?;
    session.ensure().await?;
    if matches!(note, Note::Adopt) {
        adopt(session, pen).await?;
    } else {
        let meta = job::claim(session, pen.dialect, &pen.what, &pen.fence).await?;
        change(session, pen, meta, note).await?;
    }
    session.commit().await?;
    *session.ensured() = true;
    Ok(())
}

async fn change<S: Session>(session: &mut S, pen: &Pen, meta: Meta, note: &Note) -> Result<(), Failure> {
    match note {
        Note::Adopt | Note::Claim => Ok(()),
        Note::Log(entry) => session.log(entry).await,
        Note::RetireBelow(version) => retire(session, meta, Some(version)).await,
        Note::Reopen(id, now, by) => {
            let Some(row) = session.one(id).await?.filter(|row| row.complete) else {
                return Ok(());
            };
            let row = HistoryRow {
                complete: false,
                reopened_at: Some(*now),
                ..row
            };
            let entry = entry(&row, Act::Reopen, *now, by, None);
            session.replace_and_log(&row, &entry).await
        }
        Note::Repair(how, now, retires) => repair(session, pen, meta, (*how, now, retires.as_ref())).await,
        Note::Rename(former, now) => rename(session, pen, former, now).await,
        Note::Forget(id, now, by) => {
            let row = recorded(session, pen, id).await?;
            let detail = Some("forgotten: it has no file".to_owned());
            let entry = entry(&row, Act::Repair, *now, by, detail);
            session.remove_and_log(id, &entry).await
        }
        Note::Fill(act, rows, detail, retires) => {
            if !session.is_empty().await? {
                return Err(PortError::refused(
                    Diagnostic::error(
                        "migrate.history-not-empty",
                        format!("{} has a history already", pen.what),
                    )
                    .note("why", "what is applied is known there, and not for others to say")
                    .help("cutover migrate status"),
                )
                .into());
            }
            retire(session, meta, retires.as_ref()).await?;
            for row in rows.iter() {
                let entry = entry(row, *act, row.applied_at, &row.applied_by, Some(detail.clone()));
                session.put_and_log(row, &entry).await?;
            }
            Ok(())
        }
    }
}

/// Raises the bound, as a contract does before it runs: who may start is the same whether it ran here or elsewhere.
async fn retire<S: Session>(session: &mut S, meta: Meta, below: Option<&Version>) -> Result<(), Failure> {
    if below.is_none() || meta.retired_below.as_ref() >= below {
        return Ok(());
    }
    let retired_below = below.cloned();
    let meta = Meta {
        retired_below,
        ..meta
    };
    session.write_meta(&meta).await
}

async fn recorded<S: Session>(session: &mut S, pen: &Pen, id: &MigrationId) -> Result<HistoryRow, Failure> {
    session.one(id).await?.ok_or_else(|| {
        PortError::refused(
            Diagnostic::error(
                "migrate.not-recorded",
                format!("{} has no record of {id}", pen.what),
            )
            .help("cutover migrate status"),
        )
        .into()
    })
}

async fn repair<S: Session>(
    session: &mut S,
    pen: &Pen,
    meta: Meta,
    (how, now, retires): (Repair, &HistoryRow, Option<&Version>),
) -> Result<(), Failure> {
    let old = recorded(session, pen, &now.id).await?;
    let entry = |detail| entry(&old, Act::Repair, now.applied_at, &now.applied_by, Some(detail));
    match how {
        Repair::Checksum => {
            if !old.complete {
                return Err(refuse_interrupted(&now.id));
            }
            let row = HistoryRow {
                checksum: now.checksum.clone(),
                raw_checksum: now.raw_checksum.clone(),
                phase: now.phase,
                ..old.clone()
            };
            let (old, new) = (old.checksum.short(), now.checksum.short());
            let entry = entry(format!("checksum {old} became {new}"));
            session.put_and_log(&row, &entry).await
        }
        Repair::Applied => {
            retire(session, meta, retires).await?;
            let entry = entry("recorded as applied".to_owned());
            session.replace_and_log(now, &entry).await
        }
        Repair::NotApplied => {
            let entry = entry("recorded as not applied".to_owned());
            session.remove_and_log(&now.id, &entry).await
        }
    }
}

/// What was applied stays on record with its dates; the name and the text become those of the file.
async fn rename<S: Session>(
    session: &mut S,
    pen: &Pen,
    former: &MigrationId,
    now: &HistoryRow,
) -> Result<(), Failure> {
    let old = recorded(session, pen, former).await?;
    if !old.complete {
        let found = Diagnostic::error(
            "migrate.interrupted",
            format!("{former} was begun and is not finished, and its file has another name"),
        )
        .note(
            "next",
            format!("give the file the name of {former} back until it is finished"),
        )
        .help(format!(
            "cutover migrate up, or cutover migrate repair --only {former} --as not-applied"
        ));
        return Err(PortError::refused(found).into());
    }
    let row = HistoryRow {
        id: now.id.clone(),
        checksum: now.checksum.clone(),
        raw_checksum: now.raw_checksum.clone(),
        phase: now.phase,
        ..old
    };
    let detail = Some(format!("{former} became {}", now.id));
    let entry = entry(&row, Act::Repair, now.applied_at, &now.applied_by, detail);
    session.rename_and_log(former, &row, &entry).await
}

fn refuse_interrupted(id: &MigrationId) -> Failure {
    PortError::refused(
        Diagnostic::error(
            "migrate.interrupted",
            format!("{id} was begun and is not finished: there is no whole file to compare with"),
        )
        .note("next", "let it resume, or say what became of it")
        .help(format!(
            "cutover migrate up, or cutover migrate repair --only {id} --as applied, or cutover migrate repair --only {id} --as \
             not-applied"
        )),
    )
    .into()
}

fn entry(row: &HistoryRow, act: Act, at: Timestamp, by: &str, detail: Option<String>) -> LogEntry {
    LogEntry {
        id: row.id.clone(),
        act,
        at,
        by: by.to_owned(),
        took: Span::ZERO,
        release: row.release.clone(),
        upgrade: None,
        detail,
    }
}

async fn adopt<S: Session>(session: &mut S, pen: &Pen) -> Result<(), Failure> {
    let found = session.meta(pen.dialect).await?;
    if let Some(meta) = &found {
        fence::readable(&pen.what, meta)?;
    }
    let meta = Meta {
        format: fence::FORMAT,
        store: pen.fence.store.clone(),
        generation: pen.fence.generation,
        retired_below: found.and_then(|meta| meta.retired_below),
    };
    session.write_meta(&meta).await
}
