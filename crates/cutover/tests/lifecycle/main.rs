//! Commands that a person gives around a running application: gates, aborts, restarts, detached upgrades, one service
//! alone, contracts.

#![cfg(test)]

mod counts;
mod down;
mod elsewhere;
mod files;
mod hooks;
mod runner;
mod stage;

use hooks::Hooks;
use serde_json::Value;
use stage::{GATED, QUICK, Stage};

fn marks(status: &Value) -> Vec<String> {
    let desired = status["desired"].as_object().unwrap();
    desired.keys().cloned().collect()
}

#[test]
fn a_gate_is_left_answered_and_taken_back() {
    let stage = Stage::new(GATED);
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    let left = stage
        .run(&["upgrade", "1.1.0", "--output", "json"])
        .exits(4)
        .json();
    assert_eq!(left["phase"], "WaitingForGate");
    let second = stage.run(&["upgrade", "1.1.0"]).exits(1);
    assert!(
        second.stderr.contains("error[upgrade.in-progress]"),
        "{}",
        second.stderr
    );
    let approve = stage.start(&["approve", "--why", "looks good"]);
    stage.until_phase("Soaking");
    let busy = stage.run(&["upgrade", "1.1.0"]).exits(7);
    assert!(busy.stderr.contains("controller"), "{}", busy.stderr);
    // While the old revision is kept, the way back is an abort of the same upgrade.
    let back = stage.run(&["rollback", "--why", "a feeling"]).exits(0);
    assert!(back.stdout.contains("a feeling"), "{}", back.stdout);
    let approve = approve.wait_with_output().unwrap();
    assert_eq!(approve.status.code(), Some(3));
    let status = stage.status();
    assert_eq!(status["stable"]["version"], "1.0.0");
    assert_eq!(status["upgrade"], Value::Null);
    let story = stage.run(&["history", "show"]).exits(0).stdout;
    assert!(
        story.contains("looks good") && story.contains("a feeling"),
        "{story}"
    );
}

#[test]
fn yes_answers_a_gate() {
    let stage = Stage::new(&GATED.replace("60s", "100ms"));
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    stage.run(&["upgrade", "1.1.0", "--yes"]).exits(0);
    assert_eq!(stage.status()["stable"]["version"], "1.1.0");
}

#[test]
fn a_detached_upgrade_goes_on_and_a_terminated_one_too() {
    let stage =
        Stage::new("canary: {steps: [{setWeight: 50}, {pause: {duration: 1s}}], scaleDownDelay: 100ms}");
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    let detached = stage.run(&["upgrade", "1.1.0", "--detach"]).exits(0);
    assert!(detached.stderr.contains("cutover watch"), "{}", detached.stderr);
    let watched = stage.run(&["watch"]);
    assert!(matches!(watched.code, 0), "{} {}", watched.stdout, watched.stderr);
    stage.until(|status| status["stable"]["version"] == "1.1.0");

    stage.word("second");
    let mut controller = stage.start(&["upgrade", "1.1.0"]);
    stage.until(|status| status["upgrade"]["step"]["stage"] == "pause");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(controller.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(controller.wait().unwrap().code(), Some(4));
    stage.until(|status| status["upgrade"] == Value::Null);
    let heads = stage.run(&["history", "--output", "json"]).exits(0).json();
    assert_eq!(heads[0]["phase"], "Succeeded");
}

#[test]
fn a_changed_secret_is_a_release_and_a_restart_one_too() {
    let stage = Stage::new(QUICK);
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    let nothing = stage.run(&["upgrade", "1.0.0"]).exits(0);
    assert!(nothing.stdout.contains("Nothing to do"), "{}", nothing.stdout);
    let before = marks(&stage.status());
    stage.word("second");
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    let changed = marks(&stage.status());
    assert!(
        changed.iter().all(|mark| !before.contains(mark)),
        "{before:?} {changed:?}"
    );
    stage.run(&["restart", "api"]).exits(0);
    let restarted = marks(&stage.status());
    assert_ne!(restarted[0], changed[0], "api has new instances");
    assert_eq!(restarted[1], changed[1], "web is left alone");
}

#[test]
fn one_service_goes_alone_and_the_other_follows() {
    let stage = Stage::new(QUICK);
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    stage.run(&["upgrade", "1.1.0", "--service", "api"]).exits(0);
    let mixed = marks(&stage.status());
    assert!(
        mixed[0].starts_with("api@1.1.0#") && mixed[1].starts_with("web@1.0.0#"),
        "{mixed:?}"
    );
    stage.run(&["rollback"]).exits(0);
    let back = marks(&stage.status());
    assert!(
        back[0].starts_with("api@1.0.0#") && back[1] == mixed[1],
        "{back:?}"
    );
    stage.run(&["upgrade", "1.1.0"]).exits(0);
    let all = marks(&stage.status());
    assert!(
        all[0].starts_with("api@1.1.0#") && all[1].starts_with("web@1.1.0#"),
        "{all:?}"
    );
}

#[test]
fn a_contract_closes_the_way_back() {
    let stage = Stage::new(QUICK);
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    stage.run(&["upgrade", "1.1.0"]).exits(0);
    let pending = stage.status();
    assert_eq!(pending["pendingContracts"][0]["id"]["name"], "drop_old_names");
    assert!(pending["wayBack"]["to"].is_object(), "{pending:#}");
    stage.run(&["migrate", "contract"]).exits(0);
    let done = stage.status();
    assert_eq!(done["pendingContracts"], Value::Array(Vec::new()));
    assert!(done["wayBack"]["none"].is_object(), "{done:#}");
    let refused = stage.run(&["rollback"]).exits(2);
    assert!(
        refused.stderr.contains("error[plan.retired]"),
        "{}",
        refused.stderr
    );
    let files = stage.run(&["migrate", "status"]).exits(0);
    assert!(
        files.stdout.contains("004_drop_old_names") && !files.stdout.contains("waits"),
        "{}",
        files.stdout
    );
    stage.run(&["migrate", "validate"]).exits(0);
    let backups = stage.run(&["backup", "list", "--output", "json"]).exits(0).json();
    let id = backups[0]["id"].as_str().unwrap().to_owned();
    stage.run(&["backup", "verify", &id]).exits(0);
    let unsaid = stage.run(&["backup", "restore", &id]).exits(2);
    assert!(
        unsaid.stderr.contains("error[usage.not-confirmed]"),
        "{}",
        unsaid.stderr
    );
}

#[test]
fn an_expand_that_must_wait_is_refused_by_validate_and_plan() {
    let stage = Stage::new(QUICK);
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    let shop = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/shop/releases/1.0.0/migrations/sqlite");
    let folder = stage.path().join("next");
    std::fs::create_dir(&folder).unwrap();
    for name in ["001_create_users.up.sql", "001_create_users.down.sql"] {
        std::fs::copy(shop.join(name), folder.join(name)).unwrap();
    }
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("002_drop.down.sql", "SELECT 1;");
    let path = stage.path().join("cutover.yaml");
    let file = std::fs::read_to_string(&path).unwrap();
    let releases = file.lines().find(|line| line.contains("migrations:")).unwrap();
    let here = "  main: {url: \"sqlite:./shop.db\", migrations: \"./next\"}";
    std::fs::write(&path, file.replace(releases, here)).unwrap();
    let both: [&[&str]; 2] = [&["plan", "1.1.0"], &["migrate", "validate", "--release", "1.1.0"]];

    write("002_drop.up.sql", "-- cutover: phase=expand\nDROP TABLE users;");
    for words in both {
        let refused = stage.run(words).exits(5).stderr;
        assert!(refused.contains("error[migrate.breaks-old-version]"), "{refused}");
        assert!(
            refused.contains("expand as declared, contract by this statement"),
            "{refused}"
        );
    }
    let allowed = here.replace(
        '}',
        ", lint: {allow: [{rule: drop-table, reason: nobody reads it}]}}",
    );
    std::fs::write(&path, file.replace(releases, &allowed)).unwrap();
    for words in both {
        stage.run(words).exits(0);
    }
    std::fs::write(&path, file.replace(releases, here)).unwrap();
    write("002_drop.up.sql", "DROP TABLE users;");
    for words in both {
        let refused = stage.run(words).exits(2).stderr;
        assert!(refused.contains("error[migrate.retires-missing]"), "{refused}");
    }
    write("002_drop.up.sql", "ALTER TABLE users ADD COLUMN nick text;");
    for words in both {
        stage.run(words).exits(0);
    }
}

#[test]
fn what_is_to_be_looked_at_after_migrations_is_in_the_report() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(url) = runtime.block_on(cutover_testkit::postgres_database()) else {
        return;
    };
    let stage = Stage::new(QUICK);
    let path = stage.path().join("cutover.yaml");
    let own = format!("sqlite:{}/shop.db", stage.path().display());
    let file = std::fs::read_to_string(&path).unwrap();
    let file = file.replace(&own, &url).replace("sqlite:./shop.db", &url);
    std::fs::write(&path, file.replace("migrations/sqlite", "migrations/postgres")).unwrap();
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let check = "ALTER TABLE users ADD CONSTRAINT named CHECK (first_name <> '') NOT VALID";
        client.batch_execute(check).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    });
    let ran = stage.run(&["upgrade", "1.1.0", "--output", "json"]).exits(0);
    let stages = |stage: &str| -> Vec<String> {
        let report: Value = ran.json();
        let all = report["stages"].as_array().unwrap();
        let own = all.iter().filter(|one| one["stage"] == stage);
        own.map(|one| one["detail"].as_str().unwrap().to_owned())
            .collect()
    };
    // Once, when they have all run.
    let found = "constraint named of users holds for new rows only";
    let [expand, backfill] = [stages("expand"), stages("backfill")].map(|details| details.join("\n"));
    assert!(!expand.contains(found), "{expand}");
    assert_eq!(backfill.matches(found).count(), 1, "{backfill}");
    assert!(backfill.contains("VALIDATE CONSTRAINT named"), "{backfill}");
    let text = stage.run(&["history", "show"]).exits(0).stdout;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(found), "{text}");
}

#[test]
fn an_environment_must_have_succeeded_in_another_first() {
    let stage = Stage::new(QUICK);
    let overlays = "environments:\n  staging: {}\n  production: {requires: {succeededIn: staging}}\n";
    stage.write(QUICK, overlays);
    let refused = stage.run(&["upgrade", "1.0.0"]).exits(2);
    assert!(
        refused.stderr.contains("error[plan.not-succeeded]"),
        "{}",
        refused.stderr
    );
    assert!(stage.pids("supervise").is_empty(), "nothing was started for it");
}

#[test]
fn a_failed_smoke_test_goes_back_by_itself_or_waits_when_told_so() {
    let stage = Stage::new(QUICK);
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    let path = stage.path().join("cutover.yaml");
    let file = std::fs::read_to_string(&path).unwrap();
    let smoke = file.replace("    health:", "    smoke: [{get: /nowhere}]\n    health:");
    std::fs::write(&path, &smoke).unwrap();
    let back = stage.run(&["upgrade", "1.1.0"]).exits(3);
    assert!(back.stdout.contains("/nowhere"), "{}", back.stdout);
    assert_eq!(stage.status()["stable"]["version"], "1.0.0");

    std::fs::write(&path, format!("{smoke}autoRollbackOnFailure: false\n")).unwrap();
    let waits = stage
        .run(&["upgrade", "1.1.0", "--output", "json"])
        .exits(4)
        .json();
    assert_eq!(waits["phase"], "Paused", "{waits:#}");
    let refused = stage.run(&["resume"]).exits(1);
    assert!(
        refused.stderr.contains("upgrade.step-failed"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("cutover retry"), "{}", refused.stderr);
    let aborted = stage.run(&["abort"]).exits(0);
    assert!(aborted.stdout.contains("1.0.0"), "{}", aborted.stdout);
    assert_eq!(stage.status()["upgrade"], Value::Null);
}

/// Webhooks at four points, of which one sends a secret.
fn gates(hooks: &Hooks) -> String {
    let hook = |name: &str, at: &str| {
        format!(
            "    - {{name: {name}, at: {at}, interval: 200ms, url: \"{}\", headers: {{Authorization: \"Bearer ${{file:token}}\"}}}}\n",
            hooks.url(&format!("/{name}"))
        )
    };
    format!(
        "gates:\n  webhooks:\n{}{}{}{}",
        hook("ticket", "confirmRollout"),
        hook("warmup", "preRollout"),
        hook("news", "postRollout"),
        hook("pager", "rollback"),
    )
}

#[test]
fn a_closed_gate_is_left_and_seen_to_open() {
    let stage = Stage::new(QUICK);
    let hooks = Hooks::new();
    std::fs::write(stage.path().join("token"), "hunter2hunter2\n").unwrap();
    stage.write(QUICK, &gates(&hooks));
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    assert_eq!(hooks.got("/ticket").len(), 1);
    hooks.says("/ticket", 403);
    let left = stage
        .run(&["upgrade", "1.1.0", "--output", "json"])
        .exits(4)
        .json();
    assert_eq!(left["phase"], "WaitingForGate", "{left:#}");
    let waiting = stage.status();
    let on = waiting["upgrade"]["waiting"].to_string();
    assert!(
        on.contains("ticket to confirm: status 403: as I said"),
        "{waiting:#}"
    );
    assert_eq!(waiting["stable"]["version"], "1.0.0");
    hooks.says("/ticket", 204);
    stage.until(|status| status["upgrade"] == Value::Null);
    assert_eq!(stage.status()["stable"]["version"], "1.1.0");

    let asked = hooks.got("/ticket");
    let last = asked.last().unwrap();
    assert!(asked.len() > 2, "{asked:?}");
    assert!(
        last.head
            .to_lowercase()
            .contains("authorization: bearer hunter2hunter2"),
        "{last:?}"
    );
    let key = |got: &hooks::Got| {
        let head = got.head.to_lowercase();
        let line = head
            .lines()
            .find(|line| line.starts_with("idempotency-key"))
            .unwrap();
        line.to_owned()
    };
    assert_eq!(
        key(&asked[1]),
        key(last),
        "one question, however often it is asked"
    );
    assert_ne!(key(&asked[0]), key(last));
    assert_eq!(last.body["version"], "1.1.0");
    assert_eq!(last.body["from"], "1.0.0");
    for told in ["/warmup", "/news"] {
        assert_eq!(hooks.got(told).len(), 2, "{told}");
    }
    assert!(hooks.got("/pager").is_empty());
    assert!(story_without_secrets(&stage).contains("204"));
}

/// What is told of the last upgrade; the secret is neither in it nor in what is stored.
fn story_without_secrets(stage: &Stage) -> String {
    let story = stage
        .run(&["history", "show", "--output", "json"])
        .exits(0)
        .stdout;
    assert!(!story.contains("hunter2"), "{story}");
    for entry in std::fs::read_dir(stage.path().join("state")).unwrap().flatten() {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        let found = bytes.windows(7).any(|window| window == b"hunter2");
        assert!(!found, "{:?} holds the secret", entry.path());
    }
    story
}

#[test]
fn a_provider_is_asked_with_a_secret_that_stays_one() {
    let strategy = "blueGreen: {scaleDownDelay: 100ms, prePromotionAnalysis: {template: asked}}";
    let stage = Stage::new(QUICK);
    let hooks = Hooks::new();
    std::fs::write(stage.path().join("token"), "hunter2hunter2\n").unwrap();
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    let analysis = format!(
        "analysis:\n  asked:\n    interval: 100ms\n    minRequests: 0\n    consecutiveErrorLimit: 100\n    metrics:\n      - query:\n          provider:\n            \
         web: {{url: \"{}\", body: '{{\"version\": \"${{candidate.version}}\"}}', path: /data/0, headers: {{Authorization: \"Bearer ${{file:token}}\"}}}}\n          \
         successCondition: result.rate < 0.5\n",
        hooks.url("/query")
    );
    stage.write(strategy, &analysis);
    // It repeats what it was asked with, in an error and then in its answer.
    hooks.says("/query", 503);
    hooks.replies("/query", r#"{"error": "not with Bearer hunter2hunter2"}"#);
    let mut upgrade = stage.start(&["upgrade", "1.1.0"]);
    stage.until(|_| hooks.got("/query").len() > 1);
    hooks.replies("/query", r#"{"data": [{"by": "hunter2hunter2", "rate": 0.25}]}"#);
    hooks.says("/query", 200);
    assert!(upgrade.wait().unwrap().success());
    let last = hooks.got("/query").pop().unwrap();
    assert!(last.head.starts_with("POST "), "{last:?}");
    assert!(
        last.head
            .to_lowercase()
            .contains("authorization: bearer hunter2hunter2")
    );
    assert_eq!(last.body["version"], "1.1.0");
    let story = story_without_secrets(&stage);
    for told in [
        "503 Service Unavailable: not with Bearer ***",
        r#"\"by\":\"***\""#,
    ] {
        assert!(story.contains(told), "{told} is not in {story}");
    }
}

#[test]
fn who_refuses_takes_it_back_and_who_wants_to_hear_of_it_does() {
    let stage = Stage::new(QUICK);
    let hooks = Hooks::new();
    std::fs::write(stage.path().join("token"), "hunter2hunter2\n").unwrap();
    stage.write(QUICK, &gates(&hooks));
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    hooks.says("/warmup", 409);
    hooks.says("/pager", 400);
    let back = stage.run(&["upgrade", "1.1.0"]).exits(3);
    assert!(back.stdout.contains("warmup refused"), "{}", back.stdout);
    let told = hooks.got("/pager");
    assert_eq!(told.len(), 1, "a refusal of what has happened is not sent again");
    let because = told[0].body["because"].as_str().unwrap();
    assert!(
        because.contains("warmup refused (preRollout): status 409"),
        "{because}"
    );
    assert_eq!(stage.status()["stable"]["version"], "1.0.0");
    // A rollback asks nobody and tells that it has happened.
    hooks.says("/warmup", 200);
    stage.run(&["upgrade", "1.1.0"]).exits(0);
    hooks.says("/ticket", 409);
    stage.run(&["rollback"]).exits(0);
    assert_eq!(hooks.got("/pager").len(), 2);
    assert_eq!(hooks.got("/pager")[1].body["kind"], "rollback");
    let refused = stage.run(&["upgrade", "1.1.0"]).exits(1);
    assert!(refused.stdout.contains("ticket refused"), "{}", refused.stdout);
    assert_eq!(hooks.got("/pager").len(), 2, "nothing had changed");
}

#[test]
fn a_closed_window_is_waited_for_refused_or_opened_by_a_person() {
    let stage = Stage::new(QUICK);
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    let frozen = |more: &str| {
        format!(
            "gates: {{window: {{freeze: [{{from: 2000-01-01, to: 2199-12-31, reason: too early}}], eachShift: true{more}}}}}\n"
        )
    };
    stage.write(QUICK, &frozen(", outside: refuse"));
    let refused = stage.run(&["upgrade", "1.1.0"]).exits(1);
    assert!(
        refused.stdout.contains("the window is closed"),
        "{}",
        refused.stdout
    );

    stage.write(QUICK, &frozen(""));
    let left = stage
        .run(&["upgrade", "1.1.0", "--output", "json"])
        .exits(4)
        .json();
    assert_eq!(left["phase"], "WaitingForGate", "{left:#}");
    let waiting = stage.status();
    let on = waiting["upgrade"]["waiting"].to_string();
    assert!(
        on.contains("too early") && on.contains("2200-01-01"),
        "{waiting:#}"
    );
    let of = |stage: &str| {
        let stage = stage.to_owned();
        move |status: &Value| {
            status["upgrade"]["phase"] == "WaitingForGate"
                && status["upgrade"]["step"]["title"].to_string().contains(&stage)
        }
    };
    let approved = stage.run(&["approve", "--why", "it burns"]);
    assert!(!approved.stderr.contains("error["), "{}", approved.stderr);
    // Before the shift it is asked again; an abort is not held up.
    stage.until(|status| {
        status["desired"].as_object().is_some_and(|all| all.len() > 2) && of("window")(status)
    });
    stage.run(&["abort"]).exits(0);
    stage.until(|status| status["upgrade"] == Value::Null);
    assert_eq!(stage.status()["stable"]["version"], "1.0.0");
    let story = stage.run(&["history", "show"]).exits(0).stdout;
    assert!(story.contains("open although it is closed, by "), "{story}");
}

#[test]
fn a_database_whose_state_is_lost_is_taken_over_when_a_person_says_so() {
    let stage = Stage::new(QUICK);
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    stage.run(&["down", "--yes"]).exits(0);
    let down = stage.run(&["status"]).exits(0).stdout;
    assert!(
        down.contains("nothing runs; next: cutover upgrade 1.0.0"),
        "{down}"
    );
    std::fs::rename(stage.path().join("state"), stage.path().join("lost")).unwrap();
    let refused = stage.run(&["upgrade", "1.1.0"]).exits(1).stderr;
    assert!(
        refused.contains("error[fence.foreign-store]") && refused.contains("cutover upgrade 1.1.0 --adopt"),
        "{refused}"
    );
    let unsure = stage.run(&["upgrade", "1.1.0", "--adopt"]).stderr;
    assert!(unsure.contains("error[usage.not-confirmed]"), "{unsure}");
    stage.run(&["upgrade", "1.1.0", "--adopt", "--yes"]).exits(0);
    assert_eq!(stage.status()["stable"]["version"], "1.1.0");
    let former = stage
        .command(&["plan", "1.1.0"])
        .env("CUTOVER_STATE", stage.path().join("lost"))
        .output();
    let shut_out = cutover_testkit::Ran::from(former.unwrap()).exits(1).stderr;
    assert!(shut_out.contains("error[fence.foreign-store]"), "{shut_out}");
}
