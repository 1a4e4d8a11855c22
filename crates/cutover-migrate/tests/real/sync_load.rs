//! Sync while clients of both versions write without a pause: begun, taken back and completed, again and again. No
//! statement fails, no acknowledged write is lost, and at every moment that is looked at both sides agree.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cutover_migrate::Reach;
use cutover_testkit::connect_mariadb;
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use rusqlite::Connection;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use crate::bed::{Bed, Kind, bed, fence, main_db, options};

/// Three, or what `CUTOVER_SYNC_ROUNDS` says.
fn rounds() -> usize {
    let asked = std::env::var("CUTOVER_SYNC_ROUNDS").ok();
    asked.and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

const CLIENTS: i64 = 2;
const ROWS: i64 = 400;

fn files(kind: Kind) -> Vec<(&'static str, String)> {
    let key = match kind {
        Kind::Postgres | Kind::MariaDb => "id integer PRIMARY KEY",
        Kind::Sqlite => "id INTEGER PRIMARY KEY",
    };
    let split = match kind {
        Kind::Postgres => "split_part(full_name, ' ', 1), split_part(full_name, ' ', 2)",
        Kind::Sqlite => {
            "substr(full_name, 1, instr(full_name, ' ') - 1), substr(full_name, instr(full_name, ' ') + 1)"
        }
        Kind::MariaDb => "substring_index(full_name, ' ', 1), substring_index(full_name, ' ', -1)",
    };
    let (first, last) = split.split_once("), ").unwrap();
    let back = format!("UPDATE users SET first = {first}), last = {last}");
    let whole = whole(kind);
    let text = |text: &str| text.to_owned();
    vec![
        (
            "001_users.up.sql",
            format!("-- cutover: phase=expand\nCREATE TABLE users ({key}, first text, last text)"),
        ),
        ("001_users.down.sql", text("DROP TABLE users")),
        (
            "002_full.up.sql",
            format!(
                "-- cutover: phase=expand
                 -- cutover: sync table=users old=first,last new=full_name up=\"{whole}\" down=\"{split}\"
                 ALTER TABLE users ADD COLUMN full_name text"
            ),
        ),
        (
            "002_full.down.sql",
            text("ALTER TABLE users DROP COLUMN full_name"),
        ),
        (
            "003_fill.up.sql",
            text(
                "-- cutover: phase=backfill\n-- cutover: backfill table=users key=id batch=100 new=full_name\n",
            ),
        ),
        ("003_fill.down.sql", String::new()),
        (
            "004_drop.up.sql",
            text(
                "-- cutover: phase=contract retires=1.1.0\n-- cutover: end-sync table=users new=full_name
                 ALTER TABLE users DROP COLUMN first; ALTER TABLE users DROP COLUMN last",
            ),
        ),
        (
            "004_drop.down.sql",
            format!(
                "ALTER TABLE users ADD COLUMN first text; ALTER TABLE users ADD COLUMN last text;
                 {back}"
            ),
        ),
    ]
}

/// The new side as the old one tells it.
const fn whole(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres | Kind::Sqlite => "first || ' ' || last",
        Kind::MariaDb => "concat(first, ' ', last)",
    }
}

fn kind_of(url: &str) -> Kind {
    match url.split(':').next() {
        Some("sqlite") => Kind::Sqlite,
        Some("mariadb") => Kind::MariaDb,
        _ => Kind::Postgres,
    }
}

/// A connection of an application; each statement waits for locks as an application would.
enum Line {
    Sqlite(Connection),
    Postgres(Client),
    MariaDb(Box<tokio::sync::Mutex<Conn>>),
}

impl Line {
    async fn open(url: &str) -> Self {
        if url.starts_with("mariadb:") {
            let connection = connect_mariadb(url).await.unwrap();
            return Self::MariaDb(Box::new(tokio::sync::Mutex::new(connection)));
        }
        match url.strip_prefix("sqlite:") {
            Some(path) => {
                let connection = Connection::open(path).unwrap();
                connection.busy_timeout(Duration::from_secs(60)).unwrap();
                Self::Sqlite(connection)
            }
            None => {
                let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
                drop(tokio::spawn(connection));
                Self::Postgres(client)
            }
        }
    }

    async fn run(&self, sql: &str) -> Result<(), String> {
        match self {
            Self::Sqlite(connection) => connection.execute_batch(sql).map_err(|error| error.to_string()),
            Self::Postgres(client) => client
                .batch_execute(sql)
                .await
                .map_err(|error| format!("{error:?}")),
            Self::MariaDb(connection) => {
                let mut connection = connection.lock().await;
                let ran = connection.query_drop(sql).await;
                ran.map_err(|error| error.to_string())
            }
        }
    }

    async fn number(&self, sql: &str) -> i64 {
        match self {
            Self::Sqlite(connection) => connection.query_row(sql, [], |row| row.get(0)).unwrap(),
            Self::Postgres(client) => client.query_one(sql, &[]).await.unwrap().get(0),
            Self::MariaDb(connection) => {
                let mut connection = connection.lock().await;
                connection.query_first(sql).await.unwrap().unwrap()
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Old,
    New,
}

struct Writers {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

/// What clients of one version do: each inserts and updates rows of its own, and reads back by the other side later.
fn writers(url: &str, side: Side, round: usize) -> Writers {
    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let tasks = (0..CLIENTS)
        .map(|client| {
            let (url, stop, written) = (url.to_owned(), Arc::clone(&stop), Arc::clone(&written));
            // SQLite's calls block, and each client waits for the file's lock.
            tokio::task::spawn_blocking(move || {
                tokio::runtime::Handle::current().block_on(write(&url, side, round, client, &stop, &written));
            })
        })
        .collect();
    Writers { stop, written, tasks }
}

/// Rows that a client owns: 1000 apart, so that every row has one writer at a time.
fn own_row(side: Side, client: i64, turn: u64) -> i64 {
    let base = if side == Side::Old { 100_000 } else { 200_000 };
    base + client * 1000 + i64::try_from(turn % 20).unwrap()
}

fn value(side: Side, round: usize, turn: u64) -> (String, String) {
    let who = if side == Side::Old { "o" } else { "n" };
    (format!("{who}{round}"), format!("t{turn}"))
}

async fn write(url: &str, side: Side, round: usize, client: i64, stop: &AtomicBool, written: &AtomicU64) {
    let line = Line::open(url).await;
    let kind = kind_of(url);
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) || turn < 40 {
        let row = own_row(side, client, turn);
        let (first, last) = value(side, round, turn);
        let (given, columns) = match side {
            Side::Old => (format!("'{first}', '{last}'"), &["first", "last"][..]),
            Side::New => (format!("'{first} {last}'"), &["full_name"][..]),
        };
        let (on, from) = match kind {
            Kind::MariaDb => ("ON DUPLICATE KEY UPDATE", "VALUES(@)"),
            Kind::Postgres | Kind::Sqlite => ("ON CONFLICT (id) DO UPDATE SET", "excluded.@"),
        };
        let set: Vec<String> = columns
            .iter()
            .map(|column| format!("{column} = {}", from.replace('@', column)))
            .collect();
        let sql = format!(
            "INSERT INTO users (id, {}) VALUES ({row}, {given}) {on} {}",
            columns.join(", "),
            set.join(", ")
        );
        line.run(&sql).await.unwrap();
        // What is acknowledged is there at once, on this side.
        let seen = match side {
            Side::Old => format!("first = '{first}' AND last = '{last}'"),
            Side::New => format!("full_name = '{first} {last}'"),
        };
        let found = line
            .number(&format!("SELECT count(*) FROM users WHERE id = {row} AND {seen}"))
            .await;
        assert_eq!(found, 1, "an acknowledged write is lost: {sql}");
        turn += 1;
        written.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // The last value of each row, read as the other version reads it.
    for turn in turn - 20..turn {
        let (first, last) = value(side, round, turn);
        let row = own_row(side, client, turn);
        let told = format!("'{first} {last}'");
        let seen = match side {
            Side::Old => format!("{} = {told}", whole(kind)),
            Side::New => format!("full_name = {told}"),
        };
        let found = line
            .number(&format!("SELECT count(*) FROM users WHERE id = {row} AND {seen}"))
            .await;
        assert_eq!(found, 1, "row {row} lost {told}");
    }
}

impl Writers {
    /// Until each client has written so often again.
    async fn go_on(&self, more: u64) {
        let until = self.written.load(Ordering::Relaxed) + more;
        let enough = || async {
            self.written.load(Ordering::Relaxed) >= until || self.tasks.iter().any(JoinHandle::is_finished)
        };
        cutover_testkit::wait_for("clients that write", Duration::from_secs(120), enough).await;
    }

    /// Ends them; a client that failed fails the test.
    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.written.load(Ordering::Relaxed)
    }
}

async fn up(bed: &Bed, files: &[(&str, &str)], reach: Reach, contracts: bool) {
    let mut done = Vec::new();
    bed.patient(files)
        .migrate_up(&fence(1), &main_db(), reach, contracts, &options(), &mut done)
        .await
        .unwrap();
}

async fn down(bed: &Bed, files: &[(&str, &str)], reach: Reach) {
    let mut done = Vec::new();
    bed.patient(files)
        .migrate_down(&fence(1), &main_db(), reach, &options(), &mut done)
        .await
        .unwrap();
}

/// Looks at all rows again and again while writers go on: how many looks, each of which found both sides true.
async fn watch(bed: &Bed, looks: usize) {
    let line = Line::open(&bed.url).await;
    let kind = kind_of(&bed.url);
    let whole = whole(kind);
    let differ = match kind {
        Kind::Sqlite => format!("full_name IS NOT ({whole})"),
        Kind::Postgres => format!("full_name IS DISTINCT FROM ({whole})"),
        Kind::MariaDb => format!("NOT (full_name <=> {whole})"),
    };
    for _ in 0..looks {
        let sql = format!("SELECT count(*) FROM users WHERE {differ}");
        assert_eq!(line.number(&sql).await, 0, "both sides are true to each other");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn under_load(kind: Kind) {
    let Some(bed) = bed(kind).await else { return };
    let files = files(kind);
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    if matches!(kind, Kind::Sqlite) {
        bed.run("PRAGMA journal_mode = WAL").await;
    }
    up(&bed, &files, Reach::To(1), false).await;
    let rows: Vec<String> = (1..=ROWS)
        .map(|row| format!("({row}, 'f{row}', 'l{row}')"))
        .collect();
    bed.run(&format!(
        "INSERT INTO users (id, first, last) VALUES {}",
        rows.join(", ")
    ))
    .await;
    let mut total = 0;
    for round in 0..rounds() {
        // The old version writes through a start and an abort.
        let old = writers(&bed.url, Side::Old, 2 * round);
        old.go_on(20).await;
        up(&bed, &files, Reach::To(3), false).await;
        let new = writers(&bed.url, Side::New, 2 * round);
        watch(&bed, 10).await;
        new.go_on(20).await;
        total += new.end().await;
        down(&bed, &files, Reach::To(1)).await;
        old.go_on(20).await;
        // A rollback after the switch: what the new version wrote last is what the old one reads.
        let sql = format!(
            "SELECT count(*) FROM users WHERE id >= 200000 AND first = 'n{}'",
            2 * round
        );
        assert_eq!(bed.number(&sql).await, CLIENTS * 20);
        total += old.end().await;

        // The new version writes through a completion, and through its taking back.
        up(&bed, &files, Reach::To(3), false).await;
        let old = writers(&bed.url, Side::Old, 2 * round + 1);
        let new = writers(&bed.url, Side::New, 2 * round + 1);
        watch(&bed, 10).await;
        total += old.end().await;
        up(&bed, &files, Reach::All, true).await;
        new.go_on(20).await;
        down(&bed, &files, Reach::Steps(1)).await;
        watch(&bed, 10).await;
        total += new.end().await;
        down(&bed, &files, Reach::To(1)).await;
    }
    let like = match kind {
        Kind::MariaDb => "first = concat('f', id) AND last = concat('l', id)",
        Kind::Postgres | Kind::Sqlite => "first = 'f' || id AND last = 'l' || id",
    };
    let kept = format!("SELECT count(*) FROM users WHERE id <= {ROWS} AND {like}");
    assert_eq!(bed.number(&kept).await, ROWS);
    assert!(total >= rounds() as u64 * 4 * 2 * 40, "{total} writes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_versions_write_through_every_change_on_sqlite() {
    under_load(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_versions_write_through_every_change_on_postgres() {
    under_load(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_versions_write_through_every_change_on_mariadb() {
    under_load(Kind::MariaDb).await;
}
