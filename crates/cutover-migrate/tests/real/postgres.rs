//! What only PostgreSQL has: locks on tables, indexes built beside the traffic, sessions that can be ended.

use crate::bed::{Bed, Kind, bed, fence, main_db, options, up_all};
use cutover_db::{DatabaseUrl, PgSession};
use cutover_ports::{Certainty, Databases};

const TABLE: [(&str, &str); 2] = [
    (
        "001_t.up.sql",
        "-- cutover: phase=expand\nCREATE TABLE t (id integer PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'x'), (2, 'x');",
    ),
    ("001_t.down.sql", "DROP TABLE t"),
];

async fn postgres() -> Option<Bed> {
    bed(Kind::Postgres).await
}

#[tokio::test]
async fn copied_data_arrive_and_are_taken_back_with_what_fails() {
    let Some(bed) = postgres().await else { return };
    let copy = [
        TABLE[0],
        TABLE[1],
        (
            "002_data.up.sql",
            "-- cutover: phase=expand\nCOPY t (id, a) FROM stdin;\n7\tit's; x\n8\t\\N\n\\.\nUPDATE t SET a = a || '!' WHERE id = 7;",
        ),
        ("002_data.down.sql", "DELETE FROM t WHERE id IN (7, 8)"),
        (
            "003_bad.up.sql",
            "-- cutover: phase=expand\nCOPY t (id, a) FROM stdin;\n9\tx\nnine\ty\n\\.\n",
        ),
        ("003_bad.down.sql", "DELETE FROM t WHERE id = 9"),
    ];
    for at in 0..2 {
        bed.up(&copy, at, 1).await.unwrap();
    }
    assert_eq!(bed.text("SELECT a FROM t WHERE id = 7").await, "it's; x!");
    assert_eq!(bed.number("SELECT count(*) FROM t WHERE a IS NULL").await, 1);
    let error = bed.up(&copy, 2, 1).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.statement-failed");
    assert!(
        error.diagnostic.message.contains("nine") || format!("{error:?}").contains("integer"),
        "{error:?}"
    );
    assert_eq!(bed.number("SELECT count(*) FROM t WHERE id = 9").await, 0);
}

#[tokio::test]
async fn a_file_may_throw_away_what_the_session_has_prepared() {
    let Some(bed) = postgres().await else { return };
    let files = [
        TABLE[0],
        TABLE[1],
        (
            "002_a.up.sql",
            "-- cutover: phase=expand\nDEALLOCATE ALL; INSERT INTO t VALUES (3, 'x')",
        ),
        ("002_a.down.sql", "DELETE FROM t WHERE id = 3"),
        (
            "003_b.up.sql",
            "-- cutover: phase=expand transaction=none\nDISCARD PLANS; DEALLOCATE ALL; INSERT INTO t VALUES (4, 'x')",
        ),
        ("003_b.down.sql", "DELETE FROM t WHERE id = 4"),
        (
            "004_c.up.sql",
            "-- cutover: phase=expand\nINSERT INTO t VALUES (5, 'x')",
        ),
        ("004_c.down.sql", "DELETE FROM t WHERE id = 5"),
    ];
    let (done, ended) = up_all(&bed.databases(&files)).await;
    ended.unwrap();
    assert_eq!(done.len(), 4);
    assert_eq!(
        bed.number("SELECT count(*) FROM cutover_history WHERE complete = 1")
            .await,
        4
    );
    assert_eq!(bed.number("SELECT count(*) FROM cutover_log").await, 4);
}

/// The statements of the history, the begin and the commit go out together: a constraint that is only looked at by the commit
/// still leaves nothing of the file, and nothing on record.
#[tokio::test]
async fn what_fails_only_at_the_commit_leaves_nothing() {
    let Some(bed) = postgres().await else { return };
    let files = [
        TABLE[0],
        TABLE[1],
        (
            "002_late.up.sql",
            "-- cutover: phase=expand\nCREATE TABLE u (t integer REFERENCES t DEFERRABLE INITIALLY DEFERRED); INSERT INTO u VALUES (77)",
        ),
        ("002_late.down.sql", "DROP TABLE u"),
    ];
    let (done, ended) = up_all(&bed.databases(&files)).await;
    let error = ended.unwrap_err();
    assert_eq!(error.certainty, Certainty::DefinitelyNot, "{error:?}");
    assert_eq!(done.len(), 1);
    assert!(!bed.has_table("u").await);
    assert_eq!(bed.number("SELECT count(*) FROM cutover_history").await, 1);
    assert_eq!(bed.number("SELECT count(*) FROM cutover_log").await, 1);
}

#[tokio::test]
async fn a_file_may_take_on_a_role_that_has_no_right_to_the_history() {
    let Some(bed) = postgres().await else { return };
    let role = format!("cutover_test_{}", std::process::id());
    bed.run(&format!(
        "CREATE ROLE {role}; CREATE SCHEMA app AUTHORIZATION {role}"
    ))
    .await;
    let set = format!(
        "-- cutover: phase=expand\nSET ROLE {role}; CREATE TABLE app.a (x integer); INSERT INTO app.a VALUES (1);"
    );
    let stepwise = format!(
        "-- cutover: phase=expand\n-- cutover: transaction=none\nSET ROLE {role}; CREATE TABLE app.b (x integer); \
         CREATE INDEX CONCURRENTLY b_x ON app.b (x); SET LOCAL ROLE {role};"
    );
    let files = [
        ("001_a.up.sql", set.as_str()),
        ("001_a.down.sql", "DROP TABLE app.a"),
        ("002_b.up.sql", &stepwise),
        ("002_b.down.sql", "DROP TABLE app.b"),
        (
            "003_c.up.sql",
            "-- cutover: phase=expand\nCREATE TABLE c (x integer)",
        ),
        ("003_c.down.sql", "DROP TABLE c"),
    ];
    let (_, ran) = up_all(&bed.databases(&files)).await;
    let owned =
        format!("SELECT count(*) FROM pg_class WHERE relowner = '{role}'::regrole AND relkind IN ('r', 'i')");
    let (owned, rows) = (
        bed.number(&owned).await,
        bed.number("SELECT count(*) FROM cutover_history").await,
    );
    bed.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    ran.unwrap();
    assert_eq!(
        (owned, rows),
        (3, 3),
        "the tables and the index of the role, and no other"
    );
}

#[tokio::test]
async fn what_cannot_be_committed_is_the_files_fault_and_what_cannot_run_is_refused() {
    let Some(bed) = postgres().await else { return };
    bed.up(&TABLE, 0, 1).await.unwrap();
    let deferred = [
        TABLE[0],
        TABLE[1],
        (
            "002_d.up.sql",
            "-- cutover: phase=expand\nCREATE TABLE d (t integer REFERENCES t DEFERRABLE INITIALLY DEFERRED); \
             INSERT INTO d VALUES (99);",
        ),
        ("002_d.down.sql", "DROP TABLE d"),
    ];
    let error = bed.up(&deferred, 1, 1).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.statement-failed");
    assert!(
        error
            .diagnostic
            .message
            .contains("002_d.up.sql cannot be committed")
            && error.diagnostic.message.contains("d_t_fkey"),
        "{error}"
    );
    assert_eq!(error.certainty, Certainty::DefinitelyNot);
    assert!(!bed.has_table("d").await);
    for (text, code) in [
        (
            "SET TRANSACTION READ ONLY; SELECT 1",
            "migrate.transaction-control",
        ),
        ("COPY t TO STDOUT", "migrate.sends-rows"),
    ] {
        let text = format!("-- cutover: phase=expand\n{text};");
        let files = [("001_x.up.sql", text.as_str()), ("001_x.down.sql", "SELECT 1")];
        let found = bed.try_files(&files).unwrap_err();
        assert_eq!(found[0].code, code, "{found:?}");
    }
}

#[tokio::test]
async fn a_lock_that_is_never_had_names_who_holds_it() {
    let Some(bed) = postgres().await else { return };
    let alter = [
        TABLE[0],
        TABLE[1],
        (
            "002_b.up.sql",
            "-- cutover: phase=expand\nALTER TABLE t ADD COLUMN b text",
        ),
        ("002_b.down.sql", "ALTER TABLE t DROP COLUMN b"),
    ];
    bed.up(&alter, 0, 1).await.unwrap();
    let reports = bed.client().await;
    reports
        .batch_execute(
            "SET application_name = 'reports'; BEGIN; SELECT * FROM t WHERE a = 's3cret' FOR UPDATE",
        )
        .await
        .unwrap();
    let error = bed.up(&alter, 1, 1).await.unwrap_err();
    let found = &error.diagnostic;
    assert_eq!(found.code, "migrate.lock-timeout");
    assert!(error.transient && error.certainty == Certainty::DefinitelyNot);
    assert!(
        found
            .message
            .starts_with("002_b could not lock table t within 3 tries ("),
        "{error}"
    );
    let held: Vec<&String> = found
        .notes
        .iter()
        .filter(|(key, _)| key == "held by")
        .map(|(_, value)| value)
        .collect();
    assert_eq!(held.len(), 1, "{:?}", found.notes);
    assert!(held[0].contains("application \"reports\""), "{held:?}");
    assert!(held[0].contains("waiting on client"), "{held:?}");
    assert!(
        held[0].contains("FOR UPDATE") && !held[0].contains("s3cret"),
        "{held:?}"
    );

    reports.batch_execute("COMMIT").await.unwrap();
    assert!(!bed.up(&alter, 1, 1).await.unwrap().already);
}

#[tokio::test]
async fn a_lock_that_is_had_in_the_end_is_no_error() {
    let Some(bed) = postgres().await else { return };
    bed.up(&TABLE, 0, 1).await.unwrap();
    let other = bed.client().await;
    other.batch_execute("BEGIN; LOCK TABLE t").await.unwrap();
    let more = [
        TABLE[0],
        TABLE[1],
        (
            "002_b.up.sql",
            "-- cutover: phase=expand\nALTER TABLE t ADD COLUMN b text",
        ),
        ("002_b.down.sql", ""),
    ];
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'ALTER%'";
    let release = async {
        let waiting = || async { bed.number(waits).await > 0 };
        cutover_testkit::wait_for("the wait", std::time::Duration::from_secs(60), waiting).await;
        other.batch_execute("COMMIT").await.unwrap();
    };
    let (report, ()) = tokio::join!(bed.up_patiently(&more, 1, 1), release);
    assert!(!report.unwrap().already);
}

const INDEX: [(&str, &str); 2] = [
    (
        "002_index.up.sql",
        "-- cutover: phase=expand transaction=none\nCREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a);\nCOMMENT ON TABLE t IS 'done';",
    ),
    (
        "002_index.down.sql",
        "-- cutover: transaction=none\nDROP INDEX CONCURRENTLY t_a;",
    ),
];

#[tokio::test]
async fn a_concurrent_index_that_failed_leaves_nothing_and_is_built_again() {
    let Some(bed) = postgres().await else { return };
    let all = [TABLE, INDEX].concat();
    bed.up(&all, 0, 1).await.unwrap();
    let error = bed.up(&all, 1, 1).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.statement-failed");
    assert_eq!(error.certainty, Certainty::DefinitelyNot, "{error}");
    let indexes = "SELECT count(*) FROM pg_indexes WHERE indexname = 't_a'";
    assert_eq!(bed.number(indexes).await, 0, "no invalid index is left");
    bed.run("UPDATE t SET a = id::text").await;
    bed.up(&all, 1, 1).await.unwrap();
    assert_eq!(bed.number(indexes).await, 1);
}

#[tokio::test]
async fn a_concurrent_index_in_doubt_is_looked_at_before_it_is_built() {
    let Some(bed) = postgres().await else { return };
    let all = [TABLE, INDEX].concat();
    bed.up(&all, 0, 1).await.unwrap();
    bed.run("UPDATE t SET a = id::text").await;
    bed.up(&all, 1, 1).await.unwrap();
    // As after a crash between the statement and its record, once with a whole index and once with an invalid one.
    for valid in ["true", "false"] {
        bed.run(&format!(
            "UPDATE cutover_history SET complete = 0 WHERE number = 2;
             UPDATE cutover_statements SET finished_at = NULL WHERE ordinal = 0;
             UPDATE pg_index SET indisvalid = {valid} WHERE indexrelid = 't_a'::regclass"
        ))
        .await;
        assert!(!bed.up(&all, 1, 1).await.unwrap().already);
        let whole = "SELECT count(*) FROM pg_index WHERE indexrelid = 't_a'::regclass AND indisvalid";
        assert_eq!(bed.number(whole).await, 1);
    }
}

#[tokio::test]
async fn the_session_of_a_replaced_controller_is_ended() {
    let Some(bed) = postgres().await else { return };
    let slow = [
        (
            "001_slow.up.sql",
            "-- cutover: phase=expand\nCREATE TABLE slow (x integer); SELECT pg_sleep(60);",
        ),
        ("001_slow.down.sql", "DROP TABLE slow"),
    ];
    let quick = [
        (
            "001_slow.up.sql",
            "-- cutover: phase=expand\nCREATE TABLE slow (x integer);",
        ),
        ("001_slow.down.sql", "DROP TABLE slow"),
    ];
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep%' AND state = 'active' \
         AND pid <> pg_backend_pid()";
    let successor = async {
        let begun = || async { bed.number(sleeping).await > 0 };
        cutover_testkit::wait_for("the old session", std::time::Duration::from_secs(60), begun).await;
        // An equal one is waited for, an older one is ended.
        let equal = bed.up(&quick, 0, 1).await.unwrap_err();
        assert_eq!(equal.diagnostic.code, "migrate.locked");
        assert!(equal.transient);
        bed.up_patiently(&quick, 0, 2).await.unwrap()
    };
    let (old, new) = tokio::join!(bed.up(&slow, 0, 1), successor);
    let old = old.unwrap_err();
    assert_eq!(old.diagnostic.code, "db.unreachable");
    assert_eq!(old.certainty, Certainty::DefinitelyNot, "its transaction is gone");
    assert!(!new.already);
}

#[tokio::test]
async fn what_cannot_be_reached_is_said_without_the_password() {
    let Some(bed) = postgres().await else { return };
    let secret = "s3cret-of-the-test";
    assert!(bed.url.contains(secret));
    let port = bed.url.split(':').nth(3).unwrap().split('/').next().unwrap();
    let cases = [
        (bed.url.replace(port, "1"), "db.unreachable"),
        (bed.url.replace(secret, "wrong-pass"), "db.auth-failed"),
        (bed.url.replace("/test_", "/none_"), "db.missing"),
    ];
    for (url, code) in cases {
        let bed = Bed::at(url);
        let found = bed.databases(&TABLE).check(&main_db()).await;
        assert_eq!(found[0].code, code);
        let shown = format!("{found:?}");
        assert!(
            !shown.contains(secret) && !shown.contains("wrong-pass"),
            "{shown}"
        );
        let error = bed.up(&TABLE, 0, 1).await.unwrap_err();
        assert_eq!(error.certainty, Certainty::DefinitelyNot);
    }
}

#[tokio::test]
async fn a_file_that_changes_the_search_path_does_not_hide_the_history() {
    let Some(bed) = postgres().await else { return };
    let files = [
        (
            "001_s.up.sql",
            "-- cutover: phase=expand\nCREATE SCHEMA s; SET search_path = s; CREATE TABLE t (x integer);",
        ),
        ("001_s.down.sql", "DROP SCHEMA s CASCADE"),
    ];
    bed.up(&files, 0, 1).await.unwrap();
    assert!(bed.up(&files, 0, 1).await.unwrap().already);
    assert_eq!(bed.number("SELECT count(*) FROM s.t").await, 0);
}

#[tokio::test]
async fn a_statement_that_needs_no_transaction_says_so() {
    let Some(bed) = postgres().await else { return };
    let files = [
        TABLE[0],
        TABLE[1],
        (
            "002_i.up.sql",
            "-- cutover: phase=expand\nCREATE INDEX CONCURRENTLY i ON t (a)",
        ),
        ("002_i.down.sql", "DROP INDEX i"),
    ];
    bed.up(&files, 0, 1).await.unwrap();
    let error = bed.up(&files, 1, 1).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.needs-no-transaction");
    assert!(error.diagnostic.label.unwrap().contains("transaction=none"));
}

#[tokio::test]
async fn a_function_and_a_trigger_run_as_one_statement_each() {
    let Some(bed) = postgres().await else { return };
    let files = [
        TABLE[0],
        TABLE[1],
        (
            "002_f.up.sql",
            "-- cutover: phase=expand
CREATE FUNCTION up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.a := upper(NEW.a); RETURN NEW; END $$;
CREATE TRIGGER up BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION up();
CREATE FUNCTION one() RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
INSERT INTO t VALUES (3, 'semi;colon');",
        ),
        (
            "002_f.down.sql",
            "DROP TRIGGER up ON t; DROP FUNCTION up(); DROP FUNCTION one();",
        ),
    ];
    bed.up(&files, 0, 1).await.unwrap();
    bed.up(&files, 1, 1).await.unwrap();
    let raised = "SELECT count(*) FROM t WHERE a = 'SEMI;COLON'";
    assert_eq!(bed.number(raised).await, 1);
}

#[tokio::test]
async fn a_session_ends_with_its_value() {
    let Some(bed) = postgres().await else { return };
    let DatabaseUrl::Postgres(url) = bed.url.parse().unwrap() else {
        panic!("a PostgreSQL URL")
    };
    let session = PgSession::connect(&url, "to be dropped").await.unwrap();
    let there = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'to be dropped'";
    assert_eq!(bed.number(there).await, 1);
    drop(session);
    let gone = || async { bed.number(there).await == 0 };
    cutover_testkit::wait_for("its end", std::time::Duration::from_secs(60), gone).await;
    let databases = bed.databases(&TABLE);
    databases
        .retire_below(&fence(1), &main_db(), &options().release)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_commit_leaves_it_unknown() {
    let Some(bed) = postgres().await else { return };
    let slow_commit = [
        (
            "001_slow.up.sql",
            "-- cutover: phase=expand
CREATE TABLE slow (x integer);
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait();
INSERT INTO slow VALUES (1);",
        ),
        ("001_slow.down.sql", "DROP TABLE slow"),
    ];
    let committing = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT' AND state = 'active'";
    let cut = async {
        let begun = || async { bed.number(committing).await > 0 };
        cutover_testkit::wait_for("the commit", std::time::Duration::from_secs(60), begun).await;
        bed.number(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT' AND state = 'active'",
        )
        .await;
    };
    let (error, ()) = tokio::join!(bed.up(&slow_commit, 0, 1), cut);
    let error = error.unwrap_err();
    assert_eq!(error.certainty, Certainty::Unknown, "{error}");
    assert_eq!(error.diagnostic.code, "db.unreachable");
    // Observing says which it was.
    let state = bed.databases(&slow_commit).observe(&main_db()).await.unwrap();
    assert!(state.applied.is_empty());
}

#[tokio::test]
async fn a_concurrent_index_waits_for_old_transactions_and_survives_a_crash_in_that_wait() {
    let Some(bed) = postgres().await else { return };
    let all = [TABLE, INDEX].concat();
    bed.up(&all, 0, 1).await.unwrap();
    bed.run("UPDATE t SET a = id::text").await;
    let old = bed.client().await;
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t")
        .await
        .unwrap();
    let building = "SELECT count(*) FROM pg_stat_activity a JOIN pg_index i ON NOT i.indisvalid
        WHERE a.datname = current_database() AND a.query LIKE 'CREATE UNIQUE INDEX CONCURRENTLY%' AND a.wait_event_type = 'Lock'";
    {
        // Longer than every try of this policy together: it is waited for all the same.
        let up = bed.up(&all, 1, 1);
        let crash = async {
            let waits = || async { bed.number(building).await > 0 };
            cutover_testkit::wait_for("the wait", std::time::Duration::from_secs(60), waits).await;
        };
        tokio::select! {
            result = up => panic!("{result:?}"),
            () = crash => {}
        }
        // Here the controller is gone, in the middle of the statement.
    }
    let state = bed.databases(&all).observe(&main_db()).await.unwrap();
    assert!(!state.applied[1].complete);
    old.batch_execute("COMMIT").await.unwrap();
    bed.up_patiently(&all, 1, 2).await.unwrap();
    let whole = "SELECT count(*) FROM pg_index WHERE indexrelid = 't_a'::regclass AND indisvalid";
    assert_eq!(bed.number(whole).await, 1);
    let state = bed.databases(&all).observe(&main_db()).await.unwrap();
    assert!(state.applied[1].complete);
}

#[tokio::test]
async fn a_concurrent_index_is_looked_for_in_the_schema_of_its_table_and_one_that_is_gone_stays_gone() {
    let Some(bed) = postgres().await else { return };
    bed.run("CREATE SCHEMA s; CREATE TABLE s.t (a integer)").await;
    let all = [
        (
            "001_i.up.sql",
            "-- cutover: phase=expand transaction=none\nCREATE INDEX CONCURRENTLY t_a ON s.t (a)",
        ),
        ("001_i.down.sql", ""),
        (
            "002_d.up.sql",
            "-- cutover: phase=expand transaction=none\nDROP INDEX CONCURRENTLY s.t_a",
        ),
        ("002_d.down.sql", ""),
    ];
    // As after a crash between the statement and its record.
    for file in 0..2 {
        bed.up(&all, file, 1).await.unwrap();
        bed.run(&format!(
            "UPDATE cutover_history SET complete = 0 WHERE number = {0};
             UPDATE cutover_statements SET finished_at = NULL WHERE number = {0}",
            file + 1
        ))
        .await;
        assert!(!bed.up(&all, file, 1).await.unwrap().already);
    }
    assert_eq!(
        bed.number("SELECT count(*) FROM pg_indexes WHERE indexname = 't_a'")
            .await,
        0
    );
    // Nobody began this one: what is missing is an error.
    let again = [
        all[0],
        all[1],
        all[2],
        all[3],
        ("003_d.up.sql", all[2].1),
        ("003_d.down.sql", ""),
    ];
    let error = bed.up(&again, 2, 1).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.statement-failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrators_that_start_together_build_concurrent_indexes_once_and_without_a_deadlock() {
    let Some(bed) = postgres().await else { return };
    let all = [
        (
            "001_t.up.sql",
            "-- cutover: phase=expand
CREATE TABLE t (id integer PRIMARY KEY, a integer); INSERT INTO t SELECT n, n FROM generate_series(1, 5000) n;",
        ),
        ("001_t.down.sql", "DROP TABLE t"),
        (
            "002_a.up.sql",
            "-- cutover: phase=expand transaction=none
CREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a);
CREATE INDEX CONCURRENTLY t_negative ON t ((-a));",
        ),
        ("002_a.down.sql", ""),
        ("003_b.up.sql", "-- cutover: phase=expand\nALTER TABLE t ADD COLUMN b integer"),
        ("003_b.down.sql", ""),
        (
            "004_b.up.sql",
            "-- cutover: phase=expand transaction=none\nCREATE INDEX CONCURRENTLY t_b ON t (b)",
        ),
        ("004_b.down.sql", ""),
    ];
    let migrators: Vec<_> = (0..20)
        .map(|_| {
            let databases = bed.patient(&all);
            tokio::spawn(async move {
                let (done, ended) = up_all(&databases).await;
                ended.unwrap();
                done.into_iter().filter(|report| !report.already).count()
            })
        })
        .collect();
    let mut applied = 0;
    for migrator in migrators {
        applied += migrator.await.unwrap();
    }
    assert_eq!(applied, 4, "each file once");
    assert_eq!(bed.databases(&all).log(&main_db()).await.unwrap().len(), 4);
    let whole = "SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisvalid";
    assert_eq!(bed.number(whole).await, 4, "with that of the primary key");
    // What a session counted is there at the latest when it is gone.
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'cutover%'";
    let gone = || async { bed.number(sessions).await == 0 };
    cutover_testkit::wait_for("their end", std::time::Duration::from_secs(60), gone).await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(bed.number(deadlocks).await, 0);
}

#[tokio::test]
async fn a_pooler_that_shares_sessions_is_refused_before_the_lock_and_one_that_does_not_is_used() {
    let Some(server) = cutover_testkit::PostgresServer::shared() else {
        return;
    };
    let direct = Bed::at(server.create_database().await);
    for (mode, works) in [("transaction", false), ("statement", false), ("session", true)] {
        let Some(pooler) = cutover_testkit::PgBouncer::start(server, mode).unwrap() else {
            return;
        };
        let bed = Bed::at(pooler.url(&direct.url));
        let result = bed.up(&TABLE, 0, 1).await;
        if works {
            assert!(!result.unwrap().already);
            continue;
        }
        let error = result.unwrap_err();
        assert_eq!(error.diagnostic.code, "db.pooled", "{mode}: {error}");
        assert_eq!(error.certainty, Certainty::DefinitelyNot);
        let own = format!("127.0.0.1:{}", server.port());
        let notes = &error.diagnostic.notes;
        assert!(notes.contains(&("server".to_owned(), own)), "{notes:?}");
        // Others have theirs in other databases of the same server.
        let locks = "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database \
            WHERE locktype = 'advisory' AND datname = current_database()";
        assert_eq!(direct.number(locks).await, 0);
        assert!(!direct.has_table("cutover_history").await);
        if mode == "transaction" {
            assert!(
                bed.databases(&TABLE).observe(&main_db()).await.is_ok(),
                "reading needs no lock"
            );
        }
    }
    assert!(direct.has_table("t").await);
}

const COLUMN: [(&str, &str); 2] = [
    (
        "002_b.up.sql",
        "-- cutover: phase=expand\nALTER TABLE t ADD COLUMN b text",
    ),
    ("002_b.down.sql", "ALTER TABLE t DROP COLUMN b"),
];

#[tokio::test]
async fn long_transactions_are_named_before_anything_runs() {
    let Some(bed) = postgres().await else { return };
    bed.up(&TABLE, 0, 1).await.unwrap();
    let reports = bed.client().await;
    reports
        .batch_execute("SET application_name = 'reports'; BEGIN; SELECT count(*) FROM t WHERE a = 's3cret'")
        .await
        .unwrap();
    let all = [TABLE, COLUMN].concat();
    let found = bed.suspicious(&all).check(&main_db()).await;
    let codes: Vec<&str> = found.iter().map(|one| one.code.as_str()).collect();
    assert_eq!(codes, ["migrate.long-transaction"]);
    assert!(found[0].message.contains("application \"reports\""), "{found:?}");
    assert!(!format!("{found:?}").contains("s3cret"), "{found:?}");
    // Not yet long for anybody else, and in nobody's way where nothing is pending.
    assert!(bed.databases(&all).check(&main_db()).await.is_empty());
    assert!(bed.suspicious(&TABLE).check(&main_db()).await.is_empty());
}

#[tokio::test]
async fn a_prepared_statement_that_a_new_column_breaks_is_named_before() {
    let Some(bed) = postgres().await else { return };
    bed.up(&TABLE, 0, 1).await.unwrap();
    let client = bed.client().await;
    let named = client.prepare("SELECT id, a FROM t WHERE id = $1").await.unwrap();
    let all_columns = client.prepare("SELECT * FROM t WHERE id = $1").await.unwrap();
    client.query_one(&named, &[&1]).await.unwrap();
    let all = [TABLE, COLUMN].concat();
    assert!(bed.databases(&all).check(&main_db()).await.is_empty());
    client.query_one(&all_columns, &[&1]).await.unwrap();
    let found = bed.databases(&all).check(&main_db()).await;
    let codes: Vec<&str> = found.iter().map(|one| one.code.as_str()).collect();
    assert_eq!(codes, ["migrate.cached-plan"]);
    assert!(found[0].message.contains("SELECT * FROM t"), "{found:?}");

    bed.up(&all, 1, 1).await.unwrap();
    client.query_one(&named, &[&1]).await.unwrap();
    let broken = client.query_one(&all_columns, &[&1]).await.unwrap_err();
    let said = broken.as_db_error().unwrap().message();
    assert_eq!(said, "cached plan must not change result type");
    // On this connection, until it is prepared anew.
    let again = client.prepare("SELECT * FROM t WHERE id = $1").await.unwrap();
    client.query_one(&again, &[&1]).await.unwrap();
}
