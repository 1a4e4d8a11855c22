//! A database that the real Alembic migrates, and one that a tool migrates which says nothing of itself.

use std::path::Path;

use cutover_testkit::{PortBlock, require_or_skip};

use cutover_testkit::Ran;

use super::stage::{GATED, QUICK, Stage};

/// Reads the address where Cutover puts it.
const ENV: &str = r#"import os
from alembic import context
from sqlalchemy import create_engine

engine = create_engine(os.environ["DATABASE_URL"])
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"#;

const FIRST: &str = r#"from alembic import op

revision = "a1"
down_revision = None


def upgrade():
    op.execute("CREATE TABLE users (name text)")


def downgrade():
    op.execute("DROP TABLE users")
"#;

const SECOND: &str = r#"from alembic import op

revision = "b2"
down_revision = "a1"


def upgrade():
    op.execute("CREATE TABLE emails (address text)")


def downgrade():
    op.execute("DROP TABLE emails")
"#;

const BROKEN: &str = r#"import os
from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade():
    raise RuntimeError("no such thing at " + os.environ["DATABASE_URL"] + " for " + os.environ["APP_VERSION"])


def downgrade():
    pass
"#;

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A service of Python, started in the folder of its release, in which its Alembic lies too.
fn application(stage: &Stage, (listen, ports): (u16, &PortBlock), url: &str, strategy: &str, runner: &str) {
    let folder = stage.path();
    let releases: [(&str, &[(&str, &str)]); 3] = [
        ("1.0.0", &[("a1", FIRST)]),
        ("1.1.0", &[("a1", FIRST), ("b2", SECOND)]),
        ("1.2.0", &[("a1", FIRST), ("b2", SECOND), ("c3", BROKEN)]),
    ];
    for (version, revisions) in releases {
        let release = folder.join("releases").join(version);
        write(
            &release.join("alembic.ini"),
            "[alembic]\nscript_location = alembic\n",
        );
        write(&release.join("alembic/env.py"), ENV);
        for (name, text) in revisions {
            write(&release.join(format!("alembic/versions/{name}.py")), text);
        }
    }
    let (first, last) = (ports.first(), ports.last());
    let here = folder.display();
    let text = format!(
        "apiVersion: cutover/v1\napplication: shop\ndatabases:\n  main: {{url: \"{url}\", runner: {runner}}}\nservices:\n  api:\n    \
         target: {{process: {{command: [python3, -m, http.server, \"{{port}}\", --bind, 127.0.0.1], ports: {first}-{last}, \
         directory: \"./releases/{{version}}\", stopGrace: 1s}}}}\n    databases: [main]\n    environment: {{STAGE: \"{here}\"}}\n    \
         health: {{path: /, interval: 200ms, rise: 1, fall: 3, progressDeadline: 20s}}\n    router: {{proxy: {{listen: \
         \"127.0.0.1:{listen}\"}}}}\nstrategy: {{{strategy}}}\ndrainDeadline: 2s\n"
    );
    write(&folder.join("cutover.yaml"), &text);
}

const ALEMBIC: &str = "{preset: alembic, in: candidate}";

/// All that was said, however it was broken into lines.
fn flat(ran: &Ran) -> String {
    let all = format!("{} {}", ran.stdout, ran.stderr);
    all.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn revision(stage: &Stage) -> String {
    let status = stage
        .run(&["migrate", "status", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(status[0]["runner"], "alembic");
    status[0]["revision"].as_str().unwrap().to_owned()
}

fn alembic_on(url: &str) {
    let stage = Stage::new(QUICK);
    let (listen, ports) = (cutover_testkit::free_port(), PortBlock::reserve());
    application(&stage, (listen, &ports), url, QUICK, ALEMBIC);
    let first = flat(&stage.run(&["plan", "1.0.0"]).exits(0));
    assert!(first.contains("alembic upgrade head"), "{first}");
    assert!(first.contains("from nothing applied"), "{first}");
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    assert_eq!(revision(&stage), "a1");

    // An abort before the switch is for good takes the schema back, with the newer release's files.
    application(&stage, (listen, &ports), url, GATED, ALEMBIC);
    stage.run(&["upgrade", "1.1.0"]).exits(4);
    assert_eq!(stage.status()["stable"]["version"], "1.0.0");
    let back = flat(&stage.run(&["abort", "--why", "a feeling"]).exits(0));
    assert!(back.contains("b2 → a1"), "{back}");
    let status = stage.status();
    assert_eq!(status["stable"]["version"], "1.0.0");
    assert_eq!(revision(&stage), "a1");

    // A rollback is an upgrade of its own: the schema stays, and the next upgrade finds it there.
    application(&stage, (listen, &ports), url, QUICK, ALEMBIC);
    let up = flat(&stage.run(&["upgrade", "1.1.0"]).exits(0));
    assert!(up.contains("a1 → b2"), "{up}");
    stage.run(&["rollback"]).exits(0);
    assert_eq!(stage.status()["stable"]["version"], "1.0.0");
    let again = flat(&stage.run(&["upgrade", "1.1.0"]).exits(0));
    assert!(again.contains("stays at b2"), "{again}");

    // One that fails is not hidden: what it said last, without what is secret, and everything as before.
    let failed = stage.run(&["upgrade", "1.2.0"]).exits(3);
    let told = flat(&failed);
    assert!(
        told.contains("RuntimeError: no such thing at") && told.contains("for 1.2.0"),
        "{told}"
    );
    assert!(told.contains("the schema stays at b2"), "{told}");
    let story = stage
        .run(&["history", "show", "--output", "json"])
        .exits(0)
        .stdout;
    for password in cutover_model::passwords(url) {
        for text in [&told, &story] {
            assert!(!text.contains(&format!(":{password}@")), "{text}");
        }
    }
    assert_eq!(stage.status()["stable"]["version"], "1.1.0");
    assert_eq!(revision(&stage), "b2");

    // By hand it is run with the files of the release that is deployed, and asked itself for anything else.
    let up = stage.run(&["migrate", "up"]).exits(0).stdout;
    assert!(up.contains("b2 → b2"), "{up}");
    let down = stage.run(&["migrate", "down", "--yes"]).exits(1);
    assert!(
        down.stderr.contains("error[runner.not-by-files]"),
        "{}",
        down.stderr
    );
    let log = stage.run(&["migrate", "history"]).exits(0).stdout;
    assert!(log.contains("b2 → a1"), "{log}");
}

#[test]
fn the_real_alembic_on_sqlite() {
    if require_or_skip("alembic").is_some() {
        alembic_on("sqlite:./app.db");
    }
}

#[test]
fn the_real_alembic_on_postgresql() {
    if require_or_skip("alembic").is_none() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(url) = runtime.block_on(cutover_testkit::postgres_database()) else {
        return;
    };
    alembic_on(&url);
}

#[test]
fn a_person_says_what_became_of_a_run_that_cannot_be_observed() {
    for (answer, code, stable) in [("mark-done", 0, "1.1.0"), ("mark-not-done", 3, "1.0.0")] {
        let stage = Stage::new(QUICK);
        let (listen, ports) = (cutover_testkit::free_port(), PortBlock::reserve());
        let up = "{up: [sh, -c, \"touch began; test ! -e slow || exec sleep 600\"]}";
        application(&stage, (listen, &ports), "sqlite:./app.db", QUICK, up);
        stage.run(&["upgrade", "1.0.0"]).exits(0);
        std::fs::remove_file(stage.path().join("began")).unwrap();
        write(&stage.path().join("slow"), "");
        let mut controller = stage.start(&["upgrade", "1.1.0"]);
        let began = stage.path().join("began");
        stage.until(|_| began.exists());
        controller.kill().unwrap();
        controller.wait().unwrap();

        let resumed = stage.run(&["resume"]);
        assert_eq!(resumed.code, 4, "{}{}", resumed.stdout, resumed.stderr);
        let status = stage.status();
        assert_eq!(status["upgrade"]["phase"], "WaitingForGate", "{status}");
        stage.run(&[answer, "--why", "looked into it"]).exits(code);
        assert_eq!(stage.status()["stable"]["version"], stable);
        for pid in stage.pids("sleep 600") {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    }
}
