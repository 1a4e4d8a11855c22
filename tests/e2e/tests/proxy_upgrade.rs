//! The proxy itself is upgraded while requests go, again and again.

use std::time::Duration;

use cutover_e2e::{Spec, Stage, Traffic};
use cutover_testkit::Ran;

const RATE: u32 = 150;

/// Each costs a second or so. More of them: `CUTOVER_PROXY_UPGRADES=20`.
fn rounds() -> u32 {
    let asked = std::env::var("CUTOVER_PROXY_UPGRADES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(5)
}

async fn deployed() -> Stage {
    tokio::task::spawn_blocking(|| {
        let stage = Stage::new(&Spec::default());
        let _first = stage.run(&["upgrade", "1.0.0", "--yes"]).exits(0);
        stage
    })
    .await
    .expect("the first deployment")
}

/// Until this many more requests were answered: a condition, not a time.
async fn until_served(traffic: &Traffic, more: u64) {
    let goal = traffic.snapshot().ok + more;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while traffic.snapshot().ok < goal {
        assert!(
            tokio::time::Instant::now() < deadline,
            "no answers: {:?}",
            traffic.snapshot()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn run(stage: &std::sync::Arc<Stage>, arguments: &'static [&'static str]) -> Ran {
    let stage = std::sync::Arc::clone(stage);
    tokio::task::spawn_blocking(move || stage.run(arguments))
        .await
        .expect("the command")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrades_of_the_proxy_lose_no_request() {
    let stage = std::sync::Arc::new(deployed().await);
    let traffic = Traffic::start(stage.address(), RATE);
    until_served(&traffic, 50).await;
    let mut last = stage.pids(" proxy run");
    assert_eq!(last.len(), 1, "one proxy");
    for round in 0..rounds() {
        let told = run(&stage, &["proxy", "upgrade", "--output", "json"])
            .await
            .exits(0)
            .json();
        assert_eq!(told["before"]["pid"], last[0], "round {round}: {told:#}");
        let next = i32::try_from(told["after"]["pid"].as_i64().unwrap_or_default()).unwrap_or_default();
        assert!(
            next != last[0] && stage.pids(" proxy run").contains(&next),
            "round {round}"
        );
        assert!(told["table"].as_u64().unwrap_or_default() > 0, "{told:#}");
        until_served(&traffic, 50).await;
        last = vec![next];
    }
    until("those before have ended by themselves", || {
        stage.pids(" proxy run") == last
    })
    .await;
    // The table goes on, too: an upgrade of the application by the newest proxy.
    let _up = run(&stage, &["upgrade", "1.1.0", "--yes"]).await.exits(0);
    until_served(&traffic, 50).await;
    let report = traffic.end_without_a_loss().await;
    assert!(report.answered_by("1.1.0") > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_proxy_that_cannot_serve_changes_nothing() {
    let stage = std::sync::Arc::new(deployed().await);
    let traffic = Traffic::start(stage.address(), RATE);
    until_served(&traffic, 50).await;
    let before = stage.pids(" proxy run");
    let kept: Vec<_> = walk(&stage.state())
        .into_iter()
        .filter(|path| path.ends_with("proxy-table.json"))
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let whole = std::fs::read(&kept[0]).expect("the kept table");
    std::fs::write(&kept[0], "{").expect("a damaged table");
    let failed = run(&stage, &["proxy", "upgrade"]).await.exits(1);
    assert!(
        failed.stderr.contains("error[target.not-replaced]"),
        "{}",
        failed.stderr
    );
    assert!(failed.stderr.contains("proxy.log"), "{}", failed.stderr);
    std::fs::write(&kept[0], whole).expect("the kept table");
    until_served(&traffic, 100).await;
    assert_eq!(stage.pids(" proxy run"), before);
    let said = run(&stage, &["proxy", "upgrade"]).await.exits(0).stdout;
    assert!(said.contains("The proxy is now process"), "{said}");
    until_served(&traffic, 50).await;
    drop(traffic.end_without_a_loss().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_proxy_there_is_nothing_to_upgrade() {
    let stage = std::sync::Arc::new(Stage::new(&Spec::default()));
    let none = run(&stage, &["proxy", "upgrade"]).await.exits(1);
    assert!(
        none.stderr.contains("error[proxy.not-running]"),
        "{}",
        none.stderr
    );
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}
