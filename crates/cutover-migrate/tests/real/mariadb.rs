//! What only MariaDB has: DDL that commits by itself, named locks, delimiters, locks on the data dictionary.

use crate::bed::{Bed, Kind, bed, fence, main_db, options};
use cutover_ports::Databases as _;
use cutover_testkit::connect_mariadb;
use mysql_async::prelude::Queryable as _;

const TABLE: [(&str, &str); 2] = [
    (
        "001_t.up.sql",
        "-- cutover: phase=expand\nCREATE TABLE t (id integer PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'x');",
    ),
    ("001_t.down.sql", "DROP TABLE t"),
];

const MORE: [(&str, &str); 4] = [
    TABLE[0],
    TABLE[1],
    (
        "002_b.up.sql",
        "-- cutover: phase=expand\nALTER TABLE t ADD COLUMN b integer",
    ),
    ("002_b.down.sql", "ALTER TABLE t DROP COLUMN b"),
];

async fn mariadb() -> Option<Bed> {
    bed(Kind::MariaDb).await
}

#[tokio::test]
async fn a_lock_that_is_never_had_names_who_holds_it() {
    let Some(bed) = mariadb().await else { return };
    bed.up(&MORE, 0, 1).await.unwrap();
    let mut reader = connect_mariadb(&bed.url).await.unwrap();
    reader
        .query_drop("START TRANSACTION; UPDATE t SET a = 's3cret'")
        .await
        .unwrap();
    let error = bed.up(&MORE, 1, 1).await.unwrap_err();
    let found = &error.diagnostic;
    assert_eq!(found.code, "migrate.lock-timeout", "{found:?}");
    let shown = format!("{found:?}");
    assert!(
        shown.contains("held by") && shown.contains("tester") && !shown.contains("s3cret"),
        "{shown}"
    );
    let state = bed.databases(&MORE).observe(&main_db()).await.unwrap();
    assert_eq!(state.applied.len(), 1, "nothing of it is on record");
    reader.query_drop("COMMIT").await.unwrap();
    assert!(!bed.up(&MORE, 1, 1).await.unwrap().already);
}

#[tokio::test]
async fn a_routine_between_delimiters_and_a_trigger_without_are_one_statement_each() {
    let Some(bed) = mariadb().await else { return };
    let files = [
        (
            "001_r.up.sql",
            "-- cutover: phase=expand
CREATE TABLE t (id integer PRIMARY KEY, a integer);
DELIMITER //
CREATE PROCEDURE p() BEGIN INSERT INTO t (id) VALUES (1); INSERT INTO t (id) VALUES (2); END//
DELIMITER ;
CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW BEGIN IF NEW.a IS NULL THEN SET NEW.a = 7; END IF; END;
CALL p();
/*!50003 INSERT INTO t (id) VALUES (3) */;",
        ),
        ("001_r.down.sql", "DROP TABLE t; DROP PROCEDURE p"),
    ];
    bed.up(&files, 0, 1).await.unwrap();
    assert_eq!(bed.number("SELECT CAST(sum(a) AS signed) FROM t").await, 21);
}

#[tokio::test]
async fn names_that_are_words_of_routines_merge_no_statements_and_a_body_alone_runs() {
    let Some(bed) = mariadb().await else { return };
    let files = [
        (
            "001_cal.up.sql",
            "-- cutover: phase=expand
CREATE TABLE cal (event int, begin datetime); CREATE TABLE e2 (a int, end datetime);
CREATE VIEW v AS SELECT event, begin FROM cal;
BEGIN NOT ATOMIC DECLARE i int DEFAULT 0; WHILE i < 3 DO INSERT INTO e2 (a) VALUES (i); SET i = i + 1; END WHILE; END;
INSERT INTO e2 (a) VALUES (1), (nothing);",
        ),
        ("001_cal.down.sql", "DROP VIEW v; DROP TABLE cal, e2"),
    ];
    let error = bed.up(&files, 0, 1).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.statement-failed");
    let state = note_of(&error, "state");
    assert!(
        state.starts_with("4 of 5 statements of 001_cal are applied"),
        "{state}"
    );
    assert_eq!(bed.number("SELECT count(*) FROM e2").await, 3);
}

fn note_of(error: &cutover_ports::PortError, key: &str) -> String {
    let mut notes = error.diagnostic.notes.iter();
    let found = notes.find(|(found, _)| found == key);
    found.map_or_else(String::new, |(_, value)| value.clone())
}

#[tokio::test]
async fn a_session_of_a_replaced_controller_is_ended_and_anybody_elses_is_named() {
    let Some(bed) = mariadb().await else { return };
    let bed = &bed;
    let slow = [
        (
            "001_slow.up.sql",
            "-- cutover: phase=expand\nCREATE TABLE s (x integer); SELECT SLEEP(300);",
        ),
        ("001_slow.down.sql", "DROP TABLE s"),
    ];
    let old = async { bed.up(&slow, 0, 1).await };
    let others = async {
        let begun = || async { bed.has_table("s").await };
        cutover_testkit::wait_for("the first one's work", std::time::Duration::from_secs(60), begun).await;
        let same = bed.up(&TABLE, 0, 1).await.unwrap_err();
        assert_eq!(same.diagnostic.code, "migrate.locked");
        assert!(format!("{:?}", same.diagnostic).contains("tester"));
        // The server takes its time to end a session, and more of it than one try has.
        let taken = || async { bed.up(&TABLE, 0, 2).await.is_ok() };
        cutover_testkit::wait_for("the lock", std::time::Duration::from_secs(60), taken).await;
    };
    let (old, ()) = tokio::join!(old, others);
    assert_eq!(old.unwrap_err().diagnostic.code, "db.unreachable");
}

#[tokio::test]
async fn a_file_of_rows_alone_is_one_transaction() {
    let Some(bed) = mariadb().await else { return };
    bed.up(&TABLE, 0, 1).await.unwrap();
    let rows = [
        TABLE[0],
        TABLE[1],
        (
            "002_rows.up.sql",
            "-- cutover: phase=expand\nINSERT INTO t VALUES (2, 'y'); INSERT INTO t VALUES (1, 'twice');",
        ),
        ("002_rows.down.sql", "DELETE FROM t WHERE id = 2"),
    ];
    bed.up(&rows, 1, 1).await.unwrap_err();
    assert_eq!(bed.number("SELECT count(*) FROM t").await, 1);
    assert_eq!(bed.number("SELECT count(*) FROM cutover_history").await, 1);
    let mut done = Vec::new();
    bed.databases(&TABLE)
        .migrate_down(
            &fence(1),
            &main_db(),
            cutover_migrate::Reach::All,
            &options(),
            &mut done,
        )
        .await
        .unwrap();
    assert!(!bed.has_table("t").await);
}

#[tokio::test]
async fn long_transactions_are_named_before_anything_runs() {
    let Some(bed) = mariadb().await else { return };
    bed.up(&MORE, 0, 1).await.unwrap();
    let mut reader = connect_mariadb(&bed.url).await.unwrap();
    reader
        .query_drop("START TRANSACTION; SELECT * FROM t WHERE a = 's3cret'")
        .await
        .unwrap();
    // The server tells the same again to who asks within a tenth of a second, even when that was another test.
    let mut found = Vec::new();
    for _ in 0..100 {
        found = bed.suspicious(&MORE).check(&main_db()).await;
        if !found.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
    let codes: Vec<&str> = found.iter().map(|one| one.code.as_str()).collect();
    // Other tests may have theirs open on the same server.
    let all_long = codes.iter().all(|code| *code == "migrate.long-transaction");
    assert!(all_long && !codes.is_empty(), "{codes:?}");
    assert!(found[0].message.contains("tester"), "{found:?}");
    assert!(!format!("{found:?}").contains("s3cret"), "{found:?}");
    assert!(bed.databases(&MORE).check(&main_db()).await.is_empty());
}

/// The history's tables are made by the first; the others look at that moment, each in a snapshot.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_sessions_that_look_while_the_history_is_made_all_see_it() {
    for _ in 0..5 {
        let Some(bed) = mariadb().await else { return };
        let all: Vec<_> = (0..16)
            .map(|_| {
                let databases = bed.patient(&TABLE);
                tokio::spawn(async move {
                    let mut seen = 0;
                    while seen == 0 {
                        seen = databases.observe(&main_db()).await?.applied.len();
                    }
                    Ok::<_, cutover_ports::PortError>(seen)
                })
            })
            .collect();
        bed.up_patiently(&TABLE, 0, 1).await.unwrap();
        for one in all {
            assert_eq!(one.await.unwrap().unwrap(), 1);
        }
    }
}

#[tokio::test]
async fn what_a_file_says_of_waiting_holds_for_it_alone() {
    let Some(bed) = mariadb().await else { return };
    let up = "-- cutover: phase=expand
CREATE TABLE w (n integer, seconds integer);
INSERT INTO w VALUES (1, @@lock_wait_timeout);
SET SESSION lock_wait_timeout = 77;
INSERT INTO w VALUES (2, @@lock_wait_timeout);
CREATE PROCEDURE wait_long() SET SESSION lock_wait_timeout = 78;
CALL wait_long();
INSERT INTO w VALUES (3, @@lock_wait_timeout);";
    let files = [
        ("001_w.up.sql", up),
        ("001_w.down.sql", "DROP TABLE w; DROP PROCEDURE wait_long"),
    ];
    bed.up(&files, 0, 1).await.unwrap();
    let first = bed.number("SELECT seconds FROM w WHERE n = 1").await;
    assert_eq!(bed.number("SELECT count(*) FROM w").await, 3);
    assert_eq!(
        bed.number(&format!("SELECT count(*) FROM w WHERE seconds <> {first}"))
            .await,
        0
    );
}

/// `foreign_key_checks = 0` lets rows in that the server never looks at again.
#[tokio::test]
async fn rows_that_violate_a_foreign_key_are_found_where_files_name_their_tables() {
    let Some(bed) = mariadb().await else { return };
    let files = [
        (
            "001_all.up.sql",
            "-- cutover: phase=expand
CREATE TABLE p (x int, y int, PRIMARY KEY (x, y)); CREATE TABLE `a b` (id int PRIMARY KEY, x int, y int,
    CONSTRAINT `to p` FOREIGN KEY (x, y) REFERENCES p (x, y));
CREATE TABLE fine (id int PRIMARY KEY, x int, y int, CONSTRAINT fine_p FOREIGN KEY (x, y) REFERENCES p (x, y));
INSERT INTO p VALUES (1, 1); INSERT INTO fine VALUES (1, 1, 1), (2, NULL, 9);",
        ),
        ("001_all.down.sql", "DROP TABLE fine; DROP TABLE `a b`; DROP TABLE p"),
        (
            "002_copied.up.sql",
            "-- cutover: phase=backfill
SET foreign_key_checks = 0; INSERT INTO `a b` VALUES (1, 1, 1), (2, 1, 2), (3, 8, 8), (4, NULL, 7);",
        ),
        ("002_copied.down.sql", "DELETE FROM `a b`"),
    ];
    let databases = bed.databases(&files);
    let id = |at: usize| bed.files(&files)[at].migration.id.clone();
    bed.up(&files, 0, 1).await.unwrap();
    assert_eq!(databases.examine(&main_db(), false, None).await.unwrap(), []);
    bed.up(&files, 1, 1).await.unwrap();
    for ran in [None, Some([id(1)])] {
        let ran = ran.as_ref().map(<[_; 1]>::as_slice);
        let found = databases.examine(&main_db(), false, ran).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].code, "migrate.violated");
        assert!(
            found[0].message.contains("a b") && found[0].message.contains("to p"),
            "{found:?}"
        );
        let (key, query) = &found[0].notes[0];
        assert_eq!(key, "find");
        let counted = format!("SELECT count(*) FROM ({query}) AS found");
        assert_eq!(bed.number(&counted).await, 2, "{query}");
    }
    // Files that ran and name no table of it: nothing is read.
    let found = databases.examine(&main_db(), false, Some(&[])).await.unwrap();
    assert_eq!(found, []);
    bed.run("DELETE FROM `a b` WHERE id IN (2, 3)").await;
    assert_eq!(databases.examine(&main_db(), false, None).await.unwrap(), []);
}
