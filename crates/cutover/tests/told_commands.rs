//! A command that is told works as it stands there: it is pasted into a shell, and is about the same file and state.

#![cfg(test)]

use std::path::Path;
use std::process::Command;

use cutover_testkit::Ran;

/// A folder whose file and state are not where they are looked for without being named.
struct Stage(tempfile::TempDir);

/// Where they are; a shell would make two words of each.
const THERE: [&str; 4] = ["--config", "my deploy/cutover.yaml", "--state", "it's state"];

impl Stage {
    fn new() -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        let migrations = stage.0.path().join("my deploy/migrations");
        std::fs::create_dir_all(&migrations).unwrap();
        let file = "apiVersion: cutover/v1\napplication: shop\ndatabases:\n  main: {url: \"sqlite:./shop.db\", migrations: \
                    \"./migrations\"}\nservices:\n  api:\n    target: {process: {command: [\"/bin/true\"], ports: \
                    20000-20001}}\n    health: {path: /ready}\n";
        std::fs::write(stage.0.path().join("my deploy/cutover.yaml"), file).unwrap();
        std::fs::write(
            migrations.join("001_a.up.sql"),
            "-- cutover: phase=expand\nCREATE TABLE a (x integer);",
        )
        .unwrap();
        std::fs::write(migrations.join("001_a.down.sql"), "DROP TABLE a;").unwrap();
        stage
    }

    fn command(&self, program: &str) -> Command {
        let binaries = Path::new(env!("CARGO_BIN_EXE_cutover")).parent().unwrap();
        let mut command = Command::new(program);
        command
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", binaries.display()))
            .env("HOME", self.0.path());
        command
    }

    fn cutover(&self, words: &str) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_cutover"));
        command.args(words.split(' '));
        command
    }

    /// As in a terminal.
    fn paste(&self, command: &str) -> Ran {
        let ran: Ran = self.command("sh").args(["-c", command]).output().unwrap().into();
        assert_eq!(ran.code, 0, "{command}\n{}", ran.stderr);
        ran
    }
}

fn ran(command: &mut Command) -> Ran {
    command.output().expect("cutover runs").into()
}

/// What stands behind `help`.
fn help(talk: &str) -> &str {
    let line = talk
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("help"));
    line.unwrap_or_else(|| panic!("no help in {talk}")).trim()
}

#[test]
fn what_is_told_is_about_the_same_file_and_state() {
    let stage = Stage::new();
    let up = "migrate up --release 1.0.0";
    assert_eq!(ran(stage.cutover(up).args(THERE)).code, 0);
    let applied = || {
        ran(stage.cutover("migrate history").args(THERE))
            .stdout
            .matches("001_a")
            .count()
    };
    assert_eq!(applied(), 1);

    let unsure = ran(stage.cutover("migrate down --release 1.0.0").args(THERE));
    assert_eq!(unsure.code, 2, "{}", unsure.stderr);
    let told = help(&unsure.stderr);
    assert_eq!(
        told,
        r"cutover --config 'my deploy/cutover.yaml' --state 'it'\''s state' migrate down --release 1.0.0 --yes"
    );
    let json = ran(stage
        .cutover("migrate down --release 1.0.0 --output json")
        .args(THERE));
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["error"]["help"], told);
    // As it was told before, it would have found nothing here.
    let bare = ran(&mut stage.cutover("migrate down --yes --release 1.0.0"));
    assert!(bare.stderr.contains("error[config.missing]"), "{}", bare.stderr);

    let down = stage.paste(told);
    assert!(down.stdout.contains("001_a"), "{}", down.stdout);
    assert_eq!(applied(), 2, "applied, and taken back");
    assert!(!stage.0.path().join(".local").exists(), "another state was used");
}

#[test]
fn what_holds_for_the_next_command_too_is_not_told() {
    let stage = Stage::new();
    let there = |words: &str| {
        let mut command = stage.cutover(words);
        command
            .env("CUTOVER_CONFIG", THERE[1])
            .env("CUTOVER_STATE", THERE[3]);
        ran(&mut command)
    };
    assert_eq!(there("migrate up --release 1.0.0").code, 0);
    let unsure = there("migrate down --release 1.0.0");
    assert_eq!(help(&unsure.stderr), "cutover migrate down --release 1.0.0 --yes");
}

#[test]
fn a_file_that_is_missing_is_written_where_it_was_looked_for() {
    let stage = Stage::new();
    let missing = ran(stage.cutover("status --config").arg("other place.yaml"));
    assert_eq!(missing.code, 2, "{}", missing.stderr);
    let init = stage.paste(help(&missing.stderr));
    assert!(stage.0.path().join("other place.yaml").exists());
    // It says how to go on with that file.
    let next = init.stdout.lines().last().unwrap().trim().to_owned();
    assert_eq!(next, "cutover --config 'other place.yaml' check");
    stage.paste(&next);
}

#[test]
fn what_must_be_confirmed_is_told_as_it_was_typed() {
    let stage = Stage::new();
    for (words, told) in [
        (
            "migrate repair --only 1 --as not-applied --release 1.0.0 --output json",
            "migrate repair --only 1 --as not-applied --release 1.0.0 --yes",
        ),
        (
            "migrate down --to=0 --database main --release 1.0.0 --output json",
            "migrate down --to=0 --database main --release 1.0.0 --yes",
        ),
    ] {
        assert_eq!(
            ran(stage.cutover("migrate up --release 1.0.0").args(THERE)).code,
            0
        );
        let unsure = ran(stage.cutover(words).args(THERE));
        let unsure: serde_json::Value = serde_json::from_str(&unsure.stdout).unwrap();
        assert_eq!(unsure["error"]["code"], "usage.not-confirmed", "{unsure:#}");
        let help = unsure["error"]["help"].as_str().unwrap();
        assert!(help.ends_with(&format!(" {told}")), "{help}");
        stage.paste(help);
        let status = ran(stage.cutover("migrate status --release 1.0.0").args(THERE)).stdout;
        assert!(status.contains("+ 001_a"), "{status}");
        std::fs::remove_file(stage.0.path().join("my deploy/shop.db")).unwrap();
    }
}
