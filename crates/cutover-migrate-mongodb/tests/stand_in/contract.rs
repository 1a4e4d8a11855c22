//! What every database must do: history, order, checks, the way down, whose it is.

use cutover_migrate::{Act, Direction, MigrationStatus, Reach, Repair};
use cutover_model::{MigrationPhase, StoreId, Version};
use cutover_ports::{Certainty, Databases as _};

use crate::bed::{bed, fence, main_db, note, options, read, up};

const USERS: [(&str, &str); 2] = [
    (
        "001_users.up.json",
        r#"[
  {"create": "users"},
  {"createIndexes": "users", "indexes": [{"key": {"first": 1}, "name": "by_first"}]},
  {"insert": "users", "documents": [
    {"_id": 1, "first": "Ada", "last": "Lovelace"}, {"_id": 2, "first": "Alan", "last": "Turing"}
  ]}
]
"#,
    ),
    ("001_users.down.json", r#"[{"drop": "users"}]"#),
];
const FILL: [(&str, &str); 2] = [
    (
        "002_fill.up.json",
        r#"{
  "about": "Everybody has a nickname",
  "phase": "backfill",
  "precheck": {"count": "users", "query": {"first": null}},
  "verify": {"count": "users", "query": {"nick": null}},
  "commands": [
    {"update": "users", "updates": [{"q": {"nick": null}, "u": {"$set": {"nick": "${nick}"}}, "multi": true}]}
  ]
}"#,
    ),
    (
        "002_fill.down.json",
        r#"[{"update": "users", "updates": [{"q": {}, "u": {"$unset": {"nick": ""}}, "multi": true}]}]"#,
    ),
];
const DROP: [(&str, &str); 1] = [(
    "003_drop.up.json",
    r#"{
  "phase": "contract", "retires": "1.1.0", "irreversible": "the names are gone",
  "commands": [
    {"update": "users", "updates": [{"q": {}, "u": {"$unset": {"first": "", "last": ""}}, "multi": true}]}
  ]
}"#,
)];

fn all() -> Vec<(&'static str, &'static str)> {
    [&USERS[..], &FILL, &DROP].concat()
}

fn placeholders() -> std::collections::BTreeMap<String, String> {
    [("nick".to_owned(), "the \"one\"".to_owned())].into()
}

#[tokio::test]
async fn everything_runs_once_in_order_and_is_recorded() {
    let Some(bed) = bed() else { return };
    let databases = bed
        .databases(&all())
        .with_placeholders(&main_db(), placeholders());
    let state = databases.observe(&main_db()).await.unwrap();
    assert!(
        state.applied.is_empty() && state.server.starts_with("MongoDB 7"),
        "{state:?}"
    );
    assert!(bed.collections().await.is_empty(), "observing writes nothing");

    let done = up(&databases, 3).await.unwrap();
    let ran: Vec<_> = done.iter().map(|one| (one.id.to_string(), one.rows)).collect();
    assert_eq!(
        ran,
        [
            ("001_users".to_owned(), Some(2)),
            ("002_fill".to_owned(), Some(2)),
            ("003_drop".to_owned(), Some(2))
        ]
    );
    let ada = bed.document("users", r#"{"_id": 1}"#).await;
    assert_eq!(ada["nick"], "the \"one\"");
    assert!(ada["first"].is_null());
    assert!(up(&databases, 3).await.unwrap().is_empty());

    let state = databases.observe(&main_db()).await.unwrap();
    assert_eq!(state.applied.len(), 3);
    assert_eq!(state.applied[0].phase, MigrationPhase::Expand);
    assert!(state.applied.iter().all(|one| one.complete));
    assert_eq!(state.retired_below, Some(Version::new(1, 1, 0)));
    assert!(databases.check(&main_db()).await.is_empty());
    let lines = databases.status(&main_db()).await.unwrap();
    assert!(lines.iter().all(|line| line.status == MigrationStatus::Applied));
    assert_eq!(lines[1].summary.as_deref(), Some("Everybody has a nickname"));
    let log = databases.log(&main_db()).await.unwrap();
    let acts: Vec<_> = log.iter().map(|entry| (entry.id.number, entry.act)).collect();
    assert_eq!(acts, [(1, Act::Up), (2, Act::Up), (3, Act::Up)]);
    assert_eq!(
        (log[0].by.as_str(), &log[0].release),
        ("tester", &Some(Version::new(1, 1, 0)))
    );

    let recorded = bed.document("cutover_history", r#"{"_id": "001_users"}"#).await;
    let commands = recorded["commands"]["up"].as_object().unwrap();
    assert_eq!(commands.len(), 3);
    assert!(
        commands
            .values()
            .all(|one| one["finishedAt"].is_string() && one["tookMs"].is_number())
    );
    let meta = bed.document("cutover_meta", r#"{"_id": "cutover"}"#).await;
    assert_eq!(
        (&meta["generation"], &meta["heldBy"]),
        (&3.into(), &serde_json::Value::Null)
    );
}

#[tokio::test]
async fn what_would_run_is_shown_for_the_shell() {
    let Some(bed) = bed() else { return };
    let rename = [
        (
            "001_a.up.json",
            r#"{"phase": "contract", "retires": "2.0.0", "commands": [{"renameCollection": "a", "to": "b"},
            {"delete": "b", "deletes": [{"q": {"at": {"$date": "2020-01-01T00:00:00Z"}}, "limit": 0}]}]}"#,
        ),
        ("001_a.down.json", r#"[{"renameCollection": "b", "to": "a"}]"#),
    ];
    let databases = bed.databases(&rename);
    let text = databases
        .sql(&main_db(), Direction::Up, Reach::All, true)
        .await
        .unwrap();
    assert!(
        text.starts_with("// 001_a.up.json (contract, command by command)\n"),
        "{text}"
    );
    assert!(
        text.contains("db.adminCommand({\"renameCollection\": \"a\", \"to\": \"b\"});\n"),
        "{text}"
    );
    assert!(
        text.contains("db.runCommand(EJSON.deserialize({\"delete\""),
        "{text}"
    );
    assert!(bed.collections().await.is_empty());
}

#[tokio::test]
async fn a_way_down_and_up_again() {
    let Some(bed) = bed() else { return };
    let files = [&USERS[..], &FILL].concat();
    let databases = bed
        .databases(&files)
        .with_placeholders(&main_db(), placeholders());
    up(&databases, 1).await.unwrap();
    let done = bed.down(&files, Reach::Steps(1)).await.unwrap();
    assert_eq!(done[0].id.to_string(), "002_fill");
    assert_eq!(bed.count("users", r#"{"nick": null}"#).await, 2);
    bed.down(&files, Reach::All).await.unwrap();
    assert_eq!(bed.collections().await, ["cutover_history", "cutover_meta"]);
    assert!(databases.observe(&main_db()).await.unwrap().applied.is_empty());
    up(&databases, 1).await.unwrap();
    assert_eq!(bed.count("users", "{}").await, 2);
    let log = databases.log(&main_db()).await.unwrap();
    let acts: Vec<_> = log.iter().map(|entry| (entry.id.number, entry.act)).collect();
    let expected = [
        (1, Act::Up),
        (2, Act::Up),
        (2, Act::Down),
        (1, Act::Down),
        (1, Act::Up),
        (2, Act::Up),
    ];
    assert_eq!(acts, expected);
    let error = bed.down(&all(), Reach::To(9)).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.unknown-number");
}

#[tokio::test]
async fn a_command_that_fails_is_named_and_the_file_resumes_after_those_before() {
    let Some(bed) = bed() else { return };
    let files = [
        (
            "001_a.up.json",
            "{\"phase\": \"expand\", \"commands\": [\n  {\"create\": \"a\"},\n  {\"insert\": \"a\", \"documents\": [{\"_id\": 1}]},\n  {\"insert\": \"b\", \"documents\": [{\"_id\": 7, \"x\": 1}, {\"_id\": 8}]},\n  {\"create\": \"c\"}\n]}",
        ),
        (
            "001_a.down.json",
            r#"[{"drop": "a"}, {"drop": "b"}, {"drop": "c"}]"#,
        ),
    ];
    // Somebody else's document is in the way of the third.
    bed.run(r#"{"insert": "b", "documents": [{"_id": 7, "x": 0}]}"#)
        .await;
    let error = bed.up(&files).await.unwrap_err();
    let found = &error.diagnostic;
    assert_eq!(
        (found.code.as_str(), error.certainty),
        ("migrate.statement-failed", Certainty::Unknown)
    );
    assert!(found.message.contains("write 1 of it"), "{found}");
    assert_eq!(found.location.as_ref().unwrap().line, 4);
    assert!(note(found, "state").starts_with("2 of 4 statements of 001_a are applied"));
    let databases = bed.databases(&files);
    let lines = databases.status(&main_db()).await.unwrap();
    assert!(matches!(
        lines[0].status,
        MigrationStatus::Interrupted { done: 2, .. }
    ));

    bed.run(r#"{"delete": "b", "deletes": [{"q": {"_id": 7}, "limit": 1}]}"#)
        .await;
    let done = bed.up(&files).await.unwrap();
    assert_eq!(done[0].rows, Some(2), "only what was left ran");
    assert_eq!(bed.count("b", r#"{"x": 1}"#).await, 1);

    // One that fails at its first command leaves no trace.
    let bad = [
        files[0],
        files[1],
        (
            "002_b.up.json",
            r#"{"phase": "expand", "commands": [{"insert": "b", "documents": [{"_id": 7}]}]}"#,
        ),
        ("002_b.down.json", r#"[{"drop": "b"}]"#),
    ];
    let error = bed.up(&bad).await.unwrap_err();
    assert_eq!(error.certainty, Certainty::DefinitelyNot);
    assert_eq!(
        bed.databases(&bad)
            .observe(&main_db())
            .await
            .unwrap()
            .applied
            .len(),
        1
    );
}

#[tokio::test]
async fn a_part_that_cannot_be_run_twice_is_a_persons_to_say() {
    let Some(bed) = bed() else { return };
    bed.run(r#"{"createIndexes": "a", "indexes": [{"key": {"x": 1}, "name": "x", "unique": true}]}"#)
        .await;
    let files = [
        (
            "001_a.up.json",
            r#"{"phase": "backfill", "verify": {"count": "a", "query": {"y": 1}}, "commands": [
                {"insert": "a", "documents": [{"x": 1}, {"x": 2}, {"x": 1}]}]}"#,
        ),
        (
            "001_a.down.json",
            r#"[{"delete": "a", "deletes": [{"q": {}, "limit": 0}]}]"#,
        ),
    ];
    // The first two documents are written before the third fails.
    for _ in 0..2 {
        let error = bed.up(&files).await.unwrap_err();
        assert_eq!(error.diagnostic.code, "migrate.in-doubt", "{error}");
        assert_eq!(error.certainty, Certainty::Unknown);
        assert!(error.diagnostic.location.is_some());
    }
    assert_eq!(bed.count("a", "{}").await, 2);
    let databases = bed.databases(&files);
    let id = read(&files).unwrap()[0].migration.id.clone();
    databases
        .repair(&fence(1), &main_db(), &id, Repair::Applied, &options())
        .await
        .unwrap();
    assert!(bed.up(&files).await.unwrap().is_empty());
    let log = databases.log(&main_db()).await.unwrap();
    assert_eq!(log.last().unwrap().act, Act::Repair);
    databases
        .repair(&fence(1), &main_db(), &id, Repair::NotApplied, &options())
        .await
        .unwrap();
    assert!(databases.observe(&main_db()).await.unwrap().applied.is_empty());
}

#[tokio::test]
async fn prechecks_and_verify_queries_are_asked() {
    let Some(bed) = bed() else { return };
    up(&bed.databases(&USERS), 1).await.unwrap();
    let never = |kind: &str| {
        format!(
            r#"{{"phase": "backfill", "{kind}": {{"aggregate": "users", "pipeline": [{{"$match": {{"first": "Ada"}}}}, {{"$count": "n"}}], "cursor": {{}}}},
            "commands": [{{"update": "users", "updates": [{{"q": {{}}, "u": {{"$set": {{"x": 1}}}}, "multi": true}}]}}]}}"#
        )
    };
    let down = ("002_x.down.json", r#"[{"ping": 1}]"#);
    let (precheck, verify) = (never("precheck"), never("verify"));
    let files = [USERS[0], USERS[1], ("002_x.up.json", precheck.as_str()), down];
    let error = bed.up(&files).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.precheck-failed");
    assert_eq!(bed.count("users", r#"{"x": 1}"#).await, 0);
    let files = [USERS[0], USERS[1], ("002_x.up.json", verify.as_str()), down];
    let error = bed.up(&files).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.verify-failed");
    let lines = bed.databases(&files).status(&main_db()).await.unwrap();
    assert!(matches!(
        lines[1].status,
        MigrationStatus::Interrupted { done: 1, .. }
    ));
    // Mended, it goes on.
    bed.run(
        r#"{"update": "users", "updates": [{"q": {"first": "Ada"}, "u": {"$set": {"first": "Augusta"}}}]}"#,
    )
    .await;
    bed.up(&files).await.unwrap();

    let wrong = verify.replace(r#"{"$count": "n"}"#, r#"{"$project": {"first": 1, "last": 1}}"#);
    let wrong = wrong.replace("Ada", "Augusta");
    let files = [
        USERS[0],
        USERS[1],
        files[2],
        down,
        ("003_y.up.json", wrong.as_str()),
        ("003_y.down.json", down.1),
    ];
    let error = bed.up(&files).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.verify-invalid");
}

#[tokio::test]
async fn a_changed_file_and_one_that_comes_late_are_refused() {
    let Some(bed) = bed() else { return };
    let third = [
        ("003_c.up.json", r#"[{"create": "c"}]"#),
        ("003_c.down.json", r#"[{"drop": "c"}]"#),
    ];
    let second = [
        ("002_b.up.json", r#"[{"create": "b"}]"#),
        ("002_b.down.json", r#"[{"drop": "b"}]"#),
    ];
    let timestamps: Vec<_> = [&USERS[..], &third].concat();
    // A gap is found before anything is asked.
    assert_eq!(read(&timestamps).unwrap_err()[0].code, "migrate.gap");
    bed.up(&[&USERS[..], &second].concat()).await.unwrap();
    let spaced = USERS[0].1.replace(": ", " :  ").replace('\n', "\r\n");
    let same = [
        ("001_users.up.json", spaced.as_str()),
        USERS[1],
        second[0],
        second[1],
    ];
    assert!(
        bed.up(&same).await.unwrap().is_empty(),
        "white space is no change"
    );
    let changed = USERS[0].1.replace("Ada", "Augusta");
    let files = [
        ("001_users.up.json", changed.as_str()),
        USERS[1],
        second[0],
        second[1],
    ];
    let error = bed.up(&files).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.changed");
    let databases = bed.databases(&files);
    let lines = databases.status(&main_db()).await.unwrap();
    assert_eq!(lines[0].status, MigrationStatus::Changed);
    let id = read(&files).unwrap()[0].migration.id.clone();
    databases
        .repair(&fence(1), &main_db(), &id, Repair::Checksum, &options())
        .await
        .unwrap();
    assert!(bed.up(&files).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_older_generation_and_another_store_are_refused() {
    let Some(bed) = bed() else { return };
    let databases = bed.databases(&USERS);
    up(&databases, 5).await.unwrap();
    let version = Version::new(9, 0, 0);
    let mut other = fence(9);
    other.store = StoreId::new("another");
    for own in [fence(4), other.clone()] {
        let refused = databases.retire_below(&own, &main_db(), &version).await;
        assert!(refused.unwrap_err().is_stale());
    }
    assert_eq!(databases.observe(&main_db()).await.unwrap().retired_below, None);
    databases.adopt(&other, &main_db()).await.unwrap();
    databases
        .retire_below(&other, &main_db(), &version)
        .await
        .unwrap();
    assert!(
        databases
            .retire_below(&fence(99), &main_db(), &version)
            .await
            .unwrap_err()
            .is_stale()
    );
}

#[tokio::test]
async fn a_baseline_is_recorded_and_not_run() {
    let Some(bed) = bed() else { return };
    let databases = bed.databases(&USERS);
    assert_eq!(
        databases
            .baseline(&fence(1), &main_db(), 1, &options())
            .await
            .unwrap(),
        1
    );
    assert!(up(&databases, 1).await.unwrap().is_empty());
    assert_eq!(bed.collections().await, ["cutover_history", "cutover_meta"]);
    let again = databases
        .baseline(&fence(1), &main_db(), 1, &options())
        .await
        .unwrap_err();
    assert_eq!(again.diagnostic.code, "migrate.history-not-empty");
}

#[tokio::test]
async fn a_backfill_that_is_reopened_runs_all_its_commands_again() {
    let Some(bed) = bed() else { return };
    let files = [&USERS[..], &FILL].concat();
    let databases = bed
        .databases(&files)
        .with_placeholders(&main_db(), placeholders());
    up(&databases, 1).await.unwrap();
    bed.run(r#"{"insert": "users", "documents": [{"_id": 3, "first": "Grace"}]}"#)
        .await;
    let migration = read(&files).unwrap()[1].migration.clone();
    databases.reopen(&fence(1), &migration).await.unwrap();
    let lines = databases.status(&main_db()).await.unwrap();
    assert!(matches!(lines[1].status, MigrationStatus::Reopened { .. }));
    assert_eq!(up(&databases, 1).await.unwrap()[0].rows, Some(1));
    assert_eq!(bed.count("users", r#"{"nick": null}"#).await, 0);
}

#[tokio::test]
async fn twenty_migrators_at_once_apply_each_file_once() {
    let Some(bed) = bed() else { return };
    let files = [
        (
            "001_a.up.json",
            r#"{"phase": "expand", "commands": [{"create": "a"}, {"insert": "a", "documents": [{"x": 1}]}]}"#,
        ),
        ("001_a.down.json", r#"[{"drop": "a"}]"#),
        (
            "002_b.up.json",
            r#"{"phase": "expand", "commands": [{"insert": "a", "documents": [{"x": 2}]}]}"#,
        ),
        ("002_b.down.json", r#"[{"ping": 1}]"#),
    ];
    let migrators: Vec<_> = (0..20)
        .map(|_| {
            let databases = bed.patient(&files);
            tokio::spawn(async move { up(&databases, 1).await })
        })
        .collect();
    let mut ran = 0;
    for one in migrators {
        ran += one
            .await
            .unwrap()
            .unwrap()
            .iter()
            .filter(|report| !report.already)
            .count();
    }
    assert_eq!(ran, 2);
    assert_eq!(bed.count("a", "{}").await, 2);
    let log = bed.databases(&files).log(&main_db()).await.unwrap();
    assert_eq!(log.len(), 2);
}

#[tokio::test]
async fn a_turn_that_is_held_is_waited_for_and_one_that_is_not_renewed_is_taken() {
    let Some(bed) = bed() else { return };
    let lease = |until: &str, generation: u64| {
        format!(
            r#"{{"update": "cutover_meta", "updates": [{{"q": {{"_id": "cutover"}}, "upsert": true, "u": {{"$set": {{
                "turns": 7, "heldBy": {{"turn": 7, "until": "{until}", "owner": {{
                    "store": "store-of-the-test", "generation": {generation}, "since": "2026-01-01T00:00:00Z",
                    "process": {{"host": "elsewhere", "boot": "b", "pid": 4711, "started": 1}}}}}}}}}}}}]}}"#
        )
    };
    bed.run(&lease("2999-01-01T00:00:00Z", 5)).await;
    let databases = bed.databases(&USERS);
    let error = up(&databases, 5).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.locked");
    assert!(error.transient);
    assert!(
        note(&error.diagnostic, "held by").contains("pid 4711"),
        "{}",
        error.diagnostic
    );
    // Its controller was replaced.
    up(&databases, 6).await.unwrap();
    let meta = bed.document("cutover_meta", "{}").await;
    assert!(meta["turns"].as_i64().unwrap() > 7);
    // It was not heard of.
    bed.run(&lease("2020-01-01T00:00:00Z", 6)).await;
    bed.down(&USERS, Reach::All).await.unwrap_err();
    databases.adopt(&fence(6), &main_db()).await.unwrap();
}

#[tokio::test]
async fn who_lost_the_turn_writes_nothing_more() {
    let Some(bed) = bed() else { return };
    // Its own file takes the turn from it, as a migrator elsewhere would.
    let files = [
        (
            "001_a.up.json",
            r#"{"phase": "expand", "commands": [{"create": "a"},
            {"update": "cutover_meta", "updates": [{"q": {"_id": "cutover"}, "u": {"$set": {"turns": 90, "heldBy.turn": 90}}}]},
            {"create": "b"}]}"#,
        ),
        ("001_a.down.json", r#"[{"drop": "a"}, {"drop": "b"}]"#),
    ];
    let error = bed.up(&files).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.lease-lost");
    assert_eq!(error.certainty, Certainty::Unknown);
    assert!(!bed.collections().await.contains(&"b".to_owned()));
    let recorded = bed.document("cutover_history", "{}").await;
    assert!(recorded["commands"]["up"]["1"]["finishedAt"].is_null());
}

#[tokio::test]
async fn without_its_driver_it_is_refused() {
    let url = "mongodb://127.0.0.1:1/shop";
    let databases = cutover_migrate::MigrateDatabases::new(
        std::sync::Arc::new(crate::bed::TestClock),
        cutover_migrate::LockPolicy::default(),
    )
    .with(main_db(), url.parse().unwrap(), read(&USERS).unwrap());
    let error = databases.observe(&main_db()).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "db.no-driver");
    assert!(error.diagnostic.help.unwrap().contains("--features full"));
}

#[tokio::test]
async fn an_address_where_nobody_is() {
    for (url, code) in [
        (
            "mongodb://127.0.0.1:1/shop?serverSelectionTimeoutMS=200",
            "db.unreachable",
        ),
        ("mongodb://a:s3cret@127.0.0.1:1/shop?nope=%zz", "db.invalid-url"),
        (
            "mongodb://a:s3cret@127.0.0.1:1/shop?authMechanism=NOPE",
            "db.invalid-url",
        ),
    ] {
        let databases = crate::bed::databases_at(
            url,
            &USERS,
            crate::bed::impatient(),
            std::sync::Arc::new(crate::bed::TestClock),
        );
        let error = databases.observe(&main_db()).await.unwrap_err();
        assert_eq!(error.diagnostic.code, code, "{error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
}

#[test]
fn files_that_are_none() {
    let down = ("001_a.down.json", "[{\"drop\": \"a\"}]");
    let of = |up: &str| read(&[("001_a.up.json", up), down]).unwrap_err().remove(0);
    for (up, code) in [
        ("[{\"create\": \"a\"}", "migrate.unparsable"),
        ("{\"phase\": \"expand\", \"commands\": []}", "migrate.empty"),
        ("{\"phase\": \"expand\"}", "migrate.unparsable"),
        (
            "{\"fase\": \"expand\", \"commands\": [{\"create\": \"a\"}]}",
            "migrate.directive",
        ),
        (
            "{\"phase\": \"contract\", \"commands\": [{\"drop\": \"b\"}]}",
            "migrate.retires-missing",
        ),
        (
            "{\"phase\": \"expand\", \"commands\": [{\"commitTransaction\": 1}]}",
            "migrate.transaction-control",
        ),
        (
            "{\"phase\": \"expand\", \"irreversible\": \"so\", \"commands\": [{\"create\": \"a\"}]}",
            "migrate.irreversible-with-down",
        ),
    ] {
        let found = of(up);
        assert_eq!(found.code, code, "{up}: {found}");
        assert!(found.help.is_some() && found.location.is_some());
    }
    let alone = read(&[("001_a.up.json", "[{\"create\": \"a\"}]")])
        .unwrap_err()
        .remove(0);
    assert_eq!(alone.code, "migrate.down-missing");
    assert!(alone.label.unwrap().contains("\"irreversible\": \"…\""));
    for name in ["001_a.up.sql", "V1__a.json", "001.up.json"] {
        assert_eq!(
            read(&[(name, "")]).unwrap_err()[0].code,
            "migrate.bad-name",
            "{name}"
        );
    }
}
