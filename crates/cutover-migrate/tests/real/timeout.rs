//! Statements that run for as long as they may: ended in the database, told with what is left of their file, and never half
//! applied without a record.

use cutover_migrate::{Direction, LockPolicy, MigrateDatabases, MigrationStatus, Reach, autogenerate};
use cutover_model::{Span, UpgradeId, Version};
use cutover_ports::{Certainty, Databases as _, MigrateOptions, PortError};
use cutover_sql::Dialect;

use crate::bed::{Bed, Kind, bed, fence, main_db, options, up_all};
use crate::cut::{self, INVALID, PATIENCE, index_behind_a_lock, lesser, resumes, running, state};

/// Much longer than a quick statement takes, much shorter than a slow one.
const LIMIT: Span = Span::from_secs(2);

/// A query that takes far longer than the limit.
const fn slow(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => "SELECT 1 FROM pg_sleep(300)",
        // One that counts: the server answers a `sleep` that is killed as if it had slept.
        Kind::MariaDb => {
            "SELECT count(*) FROM information_schema.columns a, information_schema.columns b, information_schema.columns c"
        }
        Kind::Sqlite => {
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c"
        }
    }
}

/// A query that takes longer than a moment, and ends.
const fn brief(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => "SELECT 1 FROM pg_sleep(0.3)",
        Kind::MariaDb => "SELECT sleep(0.3)",
        Kind::Sqlite => {
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 500000) SELECT max(x) FROM c"
        }
    }
}

async fn up(databases: &MigrateDatabases) -> Result<(), PortError> {
    up_all(databases).await.1
}

fn note<'a>(error: &'a PortError, key: &str) -> Option<&'a str> {
    let mut notes = error.diagnostic.notes.iter();
    notes
        .find(|(found, _)| found == key)
        .map(|(_, value)| value.as_str())
}

on_all!(
    a_file_that_is_recorded_by_statements_resumes_after_a_slow_one,
    a_transaction_that_runs_out_of_time_leaves_nothing,
    what_a_header_says_counts_and_queries_count_too,
);

async fn a_file_that_is_recorded_by_statements_resumes_after_a_slow_one(bed: &Bed) {
    let kind = bed.kind();
    let files = cut::files(kind);
    bed.up(&files, 0, 1).await.unwrap();
    let error = up(&bed.within(LIMIT, &files)).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.statement-timeout", "{error}");
    assert!(!error.transient);
    let begun = match kind {
        // Whether it happened is looked at when the file resumes.
        Kind::MariaDb => " and one was begun; it resumes there",
        Kind::Postgres | Kind::Sqlite => "; it resumes after them",
    };
    assert_eq!(
        state(&error),
        format!("1 of 3 statements of 002_slow are applied{begun}")
    );
    let place = error.diagnostic.location.as_ref().unwrap();
    assert_eq!((place.file.as_str(), place.line), ("002_slow.up.sql", 3));
    assert!(
        note(&error, "next").is_some_and(|next| next.contains("-- cutover: timeout=10m")),
        "{error}"
    );
    assert_eq!(error.diagnostic.help.as_deref(), Some("cutover migrate up"));
    if !matches!(kind, Kind::Sqlite) {
        assert_eq!(bed.number(running(kind)).await, 0, "it runs on");
    }
    resumes(bed, kind).await;
}

/// A file that is one transaction, with a time of its own in its header; and the way back of it, with another.
async fn a_transaction_that_runs_out_of_time_leaves_nothing(bed: &Bed) {
    let kind = bed.kind();
    bed.run("CREATE TABLE t (a integer)").await;
    let up_text = format!(
        "-- cutover: phase=expand timeout=2s\nINSERT INTO t VALUES (1);\n{};",
        slow(kind)
    );
    let down_text = format!("-- cutover: timeout=2s\nDELETE FROM t;\n{};", slow(kind));
    let files = [("001_t.up.sql", up_text.as_str()), ("001_t.down.sql", &down_text)];
    let error = up(&bed.patient(&files)).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.statement-timeout", "{error}");
    assert_eq!(state(&error), "nothing of 001_t was applied");
    assert_eq!(error.diagnostic.location.as_ref().unwrap().line, 3);
    assert!(
        note(&error, "next").is_some_and(|next| next.contains("where timeout=2s stands")),
        "{error}"
    );
    assert_eq!(bed.number("SELECT count(*) FROM t").await, 0);
    let lines = bed.databases(&files).status(&main_db()).await.unwrap();
    assert_eq!(lines[0].status, MigrationStatus::Pending);

    // An upgrade runs what was stored when it was planned, so that is what begins anew.
    let by_upgrade = MigrateOptions {
        upgrade: Some(UpgradeId::new("0193")),
        ..options()
    };
    let migration = bed.files(&files)[0].migration.clone();
    let upgraded = bed.patient(&files).up(&fence(1), &migration, &by_upgrade).await;
    let error = upgraded.unwrap_err();
    assert_eq!(error.diagnostic.help.as_deref(), Some("cutover upgrade 1.1.0"));

    let quick = up_text.replace(slow(kind), "INSERT INTO t VALUES (2)");
    let files = [("001_t.up.sql", quick.as_str()), ("001_t.down.sql", &down_text)];
    let databases = bed.patient(&files);
    up(&databases).await.unwrap();
    let mut done = Vec::new();
    let error = databases
        .migrate_down(&fence(1), &main_db(), Reach::All, &options(), &mut done)
        .await
        .unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.statement-timeout", "{error}");
    assert_eq!(state(&error), "nothing of 001_t was taken back");
    assert_eq!(error.diagnostic.help.as_deref(), Some("cutover migrate down"));
    assert_eq!(bed.number("SELECT count(*) FROM t").await, 2);
}

async fn what_a_header_says_counts_and_queries_count_too(bed: &Bed) {
    let kind = bed.kind();
    let moment = Span::from_millis(5);
    let down = ("001_a.down.sql", "DROP TABLE a");
    // MariaDB sends the rows of a query, which a migration has no use for.
    let table = format!("CREATE TABLE a AS {}", brief(kind));
    let text = format!("-- cutover: phase=expand timeout=none\n{table};");
    let files = [("001_a.up.sql", text.as_str()), down];
    up(&bed.within(moment, &files)).await.unwrap();
    assert!(bed.has_table("a").await);

    let verify = format!(
        "-- cutover: phase=backfill timeout=2s\n-- cutover: verify {}\nDELETE FROM a;",
        slow(kind)
    );
    let files = [
        files[0],
        files[1],
        ("002_b.up.sql", verify.as_str()),
        ("002_b.down.sql", "SELECT 1"),
    ];
    let error = up(&bed.within(moment, &files)).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.statement-timeout", "{error}");
    assert_eq!(state(&error), "nothing of 002_b was applied");
    assert_eq!(bed.number("SELECT count(*) FROM a").await, 1);
}

/// `s` is how long a statement sleeps that touches a row, `v` how long a verify query does, and `n` how often it was touched.
const SLEEPERS: &str = "CREATE TABLE t (id integer PRIMARY KEY, n integer NOT NULL DEFAULT 0,
    s integer NOT NULL DEFAULT 0, v integer NOT NULL DEFAULT 0)";

#[tokio::test]
async fn a_batch_that_runs_out_of_time_is_done_again_and_no_other() {
    let Some(bed) = bed(Kind::Postgres).await else {
        return;
    };
    bed.run(SLEEPERS).await;
    bed.run("INSERT INTO t (id, s) SELECT id, CASE id WHEN 4 THEN 300 ELSE 0 END FROM generate_series(1, 6) AS id")
        .await;
    let files = [
        (
            "001_fill.up.sql",
            "-- cutover: phase=backfill
-- cutover: backfill table=t key=id batch=2
-- cutover: verify SELECT count(*) - 1 FROM (SELECT max(v) AS v FROM t) AS longest, pg_sleep(v)
UPDATE t SET n = n + 1 WHERE pg_sleep(s)::text = '' AND {batch}",
        ),
        ("001_fill.down.sql", ""),
    ];
    let error = up(&bed.within(LIMIT, &files)).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.statement-timeout", "{error}");
    assert_eq!(error.certainty, Certainty::Unknown);
    let two = "batches of 001_fill have changed 2 rows so far; it resumes after the last one";
    assert_eq!(state(&error), two);
    assert_eq!(error.diagnostic.help.as_deref(), Some("cutover migrate up"));
    let changed = "SELECT coalesce(sum(n * power(10, id - 1)), 0)::bigint FROM t";
    assert_eq!(bed.number(changed).await, 11);
    let databases = bed.patient(&files);
    let line = databases.status(&main_db()).await.unwrap().remove(0);
    assert!(
        matches!(line.status, MigrationStatus::Interrupted { .. }),
        "{line:?}"
    );
    assert_eq!(line.rows, Some(2));

    // The verify query is one of its queries, and comes when all batches are done.
    bed.run("UPDATE t SET s = 0, v = 300").await;
    let error = up(&bed.within(LIMIT, &files)).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.statement-timeout", "{error}");
    assert_eq!(state(&error), two.replace('2', "6"));

    bed.run("UPDATE t SET v = 0").await;
    up(&bed.patient(&files)).await.unwrap();
    assert_eq!(bed.number(changed).await, 111_111);
    let line = bed.patient(&files).status(&main_db()).await.unwrap().remove(0);
    assert_eq!((line.status, line.rows), (MigrationStatus::Applied, None));
}

/// Data of a file, more than a connection holds on its way, of which the server takes the third row only when `s` says so.
fn copied(rows: usize) -> String {
    let mut text = "COPY t (id, s) FROM stdin;\n".to_owned();
    for id in 1..=rows {
        text.push_str(&format!("{id}\t{}\n", if id == 3 { 300 } else { 0 }));
    }
    text + "\\.\n"
}

#[tokio::test]
async fn data_that_run_out_of_time_leave_nothing_of_their_statement() {
    let Some(bed) = bed(Kind::Postgres).await else {
        return;
    };
    bed.run(SLEEPERS).await;
    bed.run(
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_sleep(NEW.s); RETURN NEW; END $$;
         CREATE TRIGGER slowly BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slowly()",
    )
    .await;
    const ROWS: usize = 400_000;
    let data = copied(ROWS);
    let whole = format!("-- cutover: phase=expand\nCREATE TABLE a (x integer);\n{data}");
    let stepwise = whole.replace("phase=expand", "phase=expand transaction=none timeout=2s");
    let down = ("001_data.down.sql", "DROP TABLE a; DELETE FROM t");
    let (whole, stepwise) = (
        [("001_data.up.sql", whole.as_str()), down],
        [("001_data.up.sql", stepwise.as_str()), down],
    );

    let error = up(&bed.within(LIMIT, &whole)).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.statement-timeout", "{error}");
    assert_eq!(state(&error), "nothing of 001_data was applied");
    assert_eq!(error.diagnostic.location.as_ref().unwrap().line, 3);
    let lines = bed.patient(&whole).status(&main_db()).await.unwrap();
    assert_eq!(lines[0].status, MigrationStatus::Pending);
    assert!(!bed.has_table("a").await);

    let error = up(&bed.patient(&stepwise)).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.statement-timeout", "{error}");
    assert_eq!(
        state(&error),
        "1 of 2 statements of 001_data are applied; it resumes after them"
    );
    let halfway = MigrationStatus::Interrupted {
        direction: Direction::Up,
        done: 1,
        total: Some(2),
    };
    let lines = bed.patient(&stepwise).status(&main_db()).await.unwrap();
    assert_eq!(lines[0].status, halfway);
    assert_eq!(bed.number("SELECT count(*) FROM t").await, 0);

    bed.run("DROP TRIGGER slowly ON t").await;
    up(&bed.patient(&stepwise)).await.unwrap();
    assert_eq!(bed.number("SELECT count(*) FROM t").await, ROWS as i64);
}

#[tokio::test]
async fn data_that_wait_for_a_lock_say_who_has_it() {
    let Some(bed) = bed(Kind::Postgres).await else {
        return;
    };
    bed.run(SLEEPERS).await;
    let data = format!("-- cutover: phase=expand\n{}", copied(2));
    let files = [("001_data.up.sql", data.as_str()), ("001_data.down.sql", "")];
    let old = bed.client().await;
    old.batch_execute("BEGIN; LOCK TABLE t").await.unwrap();
    let error = up(&bed.databases(&files)).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.lock-timeout", "{error}");
    assert!(
        error.diagnostic.message.contains("table t within 3 tries"),
        "{error}"
    );
    assert!(
        note(&error, "held by").is_some_and(|who| who.contains("LOCK TABLE t")),
        "{error}"
    );
    let patient = bed.patient(&files);
    let (waited, ()) = tokio::join!(up_all(&patient), async {
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 't'::regclass";
        let waiting = || async { bed.number(waits).await > 0 };
        cutover_testkit::wait_for("the wait", PATIENCE, waiting).await;
        old.batch_execute("COMMIT").await.unwrap();
    });
    waited.1.unwrap();
    assert_eq!(bed.number("SELECT count(*) FROM t").await, 2);
}

#[tokio::test]
async fn a_concurrent_index_that_runs_out_of_time_is_built_anew() {
    let Some(bed) = bed(Kind::Postgres).await else {
        return;
    };
    let (files, old) = index_behind_a_lock(&bed).await;
    let error = up(&bed.within(LIMIT, &files)).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.statement-timeout", "{error}");
    assert_eq!(
        state(&error),
        "0 of 1 statements of 001_i are applied and one was begun; it resumes there"
    );
    // It did not work for so long: it waited.
    assert!(
        note(&error, "waited for").is_some_and(|who| who.contains("LOCK TABLE t")),
        "{error}"
    );
    assert_eq!(bed.number(INVALID).await, 1);
    let lines = bed.databases(&files).status(&main_db()).await.unwrap();
    assert!(matches!(
        lines[0].status,
        MigrationStatus::Interrupted { done: 0, .. }
    ));
    old.batch_execute("COMMIT").await.unwrap();
    up(&bed.patient(&files)).await.unwrap();
    assert_eq!(bed.number(INVALID).await, 0);
    let valid = "SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisvalid";
    assert_eq!(bed.number(valid).await, 1);
}

/// What Cutover writes to be built beside the traffic may take as long as it does, whatever holds for the database.
#[tokio::test]
async fn an_index_of_a_file_that_cutover_wrote_does_not_run_out_of_time() {
    let Some(bed) = bed(Kind::Postgres).await else {
        return;
    };
    let table = "CREATE TABLE t (a integer);";
    let base = format!("-- cutover: phase=expand\n{table}");
    let base = [
        ("001_t.up.sql", base.as_str()),
        ("001_t.down.sql", "DROP TABLE t"),
    ];
    let databases = bed.patient(&base);
    up(&databases).await.unwrap();
    let from = databases.produced(&main_db()).await.unwrap();
    let text = format!("{table} CREATE INDEX t_a ON t (a)");
    let to = databases.desired(&main_db(), "schema.sql", &text).await.unwrap();
    let (drafts, _) = autogenerate(Dialect::Postgres, &from, &to, &[], &Version::new(1, 1, 0));
    let [draft] = drafts.as_slice() else {
        panic!("{drafts:?}");
    };
    let (up_text, down_text) = (draft.up_text(), draft.down_text());
    for text in [&up_text, &down_text] {
        assert!(text.contains(" transaction=none timeout=none\n"), "{text}");
    }
    let up_text = up_text.replace("reviewed=no", "reviewed=yes");
    let own = [("002_i.up.sql", up_text.as_str()), ("002_i.down.sql", &down_text)];
    let files = [base, own].concat();

    let old = bed.client().await;
    old.batch_execute("BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE")
        .await
        .unwrap();
    let hasty = bed.within(Span::from_millis(50), &files);
    let (built, ()) = tokio::join!(up(&hasty), async {
        let builds = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONC%'
            AND state = 'active' AND clock_timestamp() - query_start > interval '1 second'";
        let long = || async { bed.number(builds).await > 0 };
        cutover_testkit::wait_for("a build that takes long", PATIENCE, long).await;
        old.batch_execute("COMMIT").await.unwrap();
    });
    built.unwrap();
    assert_eq!(bed.number(INVALID).await, 0);
}

/// A wait for a lock is told, and tried again, as one, however long a lock may be waited for.
#[tokio::test]
async fn a_statement_that_waits_for_a_lock_has_not_run_out_of_time() {
    let Some(bed) = bed(Kind::Postgres).await else {
        return;
    };
    bed.run("CREATE TABLE t (a integer)").await;
    let files = [
        (
            "001_t.up.sql",
            "-- cutover: phase=expand timeout=1s\nALTER TABLE t ADD COLUMN b integer",
        ),
        ("001_t.down.sql", "ALTER TABLE t DROP COLUMN b"),
    ];
    let old = bed.client().await;
    old.batch_execute("BEGIN; SELECT * FROM t").await.unwrap();
    let policy = LockPolicy {
        tries: 2,
        first_timeout: Span::from_secs(60),
        last_timeout: Span::from_secs(60),
        ..LockPolicy::default()
    };
    let error = up(&bed.databases_with(&files, policy)).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.lock-timeout", "{error}");
    assert!(error.diagnostic.message.contains("within 2 tries"), "{error}");
}

/// What the server allows a user's queries is no matter of migrations.
#[tokio::test]
async fn a_time_out_of_the_user_does_not_hold_on_mariadb() {
    let Some(bed) = bed(Kind::MariaDb).await else {
        return;
    };
    let (own, name) = lesser(&bed, Kind::MariaDb).await;
    let database = bed.url.rsplit('/').next().unwrap();
    bed.run(&format!("GRANT ALL ON {database}.* TO {name}@'%'")).await;
    bed.run(&format!("ALTER USER {name}@'%' WITH MAX_STATEMENT_TIME 0.05"))
        .await;
    bed.run("CREATE TABLE t AS SELECT seq AS x FROM seq_1_to_3000")
        .await;
    let slow = "SELECT count(*) AS n FROM t a JOIN t b ON a.x < b.x";
    let cut = own.try_number(slow).await.unwrap_err();
    assert!(cut.contains("max_statement_time"), "{cut}");
    let text = format!("-- cutover: phase=expand\nCREATE TABLE a AS {slow};");
    let files = [
        ("001_a.up.sql", text.as_str()),
        ("001_a.down.sql", "DROP TABLE a"),
    ];
    up(&own.patient(&files)).await.unwrap();
    assert!(bed.has_table("a").await);
}
