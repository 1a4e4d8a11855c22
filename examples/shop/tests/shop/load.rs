//! The load generator, against shops that are well, bad, slow, killed and forgetful.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::migrations::Direct;
use crate::support::postgres::Postgres;
use crate::support::process::Process;
use crate::support::{serve, shared_database, sqlite_url};
use axum::extract::{Path, State};
use axum::{Json, Router, routing::get};
use serde_json::{Value, json};
use shop::load::{FailureReason, Load, LoadOptions, LoadReport};
use tokio::net::TcpListener;

fn options(target: SocketAddr) -> LoadOptions {
    LoadOptions {
        rate: 400,
        timeout: Duration::from_secs(20),
        ..LoadOptions::new(target)
    }
}

/// Polls until the account fulfils `condition`; what is waited for must come in far less than a minute.
async fn until(load: &Load, what: &str, condition: impl Fn(&LoadReport) -> bool) {
    let begun = tokio::time::Instant::now();
    loop {
        let report = load.snapshot();
        assert_eq!(
            report.sent,
            report.ok + report.error_answers + report.failed + report.outstanding
        );
        if condition(&report) {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{what} did not come: {report:#?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn busy(report: &LoadReport) -> bool {
    report.ok > 300 && report.writes_acknowledged > 60
}

#[tokio::test]
async fn a_good_shop_loses_nothing() {
    let (_folder, url) = shared_database().await;
    let server = serve("1.1.0", &url).await;
    let load = Load::start(options(server.address()));
    until(&load, "traffic", busy).await;
    let report = load.stop().await;
    assert_eq!(
        (report.sent, report.outstanding, report.failed),
        (report.ok, 0, 0),
        "{report:#?}"
    );
    assert_eq!(report.answered_by("1.1.0"), report.sent);
    assert_eq!(
        (report.writes_sent, report.wrong_reads),
        (report.writes_acknowledged, 0)
    );
    assert_eq!(
        report.timeline.iter().map(|second| second.sent).sum::<u64>(),
        report.sent
    );
    assert_eq!(report.lost_writes, None);
    assert!(report.latency.p50_ms > 0.0 && report.latency.p50_ms <= report.latency.p99_ms);

    let report = load.verify_writes(server.address()).await.unwrap();
    assert_eq!(report.lost_writes, Some(0), "{:?}", report.lost);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<LoadReport>(&text).unwrap(), report);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn an_upgrade_under_load_loses_nothing_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(folder.path());
    upgrade_under_load(&url, &Direct::open(&url)).await;
}

#[tokio::test]
async fn an_upgrade_under_load_loses_nothing_on_postgresql() {
    let Some(server) = Postgres::start() else {
        return;
    };
    upgrade_under_load(&server.url(), &server.connect().await).await;
}

/// Every migration of 1.1.0 runs while requests do, and for a while both versions write to the same rows' table.
async fn upgrade_under_load(url: &str, direct: &Direct) {
    direct.apply("001_create_users.up.sql").await;
    let old = serve("1.0.0", url).await;
    let on_old = Load::start(LoadOptions {
        rate: 200,
        seed: 1,
        ..options(old.address())
    });
    until(&on_old, "traffic on the old version", busy).await;
    direct.apply("002_full_name.up.sql").await;
    direct.apply("003_backfill_full_name.up.sql").await;
    assert_eq!(direct.disagreements().await, 0);

    let new = serve("1.1.0", url).await;
    let on_new = Load::start(LoadOptions {
        rate: 200,
        seed: 2,
        ..options(new.address())
    });
    until(&on_new, "traffic on the new version", busy).await;
    assert_eq!(direct.disagreements().await, 0);
    well(&on_old.stop().await);
    // The old version's writes as the new one reads them, and the other way about.
    let report = on_old.verify_writes(new.address()).await.unwrap();
    assert_eq!(report.lost_writes, Some(0), "{:?}", report.lost);
    let acknowledged = on_new.snapshot().writes_acknowledged;
    old.stop().await.unwrap();

    direct.apply("004_drop_old_names.up.sql").await;
    until(&on_new, "writes after the contract", |report| {
        report.writes_acknowledged > acknowledged + 20
    })
    .await;
    well(&on_new.stop().await);
    for load in [&on_old, &on_new] {
        let report = load.verify_writes(new.address()).await.unwrap();
        assert_eq!(report.lost_writes, Some(0), "{:?}", report.lost);
    }
    new.stop().await.unwrap();
}

fn well(report: &LoadReport) {
    assert_eq!((report.ok, report.wrong_reads), (report.sent, 0), "{report:#?}");
}

/// What each version writes while the other one writes too is read back through the other one.
#[tokio::test]
async fn two_versions_on_one_database_lose_nothing_of_each_other() {
    let (_folder, url) = shared_database().await;
    let (old, new) = (serve("1.0.0", &url).await, serve("1.1.0", &url).await);
    let (on_old, on_new) = (
        Load::start(LoadOptions {
            rate: 200,
            seed: 1,
            ..options(old.address())
        }),
        Load::start(LoadOptions {
            rate: 200,
            seed: 2,
            ..options(new.address())
        }),
    );
    until(&on_old, "traffic", busy).await;
    until(&on_new, "traffic", busy).await;
    for (load, other) in [(&on_old, &new), (&on_new, &old)] {
        well(&load.stop().await);
        let report = load.verify_writes(other.address()).await.unwrap();
        assert_eq!(report.lost_writes, Some(0), "{:?}", report.lost);
    }
    old.stop().await.unwrap();
    new.stop().await.unwrap();
}

/// PostgreSQL ends every connection of the shop; it opens new ones by itself.
#[tokio::test]
async fn broken_database_connections_are_replaced() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let direct = server.connect().await;
    direct.apply("001_create_users.up.sql").await;
    let shop = serve("1.0.0", &server.url()).await;
    let load = Load::start(options(shop.address()));
    until(&load, "traffic", busy).await;
    let ended = direct
        .count(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'shop'",
        )
        .await;
    assert!(ended > 0);
    let before = load.snapshot();
    until(&load, "answers again", |report| report.ok > before.ok + 200).await;
    let report = load.stop().await;
    // At most what was running and what was taken from the pool before the break was seen.
    assert!(report.error_answers <= 16, "{report:#?}");
    assert_eq!(report.failed, 0);
    assert_eq!(
        load.verify_writes(shop.address()).await.unwrap().lost_writes,
        Some(0)
    );
    shop.stop().await.unwrap();
}

#[tokio::test]
async fn the_errors_of_a_bad_version_are_told_apart_from_failures() {
    let (_folder, url) = shared_database().await;
    let server = serve("1.2.0", &url).await;
    let load = Load::start(options(server.address()));
    until(&load, "error answers", |report| report.error_answers > 50).await;
    let report = load.stop().await;
    let counts = &report.by_version["1.2.0"];
    assert_eq!(
        (counts.ok, counts.error_answers),
        (report.ok, report.error_answers)
    );
    assert_eq!((report.failed, report.unsigned_error_answers), (0, 0));
    assert_eq!(
        (
            report.failed_apart_from("1.2.0"),
            report.failed_apart_from("1.1.0")
        ),
        (0, report.error_answers)
    );
    assert_eq!(report.errors[0].reason, "status 500");
    assert_eq!(report.errors[0].version.as_deref(), Some("1.2.0"));
    assert!(report.writes_in_doubt > 0);
    server.stop().await.unwrap();

    let good = serve("1.1.0", &url).await;
    let report = load.verify_writes(good.address()).await.unwrap();
    assert_eq!(report.lost_writes, Some(0), "{:?}", report.lost);
    good.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_shop_fails_requests_and_loses_no_acknowledged_write() {
    let (_folder, url) = shared_database().await;
    let mut shop = Process::start("1.0.0", &url);
    let load = Load::start(options(shop.address));
    until(&load, "traffic", busy).await;
    shop.kill();
    until(&load, "failures", |report| report.failed > 20).await;
    let report = load.stop().await;
    assert_eq!(report.sent, report.ok + report.failed);
    assert_eq!(report.failed_by_reason.values().sum::<u64>(), report.failed);
    assert!(report.failed_by_reason[&FailureReason::Connect] > 0);
    assert_eq!(report.failures.len() as u64, report.failed.min(100));
    assert!(report.failures[0].at_ms > 0 && !report.failures[0].reason.is_empty());

    let shop = Process::start("1.1.0", &url);
    let report = load.verify_writes(shop.address).await.unwrap();
    assert_eq!(report.lost_writes, Some(0), "{:?}", report.lost);
}

type Memory = Arc<Mutex<HashMap<u64, String>>>;

/// Says yes to every change and forgets it.
async fn forgetful() -> SocketAddr {
    async fn create(State(memory): State<Memory>, Json(draft): Json<Value>) -> Json<Value> {
        let mut memory = memory.lock().unwrap();
        let id = memory.len() as u64 + 1;
        memory.insert(id, draft["name"].as_str().unwrap().to_owned());
        Json(json!({"id": id, "name": draft["name"]}))
    }
    async fn read(State(memory): State<Memory>, Path(id): Path<u64>) -> Json<Value> {
        Json(json!({"id": id, "name": memory.lock().unwrap()[&id]}))
    }
    async fn change(Path(id): Path<u64>, Json(draft): Json<Value>) -> Json<Value> {
        Json(json!({"id": id, "name": draft["name"]}))
    }
    let app = Router::new()
        .route("/api/users", get(async || Json(json!([]))).post(create))
        .route("/api/users/{id}", get(read).put(change))
        .with_state(Memory::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());
    address
}

#[tokio::test]
async fn a_shop_that_forgets_what_it_acknowledged_is_found_out() {
    let address = forgetful().await;
    let load = Load::start(options(address));
    until(&load, "a wrong read", |report| {
        report.wrong_reads > 0 && report.writes_acknowledged > 40
    })
    .await;
    assert_eq!(load.stop().await.failed, 0);
    let report = load.verify_writes(address).await.unwrap();
    assert!(report.lost_writes.unwrap() > 0);
    let lost = &report.lost[0];
    assert!(lost.found.is_some() && lost.found.as_ref() != Some(&lost.acknowledged));
}

/// Nobody is answered, and yet requests keep leaving: that is what open loop means.
#[tokio::test]
async fn a_silent_shop_does_not_slow_the_load_down() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let load = Load::start(LoadOptions {
        timeout: Duration::from_millis(500),
        most_outstanding: 50,
        ..options(address)
    });
    until(&load, "50 outstanding", |report| {
        report.outstanding == 50 && report.overloaded > 0
    })
    .await;
    let report = load.stop().await;
    assert_eq!((report.ok, report.failed), (0, report.sent));
    assert_eq!(report.failed_by_reason[&FailureReason::Timeout], report.failed);
}

/// A 2xx that is not a user is no good answer.
#[tokio::test]
async fn nonsense_counts_as_failed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(async || "It works!");
    tokio::spawn(axum::serve(listener, app).into_future());
    let load = Load::start(options(address));
    until(&load, "failures", |report| report.failed > 20).await;
    let report = load.stop().await;
    assert_eq!(
        (report.ok, report.failed_by_reason[&FailureReason::Unreadable]),
        (0, report.failed)
    );
}
