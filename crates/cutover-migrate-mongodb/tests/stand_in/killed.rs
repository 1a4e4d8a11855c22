//! kill -9 between any two commands, again and again until all are done: the end is that of a run nobody touched.
//!
//! A process of its own does the work and kills itself at a chosen look at its clock: every record of the history looks at it.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cutover_migrate::LockPolicy;
use cutover_model::{Span, Timestamp};
use cutover_ports::Clock;
use serde_json::Value;

use crate::bed::{Bed, bed, databases_at, up};

const URL: &str = "CUTOVER_TEST_KILLED_URL";
const LOOKS: &str = "CUTOVER_TEST_KILLED_LOOKS";
const COMMANDS: usize = 15;

/// Collections, indexes, documents, updates and names.
fn file() -> String {
    let mut commands = Vec::new();
    for n in 0..3 {
        commands.extend([
            format!(r#"{{"create": "old{n}"}}"#),
            format!(r#"{{"insert": "old{n}", "documents": [{{"_id": 1, "x": 1}}, {{"_id": 2, "x": 2}}]}}"#),
            format!(
                r#"{{"createIndexes": "old{n}", "indexes": [{{"key": {{"x": 1}}, "name": "by_x"}}]}}"#
            ),
            format!(
                r#"{{"update": "old{n}", "updates": [{{"q": {{}}, "u": {{"$set": {{"y": 1}}}}, "multi": true}}]}}"#
            ),
            format!(r#"{{"renameCollection": "old{n}", "to": "new{n}"}}"#),
        ]);
    }
    assert_eq!(commands.len(), COMMANDS);
    format!(
        r#"{{"phase": "contract", "retires": "1.1.0", "commands": [{}]}}"#,
        commands.join(",\n")
    )
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

async fn migrate(url: &str, looks: u32) {
    let text = file();
    let files = [
        ("001_all.up.json", text.as_str()),
        ("001_all.down.json", r#"[{"ping": 1}]"#),
    ];
    let clock = Arc::new(DeadlyClock(AtomicU32::new(looks)));
    up(&databases_at(url, &files, LockPolicy::default(), clock), 1)
        .await
        .unwrap();
}

/// The process that is killed; nothing by itself.
#[tokio::test]
async fn the_one_that_is_killed() {
    if let (Ok(url), Ok(looks)) = (std::env::var(URL), std::env::var(LOOKS)) {
        migrate(&url, looks.parse().unwrap()).await;
    }
}

/// Whether a process came to its end; else it was killed.
fn came_through(url: &str, looks: u32) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::the_one_that_is_killed"])
        .env(URL, url)
        .env(LOOKS, looks.to_string())
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

async fn finished(bed: &Bed) -> usize {
    let recorded = bed.document("cutover_history", "{}").await;
    let commands = recorded["commands"]["up"].as_object();
    let done = |one: &&Value| one["finishedAt"].is_string();
    commands.map_or(0, |commands| commands.values().filter(done).count())
}

async fn outcome(bed: &Bed) -> Vec<String> {
    let mut out = bed.collections().await;
    for n in 0..3 {
        out.push(
            bed.count(&format!("new{n}"), r#"{"y": {"$gt": 0}}"#)
                .await
                .to_string(),
        );
    }
    let recorded = bed.document("cutover_history", "{}").await;
    for field in ["complete", "checksum", "id"] {
        out.push(recorded["record"][field].to_string());
    }
    out.push(
        recorded["log"]
            .as_object()
            .map_or(0, serde_json::Map::len)
            .to_string(),
    );
    out
}

/// Kills each process at its n-th look at the clock, until one comes through.
async fn killed_until_done(looks: u32) {
    let (Some(calm), Some(bed)) = (bed(), bed()) else {
        return;
    };
    migrate(&calm.url(), u32::MAX).await;
    let (mut kills, mut done) = (0, 0);
    // The last record of all looks at the clock more than once: with all commands done, one is let through.
    while !came_through(&bed.url(), if done == COMMANDS { u32::MAX } else { looks }) {
        kills += 1;
        done = finished(&bed).await;
        assert!(kills < 40, "it makes no way after {done} commands");
    }
    assert!(
        kills >= COMMANDS - 2,
        "{kills} kills are not one for each boundary"
    );
    assert_eq!(outcome(&bed).await, outcome(&calm).await);
}

/// Its looks: at the intent, at a command that is recorded as begun, as finished, and at the next that is begun.
#[tokio::test]
async fn before_a_command_is_recorded_as_begun() {
    killed_until_done(4).await;
}

/// One more: the next has run, and that is not recorded.
#[tokio::test]
async fn after_a_command_ran_and_before_that_is_recorded() {
    killed_until_done(5).await;
}
