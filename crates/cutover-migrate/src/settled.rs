//! Whether there is nothing to do, told by bytes: most runs find that every up file is on record as it is, and need not know
//! what it says.
//!
//! All else, and all that is wrong, is for those who read the files whole: this only ever answers that they need not.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cutover_db::DatabaseUrl;
use cutover_model::{DatabaseName, Digest, MigrationId};
use cutover_ports::PortError;
use cutover_sql::{Dialect, header};

use crate::adapter::{self, Reading};
use crate::databases::what;
use crate::failure::Failure;
use crate::folder::{self, in_threads};
use crate::history;
use crate::load::file_name;
use crate::session::SqlSession;

/// Whether a database has all migrations of a folder on record, applied and unchanged to the byte, and no others. A down file only has to
/// be there: whoever takes a migration back reads it.
///
/// # Errors
/// When the database cannot be reached.
pub async fn is_settled(
    database: &DatabaseName,
    url: &DatabaseUrl,
    folder: PathBuf,
) -> Result<bool, PortError> {
    let dialect = url.dialect();
    match url {
        // It has no tables to ask.
        DatabaseUrl::Mongo(_) => return Ok(false),
        // To open it would make it.
        DatabaseUrl::Sqlite(url) if !url.path.exists() => return Ok(false),
        _ => {}
    }
    // The files are read while the database answers.
    let files = tokio::task::spawn_blocking(move || of_folder(&folder, dialect));
    let recorded = adapter::read(&what(database), url, OfHistory).await?;
    let (Some(mut recorded), Ok(Some(files))) = (recorded, files.await) else {
        return Ok(false);
    };
    for (id, _) in &mut recorded {
        id.name.truncate(id.base().len());
    }
    recorded.sort_unstable();
    Ok(recorded == files)
}

struct OfHistory;

impl Reading for OfHistory {
    type Read = Option<Vec<(MigrationId, Digest)>>;

    async fn read<S: SqlSession>(self, session: &mut S) -> Result<Self::Read, Failure> {
        match history::checksums(session).await {
            // There may be no history yet.
            Err(Failure::Statement { .. }) => Ok(None),
            read => read,
        }
    }
}

/// Of each up file the checksum over its bytes, in order; none where a name is wrong or a partner is missing.
fn of_folder(folder: &Path, dialect: Dialect) -> Option<Vec<(MigrationId, Digest)>> {
    let names = folder::names(folder)?;
    let mut ups: Vec<(MigrationId, &OsString)> = Vec::with_capacity(names.len().div_ceil(2));
    let mut downs = Vec::with_capacity(ups.capacity());
    for name in &names {
        let (id, is_up) = file_name(name.to_str()?, dialect)?;
        if is_up {
            ups.push((id, name));
        } else {
            downs.push(id);
        }
    }
    ups.sort_unstable();
    downs.sort_unstable();
    let mut unmet = downs.iter().peekable();
    let ups: Vec<(MigrationId, &OsString, bool)> = ups
        .into_iter()
        .map(|(id, name)| {
            let has_down = unmet.next_if_eq(&&id).is_some() || id.is_repeatable();
            (id, name, has_down)
        })
        .collect();
    if unmet.next().is_some() {
        return None;
    }
    let read = in_threads(&ups, |ups| {
        let mut buffer = vec![0; folder::BUFFER];
        let checksums = ups.iter().map(|(_, name, has_down)| {
            let bytes = folder::read_bytes(&folder.join(name), &mut buffer).ok()?;
            (*has_down || is_irreversible(&bytes, dialect)).then(|| Digest::of(&bytes))
        });
        checksums.collect::<Option<Vec<_>>>()
    });
    let checksums = read.into_iter().collect::<Option<Vec<_>>>()?;
    let ids = ups.into_iter().map(|(id, ..)| id);
    Some(ids.zip(checksums.into_iter().flatten()).collect())
}

fn is_irreversible(bytes: &[u8], dialect: Dialect) -> bool {
    let text = std::str::from_utf8(bytes).ok();
    text.and_then(|text| header(dialect, text).ok())
        .is_some_and(|header| header.irreversible.is_some())
}
