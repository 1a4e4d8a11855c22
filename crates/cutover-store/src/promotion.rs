//! Releases, and which of them were stable.

use cutover_model::{ReleaseId, UpgradeId, UpgradePhase, Version};
use cutover_ports::{Promotion, Stable};
use cutover_spec::Release;
use rusqlite::{OptionalExtension, Transaction};

use crate::codec;
use crate::failure::Failure;

/// Keeps a release; `body` is its JSON. One with the same id is the same, by the id's definition.
pub(crate) fn put_release(
    tx: &Transaction<'_>,
    id: &ReleaseId,
    version: &Version,
    body: &str,
) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO releases (id, version, body) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING",
    )?
    .execute((id.0.as_str(), version.to_string(), body))?;
    Ok(())
}

pub(crate) fn release(tx: &Transaction<'_>, id: &ReleaseId) -> Result<Option<Release>, Failure> {
    let body: Option<String> = tx
        .prepare_cached("SELECT body FROM releases WHERE id = ?1")?
        .query_row([id.0.as_str()], |row| row.get(0))
        .optional()?;
    body.map(|body| codec::decode(&body, &format!("release {id}")))
        .transpose()
}

pub(crate) fn record(
    tx: &Transaction<'_>,
    environment: &str,
    upgrade: i64,
    promotion: &Promotion,
    now: &str,
) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO promotions (environment, release, version, upgrade, at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((
        environment,
        promotion.release.0.as_str(),
        promotion.version.to_string(),
        upgrade,
        now,
    ))?;
    Ok(())
}

/// The promotions, newest first, each release once, at most so many.
pub(crate) fn stables(tx: &Transaction<'_>, environment: &str, most: u32) -> Result<Vec<Stable>, Failure> {
    let mut statement = tx.prepare_cached(
        "SELECT p.release, p.version, p.at, u.id
         FROM promotions p JOIN upgrades u ON u.number = p.upgrade
         WHERE p.number IN (SELECT max(number) FROM promotions WHERE environment = ?1 GROUP BY release)
         ORDER BY p.number DESC LIMIT ?2",
    )?;
    let mut rows = statement.query((environment, most))?;
    let mut stables = Vec::new();
    while let Some(row) = rows.next()? {
        let what = "a promotion";
        stables.push(Stable {
            release: codec::decode_word(row.get(0)?, what)?,
            version: codec::decode_word(row.get(1)?, what)?,
            since: codec::decode_time(&row.get::<_, String>(2)?, what)?,
            upgrade: UpgradeId::new(row.get::<_, String>(3)?),
        });
    }
    Ok(stables)
}

/// Whether an upgrade that recorded this version as stable came to its good end.
pub(crate) fn succeeded_in(
    tx: &Transaction<'_>,
    environment: &str,
    version: &Version,
) -> Result<bool, Failure> {
    Ok(tx
        .prepare_cached(
            "SELECT EXISTS (
                 SELECT 1 FROM promotions p JOIN upgrades u ON u.number = p.upgrade
                 WHERE p.environment = ?1 AND p.version = ?2 AND u.phase = ?3)",
        )?
        .query_row(
            (environment, version.to_string(), UpgradePhase::Succeeded.word()),
            |row| row.get(0),
        )?)
}

/// Every environment that was ever controlled.
pub(crate) fn environments(tx: &Transaction<'_>) -> Result<Vec<String>, Failure> {
    let mut statement = tx.prepare_cached("SELECT environment FROM lease ORDER BY environment")?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}
