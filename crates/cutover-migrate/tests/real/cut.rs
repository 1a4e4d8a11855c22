//! Statements that are cut short, by whoever ends their session and by a person who wants to leave; and a user who may
//! not do what a file asks for.

use std::time::Duration;

use cutover_migrate::{Direction, MigrationStatus};
use cutover_ports::{Certainty, Databases as _, PortError};

use crate::bed::{Bed, Kind, bed, fence, main_db, options};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const PAUSE_UP: &str =
    "-- cutover: phase=expand\nCREATE TABLE pause (s integer); INSERT INTO pause VALUES (300);";

/// Its second statement takes as long as `pause` says; on MariaDB it is one of DDL.
const fn slow_up(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => {
            "-- cutover: phase=expand transaction=none
CREATE TABLE a (x integer);
INSERT INTO a SELECT s FROM pause, pg_sleep(s);
CREATE TABLE b (x integer);"
        }
        Kind::MariaDb => {
            "-- cutover: phase=expand transaction=none
CREATE TABLE a (x integer);
CREATE TABLE c AS SELECT sleep(s) AS x FROM pause;
CREATE TABLE b (x integer);"
        }
        Kind::Sqlite => {
            "-- cutover: phase=expand transaction=none
CREATE TABLE a (x integer);
INSERT INTO a WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c, pause WHERE s > 0) SELECT max(x) FROM c;
CREATE TABLE b (x integer);"
        }
    }
}

pub(crate) const fn files(kind: Kind) -> [(&'static str, &'static str); 4] {
    [
        ("001_pause.up.sql", PAUSE_UP),
        ("001_pause.down.sql", "DROP TABLE pause"),
        ("002_slow.up.sql", slow_up(kind)),
        ("002_slow.down.sql", "DROP TABLE a"),
    ]
}

/// The session that runs the slow statement, where the database can tell.
pub(crate) const fn running(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => {
            "SELECT coalesce(max(pid), 0)::bigint FROM pg_stat_activity
             WHERE datname = current_database() AND query LIKE 'INSERT INTO a SELECT s%' AND wait_event = 'PgSleep'"
        }
        Kind::MariaDb => {
            "SELECT CAST(coalesce(max(id), 0) AS signed) FROM information_schema.processlist
             WHERE info LIKE 'CREATE TABLE c AS%'"
        }
        // Begun, or about to be.
        Kind::Sqlite => "SELECT count(*) FROM sqlite_master WHERE name = 'a'",
    }
}

async fn begun(bed: &Bed, kind: Kind) {
    let runs = || async { bed.try_number(running(kind)).await.is_ok_and(|found| found > 0) };
    cutover_testkit::wait_for("the slow statement", PATIENCE, runs).await;
}

pub(crate) fn state(error: &PortError) -> &str {
    let notes = &error.diagnostic.notes;
    notes
        .iter()
        .find(|(key, _)| key == "state")
        .map_or("", |(_, value)| value)
}

/// What `status` says, and that a second try goes through.
pub(crate) async fn resumes(bed: &Bed, kind: Kind) {
    let files = files(kind);
    let lines = bed.databases(&files).status(&main_db()).await.unwrap();
    let halfway = MigrationStatus::Interrupted {
        direction: Direction::Up,
        done: 1,
        total: Some(3),
    };
    assert_eq!(lines[1].status, halfway);
    bed.run("UPDATE pause SET s = 0").await;
    bed.up_patiently(&files, 1, 1).await.unwrap();
    assert!(bed.has_table("b").await);
    let lines = bed.databases(&files).status(&main_db()).await.unwrap();
    assert_eq!(lines[1].status, MigrationStatus::Applied);
}

async fn cut(kind: Kind) {
    let Some(bed) = bed(kind).await else { return };
    let files = files(kind);
    bed.up(&files, 0, 1).await.unwrap();
    let cutting = async {
        begun(&bed, kind).await;
        let session = bed.number(running(kind)).await;
        match kind {
            Kind::Postgres => bed.run(&format!("SELECT pg_terminate_backend({session})")).await,
            _ => bed.run(&format!("KILL CONNECTION {session}")).await,
        }
    };
    let (error, ()) = tokio::join!(bed.up(&files, 1, 1), cutting);
    let error = error.unwrap_err();
    assert_eq!(error.diagnostic.code, "db.unreachable", "{error}");
    assert!(error.transient && error.certainty == Certainty::Unknown);
    resumes(&bed, kind).await;
}

#[tokio::test]
async fn a_session_that_is_ended_in_a_statement_leaves_what_status_names_on_postgres() {
    cut(Kind::Postgres).await;
}

#[tokio::test]
async fn a_session_that_is_ended_in_a_statement_leaves_what_status_names_on_mariadb() {
    cut(Kind::MariaDb).await;
}

async fn stopped(kind: Kind, expected: &str) {
    let Some(bed) = bed(kind).await else { return };
    let files = files(kind);
    bed.up(&files, 0, 1).await.unwrap();
    let databases = bed.patient(&files);
    let migration = bed.files(&files)[1].migration.clone();
    let (fence, options) = (fence(1), options());
    let stopping = async {
        begun(&bed, kind).await;
        databases.stop();
    };
    let (error, ()) = tokio::join!(databases.up(&fence, &migration, &options), stopping);
    let error = error.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.stopped", "{error}");
    assert_eq!(state(&error), expected);
    if !matches!(kind, Kind::Sqlite) {
        assert_eq!(bed.number(running(kind)).await, 0, "it runs on");
    }
    let later = databases.up(&fence, &migration, &options).await.unwrap_err();
    assert_eq!(later.diagnostic.code, "migrate.stopped", "nothing more is begun");
    resumes(&bed, kind).await;
}

#[tokio::test]
async fn what_is_stopped_is_cancelled_in_the_database_and_resumes_on_postgres() {
    let expected = "1 of 3 statements of 002_slow are applied; it resumes after them";
    stopped(Kind::Postgres, expected).await;
}

#[tokio::test]
async fn what_is_stopped_is_cancelled_in_the_database_and_resumes_on_mariadb() {
    let expected = "1 of 3 statements of 002_slow are applied and one was begun; it resumes there";
    stopped(Kind::MariaDb, expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stopped_is_cancelled_in_the_database_and_resumes_on_sqlite() {
    let expected = "1 of 3 statements of 002_slow are applied; it resumes after them";
    stopped(Kind::Sqlite, expected).await;
}

/// Indexes of `t` that a build left over.
pub(crate) const INVALID: &str =
    "SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND NOT indisvalid";

/// A file that builds an index beside the traffic, and who is in its way until they commit.
pub(crate) async fn index_behind_a_lock(
    bed: &Bed,
) -> ([(&'static str, &'static str); 2], tokio_postgres::Client) {
    bed.run("CREATE TABLE t (a integer)").await;
    let files = [
        (
            "001_i.up.sql",
            "-- cutover: phase=expand transaction=none\nCREATE INDEX CONCURRENTLY t_a ON t (a)",
        ),
        ("001_i.down.sql", "DROP INDEX t_a"),
    ];
    let old = bed.client().await;
    old.batch_execute("BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE")
        .await
        .unwrap();
    (files, old)
}

#[tokio::test]
async fn a_concurrent_index_that_is_stopped_is_built_anew() {
    let Some(bed) = bed(Kind::Postgres).await else {
        return;
    };
    let (files, old) = index_behind_a_lock(&bed).await;
    let databases = bed.patient(&files);
    let migration = bed.files(&files)[0].migration.clone();
    let (fence, options) = (fence(1), options());
    let stopping = async {
        let begun = || async { bed.number(INVALID).await > 0 };
        cutover_testkit::wait_for("the build", PATIENCE, begun).await;
        databases.stop();
    };
    let (error, ()) = tokio::join!(databases.up(&fence, &migration, &options), stopping);
    let error = error.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.stopped", "{error}");
    let lines = bed.databases(&files).status(&main_db()).await.unwrap();
    assert!(matches!(
        lines[0].status,
        MigrationStatus::Interrupted { done: 0, .. }
    ));
    old.batch_execute("COMMIT").await.unwrap();
    bed.up_patiently(&files, 0, 1).await.unwrap();
    assert_eq!(bed.number(INVALID).await, 0);
}

/// The same database for a user who may hardly do anything.
pub(crate) async fn lesser(bed: &Bed, kind: Kind) -> (Bed, String) {
    let name = format!("app_{}", bed.url.rsplit('/').next().unwrap());
    match kind {
        Kind::Postgres => {
            bed.run(&format!(
                "REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE {name} LOGIN PASSWORD 'app'"
            ))
            .await;
        }
        _ => {
            let database = bed.url.rsplit('/').next().unwrap();
            bed.run(&format!("CREATE USER {name}@'%' IDENTIFIED BY 'app'"))
                .await;
            bed.run(&format!("GRANT SELECT ON {database}.* TO {name}@'%'"))
                .await;
        }
    }
    let (scheme, rest) = bed.url.split_once("://").unwrap();
    let (_, address) = rest.split_once('@').unwrap();
    (Bed::at(format!("{scheme}://{name}:app@{address}")), name)
}

fn grant(error: &PortError) -> &str {
    let notes = &error.diagnostic.notes;
    notes
        .iter()
        .find(|(key, _)| key == "grant")
        .map_or("", |(_, value)| value)
}

const MINE: [(&str, &str); 4] = [
    (
        "001_m.up.sql",
        "-- cutover: phase=expand\nCREATE TABLE m (x integer)",
    ),
    ("001_m.down.sql", "DROP TABLE m"),
    (
        "002_t.up.sql",
        "-- cutover: phase=expand\nALTER TABLE theirs ADD COLUMN y integer",
    ),
    ("002_t.down.sql", ""),
];

#[tokio::test]
async fn a_right_that_is_missing_is_named_with_the_statement_that_gives_it_on_postgres() {
    let Some(bed) = bed(Kind::Postgres).await else {
        return;
    };
    bed.run("CREATE TABLE theirs (x integer)").await;
    let (app, name) = lesser(&bed, Kind::Postgres).await;
    for (file, expected) in [
        (
            0,
            format!("GRANT USAGE, CREATE ON SCHEMA \"public\" TO \"{name}\""),
        ),
        (1, format!("ALTER TABLE \"theirs\" OWNER TO \"{name}\"")),
    ] {
        let error = app.up(&MINE, file, 1).await.unwrap_err();
        assert_eq!(error.diagnostic.code, "db.not-allowed", "{error}");
        assert_eq!(error.certainty, Certainty::DefinitelyNot);
        assert_eq!(grant(&error), expected);
        bed.run(&expected).await;
        app.up(&MINE, file, 1).await.unwrap();
    }
    // A scratch database needs a right that no GRANT gives.
    let error = app.databases(&MINE).drift(&main_db()).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.scratch", "{error}");
    assert!(
        error.diagnostic.help.as_ref().unwrap().contains("CREATEDB"),
        "{error}"
    );
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_with_the_statement_that_gives_it_on_mariadb() {
    let Some(bed) = bed(Kind::MariaDb).await else {
        return;
    };
    let (app, _) = lesser(&bed, Kind::MariaDb).await;
    // One right after the other, until it goes through.
    let mut given = Vec::new();
    while let Err(error) = app.up(&MINE, 0, 1).await {
        assert_eq!(error.diagnostic.code, "db.not-allowed", "{error}");
        bed.run(grant(&error)).await;
        given.push(grant(&error).to_owned());
        assert!(given.len() < 8, "{given:?}");
    }
    assert!(given[0].starts_with("GRANT CREATE ON "), "{given:?}");
    assert!(app.has_table("m").await);
    // A scratch database is one more right, on databases of that name only.
    let error = app.databases(&MINE).drift(&main_db()).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.scratch", "{error}");
    let help = error.diagnostic.help.unwrap();
    let inner = help
        .strip_prefix("mariadb -e \"")
        .and_then(|rest| rest.strip_suffix('"'));
    bed.run(&inner.unwrap().replace("\\`", "`")).await;
    assert_eq!(app.databases(&MINE).drift(&main_db()).await.unwrap(), []);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_says_so() {
    let Some(bed) = bed(Kind::Sqlite).await else {
        return;
    };
    let files = [
        (
            "001_q.up.sql",
            "-- cutover: phase=expand transaction=none\nCREATE TABLE a (x integer); PRAGMA query_only = 1; INSERT INTO a VALUES (1)",
        ),
        ("001_q.down.sql", ""),
    ];
    let error = bed.up(&files, 0, 1).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "db.not-allowed", "{error}");
    assert!(grant(&error).starts_with("chmod u+w "), "{error}");
}
