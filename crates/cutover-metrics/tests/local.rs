//! Queries of real databases, commands, and what instances write and use.

#![cfg(test)]

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cutover_db::DatabaseUrl;
use cutover_metrics::{Commands, HttpQueries, Providers, Resolve};
use cutover_model::{Diagnostic, InstanceId, Provider, RevisionId, Span, Timestamp};
use cutover_ports::{Clock, InstanceMetrics, LogEnds, PortError, QuerySource as _, Question, Usage};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Instances whose logs and usage are what the test says.
#[derive(Default)]
struct Instances {
    logs: Mutex<BTreeMap<RevisionId, Vec<&'static str>>>,
    used: Mutex<VecDeque<Usage>>,
}

impl Instances {
    fn write(&self, revision: &str, lines: &[&'static str]) {
        let mut logs = self.logs.lock().unwrap();
        logs.entry(revision.parse().unwrap()).or_default().extend(lines);
    }
}

#[async_trait::async_trait]
impl InstanceMetrics for Instances {
    async fn usage(&self, _revision: &RevisionId) -> Result<BTreeMap<InstanceId, Usage>, PortError> {
        let used = self.used.lock().unwrap().pop_front();
        Ok(used
            .into_iter()
            .map(|usage| (InstanceId::new("1"), usage))
            .collect())
    }

    async fn log_ends(&self, revision: &RevisionId) -> Result<LogEnds, PortError> {
        let logs = self.logs.lock().unwrap();
        let end = logs.get(revision).map_or(0, Vec::len) as u64;
        Ok(LogEnds::from([(InstanceId::new("1"), end)]))
    }

    async fn log_lines(
        &self,
        revision: &RevisionId,
        from: &LogEnds,
        line: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<LogEnds, PortError> {
        let begin = from.get(&InstanceId::new("1")).copied().unwrap_or(0);
        let written = self
            .logs
            .lock()
            .unwrap()
            .get(revision)
            .cloned()
            .unwrap_or_default();
        written.iter().skip(begin as usize).for_each(|text| line(text));
        self.log_ends(revision).await
    }
}

/// Nobody here is asked over HTTP.
struct Never;

#[async_trait::async_trait]
impl Clock for Never {
    fn now(&self) -> Timestamp {
        unreachable!("nobody asks for the time")
    }

    async fn sleep(&self, _: Span) {
        unreachable!("nobody waits")
    }
}

struct Bed {
    providers: Providers,
    instances: Arc<Instances>,
}

impl Bed {
    fn new(folder: &Path, database: Option<&str>) -> Self {
        let resolve: Arc<Resolve> = Arc::new(|text| Ok(text.replace("${env:TOKEN}", "s3cret")));
        let url: Option<DatabaseUrl> = database.map(|url| url.parse().unwrap());
        let of = move |name: &cutover_model::DatabaseName| {
            let missing = || Diagnostic::error("usage.unknown-database", format!("no `{name}`"));
            url.clone().ok_or_else(missing)
        };
        let instances = Arc::new(Instances::default());
        let providers = Providers::new(
            HttpQueries::new(Arc::clone(&resolve), Arc::new(Never)),
            Box::new(of),
            Commands::new(folder.to_owned(), resolve),
            Arc::clone(&instances) as _,
        );
        Self { providers, instances }
    }

    async fn ask(&self, provider: Value, since: i64) -> Result<Value, PortError> {
        let provider: Provider = serde_json::from_value(provider).unwrap();
        let (candidate, stable) = ("api@2.0.0#bb".parse().unwrap(), "api@1.0.0#aa".parse().unwrap());
        let provider = provider.about(&candidate, Some(&stable));
        let question = Question {
            provider: &provider,
            candidate: &candidate,
            stable: Some(&stable),
            since: Timestamp::from_second(since).unwrap(),
        };
        self.providers.ask(&question).await
    }

    async fn sql(&self, query: &str) -> Result<Value, PortError> {
        self.ask(
            json!({"sql": {"database": "main", "query": query, "timeout": "1s"}}),
            0,
        )
        .await
    }

    async fn said(&self, query: &str) -> String {
        let error = self.sql(query).await.unwrap_err();
        assert_eq!(error.diagnostic.code, "metrics.unavailable", "{error}");
        error.to_string()
    }
}

/// What holds of every kind of database. `slow` takes longer than its time.
async fn a_database_is_only_read(url: &str, slow: &str) {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::new(folder.path(), Some(url));
    assert_eq!(
        bed.sql("SELECT 1 AS one, 'a' AS text, NULL AS missing, 0.5 AS half")
            .await
            .unwrap(),
        json!([{"one": 1, "text": "a", "missing": null, "half": 0.5}])
    );
    assert_eq!(
        bed.sql("SELECT count(*) AS n FROM events WHERE version = '${candidate.version}'")
            .await
            .unwrap(),
        json!([{"n": 2}])
    );
    assert_eq!(
        bed.sql("SELECT id FROM events WHERE id > 100").await.unwrap(),
        json!([])
    );
    for write in [
        "INSERT INTO events VALUES (9, 'x')",
        "DROP TABLE events",
        "SELECT 1; DELETE FROM events",
        "COMMIT; DELETE FROM events",
    ] {
        let said = bed.said(write).await;
        assert!(said.contains("the database `main`"), "{write}: {said}");
    }
    assert_eq!(
        bed.sql("SELECT count(*) AS n FROM events").await.unwrap(),
        json!([{"n": 3}])
    );
    assert!(bed.said("SELECT nonsense").await.contains("nonsense"));
    let many = "SELECT a.id FROM events a, events b, events c, events d, events e, events f, events g";
    assert!(bed.said(many).await.contains("more than 1000 rows"));
    let begun = Instant::now();
    let _said = bed.said(slow).await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

const EVENTS: [&str; 2] = [
    "CREATE TABLE events (id integer PRIMARY KEY, version varchar(20))",
    "INSERT INTO events VALUES (1, '2.0.0'), (2, '2.0.0'), (3, '1.0.0')",
];

#[tokio::test]
async fn sqlite_is_only_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch(&EVENTS.join(";"))
        .unwrap();
    let slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    a_database_is_only_read(&format!("sqlite:{}", path.display()), slow).await;
}

#[tokio::test]
async fn postgres_is_only_read() {
    let Some(url) = cutover_testkit::postgres_database().await else {
        return;
    };
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    let driver = tokio::spawn(connection);
    client.batch_execute(&EVENTS.join(";")).await.unwrap();
    a_database_is_only_read(&url, "SELECT pg_sleep(60)").await;
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::new(folder.path(), Some(&url));
    let kinds = "SELECT true AS yes, 1.25::numeric AS n, 'NaN'::float8 AS nan, '{\"a\": [1]}'::jsonb AS doc, \
                 9007199254740993::int8 AS big, date '2026-01-02' AS day";
    assert_eq!(
        bed.sql(kinds).await.unwrap(),
        json!([{"yes": true, "n": 1.25, "nan": null, "doc": {"a": [1]}, "big": 9_007_199_254_740_993_i64, "day": "2026-01-02"}])
    );
    drop(client);
    let _ended = driver.await;
}

#[tokio::test]
async fn mariadb_is_only_read() {
    use mysql_async::prelude::Queryable as _;
    let Some(url) = cutover_testkit::mariadb_database().await else {
        return;
    };
    let mut session = cutover_testkit::connect_mariadb(&url).await.unwrap();
    for statement in EVENTS {
        session.query_drop(statement).await.unwrap();
    }
    a_database_is_only_read(&url, "SELECT sleep(60)").await;
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::new(folder.path(), Some(&url));
    assert_eq!(
        bed.sql("SELECT true AS yes, cast(1.25 AS decimal(5,2)) AS n, cast('2026-01-02' AS date) AS day")
            .await
            .unwrap(),
        json!([{"yes": 1, "n": 1.25, "day": "2026-01-02"}])
    );
    session.disconnect().await.unwrap();
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_the_providers_error() {
    let folder = tempfile::tempdir().unwrap();
    let url = "postgres://shop:hunter2@127.0.0.1:1/shop?sslmode=disable";
    let error = Bed::new(folder.path(), Some(url))
        .sql("SELECT 1")
        .await
        .unwrap_err();
    assert!(
        error.transient && !error.to_string().contains("hunter2"),
        "{error}"
    );
    let error = Bed::new(folder.path(), None).sql("SELECT 1").await.unwrap_err();
    assert_eq!(error.diagnostic.code, "usage.unknown-database");
}

#[tokio::test]
async fn a_commands_code_and_output_are_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::new(folder.path(), None);
    let run = async |script: &str, timeout: &str| {
        let command = json!({"command": {"command": ["sh", "-c", script, "${candidate.version}"],
            "environment": {"TOKEN": "${env:TOKEN}"}, "timeout": timeout}});
        bed.ask(command, 0).await
    };
    for (script, expected) in [
        ("echo 0.25", json!({"exitCode": 0, "output": 0.25})),
        (
            "echo '{\"up\": true}'; exit 3",
            json!({"exitCode": 3, "output": {"up": true}}),
        ),
        (
            "echo $0 $CANDIDATE_VERSION $STABLE_VERSION $SERVICE",
            json!({"exitCode": 0, "output": "2.0.0 2.0.0 1.0.0 api"}),
        ),
        ("test $TOKEN = s3cret", json!({"exitCode": 0, "output": ""})),
        ("echo my $TOKEN", json!({"exitCode": 0, "output": "my ***"})),
        (
            "pwd",
            json!({"exitCode": 0, "output": folder.path().canonicalize().unwrap()}),
        ),
        // Nobody waits for what it leaves behind in the background without its output.
        (
            "sleep 60 >/dev/null & echo done",
            json!({"exitCode": 0, "output": "done"}),
        ),
    ] {
        assert_eq!(run(script, "10s").await.unwrap(), expected, "{script}");
    }
    for (script, part) in [
        ("kill -9 $$", "SIGKILL"),
        ("sleep 60", "not done within 300ms"),
        ("sleep 60 & echo $! > child; wait", "not done within 300ms"),
        ("head -c 1100000 /dev/zero", "1 MiB"),
    ] {
        let error = run(script, "300ms").await.unwrap_err();
        assert_eq!(error.diagnostic.code, "metrics.unavailable");
        let said = error.to_string();
        assert!(
            said.contains(part) && said.contains("`sh`") && !said.contains("s3cret"),
            "{script}: {said}"
        );
    }
    let child = std::fs::read_to_string(folder.path().join("child")).unwrap();
    let alive = || {
        std::fs::read_to_string(format!("/proc/{}/cmdline", child.trim())).is_ok_and(|text| !text.is_empty())
    };
    while alive() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = bed
        .ask(json!({"command": {"command": ["./none"]}}), 0)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("cannot be started"), "{error}");
}

#[tokio::test]
async fn lines_are_counted_from_the_beginning_of_each_measurement() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::new(folder.path(), None);
    let logs = json!({"logs": {"pattern": "ERROR|panicked"}});
    bed.instances.write("api@1.0.0#aa", &["ERROR of yesterday"]);
    assert_eq!(
        bed.ask(logs.clone(), 1).await.unwrap(),
        Value::Null,
        "it begins to count"
    );
    bed.instances
        .write("api@2.0.0#bb", &["ok", "an ERROR", "panicked at", "error"]);
    let first = json!({
        "candidate": {"lines": 4, "matching": 2, "share": 0.5},
        "stable": {"lines": 0, "matching": 0, "share": null},
    });
    assert_eq!(bed.ask(logs.clone(), 1).await.unwrap(), first);
    // A measurement that goes on goes on counting.
    bed.instances.write("api@1.0.0#aa", &["ok"]);
    let found = bed.ask(logs.clone(), 1).await.unwrap();
    assert_eq!(
        (&found["candidate"], &found["stable"]["share"]),
        (&first["candidate"], &json!(0.0))
    );
    bed.instances.write("api@2.0.0#bb", &["ok"]);
    assert_eq!(
        bed.ask(logs.clone(), 2).await.unwrap()["candidate"],
        json!({"lines": 1, "matching": 0, "share": 0.0})
    );
    let wrong = bed.ask(json!({"logs": {"pattern": "("}}), 1).await.unwrap_err();
    assert_eq!(wrong.diagnostic.code, "spec.invalid-value");
}

#[tokio::test]
async fn cpu_is_told_from_the_beginning_of_each_measurement() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::new(folder.path(), None);
    // Candidate and stable take turns.
    for (cpu_seconds, memory_bytes) in [
        (1.0, 10),
        (50.0, 20),
        (1_000.0, 30),
        (51.0, 20),
        (1_000.0, 40),
        (51.0, 20),
    ] {
        bed.instances.used.lock().unwrap().push_back(Usage {
            cpu_seconds,
            memory_bytes,
        });
    }
    let resources = json!({"resources": {}});
    assert_eq!(bed.ask(resources.clone(), 1).await.unwrap(), Value::Null);
    let first = bed.ask(resources.clone(), 1).await.unwrap();
    let cpu = |of: &Value| of["cpu"].as_f64().unwrap();
    assert!(
        cpu(&first["candidate"]) > 100.0 * cpu(&first["stable"]),
        "{first}"
    );
    assert_eq!(first["candidate"]["memoryBytes"], 30.0);
    let second = bed.ask(resources, 2).await.unwrap();
    assert_eq!(cpu(&second["candidate"]), 0.0, "{second}");
}
