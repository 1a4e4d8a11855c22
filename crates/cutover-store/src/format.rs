//! The file's format and the way from an older one.

use cutover_model::{Diagnostic, StoreId};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::failure::Failure;

/// The format that this version writes, kept in `PRAGMA user_version`. A newer file is refused; an older one is brought
/// forward when it is opened.
pub const FORMAT: u32 = STEPS.len() as u32;

/// `Cutv`: says that a SQLite file is a store of ours, so that no other application's is ever written to.
const APPLICATION_ID: i64 = 0x4375_7476;

/// Step `n` brings format `n` to `n + 1`; an empty file is format 0. Only ever appended to.
const STEPS: [&str; 1] = [include_str!("schema/001.sql")];

/// Brings the file to [`FORMAT`], and answers the store's id, made by `new_id` when the file is new.
pub(crate) fn prepare(
    connection: &mut Connection,
    new_id: impl FnOnce() -> StoreId,
) -> Result<StoreId, Failure> {
    prepare_to(connection, &STEPS, new_id)
}

fn prepare_to(
    connection: &mut Connection,
    steps: &[&str],
    new_id: impl FnOnce() -> StoreId,
) -> Result<StoreId, Failure> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = check_owner(&tx, steps.len())?;
    for (format, sql) in (1u32..).zip(steps).skip(found) {
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", format)?;
    }
    if found == 0 {
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.execute(
            "INSERT INTO meta (key, value) VALUES ('store_id', ?1)",
            [new_id().as_str()],
        )?;
    }
    let id: Option<String> = tx
        .query_row("SELECT value FROM meta WHERE key = 'store_id'", [], |row| {
            row.get(0)
        })
        .optional()?;
    tx.commit()?;
    id.map(StoreId::new).ok_or_else(|| {
        Failure::refused(Diagnostic::error(
            "store.damaged",
            "the state file has no identity",
        ))
    })
}

/// The format that is found; an error when the file is not ours or is newer.
fn check_owner(tx: &Transaction<'_>, known: usize) -> Result<usize, Failure> {
    let pragma = |name: &str| tx.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (format, owner) = (pragma("user_version")?, pragma("application_id")?);
    if owner != APPLICATION_ID {
        let tables: i64 = tx.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if owner != 0 || format != 0 || tables != 0 {
            return Err(Failure::refused(
                Diagnostic::error("store.foreign", "this is another application's database")
                    .help("cutover status --state PATH"),
            ));
        }
        return Ok(0);
    }
    match usize::try_from(format) {
        Ok(format) if format <= known => Ok(format),
        _ => Err(Failure::refused(
            Diagnostic::error(
                "store.newer-format",
                format!("the state has format {format}, this cutover knows up to {known}"),
            )
            .note(
                "next",
                "use the newer cutover that wrote it: a state is never taken back",
            )
            .help("cutover --version"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> StoreId {
        StoreId::new("one")
    }

    fn format(connection: &Connection) -> i64 {
        connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap()
    }

    fn code(result: Result<StoreId, Failure>) -> String {
        match result {
            Err(Failure::Store(cutover_ports::StoreError::Failed(diagnostic))) => diagnostic.code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_file_gets_an_identity_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(prepare(&mut connection, id).unwrap(), id());
        let again = prepare(&mut connection, || panic!("it has one"));
        assert_eq!(again.unwrap(), id());
        assert_eq!(format(&connection), i64::from(FORMAT));
    }

    #[test]
    fn an_older_format_is_brought_forward_whole_or_not_at_all() {
        let mut connection = Connection::open_in_memory().unwrap();
        prepare(&mut connection, id).unwrap();
        let next = "ALTER TABLE releases ADD COLUMN note TEXT";
        let failing = [STEPS[0], next, "CREATE TABLE half (x TEXT); SELECT nonsense"];
        assert!(prepare_to(&mut connection, &failing, id).is_err());
        assert_eq!(format(&connection), 1);
        assert!(connection.prepare("SELECT note FROM releases").is_err());

        assert_eq!(prepare_to(&mut connection, &failing[..2], id).unwrap(), id());
        assert_eq!(format(&connection), 2);
        connection.prepare("SELECT note FROM releases").unwrap();
        // And the version before this one refuses it from now on.
        assert_eq!(code(prepare(&mut connection, id)), "store.newer-format");
    }

    #[test]
    fn another_applications_database_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE users (name TEXT)")
            .unwrap();
        assert_eq!(code(prepare(&mut connection, id)), "store.foreign");
        assert!(connection.prepare("SELECT * FROM meta").is_err());
    }
}
