//! What only SQLite has: one file, one writer, tables that are rebuilt.

use crate::bed::{Bed, Kind, bed, main_db, up_all};
use cutover_ports::{Certainty, Databases};
use rusqlite::Connection;

async fn sqlite() -> Bed {
    bed(Kind::Sqlite).await.unwrap()
}

const TABLES: [(&str, &str); 2] = [
    (
        "001_t.up.sql",
        "-- cutover: phase=expand
CREATE TABLE users (id integer PRIMARY KEY, name text);
CREATE TABLE orders (id integer PRIMARY KEY, user_id integer REFERENCES users (id) ON DELETE CASCADE);
INSERT INTO users VALUES (1, 'a'); INSERT INTO orders VALUES (1, 1);",
    ),
    ("001_t.down.sql", "DROP TABLE orders; DROP TABLE users"),
];

#[tokio::test]
async fn a_writer_in_the_way_is_waited_for_and_named() {
    let bed = sqlite().await;
    bed.up(&TABLES, 0, 1).await.unwrap();
    let path = bed.url.strip_prefix("sqlite:").unwrap();
    let other = Connection::open(path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let more = [
        TABLES[0],
        TABLES[1],
        (
            "002_b.up.sql",
            "-- cutover: phase=expand\nALTER TABLE users ADD COLUMN b text",
        ),
        ("002_b.down.sql", ""),
    ];
    let error = bed.up(&more, 1, 1).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.lock-timeout");
    assert!(error.transient && error.certainty == Certainty::DefinitelyNot);
    let pid = format!("pid {}", std::process::id());
    let named = error
        .diagnostic
        .notes
        .iter()
        .any(|(key, value)| key == "held by" && value.starts_with(&pid));
    assert!(named, "{:?}", error.diagnostic.notes);
    other.execute_batch("COMMIT").unwrap();
    bed.up(&more, 1, 1).await.unwrap();
}

#[tokio::test]
async fn a_table_is_rebuilt_without_losing_what_points_to_it() {
    let bed = sqlite().await;
    let rebuild = [
        TABLES[0],
        TABLES[1],
        (
            "002_rebuild.up.sql",
            "-- cutover: phase=expand
CREATE TABLE users_new (id integer PRIMARY KEY, name text NOT NULL);
INSERT INTO users_new SELECT id, name FROM users;
DROP TABLE users; ALTER TABLE users_new RENAME TO users;",
        ),
        ("002_rebuild.down.sql", ""),
        ("003_lose.up.sql", "-- cutover: phase=expand\nDELETE FROM users"),
        ("003_lose.down.sql", ""),
    ];
    bed.up(&rebuild, 0, 1).await.unwrap();
    bed.up(&rebuild, 1, 1).await.unwrap();
    assert_eq!(bed.number("SELECT count(*) FROM orders").await, 1);
    let error = bed.up(&rebuild, 2, 1).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.broken-references");
    assert_eq!(bed.number("SELECT count(*) FROM users").await, 1);
}

/// In one run: a database without foreign keys is not searched for broken ones, until a file makes one.
#[tokio::test]
async fn a_key_that_is_made_on_the_way_is_watched_from_then_on() {
    let bed = sqlite().await;
    let files = [
        (
            "001_a.up.sql",
            "-- cutover: phase=expand\nCREATE TABLE a (id integer PRIMARY KEY); INSERT INTO a VALUES (1)",
        ),
        ("001_a.down.sql", "DROP TABLE a"),
        (
            "002_b.up.sql",
            "-- cutover: phase=expand\nCREATE TABLE b (a integer References a (id)); INSERT INTO b VALUES (1)",
        ),
        ("002_b.down.sql", "DROP TABLE b"),
        (
            "003_c.up.sql",
            "-- cutover: phase=expand\nCREATE TABLE c (x integer)",
        ),
        ("003_c.down.sql", "DROP TABLE c"),
        ("004_lose.up.sql", "-- cutover: phase=expand\nDELETE FROM a"),
        ("004_lose.down.sql", "INSERT INTO a VALUES (1)"),
    ];
    let (done, ended) = up_all(&bed.databases(&files)).await;
    let error = ended.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.broken-references");
    assert_eq!(done.len(), 3);
    assert_eq!(bed.number("SELECT count(*) FROM a").await, 1);
}

#[tokio::test]
async fn vacuum_and_pragmas_run_outside_and_pragmas_again_in_each_session() {
    let bed = sqlite().await;
    let text = "-- cutover: phase=expand transaction=none
PRAGMA recursive_triggers = on; VACUUM; INSERT INTO nowhere VALUES (1);";
    let files = [
        TABLES[0],
        TABLES[1],
        ("002_v.up.sql", text),
        ("002_v.down.sql", ""),
    ];
    bed.up(&files, 0, 1).await.unwrap();
    let error = bed.up(&files, 1, 1).await.unwrap_err();
    assert_eq!(error.certainty, Certainty::Unknown);
    bed.run("CREATE TABLE nowhere (x integer)").await;
    bed.up(&files, 1, 1).await.unwrap();
    assert_eq!(bed.number("SELECT count(*) FROM nowhere").await, 1);
}

#[tokio::test]
async fn a_damaged_file_and_a_missing_folder_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    std::fs::write(
        &path,
        "this is no database, whatever its name says; it is long enough to be read",
    )
    .unwrap();
    let damaged = Bed::at(format!("sqlite:{}", path.display()));
    let found = damaged.databases(&TABLES).check(&main_db()).await;
    assert_eq!(found[0].code, "db.damaged");
    let missing = Bed::at(format!("sqlite:{}/none/app.db", folder.path().display()));
    let error = missing.up(&TABLES, 0, 1).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "db.unreachable");
    assert_eq!(error.certainty, Certainty::DefinitelyNot);
}

#[tokio::test]
async fn a_newer_history_is_not_touched() {
    let bed = sqlite().await;
    bed.up(&TABLES, 0, 1).await.unwrap();
    bed.run("UPDATE cutover_meta SET format = 2").await;
    let databases = bed.databases(&TABLES);
    let error = databases.observe(&main_db()).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.newer-format");
    let error = bed.up(&TABLES, 0, 1).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.newer-format");
}

#[tokio::test]
async fn the_applications_journal_mode_stays() {
    let bed = sqlite().await;
    bed.run("PRAGMA journal_mode = wal").await;
    bed.up(&TABLES, 0, 1).await.unwrap();
    let state = bed.databases(&TABLES).observe(&main_db()).await.unwrap();
    assert_eq!(state.applied.len(), 1);
    let mode = "SELECT journal_mode = 'wal' FROM pragma_journal_mode";
    assert_eq!(bed.number(mode).await, 1);
}
