//! kill -9 between any two statements, again and again until all are done: the end is that of a run nobody touched.
//!
//! A process of its own does the work and kills itself at a chosen look at its clock: every record of the history
//! looks at it, so the choice falls between any two of what is written and run.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::bed::{Bed, Kind, bed, fence, main_db, options, up_all};
use cutover_migrate::{Direction, LockPolicy, MigrateDatabases, MigrationStatus, Reach};
use cutover_model::{Span, Timestamp};
use cutover_ports::Clock;

const URL: &str = "CUTOVER_TEST_KILLED_URL";
const LOOKS: &str = "CUTOVER_TEST_KILLED_LOOKS";
const ROWS: &str = "CUTOVER_TEST_KILLED_ROWS";
const BACK: &str = "CUTOVER_TEST_KILLED_BACK";

/// 30 statements: tables, columns, indexes, and rows unless only DDL is wanted.
fn file(rows: bool) -> String {
    let mut text = "-- cutover: phase=expand transaction=none\n".to_owned();
    for n in 0..6 {
        let (one, two) = if rows {
            (
                format!("INSERT INTO t{n} (id, a) VALUES (1, {n})"),
                format!("UPDATE t{n} SET a = a + 1, b = coalesce(b, 0) + 10"),
            )
        } else {
            (
                format!("ALTER TABLE t{n} ADD COLUMN c integer"),
                format!("CREATE VIEW v{n} AS SELECT a, b, c FROM t{n}"),
            )
        };
        text.push_str(&format!(
            "CREATE TABLE t{n} (id integer PRIMARY KEY, a integer);
             ALTER TABLE t{n} ADD COLUMN b integer;
             {one};
             CREATE INDEX t{n}_a ON t{n} (a);
             {two};\n"
        ));
    }
    text
}

/// 12 statements that take the one with rows back.
fn down_file() -> String {
    let mut text = "-- cutover: transaction=none\n".to_owned();
    for n in 0..6 {
        text.push_str(&format!("ALTER TABLE t{n} DROP COLUMN b; DROP TABLE t{n};\n"));
    }
    text
}

pub(crate) struct DeadlyClock(pub(crate) AtomicU32);

#[async_trait::async_trait]
impl Clock for DeadlyClock {
    fn now(&self) -> Timestamp {
        if self.0.fetch_sub(1, Ordering::Relaxed) == 1 {
            let own = nix::unistd::Pid::this();
            nix::sys::signal::kill(own, nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        Timestamp::from_second(1_800_000_000).unwrap()
    }
    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.as_duration()).await;
    }
}

fn databases(url: &str, looks: u32, rows: bool) -> MigrateDatabases {
    let (up, down) = (file(rows), down_file());
    let files = Bed::at(url.to_owned()).files(&[("001_all.up.sql", &up), ("001_all.down.sql", &down)]);
    let clock = Arc::new(DeadlyClock(AtomicU32::new(looks)));
    MigrateDatabases::new(clock, LockPolicy::default()).with(main_db(), url.parse().unwrap(), files)
}

async fn take_back(url: &str, looks: u32) {
    let mut done = Vec::new();
    databases(url, looks, true)
        .migrate_down(&fence(1), &main_db(), Reach::All, &options(), &mut done)
        .await
        .unwrap();
}

async fn migrate(url: &str, looks: u32, rows: bool) {
    up_all(&databases(url, looks, rows)).await.1.unwrap();
}

/// The process that is killed; nothing by itself.
#[tokio::test]
async fn the_one_that_is_killed() {
    if let (Ok(url), Ok(looks)) = (std::env::var(URL), std::env::var(LOOKS)) {
        let is = |name: &str| std::env::var(name).unwrap() == "true";
        let looks = looks.parse().unwrap();
        if is(BACK) {
            take_back(&url, looks).await;
        } else {
            migrate(&url, looks, is(ROWS)).await;
        }
    }
}

/// Whether a process came to its end; else it was killed.
fn came_through(url: &str, looks: u32, rows: bool, back: bool) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::the_one_that_is_killed"])
        .env(URL, url)
        .env(LOOKS, looks.to_string())
        .env(ROWS, rows.to_string())
        .env(BACK, back.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(
        status.success() || status.signal() == Some(9),
        "it failed by itself: {status}"
    );
    status.success()
}

async fn outcome(bed: &Bed) -> Vec<i64> {
    let mut out = Vec::new();
    for n in 0..6 {
        out.push(
            bed.number(&format!("SELECT coalesce(sum(a * 1000 + b), -1) FROM t{n}"))
                .await,
        );
    }
    out.push(
        bed.number("SELECT count(*) FROM cutover_history WHERE complete = 1")
            .await,
    );
    out.push(
        bed.number("SELECT count(*) FROM cutover_statements WHERE finished_at IS NOT NULL")
            .await,
    );
    let schema = if bed.url.starts_with("mariadb:") {
        "DATABASE()"
    } else {
        "current_schema()"
    };
    out.push(
        bed.number(&format!(
            "SELECT count(*) FROM information_schema.columns WHERE table_schema = {schema} AND table_name LIKE 't_'"
        ))
        .await,
    );
    out
}

/// Kills each process at its n-th look at the clock, until one comes through.
async fn killed_until_done(kind: Kind, looks: u32, rows: bool) {
    let (Some(calm), Some(bed)) = (bed(kind).await, bed(kind).await) else {
        return;
    };
    migrate(&calm.url, u32::MAX, rows).await;
    let (mut kills, mut done) = (0, 0);
    // The last record of all looks at the clock more than once: with all statements done, one is let through.
    while !came_through(&bed.url, if done == 30 { u32::MAX } else { looks }, rows, false) {
        kills += 1;
        done = bed
            .number("SELECT count(*) FROM cutover_statements WHERE finished_at IS NOT NULL")
            .await;
        assert!(kills < 60, "it makes no way after {done} statements");
    }
    assert!(kills >= 28, "{kills} kills are not one for each boundary");
    assert_eq!(outcome(&bed).await, outcome(&calm).await);
}

/// Its looks: at the intent, at a statement that is recorded as begun, as finished, and at the next that is begun.
#[tokio::test]
async fn mariadb_before_a_statement_is_recorded_as_begun() {
    killed_until_done(Kind::MariaDb, 4, true).await;
}

/// One more: the next has run, and that is not recorded.
#[tokio::test]
async fn mariadb_after_a_statement_ran_and_before_that_is_recorded() {
    killed_until_done(Kind::MariaDb, 5, false).await;
}

/// Its looks: at the intent, and in each statement's own transaction.
#[tokio::test]
async fn postgres_within_a_statements_transaction() {
    killed_until_done(Kind::Postgres, 3, true).await;
}

/// Takes a file back by processes that are killed, each a statement further: meanwhile nobody takes it for applied.
async fn taken_back_until_done(kind: Kind, looks: u32) {
    let Some(bed) = bed(kind).await else { return };
    // By a process of its own: a session of this one would hold the migrators' lock while this waits for the next.
    assert!(came_through(&bed.url, u32::MAX, true, false));
    let finished =
        "SELECT count(*) FROM cutover_statements WHERE direction = 'down' AND finished_at IS NOT NULL";
    let calm = databases(&bed.url, u32::MAX, true);
    let mut kills = 0;
    while !came_through(&bed.url, looks, true, true) {
        kills += 1;
        assert!(kills < 30, "it makes no way");
        let done = usize::try_from(bed.number(finished).await).unwrap();
        let lines = calm.status(&main_db()).await.unwrap();
        let halfway = MigrationStatus::Interrupted {
            direction: Direction::Down,
            done,
            total: Some(12),
        };
        assert_eq!(lines[0].status, halfway);
        let (_, refused) = up_all(&calm).await;
        assert_eq!(refused.unwrap_err().diagnostic.code, "migrate.half-taken-back");
    }
    assert!(kills >= 11, "{kills} kills are not one for each boundary");
    for n in 0..6 {
        assert!(!bed.has_table(&format!("t{n}")).await);
    }
    assert_eq!(bed.number("SELECT count(*) FROM cutover_history").await, 0);
    assert_eq!(bed.number("SELECT count(*) FROM cutover_statements").await, 0);
    assert!(came_through(&bed.url, u32::MAX, true, false));
    assert!(bed.has_table("t5").await);
}

#[tokio::test]
async fn postgres_while_it_is_taken_back() {
    taken_back_until_done(Kind::Postgres, 2).await;
}

#[tokio::test]
async fn sqlite_while_it_is_taken_back() {
    taken_back_until_done(Kind::Sqlite, 2).await;
}

#[tokio::test]
async fn mariadb_while_it_is_taken_back_before_a_statement() {
    taken_back_until_done(Kind::MariaDb, 3).await;
}

#[tokio::test]
async fn mariadb_while_it_is_taken_back_after_a_statement_ran() {
    taken_back_until_done(Kind::MariaDb, 4).await;
}
