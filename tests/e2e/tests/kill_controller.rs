//! The controller is killed with SIGKILL at every position of the journal of a real canary upgrade, under load, and another
//! one carries it to the end: no request fails, no write is lost, whatever the position.
//!
//! A debug build of the binary kills itself right after record `CUTOVER_KILL_AT` was written; a release build has no such
//! switch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cutover_e2e::{Spec, Stage, Traffic};

/// Upgrades that run side by side. They mostly wait for probes and pauses, so there are more than cores.
const AT_ONCE: usize = 6;
const RATE: u32 = 60;

fn spec() -> Spec {
    Spec {
        contract: "200ms".to_owned(),
        ..Spec::default()
    }
}

/// How many records the upgrade's journal has when nobody is killed.
fn positions() -> u64 {
    let stage = Stage::new(&spec());
    let _first = stage.run(&["upgrade", "1.0.0", "--yes"]).exits(0);
    let _second = stage.run(&["upgrade", "1.1.0", "--yes"]).exits(0);
    let shown = stage.run(&["history", "show", "--output", "json"]).exits(0);
    u64::try_from(
        shown
            .stdout
            .lines()
            .filter(|line| line.contains("\"seq\""))
            .count(),
    )
    .expect("a count")
}

async fn killed_at(position: u64) {
    let stage = Stage::new(&spec());
    let stage = tokio::task::spawn_blocking(move || {
        let _first = stage.run(&["upgrade", "1.0.0", "--yes"]).exits(0);
        stage
    })
    .await
    .expect("the first deployment");
    let traffic = Traffic::start(stage.address(), RATE);
    let stage = tokio::task::spawn_blocking(move || {
        let killed = stage
            .command(&["upgrade", "1.1.0", "--yes"])
            .env("CUTOVER_KILL_AT", position.to_string())
            .output()
            .expect("cutover runs");
        let killed = cutover_testkit::Ran::from(killed);
        if killed.code == 0 {
            // The journal was shorter this time (fewer looks, fewer waits): there was nothing to kill.
            return stage;
        }
        assert_eq!(
            killed.signal,
            Some(9),
            "position {position}: {}\n{}",
            killed.stdout,
            killed.stderr
        );
        let resumed = stage.run(&["resume", "--yes"]);
        // Killed after its last record, the upgrade is over, and there is nothing to go on with.
        assert!(
            resumed.code == 0 || stage.status()["stable"]["version"] == "1.1.0",
            "position {position}: {resumed:?}"
        );
        stage
    })
    .await
    .expect("the upgrade");
    let report = traffic.end_without_a_loss().await;
    assert!(report.sent > 0);
    let status = stage.status();
    assert_eq!(
        status["stable"]["version"], "1.1.0",
        "position {position}: {status}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_position_of_the_journal_nothing_is_lost() {
    let last = tokio::task::spawn_blocking(positions)
        .await
        .expect("an upgrade that nobody kills");
    assert!(
        last > 20,
        "a canary with a schema change has more than {last} records"
    );
    let next = Arc::new(AtomicU64::new(1));
    let mut lanes = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let next = Arc::clone(&next);
        lanes.spawn(async move {
            loop {
                let position = next.fetch_add(1, Ordering::Relaxed);
                if position > last {
                    return;
                }
                killed_at(position).await;
            }
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane.expect("every position");
    }
}
