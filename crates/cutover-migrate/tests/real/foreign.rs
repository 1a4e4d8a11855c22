//! Histories of other tools, taken over and continued: dbmate, Alembic and Liquibase themselves where they can be had,
//! the tables of the others as they make them.

use std::path::{Path, PathBuf};
use std::process::Command;

use cutover_migrate::{MigrationStatus, Reach, Tool};
use cutover_ports::Databases as _;

use crate::bed::{Bed, Kind, bed, fence, main_db, options, up_all};

const A: &str = "-- cutover: phase=expand\nCREATE TABLE a (x integer)";
const B: &str = "-- cutover: phase=expand\nCREATE TABLE b (x integer)";
const C: &str = "-- cutover: phase=expand\nCREATE TABLE c (x integer)";

const FILES: &[(&str, &str)] = &[
    ("001_a.up.sql", A),
    ("001_a.down.sql", "DROP TABLE a"),
    ("002_b.up.sql", B),
    ("002_b.down.sql", "DROP TABLE b"),
    ("003_c.up.sql", C),
    ("003_c.down.sql", "DROP TABLE c"),
];

/// Takes the history over, which must say that the first two files are applied, and goes on.
async fn taken_over_and_continued(bed: &Bed, files: &[(&str, &str)], tool: Tool) {
    let databases = bed.databases(files);
    let name = main_db();
    let count = databases
        .import(&fence(1), &name, tool, None, &options())
        .await
        .unwrap();
    assert_eq!(count, 2, "{tool}");
    let again = databases.import(&fence(1), &name, tool, None, &options()).await;
    assert_eq!(again.unwrap_err().diagnostic.code, "migrate.history-not-empty");
    up_all(&databases).await.1.unwrap();
    assert!(bed.has_table("c").await, "{tool}");
    let lines = databases.status(&name).await.unwrap();
    assert!(lines.iter().all(|line| line.status == MigrationStatus::Applied));
    let log = databases.log(&name).await.unwrap();
    assert_eq!(log.iter().filter(|entry| entry.act.word() == "import").count(), 2);
    databases
        .migrate_down(&fence(1), &name, Reach::All, &options(), &mut Vec::new())
        .await
        .unwrap();
    assert!(!bed.has_table("a").await);
}

async fn code(bed: &Bed, tool: Tool) -> String {
    let databases = bed.databases(FILES);
    let result = databases
        .import(&fence(1), &main_db(), tool, None, &options())
        .await;
    assert!(databases.observe(&main_db()).await.unwrap().applied.is_empty());
    result.unwrap_err().diagnostic.code.to_string()
}

/// Their tables, by their sources, with the first two files applied; a statement after which it is not clear what is.
const TABLES: &[(Tool, &str, &str)] = &[
    (
        Tool::Flyway,
        "CREATE TABLE flyway_schema_history (installed_rank INT NOT NULL PRIMARY KEY, version VARCHAR(50), description VARCHAR(200) NOT NULL,
            type VARCHAR(20) NOT NULL, script VARCHAR(1000) NOT NULL, checksum INTEGER, installed_by VARCHAR(100) NOT NULL,
            installed_on TIMESTAMP NOT NULL DEFAULT now(), execution_time INTEGER NOT NULL, success BOOLEAN NOT NULL);
         INSERT INTO flyway_schema_history VALUES
            (1, '1', '<< Flyway Baseline >>', 'BASELINE', '<< Flyway Baseline >>', NULL, 'u', now(), 0, true),
            (2, '3', 'c', 'SQL', 'V3__c.sql', 1, 'u', now(), 4, true),
            (3, '3', 'c', 'UNDO_SQL', 'U3__c.sql', 1, 'u', now(), 4, true),
            (4, '2.0', 'b', 'SQL', 'V2.0__b.sql', -7, 'u', now(), 4, true),
            (5, NULL, 'views', 'SQL', 'R__views.sql', 9, 'u', now(), 4, true)",
        "INSERT INTO flyway_schema_history VALUES (6, '3', 'c', 'SQL', 'V3__c.sql', 1, 'u', now(), 4, false)",
    ),
    (
        Tool::GolangMigrate,
        "CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
         INSERT INTO schema_migrations VALUES (2, false)",
        "UPDATE schema_migrations SET dirty = true",
    ),
    (
        Tool::Sqlx,
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, installed_on TIMESTAMP NOT NULL DEFAULT now(),
            success BOOLEAN NOT NULL, checksum VARCHAR(48) NOT NULL, execution_time BIGINT NOT NULL);
         INSERT INTO _sqlx_migrations VALUES (1, 'a', now(), true, 'x', 5), (2, 'b', now(), true, 'x', 5)",
        "UPDATE _sqlx_migrations SET success = false WHERE version = 2",
    ),
    (
        Tool::Rails,
        "CREATE TABLE schema_migrations (version varchar(190) NOT NULL PRIMARY KEY);
         CREATE TABLE ar_internal_metadata (name varchar(190) NOT NULL PRIMARY KEY, value varchar(190));
         INSERT INTO schema_migrations VALUES ('1'), ('2')",
        "INSERT INTO schema_migrations VALUES ('20260101000000')",
    ),
    (
        Tool::Alembic,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
         INSERT INTO alembic_version VALUES ('b')",
        "INSERT INTO alembic_version VALUES ('c')",
    ),
];

async fn written_by_fixtures(kind: Kind) {
    for (tool, history, trouble) in TABLES {
        let Some(bed) = bed(kind).await else { return };
        let spelt = |text: &str| match kind {
            Kind::Sqlite => text.replace("now()", "CURRENT_TIMESTAMP"),
            Kind::Postgres | Kind::MariaDb => text.to_owned(),
        };
        assert_eq!(code(&bed, *tool).await, "migrate.import-missing");
        for statement in spelt(history)
            .split(";\n")
            .chain(["CREATE TABLE a (x integer)", "CREATE TABLE b (x integer)"])
        {
            bed.run(statement).await;
        }
        taken_over_and_continued(&bed, FILES, *tool).await;

        let Some(bed) = self::bed(kind).await else { return };
        for statement in spelt(history).split(";\n").chain([spelt(trouble).as_str()]) {
            bed.run(statement).await;
        }
        let expected = match tool {
            Tool::Rails => "migrate.import-unmatched",
            _ => "migrate.import-failed",
        };
        assert_eq!(code(&bed, *tool).await, expected, "{tool}");
        // A person may know better.
        if *tool == Tool::Rails {
            let databases = bed.databases(FILES);
            let count = databases
                .import(&fence(1), &main_db(), *tool, Some(2), &options())
                .await;
            assert_eq!(count.unwrap(), 2);
        }
    }
}

#[tokio::test]
async fn fixtures_on_sqlite() {
    written_by_fixtures(Kind::Sqlite).await;
}

#[tokio::test]
async fn fixtures_on_postgres() {
    written_by_fixtures(Kind::Postgres).await;
}

#[tokio::test]
async fn fixtures_on_mariadb() {
    written_by_fixtures(Kind::MariaDb).await;
}

/// A program that Debian does not have: without it its test says so, and is skipped.
fn tool(name: &str, from: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = std::env::split_paths(&path).map(|folder| folder.join(name));
    let found = all.find(|path| path.is_file());
    if found.is_none() {
        skipped(name, from);
    }
    found
}

#[expect(
    clippy::print_stderr,
    reason = "a skipped test says so where the runner shows it"
)]
fn skipped(what: &str, from: &str) {
    eprintln!("skipped: no {what} here; it comes with: {from}");
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// `npm install dbmate` brings it.
#[tokio::test]
async fn dbmate_itself() {
    let Some(dbmate) = tool("dbmate", "npm install dbmate") else {
        return;
    };
    for kind in [Kind::Postgres, Kind::MariaDb, Kind::Sqlite] {
        let Some(bed) = bed(kind).await else { continue };
        let folder = tempfile::tempdir().unwrap();
        for (name, table) in [("001_a", "a"), ("002_b", "b")] {
            let text = format!(
                "-- migrate:up\nCREATE TABLE {table} (x integer);\n-- migrate:down\nDROP TABLE {table};\n"
            );
            write(folder.path(), &format!("{name}.sql"), &text);
        }
        let url = match kind {
            Kind::Postgres => format!("{}?sslmode=disable", bed.url),
            Kind::MariaDb => bed.url.replacen("mariadb:", "mysql:", 1),
            Kind::Sqlite => bed.url.clone(),
        };
        run(Command::new(&dbmate)
            .args(["--no-dump-schema", "--url", &url, "-d"])
            .arg(folder.path())
            .arg("up"));
        taken_over_and_continued(&bed, FILES, Tool::Dbmate).await;
    }
}

/// `pip install alembic psycopg2-binary` brings it.
#[tokio::test]
async fn alembic_itself() {
    let Some(alembic) = tool("alembic", "pip install alembic psycopg2-binary") else {
        return;
    };
    let Some(bed) = bed(Kind::Postgres).await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    write(dir, "alembic.ini", "[alembic]\nscript_location = scripts\n");
    write(
        dir,
        "scripts/env.py",
        "import os\nfrom alembic import context\nfrom sqlalchemy import create_engine\nurl = os.environ['THEIR_URL']\n\
         if context.is_offline_mode():\n    context.configure(url=url, literal_binds=True)\n    with context.begin_transaction():\n\
         \x20       context.run_migrations()\nelse:\n    with create_engine(url).connect() as connection:\n\
         \x20       context.configure(connection=connection)\n        with context.begin_transaction():\n            context.run_migrations()\n",
    );
    for (revision, before, table) in [("5e1ab", "None", "a"), ("77c0d", "'5e1ab'", "b")] {
        let text = format!(
            "from alembic import op\nrevision = '{revision}'\ndown_revision = {before}\ndef upgrade():\n    op.execute('CREATE TABLE \
             {table} (x integer)')\ndef downgrade():\n    op.execute('DROP TABLE {table}')\n"
        );
        write(dir, &format!("scripts/versions/{revision}_{table}.py"), &text);
    }
    let call = |words: &[&str]| {
        let mut command = Command::new(&alembic);
        command
            .current_dir(dir)
            .env(
                "THEIR_URL",
                bed.url.replacen("postgres:", "postgresql+psycopg2:", 1),
            )
            .args(words);
        command
    };
    run(&mut call(&["upgrade", "head"]));
    // What it prints says which revision it is, and that is how the files are found.
    let printed = call(&["upgrade", "5e1ab:77c0d", "--sql"]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let marked: Vec<&str> = printed
        .lines()
        .filter(|line| line.starts_with("-- Running upgrade") || line.starts_with("CREATE TABLE b"))
        .collect();
    let second = format!("-- cutover: phase=expand\n{}", marked.join("\n"));
    let files = [
        FILES[0],
        FILES[1],
        ("002_b.up.sql", second.as_str()),
        FILES[3],
        FILES[4],
        FILES[5],
    ];
    taken_over_and_continued(&bed, &files, Tool::Alembic).await;
}

/// The npm package `liquibase@4.4.0`, unpacked, brings it: `LIQUIBASE_HOME` is its `dist/liquibase`.
#[tokio::test]
async fn liquibase_itself() {
    let Some(home) = std::env::var_os("LIQUIBASE_HOME").map(PathBuf::from) else {
        return skipped("LIQUIBASE_HOME", "npm install liquibase@4.4.0");
    };
    let Some(java) = tool("java", "apt-get install default-jre-headless") else {
        return;
    };
    let Some(bed) = bed(Kind::Postgres).await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "changes.sql",
        "--liquibase formatted sql\n\n--changeset ann:one\nCREATE TABLE a (x integer);\n\n--changeset ann:b\nCREATE TABLE b (x integer);\n",
    );
    let server = cutover_testkit::PostgresServer::shared().unwrap();
    let database = bed.url.rsplit('/').next().unwrap();
    let driver = std::fs::read_dir(home.join("../drivers"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("postgresql"))
        .unwrap();
    run(Command::new(java)
        .current_dir(folder.path())
        .arg("-jar")
        .arg(home.join("liquibase.jar"))
        .arg(format!("--classpath={}", driver.display()))
        .args([
            "--driver=org.postgresql.Driver",
            "--changeLogFile=changes.sql",
            "--username=postgres",
        ])
        .arg(format!(
            "--url=jdbc:postgresql://127.0.0.1:{}/{database}",
            server.port()
        ))
        .arg(format!("--password={}", server.password()))
        .arg("update"));
    let mut files = FILES.to_vec();
    let text = A.replace("CREATE", "--changeset ann:one\nCREATE");
    files[0] = ("001_a.up.sql", text.as_str());
    taken_over_and_continued(&bed, &files, Tool::Liquibase).await;
}
