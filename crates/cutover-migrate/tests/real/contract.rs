//! The contract of the `Databases` port, on a real SQLite file and real servers of PostgreSQL and MariaDB.

use std::sync::Arc;

use crate::bed::{Bed, Kind, bed, fence, main_db, options, up_all};
use cutover_migrate::{Act, Direction, MigrationStatus, Reach, Repair};
use cutover_model::{Diagnostic, Version};
use cutover_ports::{Certainty, Databases, PortError};

const USERS_UP: &str = "-- The users.\n-- cutover: phase=expand
CREATE TABLE users (id integer PRIMARY KEY, first_name text, last_name text, full_name text);
INSERT INTO users (id, first_name, last_name) VALUES (1, 'Ada', 'Lovelace'), (2, 'Alan', 'Turing');";
const USERS: [(&str, &str); 2] = [
    ("001_users.up.sql", USERS_UP),
    ("001_users.down.sql", "DROP TABLE users;"),
];
const FILL: [(&str, &str); 2] = [
    (
        "002_fill.up.sql",
        "-- cutover: phase=backfill
-- cutover: verify SELECT count(*) FROM users WHERE full_name IS NULL OR full_name <> first_name || ' ' || last_name
UPDATE users SET full_name = first_name || ' ' || last_name WHERE full_name IS NULL;",
    ),
    ("002_fill.down.sql", "UPDATE users SET full_name = NULL;"),
];
const DROP: [(&str, &str); 1] = [(
    "003_drop.up.sql",
    "-- cutover: phase=contract retires=1.1.0
-- cutover: irreversible reason=the names are gone
ALTER TABLE users DROP COLUMN first_name; ALTER TABLE users DROP COLUMN last_name;",
)];

fn files(parts: &[&[(&'static str, &'static str)]]) -> Vec<(&'static str, &'static str)> {
    parts.concat()
}

fn note<'a>(diagnostic: &'a Diagnostic, key: &str) -> &'a str {
    diagnostic
        .notes
        .iter()
        .find(|(found, _)| found == key)
        .map_or("", |(_, value)| value)
}

fn codes(findings: &[Diagnostic]) -> Vec<&str> {
    findings.iter().map(|found| found.code.as_str()).collect()
}

async fn everything_runs_once_and_is_recorded(bed: &Bed) {
    let all = files(&[&USERS, &FILL, &DROP]);
    let databases = bed.databases(&all);
    let state = databases.observe(&main_db()).await.unwrap();
    assert!(state.applied.is_empty() && state.size.is_some());
    let known = ["SQLite 3.", "PostgreSQL 1", "MariaDB 1"];
    assert!(
        known.iter().any(|known| state.server.starts_with(known)),
        "{}",
        state.server
    );
    assert!(
        !bed.has_table("cutover_history").await,
        "observing writes nothing"
    );

    let first = bed.up(&all, 0, 1).await.unwrap();
    assert_eq!((first.already, first.rows), (false, Some(2)));
    let again = bed.up(&all, 0, 1).await.unwrap();
    assert!(again.already);
    let fill = bed.up(&all, 1, 2).await.unwrap();
    assert_eq!(fill.rows, Some(2));
    databases
        .retire_below(&fence(2), &main_db(), &Version::new(1, 1, 0))
        .await
        .unwrap();
    bed.up(&all, 2, 2).await.unwrap();

    let state = databases.observe(&main_db()).await.unwrap();
    assert_eq!(state.applied.len(), 3);
    assert!(state.applied.iter().all(|done| done.complete));
    assert_eq!(state.applied[0].release, Some(Version::new(1, 1, 0)));
    assert_eq!(state.retired_below, Some(Version::new(1, 1, 0)));
    assert_eq!(codes(&databases.check(&main_db()).await), [""; 0]);
    let lines = databases.status(&main_db()).await.unwrap();
    assert!(lines.iter().all(|line| line.status == MigrationStatus::Applied));
    assert_eq!(lines[0].summary.as_deref(), Some("The users."));
    assert_eq!(lines[0].applied_by.as_deref(), Some("tester"));
}

async fn a_wrong_statement_is_named_and_what_is_applied_said(bed: &Bed) {
    let wrong = [
        (
            "001_bad.up.sql",
            "-- cutover: phase=expand\nCREATE TABLE a (x integer);\nINSERT INTO a\n  VALUES (1, nonsens);",
        ),
        ("001_bad.down.sql", "DROP TABLE a"),
    ];
    let error = bed.up(&wrong, 0, 1).await.unwrap_err();
    let found = &error.diagnostic;
    assert_eq!(found.code, "migrate.statement-failed");
    let place = found.location.as_ref().unwrap();
    assert_eq!(place.file, "001_bad.up.sql");
    assert!((3..=4).contains(&place.line), "{place:?}");
    if !bed.url.starts_with("mariadb:") {
        assert_eq!(error.certainty, Certainty::DefinitelyNot);
        assert_eq!(note(found, "state"), "nothing of 001_bad was applied");
        assert!(!bed.has_table("a").await && !bed.has_table("cutover_history").await);
        return;
    }
    // There, DDL commits by itself: what happened is known, and the file resumes after it.
    assert_eq!(error.certainty, Certainty::Unknown);
    assert!(note(found, "state").starts_with("1 of 2 statements of 001_bad are applied"));
    let lines = bed.databases(&wrong).status(&main_db()).await.unwrap();
    assert!(matches!(
        lines[0].status,
        MigrationStatus::Interrupted { done: 1, .. }
    ));
}

async fn without_a_transaction_it_resumes_in_the_middle(bed: &Bed) {
    let text = "-- cutover: phase=expand transaction=none
CREATE TABLE a (x integer);
INSERT INTO a VALUES (1);
INSERT INTO b VALUES (2);
INSERT INTO a VALUES (3);";
    let steps = [
        ("001_steps.up.sql", text),
        (
            "001_steps.down.sql",
            "-- cutover: transaction=none\nDROP TABLE a; DROP TABLE b;",
        ),
    ];
    let error = bed.up(&steps, 0, 1).await.unwrap_err();
    assert_eq!(error.certainty, Certainty::Unknown, "half of it is applied");
    assert_eq!(error.diagnostic.location.as_ref().unwrap().line, 4);
    assert!(note(&error.diagnostic, "state").starts_with("2 of 4 statements"));
    let databases = bed.databases(&steps);
    let lines = databases.status(&main_db()).await.unwrap();
    assert!(matches!(
        lines[0].status,
        MigrationStatus::Interrupted { done: 2, .. }
    ));
    let state = databases.observe(&main_db()).await.unwrap();
    assert!(!state.has(&state.applied[0].id));

    bed.run("CREATE TABLE b (x integer)").await;
    let report = bed.up(&steps, 0, 1).await.unwrap();
    assert_eq!(report.rows, Some(2), "only what was left ran");
    assert_eq!(bed.number("SELECT count(*) FROM a").await, 2);
    assert_eq!(bed.number("SELECT count(*) FROM cutover_statements").await, 4);

    let mut done = Vec::new();
    databases
        .migrate_down(&fence(1), &main_db(), Reach::Steps(1), &options(), &mut done)
        .await
        .unwrap();
    assert!(!bed.has_table("a").await);
    assert_eq!(bed.number("SELECT count(*) FROM cutover_statements").await, 0);
}

async fn without_a_transaction_a_first_statement_that_fails_leaves_no_trace(bed: &Bed) {
    let steps = [
        (
            "001_steps.up.sql",
            "-- cutover: phase=expand transaction=none\nINSERT INTO nowhere VALUES (1);",
        ),
        ("001_steps.down.sql", ""),
    ];
    let error = bed.up(&steps, 0, 1).await.unwrap_err();
    assert_eq!(error.certainty, Certainty::DefinitelyNot);
    let state = bed.databases(&steps).observe(&main_db()).await.unwrap();
    assert!(state.applied.is_empty());
}

async fn an_older_generation_and_another_store_are_refused(bed: &Bed) {
    let all = files(&[&USERS, &FILL]);
    bed.up(&all, 0, 5).await.unwrap();
    let databases = bed.databases(&all);
    let migration = bed.files(&all)[1].migration.clone();
    let version = Version::new(9, 0, 0);
    let mut other = fence(9);
    other.store = cutover_model::StoreId::new("another");
    for own in [fence(4), other.clone()] {
        let refused = |result: Result<(), PortError>| assert!(result.unwrap_err().is_stale());
        refused(databases.up(&own, &migration, &options()).await.map(drop));
        refused(databases.retire_below(&own, &main_db(), &version).await);
        refused(databases.reopen(&own, &migration).await);
    }
    let untouched = "SELECT count(*) FROM users WHERE full_name IS NULL";
    assert_eq!(bed.number(untouched).await, 2);

    databases.adopt(&other, &main_db()).await.unwrap();
    databases.up(&other, &migration, &options()).await.unwrap();
    assert!(bed.up(&all, 1, 99).await.unwrap_err().is_stale());
}

async fn the_fence_is_checked_when_a_file_resumes(bed: &Bed) {
    let steps = [
        (
            "001_steps.up.sql",
            "-- cutover: phase=expand transaction=none\nCREATE TABLE a (x integer); INSERT INTO b VALUES (1);",
        ),
        ("001_steps.down.sql", ""),
    ];
    bed.up(&steps, 0, 1).await.unwrap_err();
    bed.run("CREATE TABLE b (x integer); UPDATE cutover_meta SET generation = 7")
        .await;
    assert!(bed.up(&steps, 0, 1).await.unwrap_err().is_stale());
    assert_eq!(bed.number("SELECT count(*) FROM b").await, 0);
    bed.up(&steps, 0, 7).await.unwrap();
    assert_eq!(bed.number("SELECT count(*) FROM b").await, 1);
}

async fn a_controller_that_is_replaced_between_two_statements_stops_there(bed: &Bed) {
    let steps = [
        (
            "001_steps.up.sql",
            "-- cutover: phase=expand transaction=none
CREATE TABLE a (x integer); UPDATE cutover_meta SET generation = 7; INSERT INTO a VALUES (1);",
        ),
        ("001_steps.down.sql", ""),
    ];
    let error = bed.up(&steps, 0, 1).await.unwrap_err();
    assert!(error.is_stale());
    assert!(note(&error.diagnostic, "state").starts_with("2 of 3 statements"));
    assert_eq!(bed.number("SELECT count(*) FROM a").await, 0);
    bed.up(&steps, 0, 7).await.unwrap();
    assert_eq!(bed.number("SELECT count(*) FROM a").await, 1);
}

async fn retired_below_only_rises(bed: &Bed) {
    let databases = bed.databases(&USERS);
    for (version, expected) in [("1.10.0", "1.10.0"), ("1.9.0", "1.10.0"), ("2.0.0", "2.0.0")] {
        let version = version.parse().unwrap();
        databases
            .retire_below(&fence(1), &main_db(), &version)
            .await
            .unwrap();
        let state = databases.observe(&main_db()).await.unwrap();
        assert_eq!(state.retired_below.unwrap().to_string(), expected);
    }
}

async fn a_backfill_is_reopened_and_verified_before_a_contract(bed: &Bed) {
    let all = files(&[&USERS, &FILL, &DROP]);
    let databases = bed.databases(&all);
    bed.up(&all, 0, 1).await.unwrap();
    let open = bed.up(&all, 2, 1).await.unwrap_err();
    assert_eq!(open.diagnostic.code, "migrate.not-retired");
    let version = Version::new(1, 1, 0);
    databases
        .retire_below(&fence(1), &main_db(), &version)
        .await
        .unwrap();
    let pending = bed.up(&all, 2, 1).await.unwrap_err();
    assert_eq!(pending.diagnostic.code, "migrate.backfill-pending");
    bed.up(&all, 1, 1).await.unwrap();

    // The old version wrote what the new one does not see.
    bed.run("UPDATE users SET last_name = 'King' WHERE id = 1").await;
    let stale = bed.up(&all, 2, 1).await.unwrap_err();
    assert_eq!(stale.diagnostic.code, "migrate.verify-failed");
    assert!(stale.diagnostic.message.contains("returns 1, not 0"), "{stale}");
    bed.number("SELECT count(first_name) FROM users").await;

    let backfill = bed.files(&all)[1].migration.clone();
    for _ in 0..2 {
        databases.reopen(&fence(1), &backfill).await.unwrap();
    }
    let lines = databases.status(&main_db()).await.unwrap();
    assert!(matches!(lines[1].status, MigrationStatus::Reopened { .. }));
    assert!(matches!(lines[2].status, MigrationStatus::Waiting { .. }));
    let wrong = bed.up(&all, 1, 1).await.unwrap_err();
    assert_eq!(
        wrong.diagnostic.code, "migrate.verify-failed",
        "it fills only NULLs"
    );
    bed.run("UPDATE users SET full_name = NULL WHERE id = 1").await;
    let report = bed.up(&all, 1, 1).await.unwrap();
    assert!(!report.already);
    bed.up(&all, 2, 1).await.unwrap();
    assert!(
        bed.try_number("SELECT count(first_name) FROM users")
            .await
            .is_err()
    );
}

async fn contracts_wait_until_they_are_asked_for(bed: &Bed) {
    let later = [
        (
            "004_more.up.sql",
            "-- cutover: phase=expand\nALTER TABLE users ADD COLUMN age integer",
        ),
        ("004_more.down.sql", "ALTER TABLE users DROP COLUMN age"),
    ];
    let all = files(&[&USERS, &FILL, &DROP, &later]);
    let databases = bed.databases(&all);
    let mut done = Vec::new();
    databases
        .migrate_up(&fence(1), &main_db(), Reach::To(2), false, &options(), &mut done)
        .await
        .unwrap();
    assert_eq!(done.len(), 2);
    let (more, ended) = up_all(&databases).await;
    ended.unwrap();
    assert_eq!(more.len(), 1, "the contract waits, what is after it does not");
    assert_eq!(codes(&databases.check(&main_db()).await), [""; 0]);
    databases
        .migrate_up(&fence(1), &main_db(), Reach::All, true, &options(), &mut done)
        .await
        .unwrap();
    let state = databases.observe(&main_db()).await.unwrap();
    assert_eq!(state.retired_below, Some(Version::new(1, 1, 0)));

    // The way down ends at what cannot be taken back, before anything is touched.
    let mut back = Vec::new();
    let error = databases
        .migrate_down(&fence(1), &main_db(), Reach::All, &options(), &mut back)
        .await
        .unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.irreversible");
    assert!(back.is_empty());
    databases
        .migrate_down(&fence(1), &main_db(), Reach::To(3), &options(), &mut back)
        .await
        .unwrap();
    assert_eq!(back[0].id.number, 4);
    assert!(bed.try_number("SELECT count(age) FROM users").await.is_err());
}

async fn what_does_not_fit_the_history_is_found(bed: &Bed) {
    let all = files(&[&USERS, &FILL]);
    up_all(&bed.databases(&all)).await.1.unwrap();

    let changed_text = USERS_UP.replace("'Turing'", "'Kay'");
    let mut changed = all.clone();
    changed[0].1 = &changed_text;
    assert_eq!(
        codes(&bed.databases(&changed).check(&main_db()).await),
        ["migrate.changed"]
    );
    assert_eq!(
        bed.up(&changed, 0, 1).await.unwrap_err().diagnostic.code,
        "migrate.changed"
    );
    let comment = format!("-- more words\n{USERS_UP}");
    changed[0].1 = &comment;
    assert_eq!(codes(&bed.databases(&changed).check(&main_db()).await), [""; 0]);

    let found = bed.databases(&USERS).check(&main_db()).await;
    assert_eq!(codes(&found), ["migrate.unknown"]);
    assert_eq!(found[0].severity, cutover_model::Severity::Warning);

    // A branch that was merged later brings a lower number.
    bed.run("UPDATE cutover_history SET number = 3 WHERE number = 2")
        .await;
    let early = files(&[
        &USERS,
        &[
            (
                "002_early.up.sql",
                "-- cutover: phase=expand\nCREATE TABLE e (x integer)",
            ),
            ("002_early.down.sql", "DROP TABLE e"),
        ],
        &[("003_fill.up.sql", FILL[0].1), ("003_fill.down.sql", FILL[1].1)],
    ]);
    let databases = bed.databases(&early);
    let found = databases.check(&main_db()).await;
    assert_eq!(codes(&found), ["migrate.out-of-order"]);
    assert!(
        found[0]
            .help
            .as_ref()
            .unwrap()
            .contains("mv 002_early.up.sql 004_early.up.sql")
    );
    let refused = up_all(&databases).await.1.unwrap_err();
    assert_eq!(refused.diagnostic.code, "migrate.out-of-order");
}

async fn a_file_that_was_renamed_is_not_run_again_and_its_record_takes_the_name(bed: &Bed) {
    let all = files(&[&USERS, &FILL]);
    up_all(&bed.databases(&all)).await.1.unwrap();
    for name in ["002_fill_names", "0002_fill"] {
        let (up, down) = (format!("{name}.up.sql"), format!("{name}.down.sql"));
        let renamed = [USERS[0], USERS[1], (&up, FILL[0].1), (&down, FILL[1].1)];
        let databases = bed.databases(&renamed);
        let found = databases.check(&main_db()).await;
        assert_eq!(codes(&found), ["migrate.renamed"], "{name}");
        let help = format!("cutover migrate repair --only {name} --as file");
        assert_eq!(found[0].help.as_deref(), Some(help.as_str()));
        let refused = up_all(&databases).await.1.unwrap_err();
        assert_eq!(refused.diagnostic.code, "migrate.renamed");
        let lines = databases.status(&main_db()).await.unwrap();
        assert_eq!(lines.len(), 2);
        assert!(matches!(lines[1].status, MigrationStatus::Renamed { .. }));

        let id = &lines[1].id;
        databases
            .repair(&fence(1), &main_db(), id, Repair::Checksum, &options())
            .await
            .unwrap();
        assert_eq!(codes(&databases.check(&main_db()).await), [""; 0]);
        assert_eq!(bed.number("SELECT count(*) FROM cutover_history").await, 2);
        let (done, ended) = up_all(&databases).await;
        ended.unwrap();
        assert_eq!(done, [], "nothing is pending");
        // Back to where it began.
        let databases = bed.databases(&all);
        let lines = databases.status(&main_db()).await.unwrap();
        databases
            .repair(&fence(1), &main_db(), &lines[1].id, Repair::Checksum, &options())
            .await
            .unwrap();
    }
    let log = bed.databases(&all).log(&main_db()).await.unwrap();
    let details: Vec<_> = log.iter().filter_map(|entry| entry.detail.as_deref()).collect();
    assert_eq!(
        details,
        [
            "002_fill became 002_fill_names",
            "002_fill_names became 002_fill",
            "002_fill became 0002_fill",
            "0002_fill became 002_fill",
        ]
    );
}

async fn down_takes_back_step_by_step(bed: &Bed) {
    let all = files(&[&USERS, &FILL]);
    let databases = bed.databases(&all);
    let (mut done, ended) = up_all(&databases).await;
    ended.unwrap();
    databases
        .migrate_down(&fence(1), &main_db(), Reach::Steps(1), &options(), &mut done)
        .await
        .unwrap();
    assert_eq!(bed.number("SELECT count(full_name) FROM users").await, 0);
    assert_eq!(bed.number("SELECT count(*) FROM cutover_history").await, 1);
    databases
        .migrate_down(&fence(1), &main_db(), Reach::All, &options(), &mut done)
        .await
        .unwrap();
    assert!(!bed.has_table("users").await);
    up_all(&databases).await.1.unwrap();
    assert_eq!(bed.number("SELECT count(full_name) FROM users").await, 2);
}

async fn migrators_that_start_together_apply_each_file_once(bed: &Bed) {
    let all = files(&[&USERS, &FILL]);
    let url = &bed.url;
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            // The defaults: patient enough to let the others through.
            let databases = cutover_migrate::MigrateDatabases::new(
                Arc::new(NoClock),
                cutover_migrate::LockPolicy::default(),
            )
            .with(main_db(), url.parse().unwrap(), bed.files(&all));
            let files = bed.files(&all);
            tokio::spawn(async move {
                let mut applied = 0;
                for file in files {
                    let report = databases
                        .up(&fence(1), &file.migration, &options())
                        .await
                        .unwrap();
                    applied += usize::from(!report.already);
                }
                applied
            })
        })
        .collect();
    let mut applied = 0;
    for task in tasks {
        applied += task.await.unwrap();
    }
    assert_eq!(applied, 2);
    assert_eq!(bed.number("SELECT count(*) FROM users").await, 2);
}

struct NoClock;

#[async_trait::async_trait]
impl cutover_ports::Clock for NoClock {
    fn now(&self) -> cutover_model::Timestamp {
        cutover_model::Timestamp::UNIX_EPOCH
    }
    async fn sleep(&self, span: cutover_model::Span) {
        tokio::time::sleep(span.as_duration()).await;
    }
}

async fn a_precheck_holds_a_file_back(bed: &Bed) {
    let files = [
        (
            "001_a.up.sql",
            "-- cutover: phase=expand\nCREATE TABLE a (x integer); INSERT INTO a VALUES (1), (1);",
        ),
        ("001_a.down.sql", "DROP TABLE a"),
        (
            "002_unique.up.sql",
            "-- cutover: phase=expand
-- cutover: precheck SELECT count(*) FROM a WHERE x IS NULL
-- cutover: precheck SELECT count(*) - count(DISTINCT x) FROM a
-- cutover: verify SELECT count(*) FROM a WHERE x > 1
CREATE UNIQUE INDEX a_x ON a (x);",
        ),
        ("002_unique.down.sql", "DROP INDEX a_x"),
    ];
    bed.up(&files, 0, 1).await.unwrap();
    let held = bed.up(&files, 1, 1).await.unwrap_err();
    assert_eq!(held.diagnostic.code, "migrate.precheck-failed");
    assert_eq!(
        note(&held.diagnostic, "query"),
        "SELECT count(*) - count(DISTINCT x) FROM a"
    );
    bed.run("DELETE FROM a; INSERT INTO a VALUES (2)").await;
    let wrong = bed.up(&files, 1, 1).await.unwrap_err();
    assert_eq!(wrong.diagnostic.code, "migrate.verify-failed");
    bed.run("UPDATE a SET x = 1").await;
    bed.up(&files, 1, 1).await.unwrap();
}

async fn a_database_that_was_made_by_other_means_is_baselined_once(bed: &Bed) {
    let all = files(&[&USERS, &FILL]);
    bed.run("CREATE TABLE users (id integer PRIMARY KEY, first_name text, last_name text, full_name text)")
        .await;
    let databases = bed.databases(&all);
    let baseline = async |number| {
        databases
            .baseline(&fence(1), &main_db(), number, &options())
            .await
    };
    assert_eq!(
        baseline(7).await.unwrap_err().diagnostic.code,
        "migrate.unknown-number"
    );
    assert_eq!(baseline(1).await.unwrap(), 1);
    let again = baseline(1).await.unwrap_err();
    assert_eq!(again.diagnostic.code, "migrate.history-not-empty");
    let pending = databases.pending(&main_db(), Reach::All, false).await.unwrap();
    assert_eq!(pending.run.len(), 1);
    up_all(&databases).await.1.unwrap();
    let log = databases.log(&main_db()).await.unwrap();
    let acts: Vec<_> = log.iter().map(|entry| (entry.id.number, entry.act)).collect();
    assert_eq!(acts, [(1, Act::Baseline), (2, Act::Up)]);
}

async fn what_is_recorded_of_a_contract_retires_as_it_does(bed: &Bed) {
    let all = files(&[&USERS, &FILL, &DROP]);
    let databases = bed.databases(&all);
    let bound = async || databases.observe(&main_db()).await.unwrap().retired_below;
    databases
        .baseline(&fence(1), &main_db(), 2, &options())
        .await
        .unwrap();
    assert_eq!(bound().await, None);
    let version = Some(Version::new(1, 1, 0));
    bed.run("DELETE FROM cutover_history").await;
    databases
        .baseline(&fence(1), &main_db(), 3, &options())
        .await
        .unwrap();
    assert_eq!(bound().await, version);

    bed.run("UPDATE cutover_meta SET retired_below = NULL").await;
    let id = bed.files(&all)[2].migration.id.clone();
    for (how, expected) in [(Repair::Checksum, None), (Repair::Applied, version)] {
        databases
            .repair(&fence(1), &main_db(), &id, how, &options())
            .await
            .unwrap();
        assert_eq!(bound().await, expected);
    }
}

async fn one_record_is_repaired_and_no_other(bed: &Bed) {
    let all = files(&[&USERS, &FILL]);
    up_all(&bed.databases(&all)).await.1.unwrap();
    let (users, fill) = (
        USERS_UP.replace("Turing", "Kay"),
        FILL[0].1.replace("IS NULL;", "IS  NOT NULL;"),
    );
    let changed = [
        (all[0].0, users.as_str()),
        all[1],
        (all[2].0, fill.as_str()),
        all[3],
    ];
    let databases = bed.databases(&changed);
    assert_eq!(
        codes(&databases.check(&main_db()).await),
        ["migrate.changed", "migrate.changed"]
    );
    let ids: Vec<_> = bed
        .files(&changed)
        .into_iter()
        .map(|file| file.migration.id)
        .collect();
    let repair = async |id, how| databases.repair(&fence(1), &main_db(), id, how, &options()).await;
    repair(&ids[0], Repair::Checksum).await.unwrap();
    let found = databases.check(&main_db()).await;
    assert_eq!(codes(&found), ["migrate.changed"], "only the one that was named");
    assert!(found[0].message.contains("002_fill"));
    repair(&ids[1], Repair::NotApplied).await.unwrap();
    let unknown = repair(&ids[1], Repair::Checksum).await.unwrap_err();
    assert_eq!(unknown.diagnostic.code, "migrate.not-recorded");
    assert_eq!(bed.number("SELECT count(*) FROM cutover_history").await, 1);
    let log = databases.log(&main_db()).await.unwrap();
    assert_eq!(log.len(), 4);
    assert!(
        log[2].detail.as_ref().unwrap().starts_with("checksum "),
        "{log:?}"
    );
}

async fn what_was_begun_is_finished_or_taken_back_by_hand(bed: &Bed) {
    let steps = [
        (
            "001_steps.up.sql",
            "-- cutover: phase=expand transaction=none\nCREATE TABLE a (x integer); INSERT INTO b VALUES (1);",
        ),
        ("001_steps.down.sql", "DROP TABLE a"),
    ];
    bed.up(&steps, 0, 1).await.unwrap_err();
    let databases = bed.databases(&steps);
    let id = bed.files(&steps)[0].migration.id.clone();
    let repair = async |how| {
        databases
            .repair(&fence(1), &main_db(), &id, how, &options())
            .await
    };
    let refused = repair(Repair::Checksum).await.unwrap_err();
    assert_eq!(refused.diagnostic.code, "migrate.interrupted");
    repair(Repair::Applied).await.unwrap();
    let lines = databases.status(&main_db()).await.unwrap();
    assert_eq!(lines[0].status, MigrationStatus::Applied);
    assert_eq!(bed.number("SELECT count(*) FROM cutover_statements").await, 0);
    repair(Repair::NotApplied).await.unwrap();
    assert_eq!(bed.number("SELECT count(*) FROM cutover_history").await, 0);
}

async fn a_dry_run_is_what_runs_and_runs_nothing(bed: &Bed) {
    let all = files(&[&USERS, &FILL]);
    let databases = bed.databases(&all);
    let sql = async |direction, reach| databases.sql(&main_db(), direction, reach, false).await.unwrap();
    let up = sql(Direction::Up, Reach::To(1)).await;
    assert!(
        up.starts_with("-- 001_users.up.sql (expand, ") && up.contains("\n-- The users."),
        "{up}"
    );
    assert!(!up.contains("002_fill"), "{up}");
    assert!(!bed.has_table("cutover_history").await && !bed.has_table("users").await);
    // It runs as it stands.
    bed.run(&sql(Direction::Up, Reach::All).await).await;
    assert_eq!(bed.number("SELECT count(full_name) FROM users").await, 2);
    databases
        .baseline(&fence(1), &main_db(), 2, &options())
        .await
        .unwrap();
    bed.run(&sql(Direction::Down, Reach::All).await).await;
    assert!(!bed.has_table("users").await);
}

on_all!(
    everything_runs_once_and_is_recorded,
    a_wrong_statement_is_named_and_what_is_applied_said,
    without_a_transaction_it_resumes_in_the_middle,
    without_a_transaction_a_first_statement_that_fails_leaves_no_trace,
    an_older_generation_and_another_store_are_refused,
    the_fence_is_checked_when_a_file_resumes,
    a_controller_that_is_replaced_between_two_statements_stops_there,
    retired_below_only_rises,
    a_backfill_is_reopened_and_verified_before_a_contract,
    contracts_wait_until_they_are_asked_for,
    what_does_not_fit_the_history_is_found,
    a_file_that_was_renamed_is_not_run_again_and_its_record_takes_the_name,
    down_takes_back_step_by_step,
    migrators_that_start_together_apply_each_file_once,
    a_precheck_holds_a_file_back,
    a_database_that_was_made_by_other_means_is_baselined_once,
    what_is_recorded_of_a_contract_retires_as_it_does,
    one_record_is_repaired_and_no_other,
    what_was_begun_is_finished_or_taken_back_by_hand,
    a_dry_run_is_what_runs_and_runs_nothing,
);
