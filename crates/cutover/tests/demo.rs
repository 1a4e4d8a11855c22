//! The demo keeps its promise: it is the shortest whole story that the binary can tell.

#![cfg(test)]

use std::process::Command;

fn demo(database: Option<&str>) -> serde_json::Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.args(["demo", "--output", "json", "--rate", "120"]);
    if let Some(url) = database {
        command.env("CUTOVER_DEMO_DATABASE", url);
    }
    let output = command.output().expect("cutover runs");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

fn keeps_its_promise(account: &serde_json::Value) {
    assert_eq!(account["requests"]["failed"], 0, "{account:#}");
    assert!(
        account["requests"]["sent"].as_u64().unwrap() > 1000,
        "{account:#}"
    );
    assert_eq!(account["lost_writes"], 0, "{account:#}");
    let [good, bad] = account["upgrades"].as_array().unwrap().as_slice() else {
        panic!("{account:#}")
    };
    assert_eq!((&good["from"], &good["to"]), (&"1.0.0".into(), &"1.1.0".into()));
    assert_eq!(
        (&good["phase"], &good["verdict"]),
        (&"Succeeded".into(), &"Successful".into()),
        "{good:#}"
    );
    assert_eq!(good["requests_failed"], 0, "{good:#}");
    assert_eq!((&bad["from"], &bad["to"]), (&"1.1.0".into(), &"1.2.0".into()));
    assert_eq!(
        (&bad["phase"], &bad["verdict"]),
        (&"Aborted".into(), &"Failed".into()),
        "{bad:#}"
    );
    assert!(bad["candidate_errors"].as_u64().unwrap() > 0, "{bad:#}");
    // Tens of requests, not thousands.
    let exposed = bad["requests_exposed"].as_u64().unwrap();
    assert!(exposed < 400, "{bad:#}");
    let rule = bad["requests_until_a_rule_looks"].as_u64().unwrap();
    assert!(rule > 0 && exposed < rule, "{bad:#}");
    assert!(bad["switch_ms"].as_u64().is_some() && good["switch_ms"].as_u64().is_some());
}

#[test]
fn on_sqlite() {
    keeps_its_promise(&demo(None));
}

#[test]
fn on_postgresql_which_is_left_empty() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let Some(url) = runtime.block_on(cutover_testkit::postgres_database()) else {
        return;
    };
    keeps_its_promise(&demo(Some(&url)));
    runtime.block_on(async {
        let cutover_db::DatabaseUrl::Postgres(url) = url.parse().unwrap() else {
            panic!("{url}")
        };
        let session = cutover_db::PgSession::connect(&url, "test").await.unwrap();
        let left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
        assert_eq!(session.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
        session
            .batch_execute("CREATE FUNCTION yours() RETURNS int LANGUAGE sql AS 'SELECT 1'")
            .await
            .unwrap();
    });
    // What is somebody's is kept off.
    let refused = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(["demo", "--database", &url])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("error[demo.not-empty]") && said.contains("yours()"),
        "{said}"
    );
    assert!(!said.contains("s3cret"), "{said}");
}
