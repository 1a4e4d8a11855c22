//! The migrations of 1.1.0, with both versions running: what one writes the other reads, in each direction.

use crate::support::migrations::{Dialect, Direct, folder};
use crate::support::postgres::Postgres;
use crate::support::{http, serve, sqlite_url};
use serde_json::Value;
use shop::Server;

#[tokio::test]
async fn both_versions_share_a_sqlite_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(folder.path());
    let direct = Direct::open(&url);
    upgrade_with_both_versions_running(&url, &direct).await;
}

/// A tool may have switched recursive triggers on; the two directions must not wake each other then either.
#[tokio::test]
async fn the_triggers_do_not_loop_when_recursion_is_on() {
    let folder = tempfile::tempdir().unwrap();
    let direct = Direct::open(&sqlite_url(folder.path()));
    direct.execute("PRAGMA recursive_triggers = ON").await;
    direct.apply("001_create_users.up.sql").await;
    direct.apply("002_full_name.up.sql").await;
    raw_writes(&direct).await;
}

#[tokio::test]
async fn both_versions_share_a_postgresql_database() {
    let Some(server) = Postgres::start() else { return };
    upgrade_with_both_versions_running(&server.url(), &server.connect().await).await;
}

async fn upgrade_with_both_versions_running(url: &str, direct: &Direct) {
    direct.apply("001_create_users.up.sql").await;
    let old = serve("1.0.0", url).await;
    let ada = http::post(old.address(), "Ada Lovelace").await["id"].clone();
    let cher = http::post(old.address(), "Cher").await["id"].clone();
    direct
        .execute("INSERT INTO users (email) VALUES ('nameless@shop.example')")
        .await;
    direct
        .execute("INSERT INTO users (last_name) VALUES ('Prince')")
        .await;

    // Expanded, not backfilled: the old version neither sees nor misses anything, and what it writes is synced.
    direct.apply("002_full_name.up.sql").await;
    http::put(old.address(), &cher, "Cher Sarkisian").await;
    let alan = http::post(old.address(), "Alan Mathison Turing").await["id"].clone();
    assert_eq!(
        direct.disagreements().await,
        2,
        "Ada and Prince wait for the backfill"
    );
    direct.apply("003_backfill_full_name.up.sql").await;
    assert_eq!(direct.disagreements().await, 0);

    let new = serve("1.1.0", url).await;
    assert_eq!(
        names(&old).await,
        [
            "Ada Lovelace",
            "Cher Sarkisian",
            "",
            "Prince",
            "Alan Mathison Turing"
        ]
    );
    assert_eq!(names(&new).await, names(&old).await);

    // New rows from both sides.
    let grace = http::post(new.address(), "Grace Brewster Hopper").await["id"].clone();
    both_see(&old, &new, &grace, "Grace Brewster Hopper").await;
    let edsger = http::post(old.address(), "Edsger Wybe Dijkstra").await["id"].clone();
    both_see(&old, &new, &edsger, "Edsger Wybe Dijkstra").await;

    // The issue's own case: the new version wrote the row, the old one changes it; then the other way about.
    http::put(old.address(), &grace, "Grace Hopper").await;
    both_see(&old, &new, &grace, "Grace Hopper").await;
    http::put(new.address(), &grace, "Rear Admiral Hopper").await;
    both_see(&old, &new, &grace, "Rear Admiral Hopper").await;
    http::put(new.address(), &ada, "Ada King").await;
    both_see(&old, &new, &ada, "Ada King").await;

    // To one word and back, from each side.
    for (first, second) in [(&old, &new), (&new, &old)] {
        http::put(first.address(), &alan, "Turing").await;
        both_see(&old, &new, &alan, "Turing").await;
        http::put(second.address(), &alan, "Alan Turing").await;
        both_see(&old, &new, &alan, "Alan Turing").await;
    }
    // The same value again changes nothing.
    http::put(new.address(), &alan, "Alan Turing").await;
    http::put(old.address(), &alan, "Alan Turing").await;
    both_see(&old, &new, &alan, "Alan Turing").await;

    // After an abort only the old version runs; it changes what the new one wrote. The next attempt sees that.
    new.stop().await.unwrap();
    http::put(old.address(), &grace, "Grace Murray").await;
    let after_abort = http::post(old.address(), "Barbara Liskov").await["id"].clone();
    let new = serve("1.1.0", url).await;
    both_see(&old, &new, &grace, "Grace Murray").await;
    both_see(&old, &new, &after_abort, "Barbara Liskov").await;

    raw_writes(direct).await;

    // Down and up again, as an abort that asks for it does.
    let before = names(&old).await;
    direct.apply("003_backfill_full_name.down.sql").await;
    direct.apply("002_full_name.down.sql").await;
    assert_eq!(names(&old).await, before);
    direct.apply("002_full_name.up.sql").await;
    direct.apply("003_backfill_full_name.up.sql").await;
    assert_eq!(direct.disagreements().await, 0);
    assert_eq!(names(&new).await, before);

    // The contract: nothing changes for the new version, and the old one says it is not ready.
    direct.apply("004_drop_old_names.up.sql").await;
    assert_eq!(names(&new).await, before);
    let vint = http::post(new.address(), "Vint Cerf").await["id"].clone();
    assert_eq!(
        http::put(new.address(), &vint, "Vinton Cerf").await["name"],
        "Vinton Cerf"
    );
    assert_eq!(http::get(new.address(), "/ready").await.status, 200);
    assert_eq!(http::get(old.address(), "/ready").await.status, 503);
    assert_eq!(http::get(old.address(), "/api/users").await.status, 503);
    old.stop().await.unwrap();
    new.stop().await.unwrap();
}

/// What neither version of the shop writes, but other programs might: NULLs and stray spaces, on either side.
async fn raw_writes(direct: &Direct) {
    for (write, first, last, full) in [
        (
            "INSERT INTO users (email, first_name) VALUES ('raw', 'Ada')",
            "Ada",
            "",
            "Ada",
        ),
        (
            "UPDATE users SET last_name = 'King' WHERE email = 'raw'",
            "Ada",
            "King",
            "Ada King",
        ),
        (
            "UPDATE users SET first_name = NULL WHERE email = 'raw'",
            "",
            "King",
            "King",
        ),
        (
            "UPDATE users SET last_name = NULL WHERE email = 'raw'",
            "",
            "",
            "",
        ),
        (
            "UPDATE users SET full_name = 'Ada  King' WHERE email = 'raw'",
            "Ada",
            " King",
            "Ada  King",
        ),
        (
            "UPDATE users SET full_name = NULL WHERE email = 'raw'",
            "",
            "",
            "",
        ),
        (
            "UPDATE users SET full_name = 'Ada' WHERE email = 'raw'",
            "Ada",
            "",
            "Ada",
        ),
        (
            "UPDATE users SET first_name = 'Mary Ann', last_name = 'Evans' WHERE email = 'raw'",
            "Mary Ann",
            "Evans",
            "Mary Ann Evans",
        ),
        (
            "UPDATE users SET full_name = full_name WHERE email = 'raw'",
            "Mary Ann",
            "Evans",
            "Mary Ann Evans",
        ),
        ("UPDATE users SET full_name = '' WHERE email = 'raw'", "", "", ""),
        (
            "UPDATE users SET first_name = '', last_name = '' WHERE email = 'raw'",
            "",
            "",
            "",
        ),
        (
            "DELETE FROM users WHERE email = 'raw'; INSERT INTO users (email, full_name) VALUES ('raw', ' Ada King')",
            "Ada",
            "King",
            "Ada King",
        ),
        (
            "DELETE FROM users WHERE email = 'raw'; INSERT INTO users (email, full_name) VALUES ('raw', NULL)",
            "",
            "",
            "",
        ),
    ] {
        direct.execute(write).await;
        let matching = format!(
            "SELECT count(*) FROM users WHERE email = 'raw' AND coalesce(first_name, '') = '{first}' \
             AND coalesce(last_name, '') = '{last}' AND trim(coalesce(full_name, '')) = '{full}'"
        );
        assert_eq!(direct.count(&matching).await, 1, "after {write}");
        assert_eq!(direct.disagreements().await, 0, "after {write}");
    }
    direct.execute("DELETE FROM users WHERE email = 'raw'").await;
}

async fn names(server: &Server) -> Vec<String> {
    let users = http::get(server.address(), "/api/users?limit=100").await.json();
    users
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn both_see(old: &Server, new: &Server, id: &Value, name: &str) {
    for server in [old, new] {
        let answer = http::get(server.address(), &format!("/api/users/{id}")).await;
        assert_eq!(
            answer.json()["name"],
            name,
            "{:?}",
            answer.header("x-backend-version")
        );
    }
}

/// A release's folder holds all migrations up to it, and a file that was released is never changed.
#[test]
fn a_release_repeats_the_files_of_the_one_before() {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        for (before, after, new) in [("1.0.0", "1.1.0", 5), ("1.1.0", "1.2.0", 0)] {
            let (before, after) = (folder(before, dialect), folder(after, dialect));
            let files = |folder: &std::path::Path| std::fs::read_dir(folder).unwrap().count();
            assert_eq!(files(&after), files(&before) + new, "{}", after.display());
            for file in std::fs::read_dir(&before).unwrap() {
                let file = file.unwrap();
                let copy = after.join(file.file_name());
                assert!(
                    std::fs::read(file.path()).unwrap() == std::fs::read(&copy).unwrap(),
                    "{}",
                    copy.display()
                );
            }
        }
    }
}
