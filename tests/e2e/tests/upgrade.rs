//! Good and bad upgrades of a real application under load.

use cutover_e2e::{Spec, Stage, Traffic};

/// Enough to notice any gap, and little enough for two cores in a debug build.
const RATE: u32 = 120;

async fn deployed(spec: &Spec) -> Stage {
    let stage = Stage::new(spec);
    let _first = stage.run(&["upgrade", "1.0.0", "--yes"]).exits(0);
    stage
}

async fn loses_nothing(strategy: &str, replicas: u32) {
    let stage = deployed(&Spec {
        strategy: strategy.to_owned(),
        replicas,
        ..Spec::default()
    })
    .await;
    let traffic = Traffic::start(stage.address(), RATE);
    let stage = tokio::task::spawn_blocking(move || {
        let _up = stage.run(&["upgrade", "1.1.0", "--yes"]).exits(0);
        let _back = stage.run(&["rollback", "--yes"]).exits(0);
        stage
    })
    .await
    .expect("the commands");
    let report = traffic.end_without_a_loss().await;
    assert!(
        report.answered_by("1.1.0") > 0,
        "the new version served: {:?}",
        report.by_version.keys()
    );
    let status = stage.status();
    assert_eq!(status["stable"]["version"], "1.0.0", "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_up_and_back_loses_nothing() {
    loses_nothing(&Spec::default().strategy, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blue_green_up_and_back_loses_nothing() {
    loses_nothing("  blueGreen: {scaleDownDelay: 300ms}\n", 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_up_and_back_loses_nothing() {
    loses_nothing("  rolling: {maxSurge: 1, scaleDownDelay: 300ms}\n", 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_release_is_caught_and_taken_back_by_itself() {
    let strategy = "  canary:\n    steps:\n      - setWeight: 20\n      - pause: {duration: 60s}\n    analysis: {template: guard}\n    scaleDownDelay: 1s\n";
    let stage = deployed(&Spec {
        strategy: strategy.to_owned(),
        ..Spec::default()
    })
    .await;
    // 1.2.0 needs 1.1.0's schema, which 1.1.0 brings without waiting a minute.
    let traffic = Traffic::start(stage.address(), RATE);
    let (stage, outcome) = tokio::task::spawn_blocking(move || {
        let outcome = stage.run(&["upgrade", "1.2.0", "--yes"]);
        (stage, outcome)
    })
    .await
    .expect("the command");
    let outcome = outcome.exits(3);
    assert!(
        outcome.stdout.contains("1.2.0") || outcome.stderr.contains("1.2.0"),
        "{outcome:?}"
    );
    let report = traffic.end().await;
    let bad = report
        .by_version
        .get("1.2.0")
        .map_or(0, |counts| counts.error_answers);
    assert!(
        bad > 0,
        "the bad release did answer badly: {:?}",
        report.by_version.keys()
    );
    assert_eq!(
        report.failed_apart_from("1.2.0"),
        0,
        "{:?} {:?}",
        report.failures,
        report.errors
    );
    assert_eq!(report.lost_writes, Some(0), "{:?}", report.lost);
    // Tens of requests, not thousands.
    assert!(
        report.answered_by("1.2.0") < 400,
        "{} requests reached it",
        report.answered_by("1.2.0")
    );
    assert_eq!(stage.status()["stable"]["version"], "1.0.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_change_that_hurts_both_versions_is_seen_on_the_old_one() {
    let strategy = "  canary:\n    steps:\n      - setWeight: 10\n      - pause: {duration: 60s}\n    analysis: {template: guard}\n    scaleDownDelay: 1s\n";
    let spec = Spec {
        strategy: strategy.to_owned(),
        ..Spec::default()
    };
    let stage = deployed(&spec).await;
    let releases = stage.folder().join("releases");
    let migrations = releases.join("1.1.0/migrations/sqlite");
    std::fs::create_dir_all(&migrations).expect("a folder");
    let shop = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/shop/releases/1.1.0/migrations/sqlite"
    );
    for file in std::fs::read_dir(shop).expect("the shop's migrations") {
        let file = file.expect("a file");
        // Not the contract, which comes later and would have to come first.
        if file.file_name().to_string_lossy().starts_with("004") {
            continue;
        }
        std::fs::copy(file.path(), migrations.join(file.file_name())).expect("a copy");
    }
    // No comparison of the versions shows it: from here on nobody can write.
    let up = "-- cutover: phase=expand\nCREATE TRIGGER audit BEFORE INSERT ON users BEGIN SELECT RAISE(ABORT, 'no room'); END;\n";
    std::fs::write(migrations.join("004_audit.up.sql"), up).expect("a migration");
    std::fs::write(migrations.join("004_audit.down.sql"), "DROP TRIGGER audit;\n").expect("its way back");
    stage.respecify(&Spec {
        releases: Some(releases.display().to_string()),
        ..spec
    });
    let traffic = Traffic::start(stage.address(), RATE);
    while traffic.snapshot().ok < 500 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (outcome, _stage) = tokio::task::spawn_blocking(move || {
        let outcome = stage.run(&["upgrade", "1.1.0", "--yes"]);
        assert_eq!(
            stage.status()["stable"]["version"],
            "1.0.0",
            "{}{}",
            outcome.stdout,
            outcome.stderr
        );
        (outcome, stage)
    })
    .await
    .expect("the command");
    let outcome = outcome.exits(3);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.contains("the stable version of api"), "{said}");
    let _report = traffic.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_switch_at_once_a_bad_release_is_told_from_the_time_before() {
    let stage = deployed(&Spec {
        strategy: "  blueGreen: {postPromotionAnalysis: {template: after}, scaleDownDelay: 1s}\n".to_owned(),
        ..Spec::default()
    })
    .await;
    let traffic = Traffic::start(stage.address(), RATE);
    // Something to compare with, before the launch too.
    while traffic.snapshot().ok < 50 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (stage, outcome) = tokio::task::spawn_blocking(move || {
        let outcome = stage.run(&["upgrade", "1.2.0", "--yes"]);
        (stage, outcome)
    })
    .await
    .expect("the command");
    let outcome = outcome.exits(3);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.contains("before it"), "{said}");
    let report = traffic.end().await;
    assert_eq!(
        report.failed_apart_from("1.2.0"),
        0,
        "{:?} {:?}",
        report.failures,
        report.errors
    );
    assert_eq!(stage.status()["stable"]["version"], "1.0.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_down_is_started_again_by_the_same_version() {
    let stage = deployed(&Spec::default()).await;
    let unasked = stage.run(&["down"]).exits(2);
    assert!(
        unasked.stderr.contains("usage.not-confirmed"),
        "{}",
        unasked.stderr
    );
    let _down = stage.run(&["down", "--yes"]).exits(0);
    assert!(
        std::net::TcpStream::connect(stage.address()).is_err(),
        "nobody serves"
    );
    assert_eq!(stage.status()["stable"]["version"], "1.0.0");
    let stage = tokio::task::spawn_blocking(move || {
        let _again = stage.run(&["upgrade", "1.0.0", "--yes"]).exits(0);
        stage
    })
    .await
    .expect("the command");
    let traffic = Traffic::start(stage.address(), RATE);
    while traffic.snapshot().ok < 50 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let _report = traffic.end_without_a_loss().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_former_configuration_of_the_same_version_is_a_way_back() {
    let stage = deployed(&Spec::default()).await;
    stage.respecify(&Spec {
        replicas: 3,
        ..Spec::default()
    });
    let traffic = Traffic::start(stage.address(), RATE);
    let stage = tokio::task::spawn_blocking(move || {
        let _more = stage.run(&["upgrade", "1.0.0", "--yes"]).exits(0);
        assert_eq!(stage.pids("/shop ").len(), 3);
        let _back = stage.run(&["rollback", "--to", "1.0.0", "--yes"]).exits(0);
        stage
    })
    .await
    .expect("the commands");
    let _report = traffic.end_without_a_loss().await;
    assert_eq!(stage.pids("/shop ").len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_is_judged_by_what_the_database_a_command_and_the_instances_say() {
    let good = [
        r#"query: {provider: {sql: {database: main, query: "select count(*) as n from users"}}, successCondition: "result[0].n >= 0"}"#,
        r#"query: {provider: {command: {command: [sh, -c, "echo $CANDIDATE_VERSION"]}}, successCondition: "result.exitCode == 0 && result.output == '1.1.0'"}"#,
        r#"query: {provider: {logs: {pattern: panicked}}, failureCondition: "result.candidate.matching > 0"}"#,
        r#"query: {provider: {resources: {}}, successCondition: "result.candidate.instances >= 1 && result.candidate.cpu < 4 && result.candidate.memoryBytes < 4e9 && result.stable.memoryBytes > 0"}"#,
    ];
    let strategy = "  canary:\n    steps:\n      - setWeight: 50\n      - analysis: {template: guard}\n    scaleDownDelay: 300ms\n";
    let spec = Spec {
        strategy: strategy.to_owned(),
        metrics: format!("[{}]", good.join(", ")),
        ..Spec::default()
    };
    let stage = deployed(&spec).await;
    let traffic = Traffic::start(stage.address(), RATE);
    let stage = tokio::task::spawn_blocking(move || {
        let _up = stage.run(&["upgrade", "1.1.0", "--yes"]).exits(0);
        let _back = stage.run(&["rollback", "--yes"]).exits(0);
        // What only one of them says takes it back, and the report says which.
        let bad = good[0].replace(">= 0", "< 0");
        stage.respecify(&Spec {
            metrics: format!("[{}]", [good[1], &bad].join(", ")),
            ..spec
        });
        let failed = stage.run(&["upgrade", "1.1.0", "--yes"]).exits(3);
        let said = format!("{}{}", failed.stdout, failed.stderr);
        assert!(said.contains("and it should be that result[0].n < 0"), "{said}");
        stage
    })
    .await
    .expect("the commands");
    let report = traffic.end_without_a_loss().await;
    assert!(report.answered_by("1.1.0") > 0, "the new version served");
    assert_eq!(stage.status()["stable"]["version"], "1.0.0");
}
