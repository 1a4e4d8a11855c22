//! `cutover migrate` by hand, on a database that no upgrade has touched.

#![cfg(test)]

use std::path::Path;
use std::process::{Command, Output};

struct Stage(tempfile::TempDir);

impl Stage {
    fn new() -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        stage.write(
            "cutover.yaml",
            "apiVersion: cutover/v1\napplication: shop\ndatabases:\n  main: {url: \"sqlite:./shop.db\", migrations: \
             \"./migrations\"}\nservices:\n  api:\n    target: {process: {command: [\"/bin/true\"], ports: \
             20000-20001}}\n    health: {path: /ready}\n",
        );
        for (name, up) in [
            ("001_a", "-- cutover: phase=expand\nCREATE TABLE a (x integer);"),
            ("002_b", "-- cutover: phase=expand\nCREATE TABLE b (x integer);"),
            ("003_c", "-- cutover: phase=contract retires=2.0.0\nDROP TABLE a;"),
            ("004_d", "-- cutover: phase=expand\nCREATE TABLE d (x integer);"),
        ] {
            stage.write(&format!("migrations/{name}.up.sql"), up);
            let table = &name[4..];
            let down = if name == "003_c" {
                "CREATE TABLE a (x integer);".to_owned()
            } else {
                format!("DROP TABLE {table};")
            };
            stage.write(&format!("migrations/{name}.down.sql"), &down);
        }
        stage
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[track_caller]
    fn migrate(&self, words: &str, code: i32) -> (String, String) {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_cutover"))
            .current_dir(self.0.path())
            .env("CUTOVER_STATE", self.0.path().join("state"))
            .arg("migrate")
            .args(words.split_whitespace())
            .args(["--release", "1.0.0"])
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{words}\n{out}\n{err}");
        (out, err)
    }

    /// Runs what stands behind `help`, or behind the key of a note, in the folder of `cutover.yaml`.
    #[track_caller]
    fn paste(&self, told: &str) {
        let line = told
            .lines()
            .rev()
            .find(|line| line.contains("  mv ") || line.contains("  sed "));
        let line = line.unwrap_or_else(|| panic!("no command in {told}"));
        let at = line.find("  mv ").or_else(|| line.find("  sed ")).unwrap();
        let done = Command::new("sh")
            .args(["-c", line[at..].trim()])
            .current_dir(self.0.path())
            .status();
        assert!(done.unwrap().success(), "{line}");
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        Path::new(self.0.path()).join(name)
    }
}

#[test]
fn up_and_down_go_as_far_as_they_are_told_and_a_contract_waits() {
    let stage = Stage::new();
    let (sql, _) = stage.migrate("sql --to 1", 0);
    assert!(
        sql.contains("CREATE TABLE a") && !sql.contains("CREATE TABLE b"),
        "{sql}"
    );
    assert!(!stage.file("shop.db").exists(), "a dry run makes nothing");

    let (out, _) = stage.migrate("up --steps 1", 0);
    assert!(out.contains("001_a") && !out.contains("002_b"), "{out}");
    let (out, err) = stage.migrate("up", 0);
    assert!(out.contains("002_b") && out.contains("004_d"), "{out}");
    assert!(
        err.contains("003_c  waits until no instance below 2.0.0 is left"),
        "{err}"
    );
    let (out, _) = stage.migrate("status", 0);
    assert!(out.contains("· 003_c"), "{out}");

    stage.migrate("down --to 9 --yes", 1);
    let (out, _) = stage.migrate("down --to 1 --yes", 0);
    assert!(out.find("004_d") < out.find("002_b"), "{out}");
    let (out, _) = stage.migrate("down --all --yes", 0);
    assert!(out.contains("001_a"), "{out}");
    let (out, _) = stage.migrate("down --yes", 0);
    assert_eq!(out, "Nothing to do.\n");
    let (out, _) = stage.migrate("history", 0);
    assert_eq!(out.lines().count(), 7, "{out}");
}

#[test]
fn a_file_that_does_not_say_its_phase_gets_what_its_statements_make_it() {
    let stage = Stage::new();
    stage.write("migrations/004_d.up.sql", "ALTER TABLE b ADD COLUMN y integer;");
    stage.write("migrations/004_d.down.sql", "ALTER TABLE b DROP COLUMN y;");
    let (out, _) = stage.migrate("status", 0);
    let line = out.lines().find(|line| line.contains("004_d")).unwrap();
    assert!(line.contains("expand"), "{out}");
    stage.migrate("up", 0);
    // Saying it later changes nothing of what is recorded.
    stage.write(
        "migrations/004_d.up.sql",
        "-- cutover: phase=expand\nALTER TABLE b ADD COLUMN y integer;",
    );
    stage.migrate("validate", 0);
    stage.write(
        "migrations/005_e.up.sql",
        "CREATE TABLE e (x integer);\nDROP TABLE d;\nDROP TABLE b;",
    );
    stage.write("migrations/005_e.down.sql", "SELECT 1;");
    for (command, code) in [("up", 2), ("status", 5), ("validate", 2)] {
        let (_, err) = stage.migrate(command, code);
        assert!(err.contains("error[migrate.mixed-phase]"), "{err}");
        assert!(err.contains("expand: CREATE TABLE e (x integer)"), "{err}");
        assert!(err.contains("contract: DROP TABLE b"), "{err}");
    }
}

#[test]
fn a_changed_file_is_found_and_its_record_repaired() {
    let stage = Stage::new();
    stage.migrate("up --steps 2", 0);
    stage.write(
        "migrations/001_a.up.sql",
        "-- cutover: phase=expand\nCREATE TABLE a (x integer, y integer);",
    );
    let (_, err) = stage.migrate("validate", 5);
    assert!(err.contains("error[migrate.changed]"), "{err}");
    let (_, err) = stage.migrate("up", 1);
    assert!(err.contains("error[migrate.changed]"), "{err}");
    let (_, err) = stage.migrate("repair --only 1", 2);
    assert!(err.contains("error[usage.not-confirmed]"), "{err}");
    stage.migrate("repair --only 1 --yes", 0);
    stage.migrate("validate", 0);
    let (_, err) = stage.migrate("repair --only nothing --yes", 1);
    assert!(err.contains("error[migrate.unknown-number]"), "{err}");
}

#[test]
fn a_file_that_was_renamed_or_lost_is_told_from_a_new_one() {
    let stage = Stage::new();
    stage.migrate("up", 0);
    let moved = |from: &str, to: &str| {
        for way in ["up", "down"] {
            let path = |name: &str| stage.file(&format!("migrations/{name}.{way}.sql"));
            std::fs::rename(path(from), path(to)).unwrap();
        }
    };
    moved("002_b", "002_bb");
    let (_, err) = stage.migrate("up", 1);
    assert!(
        err.contains("error[migrate.renamed]: 002_bb is 002_b under another name")
            && err.contains("cutover migrate repair --only 002_bb --as file --release 1.0.0"),
        "{err}"
    );
    let (out, _) = stage.migrate("status", 0);
    assert!(
        out.contains("✗ 002_bb") && out.contains("applied as 002_b;"),
        "{out}"
    );
    stage.migrate("repair --only 2 --as file --yes", 0);
    stage.migrate("validate", 0);
    let (out, _) = stage.migrate("up", 0);
    assert_eq!(out, "Nothing to do.\n");

    // Its number for another file: neither is run.
    stage.write(
        "migrations/002_bb.up.sql",
        "-- cutover: phase=expand\nCREATE TABLE other (x integer);",
    );
    moved("002_bb", "002_other");
    let (_, err) = stage.migrate("validate", 5);
    assert!(
        err.contains("error[migrate.renamed]")
            && err.contains("mv ./migrations/002_other.up.sql ./migrations/005_other.up.sql"),
        "{err}"
    );

    for way in ["up", "down"] {
        std::fs::remove_file(stage.file(&format!("migrations/002_other.{way}.sql"))).unwrap();
    }
    for command in ["up", "validate"] {
        let (_, err) = stage.migrate(command, 2);
        assert!(
            err.contains("error[migrate.file-missing]: 002_bb is applied, and its files are missing here")
                && !err.contains("mv "),
            "{err}"
        );
    }
    // What was never applied is a gap.
    std::fs::remove_file(stage.file("shop.db")).unwrap();
    let (_, err) = stage.migrate("up", 2);
    assert!(err.contains("error[migrate.gap]"), "{err}");
}

/// What is needed in trouble is there in trouble: nothing that is wrong with a file hides what the database says.
#[test]
fn a_fault_in_one_file_takes_neither_status_nor_history_nor_the_way_back_away() {
    type Fault = (&'static str, fn(&Stage));
    let faults: [Fault; 6] = [
        ("migrate.unparsable", |stage| {
            stage.write("migrations/004_d.up.sql", "-- cutover: phase=expand\nSELECT '");
        }),
        ("migrate.directive", |stage| {
            stage.write("migrations/004_d.up.sql", "-- cutover: fase=expand\nSELECT 1");
        }),
        ("migrate.down-missing", |stage| {
            std::fs::remove_file(stage.file("migrations/004_d.down.sql")).unwrap();
        }),
        ("migrate.bad-name", |stage| {
            stage.write("migrations/five.up.sql", "SELECT 1");
        }),
        ("migrate.gap", |stage| {
            stage.write("migrations/006_f.up.sql", "-- cutover: phase=expand\nSELECT 1");
            stage.write("migrations/006_f.down.sql", "SELECT 1");
        }),
        ("migrate.unreadable", |stage| {
            std::fs::write(stage.file("migrations/004_d.up.sql"), b"SELECT '\xff'").unwrap();
        }),
    ];
    for (code, break_it) in faults {
        let stage = Stage::new();
        stage.migrate("up --to 2", 0);
        break_it(&stage);
        let (out, err) = stage.migrate("status", 5);
        assert!(out.contains("✓ 001_a") && out.contains("✓ 002_b"), "{out}");
        assert!(out.contains("· 003_c"), "{out}");
        assert!(err.contains(&format!("error[{code}]")), "{err}");
        let (out, _) = stage.migrate("history", 0);
        assert!(out.contains("001_a") && out.contains("002_b"), "{out}");
        for command in ["up", "validate"] {
            let (_, err) = stage.migrate(command, 2);
            assert!(err.contains(&format!("error[{code}]")), "{err}");
        }
        let (out, _) = stage.migrate("sql --down", 0);
        assert!(out.contains("DROP TABLE b"), "{out}");
        let (out, err) = stage.migrate("down --yes", 0);
        assert!(out.contains("✓ main  002_b"), "{out}");
        assert!(err.contains(&format!("warning[{code}]")), "{err}");
        let (out, _) = stage.migrate("down --all --yes", 0);
        assert!(out.contains("✓ main  001_a"), "{out}");
    }
}

#[test]
fn a_fault_in_an_applied_file_is_told_beside_what_the_history_says() {
    let stage = Stage::new();
    stage.migrate("up --to 2", 0);
    stage.write("migrations/002_b.up.sql", "-- cutover: phase=expand\nSELECT '");
    let (out, _) = stage.migrate("status", 5);
    let line = out.lines().find(|line| line.contains("002_b")).unwrap();
    assert!(
        line.contains("✗ 002_b") && line.contains("expand    applied; its file is wrong: migrate.unparsable"),
        "{out}"
    );
    let (out, err) = stage.migrate("status --output json", 5);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    let lines = &value[0]["migrations"];
    assert_eq!(lines[0]["fault"], serde_json::Value::Null);
    assert_eq!(lines[1]["fault"]["code"], "migrate.unparsable");
    assert_eq!(lines[1]["status"]["state"], "applied");
    assert!(lines[1]["appliedAt"].is_string());
    assert_eq!(value[0]["findings"][0]["code"], "migrate.unparsable");
    assert_eq!(
        value[0]["findings"][0]["location"]["file"],
        "./migrations/002_b.up.sql"
    );
    assert_eq!(err, "");

    // It is the one that would be taken back: what it says is not known.
    let (out, err) = stage.migrate("down --yes", 1);
    assert!(err.contains("error[migrate.unparsable]"), "{err}");
    assert_eq!(out, "");
    let (_, err) = stage.migrate("repair --only 2 --yes", 1);
    assert!(err.contains("error[migrate.unparsable]"), "{err}");
    let (out, _) = stage.migrate("repair --only 2 --as not-applied --yes", 0);
    assert!(out.contains("002_b"), "{out}");
    let (out, _) = stage.migrate("down --yes", 0);
    assert!(out.contains("✓ main  001_a"), "{out}");
    let (out, _) = stage.migrate("status", 5);
    assert!(out.contains("✗ 002_b"), "{out}");
    assert!(
        out.contains("?         pending; its file is wrong: migrate.unparsable"),
        "{out}"
    );
}

#[test]
fn how_far_a_file_came_is_told_though_nobody_can_read_it_any_more() {
    let stage = Stage::new();
    let up = "-- cutover: phase=expand transaction=none\nCREATE TABLE a (x integer); SELECT 1 FROM gone;";
    stage.write("migrations/001_a.up.sql", up);
    stage.migrate("up", 1);
    stage.write("migrations/001_a.up.sql", &up.replace("gone;", "'"));
    let (out, _) = stage.migrate("status", 5);
    let said = "interrupted: 1 statements applied; its file is wrong: migrate.unparsable";
    assert!(out.contains(said), "{out}");
    let (out, _) = stage.migrate("history", 0);
    assert!(out.contains("interrupted: 1 statements applied\n"), "{out}");
}

#[test]
fn nothing_that_is_nearly_a_migration_is_passed_over() {
    let stage = Stage::new();
    stage.migrate("up", 0);
    let (out, _) = stage.migrate("up", 0);
    assert_eq!(out, "Nothing to do.\n");
    stage.write(
        "migrations/2026/005_e.up.sql",
        "-- cutover: phase=expand\nSELECT 1",
    );
    stage.write("migrations/2026/005_e.down.sql", "SELECT 1");
    for (command, code) in [("up", 2), ("validate", 2), ("status", 5)] {
        let (_, err) = stage.migrate(command, code);
        assert!(err.contains("error[migrate.in-subfolder]"), "{err}");
        assert!(
            err.contains(
                "mv -n ./migrations/2026/005_e.down.sql ./migrations/2026/005_e.up.sql ./migrations"
            ),
            "{err}"
        );
    }
    // Another database's own folder is another matter, and so is what is put aside.
    let spec = std::fs::read_to_string(stage.file("cutover.yaml")).unwrap();
    let other = "databases:\n  other: {url: \"sqlite:./other.db\", migrations: \"migrations/./2026\"}\n";
    stage.write("cutover.yaml", &spec.replace("databases:\n", other));
    let (out, _) = stage.migrate("up", 0);
    assert!(out.contains("✓ other  005_e"), "{out}");
    stage.write("cutover.yaml", &spec);
    std::fs::rename(stage.file("migrations/2026"), stage.file("migrations/_2026")).unwrap();
    let (out, _) = stage.migrate("up", 0);
    assert_eq!(out, "Nothing to do.\n");

    stage.write("migrations/005_e.up.SQL", "-- cutover: phase=expand\nSELECT 1");
    stage.write("migrations/005_e.down.sql", "SELECT 1");
    let (_, err) = stage.migrate("up", 2);
    assert!(err.contains("error[migrate.bad-name]"), "{err}");
    assert!(!err.contains("migrate.up-missing"), "{err}");
    // What the hint says is pasted where `cutover.yaml` is.
    stage.paste(&err);
    stage.migrate("validate", 0);
}

/// Migrations alone need no service.
#[test]
fn a_file_without_services_is_enough() {
    let stage = Stage::new();
    let spec = std::fs::read_to_string(stage.file("cutover.yaml")).unwrap();
    let (spec, _) = spec.split_once("services:").unwrap();
    stage.write("cutover.yaml", spec);
    stage.migrate("up", 0);
    stage.migrate("validate", 0);
    stage.migrate("down --yes", 0);
    let cutover = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_cutover"))
            .current_dir(stage.file("."))
            .env("CUTOVER_STATE", stage.file("state"))
            .args(words)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    for words in [&["plan", "1.0.0"][..], &["upgrade", "1.0.0", "--yes"]] {
        let (code, said) = cutover(words);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("cutover migrate up --release 1.0.0"), "{said}");
    }
    let (code, said) = cutover(&["status"]);
    assert_eq!(code, Some(0), "{said}");
    stage.write("cutover.yaml", "apiVersion: cutover/v1\napplication: shop\n");
    let (code, said) = cutover(&["check"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("at least one service"), "{said}");
}

/// Three hundred files that another tool ran, without a phase and without a way back, and one line that says so.
#[test]
fn a_folder_of_another_tool_is_adopted_by_one_line() {
    let stage = Stage::new();
    std::fs::remove_dir_all(stage.file("migrations")).unwrap();
    for at in 1..=300 {
        let text = if at % 3 == 0 {
            format!(
                "UPDATE t{} SET x = 1; ALTER TABLE t{} DROP COLUMN y;",
                at - 1,
                at - 1
            )
        } else {
            format!("CREATE TABLE t{at} (x integer, y integer);")
        };
        stage.write(&format!("migrations/V{at}__m.sql"), &text);
    }
    let (_, err) = stage.migrate("up", 2);
    assert!(err.lines().count() < 100, "{err}");
    assert!(err.contains("and 297 more migrate.down-missing"), "{err}");
    assert!(err.contains("adopted=yes"), "{err}");
    let last = std::fs::read_to_string(stage.file("migrations/V300__m.sql")).unwrap();
    stage.write(
        "migrations/V300__m.sql",
        &format!("-- cutover: adopted=yes\n{last}"),
    );
    let (out, _) = stage.migrate("baseline --to 300", 0);
    assert!(out.contains("300 recorded as applied"), "{out}");
    stage.migrate("validate", 0);
    // They run on a scratch database, in order, and are no reason why the next one would be passed.
    stage.write("migrations/V301__next.sql", "CREATE TABLE next (x integer);");
    let (_, err) = stage.migrate("up", 2);
    assert!(err.contains("error[migrate.down-missing]: 301_next"), "{err}");
    stage.write("migrations/U301__next.sql", "DROP TABLE next;");
    let (out, _) = stage.migrate("up", 0);
    assert!(out.contains("301_next"), "{out}");
}

/// Hints are followed to the letter.
#[test]
fn hints_work_as_they_are_pasted() {
    let stage = Stage::new();
    stage.migrate("up", 0);
    // Two branches gave one number; the file that is applied keeps it.
    stage.write(
        "migrations/004_cc.up.sql",
        "-- cutover: phase=expand\nCREATE TABLE cc (x integer);",
    );
    stage.write("migrations/004_cc.down.sql", "DROP TABLE cc;");
    let (out, err) = stage.migrate("status", 5);
    assert!(out.contains("✓ 004_d") && out.contains("+ 004_cc"), "{out}");
    assert!(err.contains("cutover migrate status --release 1.0.0"), "{err}");
    let line = err
        .lines()
        .find(|line| line.contains("if that is 004_cc"))
        .unwrap();
    stage.paste(line);
    let (out, _) = stage.migrate("up", 0);
    assert!(out.contains("005_cc"), "{out}");
    stage.migrate("down --yes", 0);
    // Both ways in one file.
    stage.write(
        "migrations/006_ee.up.sql",
        "-- migrate:up\nCREATE TABLE ee (x integer);\n\n-- migrate:down\nDROP TABLE ee;\n",
    );
    let (_, err) = stage.migrate("up", 2);
    assert!(err.contains("error[migrate.both-ways]"), "{err}");
    stage.paste(&err);
    let (out, _) = stage.migrate("up", 0);
    assert!(out.contains("006_ee"), "{out}");
    stage.migrate("down --yes", 0);
    // What was asked for is what is said yes to.
    let (_, err) = stage.migrate("repair --only 1 --as not-applied", 2);
    assert!(
        err.contains("cutover migrate repair --only 1 --as not-applied --release 1.0.0 --yes"),
        "{err}"
    );
    // The linter knows no release.
    stage.write(
        "migrations/006_ee.up.sql",
        "ALTER TABLE b ADD CONSTRAINT q CHECK (x > 0);",
    );
    let (_, err) = stage.migrate("up", 2);
    assert!(
        !err.contains("lint --fix") || !err.contains("up.sql --release"),
        "{err}"
    );
}

#[test]
fn how_long_statements_run_and_locks_are_tried_is_said_in_the_file() {
    let stage = Stage::new();
    let spec = std::fs::read_to_string(stage.file("cutover.yaml")).unwrap();
    let with = |keys: &str| spec.replace("\"./migrations\"", &format!("\"./migrations\", {keys}"));
    stage.write("cutover.yaml", &with("statementTimeout: 1s"));
    let endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c;";
    stage.write(
        "migrations/002_b.up.sql",
        &format!("-- cutover: phase=expand\nCREATE TABLE b (x integer);\nINSERT INTO b {endless}"),
    );
    let (out, err) = stage.migrate("up", 1);
    assert!(out.contains("✓ main  001_a"), "{out}");
    assert!(err.contains("error[migrate.statement-timeout]: 002_b.up.sql: a statement ran for 1s"));
    assert!(
        err.contains("002_b.up.sql:3:1") && err.contains("nothing of 002_b was applied"),
        "{err}"
    );
    assert!(err.contains("cutover migrate up --release 1.0.0"), "{err}");

    stage.write("cutover.yaml", &with("lockTimeout: 50ms, lockTries: 2"));
    let other = rusqlite::Connection::open(stage.file("shop.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (_, err) = stage.migrate("up", 1);
    assert!(
        err.contains("error[migrate.lock-timeout]") && err.contains("within 2 tries"),
        "{err}"
    );
}

#[test]
fn without_its_folder_a_database_still_says_what_was_done_to_it() {
    let stage = Stage::new();
    stage.migrate("up --to 2", 0);
    std::fs::remove_dir_all(stage.file("migrations")).unwrap();
    let (out, _) = stage.migrate("history", 0);
    assert!(out.contains("001_a") && out.contains("002_b"), "{out}");
    let (out, err) = stage.migrate("status", 5);
    assert!(err.contains("error[release.migrations-missing]"), "{err}");
    assert!(out.contains("? 002_b"), "{out}");
    let (_, err) = stage.migrate("down --yes", 1);
    assert!(err.contains("error[migrate.file-missing]"), "{err}");

    // A history has no files, so nobody needs to say whose.
    let run = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .current_dir(stage.0.path())
        .env("CUTOVER_STATE", stage.0.path().join("state"))
        .args(["migrate", "history"])
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && out.contains("002_b"), "{out}");
}

#[test]
fn contracts_run_by_hand_where_nothing_is_deployed_and_shut_older_versions_out() {
    let stage = Stage::new();
    let (_, err) = stage.migrate("up", 0);
    assert!(
        err.contains("then: cutover migrate up --contracts --release 1.0.0"),
        "{err}"
    );
    let (_, err) = stage.migrate("up --contracts", 2);
    assert!(
        err.contains("error[usage.not-confirmed]")
            && err.contains("cutover migrate up --contracts --release 1.0.0 --yes"),
        "{err}"
    );
    let (out, _) = stage.migrate("up --contracts --yes", 0);
    assert!(out.contains("✓ main  003_c"), "{out}");
    let (out, _) = stage.migrate("status", 0);
    assert!(out.contains("versions below 2.0.0 are retired"), "{out}");
    let (out, _) = stage.migrate("up --contracts", 0);
    assert_eq!(out, "Nothing to do.\n");
}

#[test]
fn another_state_takes_the_database_over_only_when_it_is_told_to() {
    let stage = Stage::new();
    stage.migrate("up --to 1", 0);
    let (_, err) = stage.migrate("up --state other", 7);
    assert!(
        err.contains("error[fence.stale]")
            && err.contains("cutover --state other migrate up --release 1.0.0 --adopt"),
        "{err}"
    );
    let (_, err) = stage.migrate("up --state other --adopt", 2);
    assert!(err.contains("error[usage.not-confirmed]"), "{err}");
    let (out, _) = stage.migrate("up --state other --adopt --yes", 0);
    assert!(out.contains("002_b") && !out.contains("001_a"), "{out}");
    // Now it is the former one's turn to be refused.
    let (_, err) = stage.migrate("down --yes", 7);
    assert!(
        err.contains("cutover migrate down --release 1.0.0 --adopt"),
        "{err}"
    );
    stage.migrate("down --yes --adopt", 0);
    let (_, err) = stage.migrate("repair --only 1 --as not-applied --yes --state other", 7);
    let hint = "cutover --state other migrate repair --only 1 --as not-applied --release 1.0.0 --adopt";
    assert!(err.contains(hint), "{err}");
}

#[test]
fn migrators_with_one_state_that_start_together_wait_for_each_other() {
    let stage = Stage::new();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| stage.migrate("up", 0));
        }
    });
    let (out, _) = stage.migrate("history", 0);
    assert_eq!(
        out.lines().filter(|line| line.contains(" up ")).count(),
        3,
        "{out}"
    );
}

#[test]
fn as_json_a_run_is_one_value_whatever_it_comes_to() {
    let stage = Stage::new();
    let value = |out: &str| serde_json::from_str::<serde_json::Value>(out).unwrap();
    let (out, _) = stage.migrate("up --output json", 0);
    let told = value(&out);
    assert_eq!(told["done"].as_array().unwrap().len(), 3);
    assert_eq!(told["waiting"][0]["migration"], "003_c");
    assert_eq!(told["waiting"][0]["retires"], "2.0.0");
    assert_eq!(
        (&told["complete"], &told["error"]),
        (&true.into(), &serde_json::Value::Null)
    );
    assert!(told["findings"].as_array().unwrap().is_empty());
    stage.write(
        "migrations/005_e.up.sql",
        "-- cutover: phase=expand\nCREATE TABLE e (x integer);",
    );
    stage.write("migrations/005_e.down.sql", "DROP TABLE e;");
    stage.write(
        "migrations/006_f.up.sql",
        "-- cutover: phase=expand\nCREATE TABLE e (x integer);",
    );
    stage.write("migrations/006_f.down.sql", "SELECT 1;");
    let (out, _) = stage.migrate("up --output json", 1);
    let told = value(&out);
    assert_eq!(told["done"][0]["migration"], "005_e");
    assert_eq!(told["complete"], false);
    assert_eq!(told["error"]["code"], "migrate.statement-failed");
    assert_eq!(told["error"]["help"], "cutover migrate validate --release 1.0.0");
    let (out, _) = stage.migrate("down --yes --output json", 0);
    assert_eq!(value(&out)["done"][0]["migration"], "005_e");
}

#[test]
fn a_service_has_its_own_databases() {
    let stage = Stage::new();
    let config = stage.file("cutover.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text
        .replace(
            "services:\n",
            "  mail: {url: \"sqlite:./mail.db\", migrations: \"./mail\"}\nservices:\n  mailer:\n    target: {process: {command: \
             [\"/bin/true\"]}}\n    databases: [mail]\n",
        );
    std::fs::write(&config, text).unwrap();
    stage.write(
        "mail/001_m.up.sql",
        "-- cutover: phase=expand\nCREATE TABLE m (x integer);",
    );
    stage.write("mail/001_m.down.sql", "DROP TABLE m;");
    let (out, _) = stage.migrate("up --service mailer", 0);
    assert!(out.contains("mail  001_m") && !out.contains("001_a"), "{out}");
    let (_, err) = stage.migrate("up --service nobody", 2);
    assert!(err.contains("error[usage.unknown-service]"), "{err}");
    let (_, err) = stage.migrate("status --service api", 2);
    assert!(err.contains("error[usage.unknown-database]"), "{err}");
    let (out, _) = stage.migrate("up --service all", 0);
    assert!(out.contains("main  001_a"), "{out}");
}

#[test]
fn a_baseline_takes_over_what_another_tool_recorded() {
    let stage = Stage::new();
    let (_, err) = stage.migrate("baseline --from rails", 1);
    assert!(err.contains("error[migrate.import-missing]"), "{err}");
    let database = rusqlite::Connection::open(stage.file("shop.db")).unwrap();
    let theirs = "CREATE TABLE schema_migrations (version varchar PRIMARY KEY); INSERT INTO schema_migrations VALUES ('1'), ('2');
        CREATE TABLE a (x integer); CREATE TABLE b (x integer)";
    database.execute_batch(theirs).unwrap();
    let (out, _) = stage.migrate("baseline --from rails", 0);
    assert!(
        out.contains("2 recorded as applied, none was run; what rails recorded stays"),
        "{out}"
    );
    let (out, _) = stage.migrate("up", 0);
    assert!(out.contains("004_d") && !out.contains("002_b"), "{out}");
    let (out, _) = stage.migrate("history", 0);
    assert!(
        out.contains("import") && out.contains("(by rails, before)"),
        "{out}"
    );
    let rows: i64 = database
        .query_row("SELECT count(*) FROM schema_migrations", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 2);
}

#[test]
fn placeholders_have_values_and_leave_no_trace() {
    let stage = Stage::new();
    let insert = "-- cutover: phase=expand\n-- cutover: verify SELECT count(*) FROM b WHERE x <> ${number}\nINSERT INTO b VALUES (${number}); \
                  INSERT INTO d VALUES ('$${number}');";
    stage.write("migrations/005_e.up.sql", insert);
    stage.write("migrations/005_e.down.sql", "DELETE FROM b WHERE x = ${number};");
    let (_, err) = stage.migrate("up", 2);
    assert!(
        err.contains("error[migrate.placeholder-missing]") && err.contains("005_e.up.sql:3"),
        "{err}"
    );
    let config = stage.file("cutover.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    stage.write("number", "987654321\n");
    let text = text.replace(
        "\"./migrations\"}",
        "\"./migrations\", placeholders: {number: \"${file:number}\"}}",
    );
    std::fs::write(&config, text).unwrap();
    let (sql, _) = stage.migrate("sql", 0);
    assert!(sql.contains("${number}") && !sql.contains("987654321"), "{sql}");
    stage.migrate("up", 0);
    let database = rusqlite::Connection::open(stage.file("shop.db")).unwrap();
    let text = |sql: &str| {
        database
            .query_row(sql, [], |row| row.get::<_, String>(0))
            .unwrap()
    };
    assert_eq!(text("SELECT CAST(x AS text) FROM b"), "987654321");
    assert_eq!(text("SELECT x FROM d"), "${number}");
    let history = text("SELECT group_concat(checksum || checksum_raw || name) FROM cutover_history");
    assert!(!history.contains("987654321"));

    // What the database says of a statement that fails is told without the value.
    stage.write("number", "1 s3cret-value");
    let (_, err) = stage.migrate("down --yes", 1);
    assert!(
        err.contains("migrate.statement-failed") && !err.contains("s3cret"),
        "{err}"
    );
    // The value is in no checksum: another one changes nothing that was applied.
    let (out, _) = stage.migrate("up", 0);
    assert_eq!(out, "Nothing to do.\n");
}

#[test]
fn a_baseline_runs_nothing() {
    let stage = Stage::new();
    let (out, _) = stage.migrate("baseline --to 2", 0);
    assert!(out.contains("2 recorded as applied"), "{out}");
    let (_, err) = stage.migrate("baseline --to 2", 1);
    assert!(err.contains("error[migrate.history-not-empty]"), "{err}");
    let (out, _) = stage.migrate("up", 0);
    assert!(out.contains("004_d") && !out.contains("001_a"), "{out}");
}

/// What is wrong with a file that is not recorded is told, and in nobody's way.
#[test]
fn a_baseline_needs_only_what_it_records() {
    let broken = "-- cutover: phase=expand\nSELECT '";
    let stage = Stage::new();
    stage.write("migrations/004_d.up.sql", broken);
    stage.write("migrations/006_f.up.sql", broken);
    stage.write("migrations/006_f.down.sql", "");
    let (_, err) = stage.migrate("baseline --to 4", 1);
    assert!(
        err.contains("error[migrate.unparsable]") && err.contains("004_d.up.sql:2"),
        "{err}"
    );
    // Of this one nobody knows which number it has.
    stage.write("migrations/five.up.sql", "SELECT 1");
    let (_, err) = stage.migrate("baseline --to 2", 1);
    assert!(err.contains("error[migrate.bad-name]"), "{err}");
    std::fs::remove_file(stage.file("migrations/five.up.sql")).unwrap();
    let (out, err) = stage.migrate("baseline --to 2", 0);
    assert!(out.contains("2 recorded as applied"), "{out}");
    for code in ["unparsable", "gap"] {
        assert!(err.contains(&format!("warning[migrate.{code}]")), "{err}");
    }
}

#[test]
fn a_history_of_another_tool_needs_only_the_files_that_it_names() {
    let broken = "-- cutover: phase=expand\nSELECT '";
    let each = "CREATE TABLE schema_migrations (version varchar PRIMARY KEY); INSERT INTO schema_migrations VALUES ('1'), ('3');";
    let up_to = "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean); INSERT INTO schema_migrations VALUES (3, 0);";
    for (tool, theirs, faulty, goes) in [
        ("rails", each, "002_b", true),
        ("rails", each, "003_c", false),
        ("golang-migrate", up_to, "002_b", false),
        ("golang-migrate", up_to, "004_d", true),
    ] {
        let stage = Stage::new();
        let database = rusqlite::Connection::open(stage.file("shop.db")).unwrap();
        database.execute_batch(theirs).unwrap();
        stage.write(&format!("migrations/{faulty}.up.sql"), broken);
        let command = format!("baseline --from {tool}");
        let (out, err) = stage.migrate(&command, i32::from(!goes));
        let severity = if goes { "warning" } else { "error" };
        assert!(
            err.contains(&format!("{severity}[migrate.unparsable]")) && err.contains(faulty),
            "{tool} {faulty}\n{out}\n{err}"
        );
        assert_eq!(out.contains("recorded as applied"), goes, "{out}");
    }
}
