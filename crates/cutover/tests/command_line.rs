//! The built binary, as a person or a script runs it.

#![cfg(test)]

use std::path::Path;
use std::process::Command;

use cutover_testkit::Ran;

/// Runs the binary in a folder, with a state folder in it and a known environment.
fn cutover(folder: &Path, arguments: &[&str]) -> Ran {
    Command::new(env!("CARGO_BIN_EXE_cutover"))
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("COLUMNS", "100")
        .env("CUTOVER_STATE", folder.join("state"))
        .args(arguments)
        .output()
        .expect("cutover runs")
        .into()
}

/// A file without a database, whose program is there for two versions.
const FILE: &str = r#"apiVersion: cutover/v1
application: shop
services:
  api:
    target: {process: {command: ["./releases/{version}/api"], ports: 20000-20010}}
    replicas: 2
    router: {proxy: {listen: "127.0.0.1:20011"}}
strategy: {blueGreen: {scaleDownDelay: 1s}}
"#;

fn with_file() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cutover.yaml"), FILE).unwrap();
    for version in ["1.0.0", "1.1.0"] {
        let place = folder.path().join("releases").join(version);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(
            place.join("api"),
            format!("#!/bin/sh\n# {version}\nexec sleep 60\n"),
        )
        .unwrap();
    }
    folder
}

#[test]
fn help_says_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let help = cutover(folder.path(), &["--help"]);
    assert_eq!(help.code, 0);
    insta::assert_snapshot!("help", help.stdout);
    let nothing = cutover(folder.path(), &[]);
    assert_eq!(nothing.code, 2);
    assert_eq!(
        cutover(folder.path(), &["--version"]).stdout,
        format!("cutover {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn an_unknown_command_names_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let ran = cutover(folder.path(), &["upgrad", "1.0.0"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("'upgrade'"), "{}", ran.stderr);
}

#[test]
fn what_init_writes_passes_the_check_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let init = cutover(folder.path(), &["init", "--application", "web-shop"]);
    assert_eq!((init.code, init.stderr.as_str()), (0, ""), "{}", init.stdout);
    let check = cutover(folder.path(), &["check"]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    assert!(check.stdout.contains("web-shop"), "{}", check.stdout);
    let again = cutover(folder.path(), &["init"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("error[config.exists]"), "{}", again.stderr);
}

#[test]
fn a_missing_file_says_how_to_write_one() {
    let folder = tempfile::tempdir().unwrap();
    let ran = cutover(folder.path(), &["status"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("error[config.missing]") && ran.stderr.contains("cutover init"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_wrong_file_is_shown_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("cutover.yaml"),
        FILE.replace("replicas", "replicsa"),
    )
    .unwrap();
    let ran = cutover(folder.path(), &["plan", "1.0.0"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("error[spec.unknown-key]")
            && ran.stderr.contains("cutover.yaml:6:5")
            && ran.stderr.contains("`replicas`"),
        "{}",
        ran.stderr
    );
    let json = cutover(folder.path(), &["plan", "1.0.0", "--output", "json"]);
    let value: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(value["error"]["code"], "spec.unknown-key");
    // What was stored can be looked at all the same.
    assert_eq!(cutover(folder.path(), &["history"]).code, 0);
}

#[test]
fn a_plan_is_json_and_writes_nothing_but_the_state_folder() {
    let folder = with_file();
    let before: Vec<_> = list(folder.path());
    let ran = cutover(folder.path(), &["plan", "v1.0.0", "--output", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let plan: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(plan["to"], "1.0.0");
    assert_eq!(plan["steps"][0]["stage"], "preflight");
    let after: Vec<_> = list(folder.path())
        .into_iter()
        .filter(|name| name != "state")
        .collect();
    assert_eq!(before, after);
    assert_eq!(
        cutover(folder.path(), &["history"]).stdout,
        "No upgrade is recorded yet.\n"
    );
}

fn list(folder: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    names
}

#[test]
fn a_version_without_a_program_and_a_missing_secret_are_both_named() {
    let folder = with_file();
    let ran = cutover(folder.path(), &["upgrade", "9.9.9"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("error[release.no-such-version]") && ran.stderr.contains("1.0.0"),
        "{}",
        ran.stderr
    );
    std::fs::create_dir_all(folder.path().join("releases/9.9.9")).unwrap();
    let ran = cutover(folder.path(), &["upgrade", "9.9.9"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("error[release.program-missing]"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("releases/9.9.9/api"), "{}", ran.stderr);
    let secret = FILE.replace("replicas: 2", "environment: {TOKEN: \"${env:SHOP_TOKEN}\"}");
    std::fs::write(folder.path().join("cutover.yaml"), secret).unwrap();
    let ran = cutover(folder.path(), &["upgrade", "1.0.0"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("error[spec.unresolved-reference]") && ran.stderr.contains("SHOP_TOKEN"),
        "{}",
        ran.stderr
    );
}

#[test]
fn what_needs_a_deployment_says_so() {
    let folder = with_file();
    for (arguments, code, said) in [
        (&["rollback"][..], 1, "error[plan.not-deployed]"),
        (&["restart"], 1, "error[plan.not-deployed]"),
        (&["abort"], 1, "error[upgrade.none]"),
        (&["resume"], 1, "error[upgrade.none]"),
        (&["history", "show"], 1, "error[upgrade.unknown]"),
        (&["proxy", "status"], 1, "error[proxy.unreachable]"),
        (
            &["upgrade", "1.0.0", "--service", "web"],
            2,
            "error[usage.unknown-service]",
        ),
        (
            &["plan", "1.0.0", "--env", "staging"],
            2,
            "error[spec.unknown-environment]",
        ),
        (&["schema", "strategy.canray"], 2, "error[spec.unknown-path]"),
    ] {
        let ran = cutover(folder.path(), arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{arguments:?}: {}", ran.stderr);
    }
    let status = cutover(folder.path(), &["status", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["stable"], serde_json::Value::Null);
}

#[test]
fn a_taken_address_is_named_before_anything_begins() {
    let folder = with_file();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let file = FILE.replace("127.0.0.1:20011", &address);
    std::fs::write(folder.path().join("cutover.yaml"), file).unwrap();
    let ran = cutover(folder.path(), &["upgrade", "1.0.0"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("error[listen.in-use]") && ran.stderr.contains(&address),
        "{}",
        ran.stderr
    );
    assert_eq!(
        cutover(folder.path(), &["history"]).stdout,
        "No upgrade is recorded yet.\n"
    );
}

#[test]
fn the_schema_and_completions_are_data() {
    let folder = tempfile::tempdir().unwrap();
    let schema = cutover(folder.path(), &["schema"]);
    let value: serde_json::Value = serde_json::from_str(&schema.stdout).unwrap();
    assert_eq!(value["title"], "cutover.yaml");
    assert_eq!(
        cutover(folder.path(), &["schema", "strategy.canary.steps"]).code,
        0
    );
    let completion = cutover(folder.path(), &["completion", "bash"]);
    assert!(completion.stdout.contains("_cutover()"), "{}", completion.stderr);
}

#[test]
fn no_secret_reaches_the_store_or_what_is_said() {
    let folder = with_file();
    let file = FILE.replace("replicas: 2", "environment: {TOKEN: \"${file:token}\"}");
    std::fs::write(folder.path().join("cutover.yaml"), file).unwrap();
    std::fs::write(folder.path().join("token"), "hunter2-of-the-test\n").unwrap();
    let ran = cutover(folder.path(), &["plan", "1.0.0", "--output", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stdout.contains("hunter2"), "{}", ran.stdout);
    for entry in std::fs::read_dir(folder.path().join("state")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "{path:?}");
        }
    }
}

/// Runs the linter on a text.
fn lint(text: &str, arguments: &[&str]) -> Ran {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .current_dir(folder.path())
        .env_clear()
        .args(["migrate", "lint", "--stdin"])
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap().into()
}

#[test]
fn the_linter_needs_no_file_and_no_database() {
    let ran = lint(
        "ALTER TABLE users\n  DROP COLUMN name;",
        &["--dialect", "mysql", "--db-version", "8.0.36", "--output", "json"],
    );
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    let value: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let finding = &value["findings"][0];
    assert_eq!(
        (&finding["rule"], &finding["family"], &finding["severity"]),
        (&"drop-column".into(), &"data-loss".into(), &"error".into())
    );
    assert_eq!(
        (&finding["file"], &finding["line"], &finding["column"]),
        (&"stdin".into(), &2.into(), &3.into())
    );
    assert_eq!(finding["statement"], "ALTER TABLE users\n  DROP COLUMN name");
    assert!(finding["message"].is_string() && finding["help"].is_string());

    let clean = lint(
        "ALTER TABLE t ADD COLUMN a int DEFAULT 1;",
        &["--pg-version", "16", "--output", "json"],
    );
    assert_eq!((clean.code, clean.stdout.trim()), (0, "{\n  \"findings\": []\n}"));
    let old = lint(
        "ALTER TABLE t ADD COLUMN a int DEFAULT 1;",
        &["--pg-version", "10"],
    );
    assert_eq!(old.code, 5);
    assert!(old.stdout.contains("^^^^"), "{}", old.stdout);
    let lenient = lint(
        "CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION f();",
        &["--fail-on", "note"],
    );
    assert_eq!(lenient.code, 5, "{}", lenient.stdout);
}

#[test]
fn the_linter_reports_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let done = Command::new("git")
            .current_dir(folder.path())
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    git(&["init", "-q"]);
    write("001_a.up.sql", "CREATE TABLE t (a varchar(9)); DROP TABLE old;");
    write("001_a.down.sql", "DROP TABLE t;");
    git(&["add", "."]);
    git(&["commit", "-qm", "x"]);
    write(
        "002_b.up.sql",
        "ALTER TABLE t ALTER a TYPE varchar(20); DROP TABLE older;",
    );
    let names = |ran: &Ran| -> Vec<String> {
        let value: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let all = value["findings"].as_array().unwrap().iter();
        all.map(|one| {
            format!(
                "{} {}",
                one["file"].as_str().unwrap(),
                one["rule"].as_str().unwrap()
            )
        })
        .collect()
    };
    let all = cutover(folder.path(), &["migrate", "lint", ".", "--output", "json"]);
    assert_eq!(
        names(&all),
        ["./001_a.up.sql drop-table", "./002_b.up.sql drop-table"]
    );
    let since = cutover(
        folder.path(),
        &["migrate", "lint", ".", "--since", "HEAD", "--output", "json"],
    );
    assert_eq!(
        (since.code, names(&since)),
        (5, vec!["./002_b.up.sql drop-table".to_owned()])
    );
    write("known.json", &all.stdout);
    let known = cutover(
        folder.path(),
        &["migrate", "lint", ".", "--baseline", "known.json"],
    );
    assert_eq!(known.code, 0, "{}", known.stdout);
    let none = cutover(folder.path(), &["migrate", "lint", ".", "--since", "nowhere"]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("lint.no-revision"), "{}", none.stderr);
}

#[test]
fn a_project_says_what_its_linter_leaves_out_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let project = |allow: &str| {
        let database = format!(
            "databases:\n  main:\n    url: sqlite:./shop.db\n    migrations: \"./db/{{version}}\"\n    lint: {{allow: [{allow}]}}\nservices:"
        );
        write("cutover.yaml", &FILE.replace("services:", &database));
    };
    write("db/1.0.0/001_a.up.sql", "ALTER TABLE a DROP COLUMN b;");
    write("db/1.0.0/002_b.up.sql", "ALTER TABLE a DROP COLUMN c;");
    write("elsewhere/001_a.up.sql", "ALTER TABLE a DROP COLUMN b;");
    let lint = |place: &str| {
        let ran = cutover(
            folder.path(),
            &[
                "migrate",
                "lint",
                "--dialect",
                "sqlite",
                "--output",
                "json",
                place,
            ],
        );
        let value: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
        let found: Vec<String> = value["findings"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| format!("{}:{} {}", one["file"], one["line"], one["rule"]).replace('"', ""))
            .collect();
        (ran, found)
    };

    project("{rule: drop-column, reason: nobody reads them}");
    let (ran, found) = lint("db/1.0.0");
    assert_eq!((ran.code, found.len()), (0, 0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(lint("elsewhere").1, ["elsewhere/001_a.up.sql:1 drop-column"]);

    project("{rule: drop-column, reason: x, paths: [\"001_*\"]}");
    assert_eq!(lint("db/1.0.0").1, ["db/1.0.0/002_b.up.sql:1 drop-column"]);
    project("{rule: drop-column, reason: x, paths: [\"db/1.*/002*\"]}");
    assert_eq!(lint("./db/1.0.0").1, ["./db/1.0.0/001_a.up.sql:1 drop-column"]);

    // What leaves nothing out is told where it stands, once all files were looked at.
    project("{rule: drop-column, reason: x}, {rule: drop-table, reason: y}");
    let (ran, found) = lint("db/1.0.0");
    assert_eq!(
        (ran.code, found),
        (0, vec!["cutover.yaml:7 suppression".to_owned()])
    );
    assert!(
        ran.stdout
            .contains("databases.main.lint.allow[1] leaves out nothing"),
        "{}",
        ran.stdout
    );
    assert!(lint("db/1.0.0/001_a.up.sql").1.is_empty());

    for (allow, code) in [
        ("{rule: drop-colum, reason: x}", "spec.unknown-reference"),
        ("{rule: drop-column, reason: \"\"}", "spec.invalid-value"),
        ("{rule: drop-column}", "spec.missing-key"),
    ] {
        project(allow);
        let (ran, _) = lint("db/1.0.0");
        assert_eq!(ran.code, 2, "{}", ran.stdout);
        let said = ran.stdout + &ran.stderr;
        assert!(said.contains(code) && said.contains("cutover.yaml"), "{said}");
    }
}

#[test]
fn the_linter_rewrites_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let change = "ALTER TABLE users DROP COLUMN old;\nCREATE INDEX by_name ON users (name);\n";
    std::fs::write(place.join("007_change.up.sql"), change).unwrap();
    let fix = ["migrate", "lint", "--fix", "out", "007_change.up.sql"];
    let refused = cutover(place, &fix);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("lint.retires-missing"),
        "{}",
        refused.stderr
    );
    assert!(!place.join("out").exists(), "nothing was written");

    let fix = [&fix[..], &["--retires", "1.1.0"]].concat();
    let written = cutover(place, &fix);
    assert_eq!(written.code, 0, "{}", written.stdout);
    let index = std::fs::read_to_string(place.join("out/007_change_expand.up.sql")).unwrap();
    assert!(
        index.contains(" transaction=none timeout=none\n") && index.contains("INDEX CONCURRENTLY by_name"),
        "{index}"
    );
    let gone = std::fs::read_to_string(place.join("out/008_change_contract.up.sql")).unwrap();
    assert!(
        gone.contains("phase=contract retires=1.1.0") && gone.contains("DROP COLUMN old"),
        "{gone}"
    );
    assert_eq!(cutover(place, &["migrate", "lint", "out"]).code, 0);
    let again = cutover(place, &fix);
    assert!(again.stderr.contains("lint.unwritable"), "{}", again.stderr);

    std::fs::write(place.join("V9__change.sql"), change).unwrap();
    let flyway = ["migrate", "lint", "--fix", "flyway", "V9__change.sql"];
    let flyway = [&flyway[..], &["--retires", "1.1.0"]].concat();
    assert_eq!(cutover(place, &flyway).code, 0);
    for name in ["V9__change_expand.sql", "V10__change_contract.sql"] {
        assert!(place.join("flyway").join(name).exists(), "{name}");
    }

    std::fs::write(place.join("locks.sql"), "TRUNCATE users;").unwrap();
    let left = cutover(
        place,
        &[
            "migrate",
            "lint",
            "--fix",
            "left",
            "locks.sql",
            "--output",
            "json",
        ],
    );
    assert_eq!(left.code, 5, "{}", left.stderr);
    let value: serde_json::Value = serde_json::from_str(&left.stdout).unwrap();
    assert_eq!(value["findings"][0]["rule"], "truncate");
    assert_eq!(value["files"][0]["phase"], "expand");
    let other = cutover(
        place,
        &["migrate", "lint", "--fix", "x", "locks.sql", "--dialect", "mysql"],
    );
    assert!(other.stderr.contains("lint.not-fixed"), "{}", other.stderr);
}

#[test]
fn rewriting_leaves_alone_what_the_project_allows() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    std::fs::create_dir_all(place.join("db")).unwrap();
    std::fs::write(
        place.join("db/001_a.up.sql"),
        "CREATE INDEX by_name ON users (name);\nTRUNCATE cache;\nALTER TABLE users DROP COLUMN old;\n",
    )
    .unwrap();
    let allow = "[{rule: create-index, reason: it is small}, {rule: truncate, reason: it is a cache}]";
    let database = format!(
        "databases:\n  main:\n    url: sqlite:./shop.db\n    migrations: ./db\n    lint: {{allow: {allow}}}\nservices:"
    );
    let fix = |out: &str| {
        let arguments = [
            "migrate",
            "lint",
            "db/001_a.up.sql",
            "--fix",
            out,
            "--retires",
            "1.1.0",
        ];
        cutover(place, &arguments)
    };
    let before = fix("before");
    assert_eq!(before.code, 5, "{}{}", before.stdout, before.stderr);
    assert!(before.stdout.contains("truncate"), "{}", before.stdout);

    std::fs::write(place.join("cutover.yaml"), FILE.replace("services:", &database)).unwrap();
    let after = fix("after");
    assert_eq!(after.code, 0, "{}{}", after.stdout, after.stderr);
    let written: String = std::fs::read_dir(place.join("after"))
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    assert!(written.contains("CREATE INDEX by_name ON users"), "{written}");
    assert!(written.contains("TRUNCATE cache"), "{written}");
    assert!(written.contains("retires=1.1.0"), "{written}");
}

#[tokio::test]
async fn the_linter_asks_a_database() {
    let Some(url) = cutover_testkit::postgres_database().await else {
        return;
    };
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("CREATE TABLE users (id int PRIMARY KEY, name varchar(9)); INSERT INTO users VALUES (1); ANALYZE users")
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let change = "ALTER TABLE users ALTER name TYPE text; CREATE INDEX by_name ON users (name);";
    std::fs::write(place.join("change.sql"), change).unwrap();
    let blind = cutover(place, &["migrate", "lint", "change.sql"]);
    assert_eq!(blind.code, 5, "{}", blind.stdout);
    let seeing = cutover(place, &["migrate", "lint", "change.sql", "--database", &url]);
    assert_eq!(seeing.code, 0, "{}", seeing.stdout);
    assert!(seeing.stdout.contains("note[create-index]"), "{}", seeing.stdout);
    let traced = cutover(
        place,
        &[
            "migrate",
            "lint",
            "change.sql",
            "--trace",
            "--database",
            &url,
            "--output",
            "json",
        ],
    );
    assert_eq!(traced.code, 0, "{}", traced.stderr);
    let value: serde_json::Value = serde_json::from_str(&traced.stdout).unwrap();
    let first = &value["statements"][0]["trace"];
    assert_eq!(first["locks"][0]["table"], "users", "{value:#}");
    assert_eq!(first["locks"][0]["mode"], "AccessExclusiveLock");
    assert_eq!(first["rewritten"].as_array().map(Vec::len), Some(0));
    let told = cutover(
        place,
        &["migrate", "lint", "change.sql", "--trace", "--database", &url],
    );
    assert!(told.stdout.contains("rolled back"), "{}", told.stdout);
    let other = cutover(
        place,
        &[
            "migrate",
            "lint",
            "change.sql",
            "--trace",
            "--database",
            "sqlite:x.db",
        ],
    );
    assert!(other.stderr.contains("lint.not-traced"), "{}", other.stderr);
}
