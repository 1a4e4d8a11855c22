//! Quick files of SQLite share a commit, and nobody can tell but by the clock and by the disk.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use crate::bed::{Bed, Kind, bed, fence, main_db, options, up_all};
use crate::killed::DeadlyClock;
use cutover_migrate::{LockPolicy, MigrateDatabases, MigrationStatus, Reach};
use cutover_ports::Databases as _;
use rusqlite::Connection;

const FILES: usize = 40;
const URL: &str = "CUTOVER_TEST_TOGETHER_URL";
const LOOKS: &str = "CUTOVER_TEST_TOGETHER_LOOKS";

/// Each adds a number to those before it.
fn files(count: usize) -> Vec<(String, String)> {
    let up = |n: usize| match n {
        1 => "CREATE TABLE t1 (x integer); INSERT INTO t1 VALUES (1);".to_owned(),
        _ => format!(
            "CREATE TABLE t{n} (x integer); INSERT INTO t{n} SELECT x + {n} FROM t{};",
            n - 1
        ),
    };
    (1..=count)
        .flat_map(|n| {
            let head = "-- cutover: phase=expand\n";
            [
                (format!("{n:03}_t.up.sql"), format!("{head}{}", up(n))),
                (format!("{n:03}_t.down.sql"), format!("DROP TABLE t{n}")),
            ]
        })
        .collect()
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = files.iter();
    pairs.map(|(name, text)| (name.as_str(), text.as_str())).collect()
}

/// How often the file was committed to: https://sqlite.org/fileformat2.html#file_change_counter
fn commits(bed: &Bed) -> u32 {
    let file = std::fs::read(bed.url.strip_prefix("sqlite:").unwrap()).unwrap();
    u32::from_be_bytes(file[24..28].try_into().unwrap())
}

/// The tables, the history and the log say the same, and each file was run once, in order: answers how many.
async fn applied(bed: &Bed) -> usize {
    let tables = "SELECT count(*) FROM sqlite_master WHERE name GLOB 't[0-9]*'";
    let tables = usize::try_from(bed.number(tables).await).unwrap();
    if !bed.has_table("cutover_history").await {
        assert_eq!(tables, 0);
        return 0;
    }
    let rows = bed.databases(&[]).observe(&main_db()).await.unwrap().applied;
    let numbers: Vec<u64> = rows.iter().map(|row| row.id.number).collect();
    assert_eq!(numbers, (1..=u64::try_from(tables).unwrap()).collect::<Vec<_>>());
    let log = bed.databases(&[]).log(&main_db()).await.unwrap();
    let logged: Vec<u64> = log.iter().map(|entry| entry.id.number).collect();
    assert_eq!(logged, numbers);
    if tables > 0 {
        let sum = i64::try_from(tables * (tables + 1) / 2).unwrap();
        assert_eq!(bed.number(&format!("SELECT x FROM t{tables}")).await, sum);
        assert_eq!(bed.number(&format!("SELECT count(*) FROM t{tables}")).await, 1);
    }
    tables
}

#[tokio::test]
async fn fewer_commits_than_files() {
    let bed = bed(Kind::Sqlite).await.unwrap();
    let files = files(FILES);
    let (done, ended) = up_all(&bed.databases(&borrowed(&files))).await;
    ended.unwrap();
    assert_eq!(done.len(), FILES);
    assert_eq!(applied(&bed).await, FILES);
    let commits = usize::try_from(commits(&bed)).unwrap();
    assert!(commits < FILES, "{commits} commits");
}

#[tokio::test]
async fn what_is_before_one_that_fails_stays() {
    let bed = bed(Kind::Sqlite).await.unwrap();
    let mut files = files(FILES);
    let good = std::mem::replace(
        &mut files[2 * 30].1,
        "-- cutover: phase=expand\nCREATE TABLE t31 (x integer);\nINSERT INTO nowhere VALUES (1)".to_owned(),
    );
    let (done, ended) = up_all(&bed.databases(&borrowed(&files))).await;
    let error = *ended.unwrap_err().diagnostic;
    assert_eq!(error.code, "migrate.statement-failed");
    let place = error.location.unwrap();
    assert_eq!((place.file.as_str(), place.line), ("031_t.up.sql", 3));
    assert_eq!(done.len(), 30);
    assert_eq!(applied(&bed).await, 30);
    files[2 * 30].1 = good;
    let (done, ended) = up_all(&bed.databases(&borrowed(&files))).await;
    ended.unwrap();
    assert_eq!(done.len(), FILES - 30);
    assert_eq!(applied(&bed).await, FILES);
}

/// SQLite's commit waits for readers: what they are in the way of did not happen, and is not told as done.
#[tokio::test]
async fn a_reader_in_the_way_of_the_commit() {
    let bed = bed(Kind::Sqlite).await.unwrap();
    let files = files(FILES);
    let three = borrowed(&files[..6]);
    let (_, ended) = up_all(&bed.databases(&three)).await;
    ended.unwrap();
    let reader = Connection::open(bed.url.strip_prefix("sqlite:").unwrap()).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM t1").unwrap();
    let (done, ended) = up_all(&bed.databases(&borrowed(&files))).await;
    let error = ended.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.lock-timeout");
    assert!(
        error.diagnostic.message.contains("004_t"),
        "{}",
        error.diagnostic.message
    );
    assert_eq!(done.len(), 0);
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(applied(&bed).await, 3);
    let (done, ended) = up_all(&bed.databases(&borrowed(&files))).await;
    ended.unwrap();
    assert_eq!(done.len(), FILES - 3);
    assert_eq!(applied(&bed).await, FILES);
}

/// One that takes long runs by itself, so it has all the time that it may have.
#[tokio::test]
async fn a_long_one_among_quick_ones() {
    let bed = bed(Kind::Sqlite).await.unwrap();
    let mut files = files(FILES);
    // Some seconds of work at most, and more than a group may last.
    let count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) SELECT count(*) FROM n";
    files[2 * 9]
        .1
        .push_str(&format!("\nCREATE TABLE counted AS {count};"));
    let (done, ended) = up_all(&bed.databases(&borrowed(&files))).await;
    ended.unwrap();
    assert_eq!(done.len(), FILES);
    assert_eq!(applied(&bed).await, FILES);
    assert_eq!(bed.number("SELECT * FROM counted").await, 1_000_000);
}

#[tokio::test]
async fn all_the_way_back() {
    let bed = bed(Kind::Sqlite).await.unwrap();
    let files = files(FILES);
    let databases = bed.databases(&borrowed(&files));
    up_all(&databases).await.1.unwrap();
    let mut done = Vec::new();
    databases
        .migrate_down(&fence(1), &main_db(), Reach::All, &options(), &mut done)
        .await
        .unwrap();
    let ids: Vec<u64> = done.iter().map(|report| report.id.number).collect();
    assert_eq!(ids, (1..=u64::try_from(FILES).unwrap()).rev().collect::<Vec<_>>());
    let lines = databases.status(&main_db()).await.unwrap();
    assert!(lines.iter().all(|line| line.status == MigrationStatus::Pending));
    assert!(!bed.has_table("t1").await);
}

/// The process that is killed; nothing by itself.
#[tokio::test]
async fn the_one_that_is_killed() {
    if let (Ok(url), Ok(looks)) = (std::env::var(URL), std::env::var(LOOKS)) {
        let clock = Arc::new(DeadlyClock(AtomicU32::new(looks.parse().unwrap())));
        let files = Bed::at(url.clone()).files(&borrowed(&files(FILES)));
        let databases =
            MigrateDatabases::new(clock, LockPolicy::default()).with(main_db(), url.parse().unwrap(), files);
        up_all(&databases).await.1.unwrap();
    }
}

/// At each third look at the clock of those that are left: each record of the history looks at it.
#[tokio::test]
async fn kill_9_loses_no_more_than_what_was_not_committed() {
    let bed = bed(Kind::Sqlite).await.unwrap();
    let mut before = 0;
    for looks in (1_usize..).step_by(3) {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "together::the_one_that_is_killed"])
            .env(URL, &bed.url)
            .env(LOOKS, looks.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        let now = applied(&bed).await;
        assert!(now >= before, "{now} are left of {before}");
        before = now;
        if status.success() {
            break;
        }
    }
    assert_eq!(before, FILES);
}
