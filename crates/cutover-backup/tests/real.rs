//! Backups of a real SQLite file and of real servers of PostgreSQL and MariaDB.

#![expect(clippy::unwrap_used, reason = "in a test, a failed unwrap is the failure")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cutover_backup::{DatabaseBackups, Engine, Manifest};
use cutover_db::DatabaseUrl;
use cutover_model::{DatabaseName, Fence, Generation, Span, StoreId, Timestamp, UpgradeId};
use cutover_ports::{Backups, Certainty, Clock};
use mysql_async::prelude::Queryable as _;
use rusqlite::Connection;
use tokio_postgres::NoTls;

/// Each look at it is a second later.
struct TestClock(AtomicI64);

#[async_trait::async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.fetch_add(1, Ordering::Relaxed)).unwrap()
    }
    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.as_duration()).await;
    }
}

struct Bed {
    folder: tempfile::TempDir,
    url: DatabaseUrl,
    text: String,
}

fn main_db() -> DatabaseName {
    "main".parse().unwrap()
}

fn fence(generation: u64) -> Fence {
    Fence {
        store: StoreId::new("store-of-the-test"),
        generation: Generation(generation),
    }
}

impl Bed {
    fn of(text: String) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            url: text.parse().unwrap(),
            text,
        }
    }

    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("sqlite:{}", folder.path().join("app 100%.db").display());
        Self {
            url: text.parse().unwrap(),
            folder,
            text,
        }
    }

    async fn postgres() -> Option<Self> {
        Some(Self::of(cutover_testkit::postgres_database().await?))
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("backups")
    }

    fn backups(&self, keep: u32) -> DatabaseBackups {
        let clock = Arc::new(TestClock(AtomicI64::new(1_800_000_000)));
        DatabaseBackups::new(self.path(), keep, clock).with(main_db(), self.url.clone())
    }

    async fn run(&self, sql: &str) {
        if let DatabaseUrl::Sqlite(url) = &self.url {
            Connection::open(&url.path).unwrap().execute_batch(sql).unwrap();
        } else {
            self.client().await.batch_execute(sql).await.unwrap();
        }
    }

    async fn client(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.text, NoTls).await.unwrap();
        // Ends with the client.
        drop(tokio::spawn(connection));
        client
    }

    async fn number(&self, sql: &str) -> i64 {
        if let DatabaseUrl::Sqlite(url) = &self.url {
            let connection = Connection::open(&url.path).unwrap();
            return connection.query_row(sql, [], |row| row.get(0)).unwrap();
        }
        self.client().await.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn with_rows(self) -> Self {
        self.run("CREATE TABLE users (id integer PRIMARY KEY, name text); INSERT INTO users VALUES (1, 'Ada'), (2, 'Alan');")
            .await;
        self
    }
}

fn flip(path: &std::path::Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

async fn what_was_lost_comes_back(bed: &Bed) {
    let backups = bed.backups(7);
    let upgrade = UpgradeId::new("0193-first");
    let report = backups.create(&fence(1), &main_db(), &upgrade).await.unwrap();
    assert!(report.bytes > 0);
    let again = backups.create(&fence(1), &main_db(), &upgrade).await.unwrap();
    assert_eq!(report, again, "one backup an upgrade");

    let listing = backups.list(None).unwrap();
    assert_eq!((listing.backups.len(), listing.problems.len()), (1, 0));
    let manifest: &Manifest = &listing.backups[0];
    assert_eq!(manifest.upgrade, Some(upgrade));
    for path in [
        PathBuf::from(&report.path),
        bed.path().join(format!("{}.json", manifest.id)),
    ] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read(&path).unwrap();
        let secret = b"s3cret-of-the-test";
        assert!(!text.windows(secret.len()).any(|window| window == secret));
    }
    assert_eq!(
        fs::metadata(bed.path()).unwrap().permissions().mode() & 0o777,
        0o700
    );

    bed.run("UPDATE users SET name = 'gone'; CREATE TABLE more (x integer);")
        .await;
    let restored = backups.restore(&manifest.id, None).await.unwrap();
    let left: &[&str] = match manifest.engine {
        Engine::Sqlite => &[],
        Engine::Postgres => &["public.more"],
        Engine::Mysql => unreachable!("it has tests of its own"),
    };
    assert_eq!(restored.left_over, left);
    let names = "SELECT count(*) FROM users WHERE name IN ('Ada', 'Alan')";
    assert_eq!(bed.number(names).await, 2);
}

async fn a_flipped_byte_is_found_and_nothing_is_restored_from_it(bed: &Bed) {
    let backups = bed.backups(7);
    let made = backups.create_now(&main_db()).await.unwrap();
    backups.verify(&made.id).await.unwrap();
    flip(&bed.path().join(&made.file));
    let error = backups.verify(&made.id).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "backup.damaged");
    bed.run("UPDATE users SET name = 'newer'").await;
    let error = backups.restore(&made.id, None).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "backup.damaged");
    assert_eq!(error.certainty, Certainty::DefinitelyNot);
    assert_eq!(
        bed.number("SELECT count(*) FROM users WHERE name = 'newer'")
            .await,
        2
    );

    fs::remove_file(bed.path().join(&made.file)).unwrap();
    let error = backups.verify(&made.id).await.unwrap_err();
    assert!(error.diagnostic.message.contains("gone"), "{error}");
    for none in ["main-1", "../x", ""] {
        let error = backups.verify(none).await.unwrap_err();
        assert_eq!(error.diagnostic.code, "backup.missing", "{none}");
    }
}

async fn a_damaged_backup_of_this_upgrade_is_made_again(bed: &Bed) {
    let backups = bed.backups(7);
    let upgrade = UpgradeId::new("0193");
    let first = backups.create(&fence(1), &main_db(), &upgrade).await.unwrap();
    flip(std::path::Path::new(&first.path));
    let second = backups.create(&fence(1), &main_db(), &upgrade).await.unwrap();
    assert_ne!(first.path, second.path);
}

async fn the_newest_stay_and_those_of_unfinished_upgrades(bed: &Bed) {
    let backups = bed.backups(2).protecting([UpgradeId::new("unfinished")]);
    for upgrade in ["unfinished", "b", "c", "d"] {
        let id = UpgradeId::new(upgrade);
        backups.create(&fence(1), &main_db(), &id).await.unwrap();
    }
    let listing = backups.list(Some(&main_db())).unwrap();
    let upgrades: Vec<String> = listing
        .backups
        .iter()
        .map(|backup| backup.upgrade.as_ref().unwrap().to_string())
        .collect();
    assert_eq!(upgrades, ["d", "c", "unfinished"]);
    let removed = bed.backups(1).prune(None).unwrap();
    assert_eq!(removed.len(), 2);
    // Two files of one backup are left.
    assert_eq!(fs::read_dir(bed.path()).unwrap().count(), 2);
}

async fn a_replaced_controller_makes_none(bed: &Bed) {
    let backups = bed.backups(7);
    backups
        .create(&fence(5), &main_db(), &UpgradeId::new("new"))
        .await
        .unwrap();
    let error = backups
        .create(&fence(4), &main_db(), &UpgradeId::new("old"))
        .await
        .unwrap_err();
    assert!(error.is_stale());
}

async fn what_an_interrupted_backup_left_goes(bed: &Bed) {
    let backups = bed.backups(7);
    backups.create_now(&main_db()).await.unwrap();
    let left = [
        "main-20200101T000000Z.dump",
        "main-20200101T000000Z.sqlite.partial",
    ];
    let others = ["main-copy-20200101T000000Z.dump", "notes.txt"];
    for name in left.iter().chain(&others) {
        fs::write(bed.path().join(name), "x").unwrap();
    }
    backups.create_now(&main_db()).await.unwrap();
    assert!(left.iter().all(|name| !bed.path().join(name).exists()));
    assert!(others.iter().all(|name| bed.path().join(name).exists()));
    assert_eq!(backups.list(None).unwrap().backups.len(), 2);
}

macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $case() {
                super::$case(&super::Bed::sqlite().with_rows().await).await
            })+
        }
        mod on_postgres {
            $(#[tokio::test] async fn $case() {
                if let Some(bed) = super::Bed::postgres().await {
                    super::$case(&bed.with_rows().await).await
                }
            })+
        }
    };
}

on_both!(
    what_was_lost_comes_back,
    a_flipped_byte_is_found_and_nothing_is_restored_from_it,
    a_damaged_backup_of_this_upgrade_is_made_again,
    the_newest_stay_and_those_of_unfinished_upgrades,
    a_replaced_controller_makes_none,
    what_an_interrupted_backup_left_goes,
);

#[tokio::test]
async fn a_wal_database_with_open_writers_is_copied_and_restored_in_place() {
    let bed = Bed::sqlite();
    bed.run("PRAGMA journal_mode = wal; CREATE TABLE t (x integer); INSERT INTO t VALUES (1);")
        .await;
    let DatabaseUrl::Sqlite(url) = &bed.url else {
        panic!("a file")
    };
    let writer = Connection::open(&url.path).unwrap();
    writer
        .execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)")
        .unwrap();
    let backups = bed.backups(7);
    let made = backups.create_now(&main_db()).await.unwrap();
    assert_eq!(made.rows["t"], 1, "what is not committed is not copied");
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(bed.number("SELECT count(*) FROM t").await, 2);
    backups.restore(&made.id, None).await.unwrap();
    let seen: i64 = writer
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap();
    assert_eq!(seen, 1, "an open connection sees what was restored");
    let files: Vec<_> = fs::read_dir(bed.path()).unwrap().collect();
    assert_eq!(files.len(), 2, "nothing is written beside a backup: {files:?}");
}

#[tokio::test]
async fn a_database_that_does_not_exist_yet_is_an_empty_one() {
    let bed = Bed::sqlite();
    let made = bed.backups(7).create_now(&main_db()).await.unwrap();
    assert!(made.rows.is_empty());
    let DatabaseUrl::Sqlite(url) = &bed.url else {
        panic!("a file")
    };
    assert!(!url.path.exists(), "a backup makes no database");
}

#[tokio::test]
async fn a_newer_manifest_is_a_problem_and_no_backup() {
    let bed = Bed::sqlite().with_rows().await;
    let backups = bed.backups(7);
    let made = backups.create_now(&main_db()).await.unwrap();
    let path = bed.path().join(format!("{}.json", made.id));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    fs::write(bed.path().join("broken.json"), "{").unwrap();
    let listing = backups.list(None).unwrap();
    assert!(listing.backups.is_empty());
    let mut codes: Vec<&str> = listing.problems.iter().map(|found| found.code.as_str()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["backup.damaged", "backup.newer-format"]);
}

#[tokio::test]
async fn a_backup_goes_into_another_database_of_its_kind_only() {
    let bed = Bed::sqlite().with_rows().await;
    let backups = bed.backups(7);
    let made = backups.create_now(&main_db()).await.unwrap();
    assert_eq!(made.engine, Engine::Sqlite);
    let other = Bed::sqlite();
    backups.restore(&made.id, Some(&other.url)).await.unwrap();
    assert_eq!(other.number("SELECT count(*) FROM users").await, 2);
    let server: DatabaseUrl = "postgres://a@127.0.0.1:1/x".parse().unwrap();
    let error = backups.restore(&made.id, Some(&server)).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "backup.other-engine");
}

#[tokio::test]
async fn without_pg_dump_the_next_command_installs_it() {
    let Some(bed) = Bed::postgres().await else {
        return;
    };
    let empty = tempfile::tempdir().unwrap();
    let backups = bed.backups(7).programs(empty.path().to_owned());
    let error = backups.create_now(&main_db()).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "backup.tool-missing");
    assert_eq!(
        error.diagnostic.help.as_deref(),
        Some("apt-get install postgresql-client")
    );
    assert_eq!(fs::read_dir(bed.path()).unwrap().count(), 0, "nothing is left");
}

#[tokio::test]
async fn a_server_that_is_gone_is_told_without_its_password() {
    let bed = Bed::of("postgres://shop:s3cret@127.0.0.1:1/main".to_owned());
    let error = bed.backups(7).create_now(&main_db()).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "db.unreachable");
    assert!(error.transient);
    assert!(!format!("{error:?}").contains("s3cret"));
}

/// A database of MariaDB with two rows, and a session beside.
async fn mariadb() -> Option<(Bed, mysql_async::Conn)> {
    let bed = Bed::of(cutover_testkit::mariadb_database().await?);
    let mut session = cutover_testkit::connect_mariadb(&bed.text).await.unwrap();
    session
        .query_drop("CREATE TABLE users (id integer PRIMARY KEY, name text); INSERT INTO users VALUES (1, 'Ada'), (2, 'Alan')")
        .await
        .unwrap();
    session
        .query_drop(
            "CREATE TRIGGER g BEFORE INSERT ON users FOR EACH ROW BEGIN SET NEW.name = upper(NEW.name); END",
        )
        .await
        .unwrap();
    Some((bed, session))
}

#[tokio::test]
async fn a_mariadb_backup_is_verified_and_restored_with_its_triggers() {
    let Some((bed, mut session)) = mariadb().await else {
        return;
    };
    let backups = bed.backups(3);
    let made = backups.create_now(&main_db()).await.unwrap();
    assert_eq!(made.engine, Engine::Mysql);
    assert!(made.server.starts_with("MariaDB 1"), "{}", made.server);
    let shown = fs::read_to_string(bed.path().join(&made.file)).unwrap();
    assert!(!shown.contains("s3cret-of-the-test") && !made.source.contains("s3cret"));

    session
        .query_drop("DELETE FROM users; CREATE TABLE later (x integer); DROP TRIGGER g")
        .await
        .unwrap();
    let restored = backups.restore(&made.id, None).await.unwrap();
    assert_eq!(restored.left_over.len(), 1);
    assert!(restored.left_over[0].ends_with(".later"), "{restored:?}");
    session
        .query_drop("INSERT INTO users VALUES (3, 'Grace')")
        .await
        .unwrap();
    let names: Vec<String> = session.query("SELECT name FROM users ORDER BY id").await.unwrap();
    assert_eq!(names, ["Ada", "Alan", "GRACE"]);
}

#[tokio::test]
async fn a_mariadb_backup_that_broke_off_is_damaged() {
    let Some((bed, _session)) = mariadb().await else {
        return;
    };
    let backups = bed.backups(3);
    let made = backups.create_now(&main_db()).await.unwrap();
    let data = bed.path().join(&made.file);
    let text = fs::read_to_string(&data).unwrap();
    fs::write(&data, &text[..text.len() - 100]).unwrap();
    let error = backups.verify(&made.id).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "backup.damaged");
}
