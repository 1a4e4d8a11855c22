//! `cutover migrate diff` and the files that `cutover migrate new` writes, on a database that no upgrade has touched.

#![cfg(test)]

use std::path::PathBuf;
use std::process::Command;

struct Stage(tempfile::TempDir);

impl Stage {
    fn new() -> Self {
        Self::on("sqlite:./shop.db", "text")
    }

    /// On a database, with texts of this type.
    fn on(url: &str, text: &str) -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        stage.write(
            "cutover.yaml",
            &format!(
                "apiVersion: cutover/v1\napplication: shop\ndatabases:\n  main: {{url: \"{url}\", migrations: \
                 \"./migrations\"}}\nservices:\n  api:\n    target: {{process: {{command: [\"/bin/true\"], ports: \
                 20000-20001}}}}\n    health: {{path: /ready}}\n"
            ),
        );
        stage.write(
            "migrations/001_users.up.sql",
            &format!(
                "-- cutover: phase=expand\nCREATE TABLE users (id integer PRIMARY KEY, email {text} NOT NULL, name {text}, age integer);"
            ),
        );
        stage.write("migrations/001_users.down.sql", "DROP TABLE users;");
        stage
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[track_caller]
    fn run(&self, words: &str, code: i32) -> (String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_cutover"))
            .current_dir(self.0.path())
            .env("CUTOVER_STATE", self.0.path().join("state"))
            .args(words.split_whitespace())
            .args(["--release", "1.1.0"])
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{words}\n{out}\n{err}");
        (out, err)
    }

    fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.0.path().join("shop.db")).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let folder = self.0.path().join("migrations");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn review(&self) {
        for name in self.files() {
            let path: PathBuf = self.0.path().join("migrations").join(&name);
            let text = std::fs::read_to_string(&path)
                .unwrap()
                .replace("reviewed=no", "reviewed=yes");
            std::fs::write(path, text).unwrap();
        }
    }
}

#[test]
fn drift_is_shown_with_its_exit_code() {
    let stage = Stage::new();
    stage.run("migrate up", 0);
    let (out, _) = stage.run("migrate diff", 0);
    assert!(out.contains("✓ main is what its migrations produce"), "{out}");
    stage
        .database()
        .execute_batch("ALTER TABLE users ADD COLUMN rogue text")
        .unwrap();
    let (out, _) = stage.run("migrate diff", 5);
    assert!(
        out.contains("main  1 difference") && out.contains("+ column users.rogue  text"),
        "{out}"
    );
    let (json, _) = stage.run("--output json migrate diff", 5);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value[0]["equal"], false);
    assert_eq!(value[0]["drift"][0]["found"], "added");
    assert_eq!(value[0]["drift"][0]["what"], "column users.rogue");
}

/// Only what is on record is run for it.
#[test]
fn drift_is_shown_beside_a_fault_in_a_file_that_is_pending() {
    let stage = Stage::new();
    stage.run("migrate up", 0);
    let broken = "-- cutover: phase=expand\nCREATE TABLE b (x text);\nSELECT '";
    stage.write("migrations/002_b.up.sql", broken);
    stage.write("migrations/002_b.down.sql", "DROP TABLE b;");
    let (out, err) = stage.run("migrate diff", 0);
    assert!(out.contains("✓ main is what its migrations produce"), "{out}");
    assert!(err.contains("warning[migrate.unparsable]"), "{err}");
    let (out, _) = stage.run("migrate diff --output json", 0);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value[0]["equal"], true);
    assert_eq!(value[0]["findings"][0]["code"], "migrate.unparsable");

    stage.write("migrations/001_users.up.sql", broken);
    let (out, err) = stage.run("migrate diff", 1);
    assert!(
        err.contains("error[migrate.unparsable]")
            && err.contains("001_users.up.sql:3")
            && err.contains("help  cutover migrate validate"),
        "{err}"
    );
    assert_eq!(out, "");
}

#[test]
fn a_rename_is_a_set_of_files_that_wait_for_a_reviewer() {
    let stage = Stage::new();
    let (out, err) = stage.run("migrate new email --rename users.email:email_address", 0);
    assert!(
        out.contains("002_email.up.sql") && err.contains("reviewed=yes"),
        "{out}{err}"
    );
    assert_eq!(
        stage
            .files()
            .iter()
            .filter(|name| name.ends_with(".up.sql"))
            .collect::<Vec<_>>(),
        [
            "001_users.up.sql",
            "002_email.up.sql",
            "003_email_backfill.up.sql",
            "004_email_contract.up.sql"
        ]
    );
    let (_, err) = stage.run("migrate up", 2);
    assert!(err.contains("migrate.unreviewed"), "{err}");
    stage.review();
    stage.run("migrate up", 0);
    let database = stage.database();
    database
        .execute_batch("INSERT INTO users (id, email) VALUES (1, 'a@x')")
        .unwrap();
    let both: String = database
        .query_row("SELECT email_address FROM users", [], |row| row.get(0))
        .unwrap();
    assert_eq!(both, "a@x");
    let (out, _) = stage.run("migrate diff", 0);
    assert!(out.contains('✓'), "{out}");
    let (_, err) = stage.run("migrate new again --rename users.emial:x", 1);
    assert!(
        err.contains("migrate.no-such-column") && err.contains("email_address"),
        "{err}"
    );
}

#[test]
fn split_retype_and_not_null_are_applied_as_they_are_written() {
    let stage = Stage::new();
    stage.run("migrate new names --split users.name:first,last", 0);
    stage.review();
    stage.run("migrate new age --retype users.age:age_text:text", 0);
    stage.review();
    stage.run("migrate new strict --not-null users.first", 0);
    stage.review();
    stage.run("migrate up", 0);
    let database = stage.database();
    database
        .execute_batch("INSERT INTO users (id, email, name, age) VALUES (1, 'a', 'Ada B Lovelace', 36)")
        .unwrap();
    let row: String = database
        .query_row(
            "SELECT first || '|' || last || '|' || age_text FROM users",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(row, "Ada|B Lovelace|36");
}

#[test]
fn a_desired_schema_becomes_files_and_a_rename_is_asked_about() {
    let stage = Stage::new();
    stage.write(
        "schema.sql",
        "CREATE TABLE users (id integer PRIMARY KEY, address text NOT NULL, name text, age integer);\nCREATE TABLE teams (id integer PRIMARY KEY);",
    );
    let (_, err) = stage.run("migrate new next --autogenerate --schema schema.sql", 2);
    assert!(
        err.contains("migrate.rename-unclear") && err.contains("--rename users.email:address"),
        "{err}"
    );
    stage.run(
        "migrate new next --autogenerate --schema schema.sql --rename users.email:address",
        0,
    );
    stage.review();
    stage.run("migrate up", 0);
    let (out, _) = stage.run("migrate new more --autogenerate --schema schema.sql", 0);
    assert!(!out.contains("Wrote"), "the files produce it already: {out}");
}

/// As on SQLite; and the linter, asked as a person asks it, has nothing to say of the files.
#[test]
fn on_mariadb_files_are_written_found_clean_and_applied() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(url) = runtime.block_on(cutover_testkit::mariadb_database()) else {
        return;
    };
    let stage = Stage::on(&url, "varchar(100)");
    stage.write(
        "schema.sql",
        "CREATE TABLE users (id integer PRIMARY KEY, address varchar(100) NOT NULL, name varchar(100), age integer, note text);",
    );
    let (_, err) = stage.run("migrate new next --autogenerate --schema schema.sql", 2);
    assert!(
        err.contains("migrate.rename-unclear") && err.contains("--rename users.email:address"),
        "{err}"
    );
    stage.run(
        "migrate new next --autogenerate --schema schema.sql --rename users.email:address",
        0,
    );
    stage.review();
    stage.run("migrate new age --not-null users.age", 0);
    stage.review();
    let lint = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .current_dir(stage.0.path())
        .args(["migrate", "lint", "--dialect", "mariadb", "migrations"])
        .output()
        .unwrap();
    let found = String::from_utf8_lossy(&lint.stdout);
    assert_eq!(lint.status.code(), Some(0), "{found}");
    stage.run("migrate up", 0);
    let (out, _) = stage.run("migrate diff", 0);
    assert!(out.contains('✓'), "{out}");
}

/// Nothing makes a type that changes in place better, so it is told at once; the files of a rename are found clean.
#[test]
fn on_postgres_files_are_found_clean_or_it_is_told_what_they_do() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(url) = runtime.block_on(cutover_testkit::postgres_database()) else {
        return;
    };
    let stage = Stage::on(&url, "text");
    let (_, err) = stage.run("migrate new mail --rename users.email:mail", 0);
    assert!(!err.contains("set-not-null"), "{err}");
    stage.review();
    let lint = |code: i32| {
        let lint = Command::new(env!("CARGO_BIN_EXE_cutover"))
            .current_dir(stage.0.path())
            .args(["migrate", "lint", "--fail-on", "warning", "migrations"])
            .output()
            .unwrap();
        let found = String::from_utf8_lossy(&lint.stdout).into_owned();
        assert_eq!(lint.status.code(), Some(code), "{found}");
        found
    };
    lint(0);
    stage.write(
        "schema.sql",
        "CREATE TABLE users (id integer PRIMARY KEY, name text UNIQUE, age bigint NOT NULL CHECK (age > 0), mail text NOT NULL);",
    );
    let (_, err) = stage.run("migrate new next --autogenerate --schema schema.sql", 0);
    assert!(
        err.contains("change-type") && err.contains("_next_contract.up.sql"),
        "{err}"
    );
    assert!(lint(5).contains("change-type"));
    stage.review();
    stage.run("migrate up --contracts --yes", 0);
    let (out, _) = stage.run("migrate diff", 0);
    assert!(out.contains('✓'), "{out}");
}
