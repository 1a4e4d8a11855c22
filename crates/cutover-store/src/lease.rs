//! Leases and the generations that fence writes.

use cutover_model::{Diagnostic, Fence, Generation, Span, StoreId, Timestamp};
use cutover_ports::{Holder, Lease, LeaseError, StoreError};
use rusqlite::{OptionalExtension, Transaction};

use crate::codec;
use crate::failure::Failure;
use crate::journal::Place;

/// What is recorded of an environment's lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) generation: Generation,
    /// Who, and until when; none when it was given back.
    pub(crate) held: Option<(Holder, Timestamp)>,
}

pub(crate) fn read(tx: &Transaction<'_>, environment: &str) -> Result<Recorded, Failure> {
    let row: Option<(i64, Option<String>, Option<String>)> = tx
        .prepare_cached("SELECT generation, holder, until FROM lease WHERE environment = ?1")?
        .query_row([environment], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((generation, holder, until)) = row else {
        return Ok(Recorded {
            generation: Generation(0),
            held: None,
        });
    };
    let held = match (holder, until) {
        (Some(holder), Some(until)) => Some((
            codec::decode(&holder, "the lease's holder")?,
            codec::decode_time(&until, "the lease")?,
        )),
        _ => None,
    };
    Ok(Recorded {
        generation: Generation(codec::decode_count(generation, "the lease's generation")?),
        held,
    })
}

/// Takes the lease with the next generation if nothing changed since `seen` was read. Answers none when something did.
pub(crate) fn take(
    tx: &Transaction<'_>,
    environment: &str,
    seen: &Recorded,
    holder: &Holder,
    until: Timestamp,
) -> Result<Option<Generation>, Failure> {
    if read(tx, environment)? != *seen {
        return Ok(None);
    }
    let next = Generation(seen.generation.0 + 1);
    tx.prepare_cached(
        "INSERT INTO lease (environment, generation, holder, until) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (environment) DO UPDATE SET generation = ?2, holder = ?3, until = ?4",
    )?
    .execute((
        environment,
        codec::encode_count(next.0)?,
        codec::encode(holder)?,
        until.to_string(),
    ))?;
    Ok(Some(next))
}

pub(crate) fn renew(
    tx: &Transaction<'_>,
    place: &Place<'_>,
    fence: &Fence,
    now: Timestamp,
    length: Span,
) -> Result<Lease, Failure> {
    same_store(place.store, fence)?;
    let found = read(tx, place.environment)?;
    // Given back counts as lost, too: whoever gave it back may have been told that it is over.
    if found.generation != fence.generation || found.held.is_none() {
        return Err(LeaseError::Lost(found.generation).into());
    }
    let until = length.after(now);
    tx.prepare_cached("UPDATE lease SET until = ?2 WHERE environment = ?1")?
        .execute((place.environment, until.to_string()))?;
    Ok(Lease {
        fence: fence.clone(),
        until,
    })
}

pub(crate) fn give_back(tx: &Transaction<'_>, place: &Place<'_>, fence: &Fence) -> Result<(), Failure> {
    same_store(place.store, fence)?;
    let found = read(tx, place.environment)?.generation;
    if found != fence.generation {
        return Err(LeaseError::Lost(found).into());
    }
    tx.prepare_cached("UPDATE lease SET holder = NULL, until = NULL WHERE environment = ?1")?
        .execute([place.environment])?;
    Ok(())
}

/// Refuses a writer whose generation is not the current one. In the writer's own transaction.
pub(crate) fn check(tx: &Transaction<'_>, place: &Place<'_>, own: &Fence) -> Result<(), Failure> {
    same_store(place.store, own)?;
    let found = read(tx, place.environment)?.generation;
    if found == own.generation {
        return Ok(());
    }
    Err(StoreError::Fenced {
        own: own.generation,
        found,
    }
    .into())
}

fn same_store(store: &StoreId, own: &Fence) -> Result<(), Failure> {
    if own.store == *store {
        return Ok(());
    }
    Err(Failure::refused(
        Diagnostic::error(
            "store.other",
            format!("the lease is of store {}, this is store {store}", own.store),
        )
        .help("cutover status"),
    ))
}
