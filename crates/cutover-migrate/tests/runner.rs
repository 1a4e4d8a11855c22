//! Databases that another tool migrates: here it is the shell, which does as it is told.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cutover_migrate::{LockPolicy, MigrateDatabases, Reach, RunnerTool};
use cutover_model::{
    DatabaseName, Fence, Generation, Migration, SchemaRevision, Span, StoreId, Timestamp, Version,
};
use cutover_ports::{Certainty, Clock, Databases as _, MigrateOptions, MigrationReport, PortError};
use cutover_spec::{Runner, RunnerCommands};

#[derive(Debug)]
struct Now;

#[async_trait::async_trait]
impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }
    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.as_duration()).await;
    }
}

/// A folder with a database, and what a tool of the shell does to it: its revision is the file `at`.
struct Bed {
    folder: tempfile::TempDir,
    commands: RunnerCommands,
    timeout: Span,
}

fn sh(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

fn name() -> DatabaseName {
    "main".parse().unwrap()
}

fn at(text: &str) -> SchemaRevision {
    SchemaRevision::from_output(text, false)
}

fn migration() -> Migration {
    let runner = Runner {
        up: sh("true"),
        ..Runner::default()
    };
    runner.migration(&name())
}

fn options() -> MigrateOptions {
    MigrateOptions {
        release: Version::new(1, 1, 0),
        upgrade: None,
        by: "tester".to_owned(),
    }
}

fn fence(generation: u64) -> Fence {
    Fence {
        store: StoreId::new("store"),
        generation: Generation(generation),
    }
}

impl Bed {
    fn new(up: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("at"), "one\n").unwrap();
        Self {
            folder,
            commands: RunnerCommands {
                name: "m".to_owned(),
                up: sh(up),
                down: Some(
                    ["sh", "-c", "echo down >> ran; echo $0 > at", "{revision}"]
                        .map(str::to_owned)
                        .to_vec(),
                ),
                current: Some(sh("echo a warning >&2; cat at")),
                base: Some("zero".to_owned()),
                first_words: false,
            },
            timeout: Span::from_secs(60),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn databases(&self) -> MigrateDatabases {
        let url = format!("sqlite:{}", self.path("app.db").display());
        let environment = [
            ("PATH", std::env::var("PATH").unwrap()),
            ("DATABASE_URL", "postgresql://u:s3cret@h/d".to_owned()),
            ("KEY", "hunter2\nhunter3".to_owned()),
        ];
        let tool = RunnerTool {
            release: Version::new(1, 1, 0),
            commands: self.commands.clone(),
            timeout: self.timeout,
            directory: self.folder.path().to_owned(),
            environment: environment
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            secrets: vec!["hunter2\nhunter3".to_owned(), "s3cret".to_owned()],
            folder: self.path("runners"),
        };
        MigrateDatabases::new(Arc::new(Now), LockPolicy::default()).with_tool(
            name(),
            url.parse().unwrap(),
            tool,
        )
    }

    async fn up(&self, generation: u64) -> Result<MigrationReport, PortError> {
        self.databases()
            .up(&fence(generation), &migration(), &options())
            .await
    }
}

/// Waits for a condition: what is looked at is not in this process.
async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 30 s: {what}");
}

fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    // A zombie does not run any more.
    stat.is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with('Z'))
    })
}

#[tokio::test]
async fn up_and_down_and_the_log_says_so() {
    let bed = Bed::new("test -n \"$DATABASE_URL\" && echo two > at");
    let databases = bed.databases();
    assert_eq!(databases.revision(&name()).await.unwrap(), Some(at("one")));
    assert!(databases.check(&name()).await.is_empty());
    let report = bed.up(1).await.unwrap();
    assert_eq!(report.moved, Some((at("one"), at("two"))));
    // Run again it has nothing to do, and says so.
    assert!(bed.up(1).await.unwrap().already);

    let down = async |to: &str| {
        let to = at(to);
        databases
            .downgrade(&fence(2), &migration(), &to, &options())
            .await
    };
    assert_eq!(down("one").await.unwrap().moved, Some((at("two"), at("one"))));
    assert!(down("one").await.unwrap().already);
    assert_eq!(bed.text("ran"), "down\n", "what is there already is not gone to");
    // Nothing applied has a name of its own on the way down; this tool then says that name.
    assert_eq!(down("").await.unwrap_err().diagnostic.code, "runner.elsewhere");
    assert_eq!(bed.text("at"), "zero\n");

    let log = databases.log(&name()).await.unwrap();
    let lines: Vec<String> = log
        .iter()
        .map(|entry| format!("{} {}", entry.id, entry.detail.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(lines, ["m one → two", "m two → two", "m two → one"]);
    // An older controller is refused before anything is run.
    assert!(bed.up(1).await.unwrap_err().is_stale());
}

#[tokio::test]
async fn a_failure_says_where_the_schema_is_and_nothing_secret() {
    let bed = Bed::new("echo half > at; echo \"url $DATABASE_URL\"; echo \"key $KEY\" >&2; exit 3");
    let error = bed.up(1).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "runner.failed");
    // Known, if not as wished: it is not tried again by itself.
    assert!(!error.transient && error.certainty == Certainty::Unknown);
    let told = format!("{error} {:?}", error.diagnostic);
    assert!(
        told.contains("exit code 3") && told.contains("was at one and is at half"),
        "{told}"
    );
    assert!(told.contains("url postgresql://u:***@h/d / key ***"), "{told}");
    let kept = bed.text("runners/main.log");
    assert!(kept.contains("key ***"), "{kept}");
    for text in [told, kept] {
        assert!(!text.contains("s3cret") && !text.contains("hunter"), "{text}");
    }

    let bed = Bed::new("exit 1");
    assert_eq!(bed.up(1).await.unwrap_err().certainty, Certainty::DefinitelyNot);
}

#[tokio::test]
async fn a_time_out_ends_all_that_was_started() {
    let mut bed = Bed::new(
        "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > child; sleep 600 & wait; sleep 600' & wait; sleep 600",
    );
    bed.timeout = Span::from_millis(700);
    let error = bed.up(1).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "runner.timed-out");
    assert!(error.to_string().contains("not done within 700ms"), "{error}");
    let child = bed.text("child");
    assert!(!child.is_empty() && !runs(&child), "{child}");
    // The lock went with the last of them.
    bed.commands.up = sh("echo two > at");
    bed.up(1).await.unwrap();
}

#[tokio::test]
async fn what_a_dead_controller_left_running_is_ended_by_the_next() {
    let mut bed = Bed::new("echo $$ > pid; sleep 600; echo late > at");
    let databases = bed.databases();
    let left = tokio::spawn(async move { databases.up(&fence(5), &migration(), &options()).await });
    until("the tool runs", || bed.text("pid").ends_with('\n')).await;
    let holder = bed.path("runners/main.lock");
    until("the lock says whose run it is", || {
        std::fs::read_to_string(&holder).is_ok_and(|text| text.contains("pid"))
    })
    .await;
    left.abort();
    assert!(left.await.unwrap_err().is_cancelled());
    let pid = bed.text("pid");
    assert!(runs(&pid), "it outlives its controller");

    // One that is older touches nothing.
    bed.commands.up = sh("echo two > at");
    assert!(bed.up(4).await.unwrap_err().is_stale());
    assert!(runs(&pid));
    let report = bed.up(6).await.unwrap();
    assert_eq!(report.moved, Some((at("one"), at("two"))));
    assert!(!runs(&pid), "it was ended before anything was run");
}

#[tokio::test]
async fn without_current_only_a_person_knows_what_became_of_one_that_was_cut_off() {
    let mut bed = Bed::new("true");
    bed.commands.current = None;
    bed.commands.down = None;
    assert_eq!(bed.databases().revision(&name()).await.unwrap(), None);
    assert_eq!(bed.up(1).await.unwrap().moved, None);
    bed.commands.up = sh("kill -9 $$");
    let error = bed.up(1).await.unwrap_err();
    assert!(
        error.certainty == Certainty::Unknown && error.transient,
        "{error:?}"
    );
    assert!(error.to_string().contains("SIGKILL"), "{error}");
    bed.commands.up = sh("exit 1");
    assert!(
        !bed.up(1).await.unwrap_err().transient,
        "its exit code is its word"
    );
    let to = at("one");
    let error = bed
        .databases()
        .downgrade(&fence(1), &migration(), &to, &options())
        .await;
    assert_eq!(error.unwrap_err().diagnostic.code, "runner.no-way-down");
}

#[tokio::test]
async fn a_stop_ends_it() {
    let bed = Bed::new("echo $$ > pid; sleep 600");
    let databases = bed.databases();
    let stopper = databases.clone();
    let work = tokio::spawn(async move { databases.up(&fence(1), &migration(), &options()).await });
    until("the tool runs", || bed.text("pid").ends_with('\n')).await;
    stopper.stop();
    let error = work.await.unwrap().unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.stopped");
    assert!(!runs(&bed.text("pid")));
}

#[tokio::test]
async fn what_cannot_be_run_or_asked_is_named() {
    let mut bed = Bed::new("true");
    bed.commands.up = vec!["./no-such-tool".to_owned()];
    let error = bed.up(1).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "runner.not-started");
    assert_eq!(error.certainty, Certainty::DefinitelyNot);
    bed.commands.current = Some(sh("echo broken; exit 2"));
    let found = bed.databases().check(&name()).await;
    assert_eq!(found[0].code, "runner.current-failed");
    assert!(
        found[0].message.ends_with("exit code 2, and said last: broken"),
        "{}",
        found[0]
    );
}

#[tokio::test]
async fn by_hand_it_is_all_or_nothing() {
    let bed = Bed::new("echo two > at");
    let databases = bed.databases();
    let mut done = Vec::new();
    databases
        .migrate_up(&fence(1), &name(), Reach::All, false, &options(), &mut done)
        .await
        .unwrap();
    assert_eq!(done[0].moved, Some((at("one"), at("two"))));
    let refused = [
        databases.pending(&name(), Reach::Steps(1), false).await.map(drop),
        databases.applied(&name(), Reach::Steps(1)).await.map(drop),
        databases
            .baseline(&fence(1), &name(), 1, &options())
            .await
            .map(drop),
    ];
    for result in refused {
        assert_eq!(result.unwrap_err().diagnostic.code, "runner.not-by-files");
    }
}
