//! The supervisor, the proxy and an instance are killed with SIGKILL while requests go.

use std::time::Duration;

use cutover_e2e::{Spec, Stage, Traffic};

const RATE: u32 = 120;

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
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while traffic.snapshot().ok < goal {
        assert!(
            tokio::time::Instant::now() < deadline,
            "no answers: {:?}",
            traffic.snapshot().failures
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_supervisor_is_nobodys_loss_and_the_next_upgrade_adopts() {
    let stage = deployed().await;
    let traffic = Traffic::start(stage.address(), RATE);
    until_served(&traffic, 50).await;
    let supervisor = stage.pids(" supervise");
    assert_eq!(supervisor.len(), 1, "one supervisor");
    stage.signal(supervisor[0], "KILL");
    until_served(&traffic, 50).await;
    let stage = tokio::task::spawn_blocking(move || {
        let _up = stage.run(&["upgrade", "1.1.0", "--yes"]).exits(0);
        stage
    })
    .await
    .expect("the upgrade");
    until_served(&traffic, 50).await;
    let report = traffic.end_without_a_loss().await;
    assert!(report.answered_by("1.1.0") > 0);
    drop(stage);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_proxy_is_back_on_its_sockets_within_a_second() {
    let stage = deployed().await;
    let traffic = Traffic::start(stage.address(), RATE);
    until_served(&traffic, 50).await;
    let proxy = stage.pids(" proxy");
    assert_eq!(proxy.len(), 1, "one proxy");
    let before = tokio::time::Instant::now();
    stage.signal(proxy[0], "KILL");
    until_served(&traffic, 100).await;
    let away = before.elapsed();
    let report = traffic.end().await;
    // Open connections are cut with it; nobody is refused, and no acknowledged write is lost.
    assert_eq!(report.error_answers, 0, "{:?}", report.errors);
    assert_eq!(report.lost_writes, Some(0), "{:?}", report.lost);
    assert!(
        report.failures.iter().all(|one| !one.reason.contains("refused")),
        "{:?}",
        report.failures
    );
    // 100 requests take 0.83 s at this rate; the rest is how long it was away.
    assert!(away < Duration::from_secs(3), "{away:?}");
    drop(stage);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_instance_costs_no_read_and_is_started_again() {
    let stage = deployed().await;
    let traffic = Traffic::start(stage.address(), RATE);
    until_served(&traffic, 50).await;
    let instances: Vec<i32> = stage.pids("/shop ");
    assert_eq!(instances.len(), 2, "two instances");
    stage.signal(instances[0], "KILL");
    until_served(&traffic, 150).await;
    let report = traffic.end().await;
    assert_eq!(report.failed, 0, "{:?}", report.failures);
    assert_eq!(report.lost_writes, Some(0), "{:?}", report.lost);
    // A write that was cut with it is reported as 502 and never repeated; everything else is answered well.
    assert!(report.error_answers <= 2, "{:?}", report.errors);
    let again = stage.pids("/shop ");
    assert_eq!(again.len(), 2, "started again");
    assert!(!again.contains(&instances[0]));
}
