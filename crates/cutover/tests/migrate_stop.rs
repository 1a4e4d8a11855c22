//! `cutover migrate up` that is interrupted in a long statement: the statement ends in the database, and `status` says how
//! far it came.

#![cfg(test)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_postgres::NoTls;

fn cutover(folder: &Path, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command
        .current_dir(folder)
        .env("CUTOVER_STATE", folder.join("state"))
        .arg("migrate")
        .args(words.split_whitespace())
        .args(["--release", "1.0.0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn an_interrupt_cancels_the_statement_and_tells_how_far_it_came() {
    let Some(url) = cutover_testkit::postgres_database().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "cutover.yaml",
        &format!(
            "apiVersion: cutover/v1\napplication: shop\ndatabases:\n  main: {{url: \"{url}\", migrations: \
             \"./migrations\"}}\nservices:\n  api:\n    target: {{process: {{command: [\"/bin/true\"], ports: \
             20000-20001}}}}\n    health: {{path: /ready}}\n"
        ),
    );
    write(
        "migrations/001_a.up.sql",
        "-- cutover: phase=expand\nCREATE TABLE a (x integer)",
    );
    write("migrations/001_a.down.sql", "DROP TABLE a");
    write(
        "migrations/002_slow.up.sql",
        "-- cutover: phase=expand\nCREATE TABLE b (x integer); SELECT pg_sleep(600)",
    );
    write("migrations/002_slow.down.sql", "DROP TABLE b");

    let child = cutover(folder.path(), "up").spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    drop(tokio::spawn(connection));
    let client = &client;
    let sleeping = || async move {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0)
    };
    let begun = || async move { sleeping().await > 0 };
    cutover_testkit::wait_for("the long statement", Duration::from_secs(60), begun).await;
    kill(pid, Signal::SIGINT).unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
        .await
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(1), "{out}\n{err}");
    assert!(out.contains("✓ main  001_a"), "{out}");
    assert!(err.contains("error[migrate.stopped]"), "{err}");
    assert!(err.contains("nothing of 002_slow was applied"), "{err}");
    assert_eq!(sleeping().await, 0, "it runs on in the server");

    let status = cutover(folder.path(), "status").output().unwrap();
    let out = String::from_utf8_lossy(&status.stdout);
    assert!(out.contains("✓ 001_a") && out.contains("+ 002_slow"), "{out}");
}
