//! Files that fail, or are killed, in the middle on each database, up and down: what is recorded of them, how they go on,
//! and what is refused meanwhile.

use cutover_migrate::{Direction, MigrationStatus, Reach};
use cutover_ports::{Databases as _, PortError};

use crate::bed::{Bed, Kind, bed, fence, main_db, options};

type Files<'a> = &'a [(&'a str, &'a str)];

const UP: &str = "-- cutover: phase=expand transaction=none
CREATE TABLE t1 (a int); CREATE TABLE t2 (a int); CREATE TABLE t3 (a int)";
/// Its second statement fails until somebody has made `tx`.
const DOWN: &str = "-- cutover: transaction=none
DROP TABLE t3; DROP TABLE tx; DROP TABLE t1; DROP TABLE t2;";

async fn go(bed: &Bed, files: Files<'_>, direction: Direction) -> Result<(), PortError> {
    let (databases, mut done) = (bed.patient(files), Vec::new());
    let (fence, name, options) = (fence(1), main_db(), options());
    match direction {
        Direction::Up => {
            databases
                .migrate_up(&fence, &name, Reach::All, false, &options, &mut done)
                .await
        }
        Direction::Down => {
            databases
                .migrate_down(&fence, &name, Reach::Steps(1), &options, &mut done)
                .await
        }
    }
}

async fn status(bed: &Bed, files: Files<'_>) -> MigrationStatus {
    let lines = bed.databases(files).status(&main_db()).await.unwrap();
    lines[0].status.clone()
}

const fn interrupted(direction: Direction, done: usize, total: usize) -> MigrationStatus {
    MigrationStatus::Interrupted {
        direction,
        done,
        total: Some(total),
    }
}

async fn tables(bed: &Bed) -> [bool; 3] {
    let mut there = [false; 3];
    for (n, is) in there.iter_mut().enumerate() {
        *is = bed.has_table(&format!("t{}", n + 1)).await;
    }
    there
}

fn note<'a>(error: &'a PortError, key: &str) -> &'a str {
    let notes = &error.diagnostic.notes;
    let found = notes.iter().find(|(found, _)| found == key);
    found.map_or("", |(_, value)| value)
}

async fn a_way_down_that_fails_halfway_is_not_taken_for_applied(bed: &Bed) {
    let files = [("001_t.up.sql", UP), ("001_t.down.sql", DOWN)];
    go(bed, &files, Direction::Up).await.unwrap();
    let error = go(bed, &files, Direction::Down).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.statement-failed", "{error}");
    assert!(note(&error, "state").starts_with("1 of 4 statements that take 001_t back are done"));
    assert!(note(&error, "next").contains("from statement 2 on"), "{error}");
    assert_eq!(error.diagnostic.help.as_deref(), Some("cutover migrate down"));
    assert_eq!(status(bed, &files).await, interrupted(Direction::Down, 1, 4));

    // Neither by hand nor by an upgrade, and every look says why.
    let by_hand = go(bed, &files, Direction::Up).await.unwrap_err();
    let by_upgrade = bed.up(&files, 0, 1).await.unwrap_err();
    for refused in [by_hand, by_upgrade] {
        assert_eq!(refused.diagnostic.code, "migrate.half-taken-back", "{refused}");
        assert!(
            refused.diagnostic.message.contains("1 of 4 statements"),
            "{refused}"
        );
    }
    let found = bed.databases(&files).check(&main_db()).await;
    assert_eq!(found[0].code, "migrate.half-taken-back");
    assert_eq!(tables(bed).await, [true, true, false]);

    // The statement that ran is not to be changed, and the one that failed is.
    let other = DOWN.replace("TABLE t3", "TABLE t1");
    let wrong = [files[0], ("001_t.down.sql", other.as_str())];
    let error = go(bed, &wrong, Direction::Down).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.changed", "{error}");
    assert_eq!(status(bed, &wrong).await, MigrationStatus::Changed);
    let mended = DOWN.replace("TABLE tx", "TABLE IF EXISTS tx");
    let mended = [files[0], ("001_t.down.sql", mended.as_str())];
    go(bed, &mended, Direction::Down).await.unwrap();
    assert_eq!(tables(bed).await, [false; 3]);
    assert_eq!(bed.number("SELECT count(*) FROM cutover_statements").await, 0);
    go(bed, &mended, Direction::Up).await.unwrap();
    assert_eq!(tables(bed).await, [true; 3]);
}

async fn a_way_down_that_fails_at_once_changes_no_record(bed: &Bed) {
    let down = DOWN.replace("DROP TABLE t3; ", "");
    let files = [("001_t.up.sql", UP), ("001_t.down.sql", down.as_str())];
    go(bed, &files, Direction::Up).await.unwrap();
    let before = bed.text("SELECT applied_at FROM cutover_history").await;
    let error = go(bed, &files, Direction::Down).await.unwrap_err();
    assert_eq!(note(&error, "state"), "nothing of 001_t was taken back");
    assert_eq!(status(bed, &files).await, MigrationStatus::Applied);
    assert_eq!(bed.text("SELECT applied_at FROM cutover_history").await, before);
    go(bed, &files, Direction::Up).await.unwrap();
    assert_eq!(bed.number("SELECT count(*) FROM cutover_log").await, 1);
}

async fn a_wrong_statement_in_the_middle_is_corrected_and_the_file_goes_on(bed: &Bed) {
    let up = "-- cutover: phase=expand transaction=none
CREATE TABLE t1 (a int);
CREATE TABLE t2 (a int);
CREATE TABLE t2b (a int nonsens);
CREATE TABLE t3 (a int);";
    let down = ("001_t.down.sql", "DROP TABLE t1");
    let up = if bed.url.starts_with("sqlite:") {
        // It takes any word for a type.
        up.replace("int nonsens", "int REFERENCES")
    } else {
        up.to_owned()
    };
    let files = [("001_t.up.sql", up.as_str()), down];
    let error = go(bed, &files, Direction::Up).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.statement-failed", "{error}");
    assert!(
        note(&error, "next").starts_with("correct 001_t.up.sql from statement 3 on; or"),
        "{error}"
    );
    assert_eq!(error.diagnostic.help.as_deref(), Some("cutover migrate up"));
    assert_eq!(status(bed, &files).await, interrupted(Direction::Up, 2, 4));

    let changed = up.replace("t2 (a int)", "t2 (a int, b int)");
    let wrong = [("001_t.up.sql", changed.as_str()), down];
    let error = go(bed, &wrong, Direction::Up).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.changed");
    assert!(
        error
            .diagnostic
            .message
            .starts_with("statement 2 of 001_t.up.sql was changed"),
        "{error}"
    );
    assert_eq!(error.diagnostic.location.as_ref().unwrap().line, 3);
    assert_eq!(status(bed, &wrong).await, MigrationStatus::Changed);

    let mended = up.replace("int nonsens", "int").replace("int REFERENCES", "int");
    let mended = [("001_t.up.sql", mended.as_str()), down];
    assert!(bed.databases(&mended).check(&main_db()).await.is_empty());
    assert_eq!(status(bed, &mended).await, interrupted(Direction::Up, 2, 4));
    go(bed, &mended, Direction::Up).await.unwrap();
    assert!(bed.has_table("t2b").await && bed.has_table("t3").await);
    assert_eq!(status(bed, &mended).await, MigrationStatus::Applied);
    assert!(bed.databases(&mended).check(&main_db()).await.is_empty());
    assert_eq!(status(bed, &files).await, MigrationStatus::Changed);
}

async fn a_file_that_became_one_transaction_goes_on_where_it_stopped(bed: &Bed) {
    let up = "-- cutover: phase=expand transaction=none
CREATE TABLE t1 (a int); CREATE TABLE t2 (a int); INSERT INTO tx VALUES (1); CREATE TABLE t3 (a int)";
    let files = [("001_t.up.sql", up), ("001_t.down.sql", DOWN)];
    go(bed, &files, Direction::Up).await.unwrap_err();
    bed.run("CREATE TABLE tx (a int)").await;
    let whole = up.replace(" transaction=none", "");
    let files = [("001_t.up.sql", whole.as_str()), files[1]];
    go(bed, &files, Direction::Up).await.unwrap();
    assert_eq!(tables(bed).await, [true; 3]);
    assert_eq!(bed.number("SELECT count(*) FROM tx").await, 1);
    assert_eq!(bed.number("SELECT count(*) FROM cutover_statements").await, 4);
}

async fn what_is_half_applied_is_taken_back_by_its_down_file(bed: &Bed) {
    let up = "-- cutover: phase=expand transaction=none
CREATE TABLE t1 (a int); INSERT INTO tx VALUES (1); CREATE TABLE t2 (a int)";
    let down = "-- cutover: transaction=none\nDROP TABLE IF EXISTS t2; DROP TABLE IF EXISTS t1";
    let files = [("001_t.up.sql", up), ("001_t.down.sql", down)];
    go(bed, &files, Direction::Up).await.unwrap_err();
    assert_eq!(tables(bed).await, [true, false, false]);
    go(bed, &files, Direction::Down).await.unwrap();
    assert_eq!(tables(bed).await, [false; 3]);
    assert_eq!(bed.number("SELECT count(*) FROM cutover_history").await, 0);

    // One that has no guard fails at once, and what is recorded of the way up stays.
    let bare = [
        files[0],
        (
            "001_t.down.sql",
            "-- cutover: transaction=none\nDROP TABLE t2; DROP TABLE t1",
        ),
    ];
    go(bed, &bare, Direction::Up).await.unwrap_err();
    go(bed, &bare, Direction::Down).await.unwrap_err();
    assert_eq!(status(bed, &bare).await, interrupted(Direction::Up, 1, 3));
    bed.run("CREATE TABLE tx (a int)").await;
    go(bed, &bare, Direction::Up).await.unwrap();
    assert_eq!(tables(bed).await, [true, true, false]);
}

async fn records_of_earlier_versions_say_the_way_by_their_statements(bed: &Bed) {
    let files = [("001_t.up.sql", UP), ("001_t.down.sql", DOWN)];
    go(bed, &files, Direction::Up).await.unwrap();
    go(bed, &files, Direction::Down).await.unwrap_err();
    let marked = "SELECT count(*) FROM cutover_history WHERE complete = 2";
    assert_eq!(bed.number(marked).await, 1);
    bed.run("UPDATE cutover_history SET complete = 0").await;
    assert_eq!(status(bed, &files).await, interrupted(Direction::Down, 1, 4));
    let refused = go(bed, &files, Direction::Up).await.unwrap_err();
    assert_eq!(refused.diagnostic.code, "migrate.half-taken-back");
}

on_all!(
    a_way_down_that_fails_halfway_is_not_taken_for_applied,
    a_way_down_that_fails_at_once_changes_no_record,
    a_wrong_statement_in_the_middle_is_corrected_and_the_file_goes_on,
    a_file_that_became_one_transaction_goes_on_where_it_stopped,
    what_is_half_applied_is_taken_back_by_its_down_file,
    records_of_earlier_versions_say_the_way_by_their_statements,
);
