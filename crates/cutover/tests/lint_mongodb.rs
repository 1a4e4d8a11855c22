//! The linter on files of MongoDB, as a person or a script runs it: whose a file is its name says.

#![cfg(test)]

use std::path::Path;
use std::process::Command;

/// Lints what stands in a folder; answers the exit code, and of each finding the file and the rule.
fn lint(folder: &Path, arguments: &[&str]) -> (Option<i32>, Vec<String>) {
    let ran = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .current_dir(folder)
        .env_clear()
        .args(["migrate", "lint", "--output", "json"])
        .args(arguments)
        .output()
        .unwrap();
    let value: serde_json::Value = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&ran.stderr)));
    let found = value["findings"].as_array().unwrap();
    let shown = found.iter().map(|one| {
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        format!("{} {}", text("file").trim_start_matches("./"), text("rule"))
    });
    (ran.status.code(), shown.collect())
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn a_folder_may_hold_commands_beside_statements() {
    let place = folder(&[
        ("001_a.up.json", r#"[{"create": "orders"}]"#),
        ("001_a.down.json", r#"[{"drop": "orders"}]"#),
        ("002_b.up.json", r#"[{"drop": "users"}]"#),
        ("003_c.up.sql", "DROP TABLE users;"),
        ("notes.json", r#"{"drop": "users"}"#),
    ]);
    let (code, found) = lint(place.path(), &["."]);
    assert_eq!(code, Some(5));
    assert_eq!(
        found,
        ["002_b.up.json mongo-drop-collection", "003_c.up.sql drop-table"]
    );
}

#[test]
fn a_file_says_itself_what_it_leaves_out_and_why() {
    let ignore = r#""ignore": [{"rule": "mongo-drop-collection", "reason": "nobody has read it since 1.2"}]"#;
    let place = folder(&[
        (
            "001_a.up.json",
            &format!(r#"{{{ignore}, "commands": [{{"drop": "users"}}]}}"#),
        ),
        ("002_b.up.json", r#"[{"drop": "users"}"#),
    ]);
    assert_eq!(lint(place.path(), &["001_a.up.json"]), (Some(0), Vec::new()));
    let (code, found) = lint(place.path(), &["002_b.up.json"]);
    assert_eq!(code, Some(5));
    assert_eq!(found, ["002_b.up.json not-understood"]);
}

#[test]
fn an_old_server_locks_while_it_builds() {
    let build = r#"[{"createIndexes": "a", "indexes": [{"key": {"x": 1}, "name": "x"}]}]"#;
    let place = folder(&[("001_a.up.json", build)]);
    let at = |version: &str| lint(place.path(), &["001_a.up.json", "--db-version", version]);
    assert_eq!(at("4.0").1, ["001_a.up.json mongo-index-build"]);
    assert_eq!(at("7.0"), (Some(0), Vec::new()));
}
