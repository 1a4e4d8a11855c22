//! Upgrades and their journals.

use cutover_model::{Diagnostic, Fence, Plan, Record, StoreId, Timestamp, UpgradeId, UpgradePhase, Version};
use cutover_ports::{Promotion, StoreError, UpgradeHead};
use rusqlite::{OptionalExtension, Transaction};

use crate::failure::Failure;
use crate::{codec, lease, promotion};

/// Where a write belongs.
pub(crate) struct Place<'a> {
    pub(crate) environment: &'a str,
    pub(crate) store: &'a StoreId,
}

/// A new upgrade, ready to be written.
pub(crate) struct NewUpgrade {
    pub(crate) id: UpgradeId,
    pub(crate) from: Option<Version>,
    pub(crate) to: Version,
    pub(crate) plan: String,
    pub(crate) first: String,
    pub(crate) now: Timestamp,
}

pub(crate) fn create(
    tx: &Transaction<'_>,
    place: &Place<'_>,
    fence: &Fence,
    new: &NewUpgrade,
) -> Result<(), Failure> {
    lease::check(tx, place, fence)?;
    let open: Option<(String, String, String)> = tx
        .prepare_cached("SELECT id, to_version, phase FROM upgrades WHERE environment = ?1 AND open = 1")?
        .query_row([place.environment], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    if let Some((id, to, phase)) = open {
        return Err(Failure::refused(
            Diagnostic::error(
                "upgrade.in-progress",
                format!("the upgrade to {to} is not over yet: {phase}"),
            )
            .note("upgrade", id)
            .help("cutover status"),
        ));
    }
    if find(tx, place.environment, &new.id)?.is_some() {
        return Err(Failure::refused(
            Diagnostic::error("upgrade.exists", format!("upgrade {} exists", new.id)).help("cutover history"),
        ));
    }
    let now = new.now.to_string();
    let number: i64 = tx
        .prepare_cached(
            "INSERT INTO upgrades
             (id, environment, from_version, to_version, phase, open, seq, plan, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 1, 1, ?6, ?7, ?7) RETURNING number",
        )?
        .query_row(
            (
                new.id.as_str(),
                place.environment,
                new.from.as_ref().map(Version::to_string),
                new.to.to_string(),
                UpgradePhase::Pending.word(),
                &new.plan,
                &now,
            ),
            |row| row.get(0),
        )?;
    insert_record(tx, number, 1, &now, &new.first)
}

/// What is appended, ready to be written.
pub(crate) struct NewRecords {
    pub(crate) id: UpgradeId,
    pub(crate) expected: u64,
    pub(crate) events: Vec<String>,
    /// Whether all of them are a person's requests.
    pub(crate) only_requests: bool,
    pub(crate) phase: UpgradePhase,
    pub(crate) promotion: Option<Promotion>,
    pub(crate) now: Timestamp,
}

pub(crate) fn append(
    tx: &Transaction<'_>,
    place: &Place<'_>,
    fence: Option<&Fence>,
    new: &NewRecords,
) -> Result<(), Failure> {
    match fence {
        Some(fence) => lease::check(tx, place, fence)?,
        None if new.only_requests && new.promotion.is_none() && !new.phase.is_final() => {}
        None => {
            return Err(Failure::refused(
                Diagnostic::error("store.unfenced", "only requests may be written without the lease")
                    .help("cutover status"),
            ));
        }
    }
    let found = find(tx, place.environment, &new.id)?.ok_or_else(|| unknown(&new.id))?;
    if found.seq != new.expected {
        return Err(StoreError::Conflict {
            expected: new.expected,
            found: found.seq,
        }
        .into());
    }
    if !found.open {
        return Err(Failure::refused(
            Diagnostic::error("upgrade.over", format!("upgrade {} is over", new.id)).help("cutover history"),
        ));
    }
    let now = new.now.to_string();
    let mut seq = found.seq;
    for event in &new.events {
        seq += 1;
        insert_record(tx, found.number, seq, &now, event)?;
    }
    tx.prepare_cached(
        "UPDATE upgrades SET seq = ?2, phase = ?3, open = ?4, updated_at = ?5 WHERE number = ?1",
    )?
    .execute((
        found.number,
        codec::encode_count(seq)?,
        new.phase.word(),
        !new.phase.is_final(),
        &now,
    ))?;
    if let Some(promotion) = &new.promotion {
        promotion::record(tx, place.environment, found.number, promotion, &now)?;
    }
    Ok(())
}

pub(crate) fn records(
    tx: &Transaction<'_>,
    environment: &str,
    id: &UpgradeId,
    after: u64,
) -> Result<Vec<Record>, Failure> {
    let Some(found) = find(tx, environment, id)? else {
        return Err(unknown(id));
    };
    let mut statement =
        tx.prepare_cached("SELECT seq, at, event FROM records WHERE upgrade = ?1 AND seq > ?2 ORDER BY seq")?;
    let mut rows = statement.query((found.number, codec::encode_count(after)?))?;
    let mut records = Vec::new();
    let mut expected = after;
    while let Some(row) = rows.next()? {
        let seq = codec::decode_count(row.get(0)?, "a record's place")?;
        let what = format!("record {seq} of upgrade {id}");
        expected += 1;
        // A fold over a journal with a hole in it would be a lie.
        if seq != expected {
            return Err(Failure::refused(Diagnostic::error(
                "store.damaged",
                format!("record {expected} of upgrade {id} is missing"),
            )));
        }
        records.push(Record {
            seq,
            at: codec::decode_time(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?, &what)?,
            event: codec::decode(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?, &what)?,
        });
    }
    if expected < found.seq && after < found.seq {
        return Err(Failure::refused(Diagnostic::error(
            "store.damaged",
            format!("record {} of upgrade {id} is missing", expected + 1),
        )));
    }
    Ok(records)
}

pub(crate) fn plan(tx: &Transaction<'_>, environment: &str, id: &UpgradeId) -> Result<Option<Plan>, Failure> {
    let text: Option<String> = tx
        .prepare_cached("SELECT plan FROM upgrades WHERE environment = ?1 AND id = ?2")?
        .query_row((environment, id.as_str()), |row| row.get(0))
        .optional()?;
    text.map(|text| codec::decode(&text, &format!("the plan of upgrade {id}")))
        .transpose()
}

pub(crate) fn heads(tx: &Transaction<'_>, environment: &str, most: u32) -> Result<Vec<UpgradeHead>, Failure> {
    let mut statement = tx.prepare_cached(
        "SELECT id, from_version, to_version, phase, created_at, updated_at FROM upgrades
         WHERE environment = ?1 ORDER BY number DESC LIMIT ?2",
    )?;
    let mut rows = statement.query((environment, most))?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let what = format!("upgrade {id}");
        heads.push(UpgradeHead {
            from: row
                .get::<_, Option<String>>(1)?
                .map(|version| codec::decode_word(version, &what))
                .transpose()?,
            to: codec::decode_word(row.get(2)?, &what)?,
            phase: codec::decode_word(row.get(3)?, &what)?,
            created_at: codec::decode_time(&row.get::<_, String>(4)?, &what)?,
            updated_at: codec::decode_time(&row.get::<_, String>(5)?, &what)?,
            id: UpgradeId::new(id),
        });
    }
    Ok(heads)
}

struct Found {
    number: i64,
    seq: u64,
    open: bool,
}

fn find(tx: &Transaction<'_>, environment: &str, id: &UpgradeId) -> Result<Option<Found>, Failure> {
    let row: Option<(i64, i64, bool)> = tx
        .prepare_cached("SELECT number, seq, open FROM upgrades WHERE environment = ?1 AND id = ?2")?
        .query_row((environment, id.as_str()), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    row.map(|(number, seq, open)| {
        Ok(Found {
            number,
            seq: codec::decode_count(seq, &format!("upgrade {id}"))?,
            open,
        })
    })
    .transpose()
}

fn insert_record(
    tx: &Transaction<'_>,
    upgrade: i64,
    seq: u64,
    now: &str,
    event: &str,
) -> Result<(), Failure> {
    tx.prepare_cached("INSERT INTO records (upgrade, seq, at, event) VALUES (?1, ?2, ?3, ?4)")?
        .execute((upgrade, codec::encode_count(seq)?, now, event))?;
    Ok(())
}

fn unknown(id: &UpgradeId) -> Failure {
    Failure::refused(
        Diagnostic::error("upgrade.unknown", format!("there is no upgrade {id} here"))
            .help("cutover history"),
    )
}
