//! kill -9 between any two statements, again and again until all are done: the end is that of a run nobody touched.
//!
//! A process of its own does the work and kills itself at a chosen look at its clock: every record of the history
//! looks at it, so the choice falls between any two of what is written and run.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::bed::{Bed, Kind, bed, fence, main_db, options};
use cutover_migrate::{LockPolicy, MigrateDatabases, Reach};
use cutover_model::{Span, Timestamp};
use cutover_ports::Clock;

const URL: &str = "CUTOVER_TEST_KILLED_URL";
const LOOKS: &str = "CUTOVER_TEST_KILLED_LOOKS";
const ROWS: &str = "CUTOVER_TEST_KILLED_ROWS";

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

struct DeadlyClock(AtomicU32);

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

async fn migrate(url: &str, looks: u32, rows: bool) {
    let text = file(rows);
    let files =
        Bed::at(url.to_owned()).files(&[("001_all.up.sql", &text), ("001_all.down.sql", "DROP TABLE t0")]);
    let clock = Arc::new(DeadlyClock(AtomicU32::new(looks)));
    let databases =
        MigrateDatabases::new(clock, LockPolicy::default()).with(main_db(), url.parse().unwrap(), files);
    let mut done = Vec::new();
    databases
        .migrate_up(&fence(1), &main_db(), Reach::All, false, &options(), &mut done)
        .await
        .unwrap();
}

/// The process that is killed; nothing by itself.
#[tokio::test]
async fn the_one_that_is_killed() {
    if let (Ok(url), Ok(looks)) = (std::env::var(URL), std::env::var(LOOKS)) {
        let rows = std::env::var(ROWS).unwrap() == "true";
        migrate(&url, looks.parse().unwrap(), rows).await;
    }
}

/// Whether a process came to its end; else it was killed.
fn came_through(url: &str, looks: u32, rows: bool) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::the_one_that_is_killed"])
        .env(URL, url)
        .env(LOOKS, looks.to_string())
        .env(ROWS, rows.to_string())
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
    while !came_through(&bed.url, if done == 30 { u32::MAX } else { looks }, rows) {
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
