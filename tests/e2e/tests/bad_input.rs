//! What goes wrong ends in a clear message with a code and a next command, and changes nothing that served.

use std::io::Write as _;
use std::path::Path;

use cutover_e2e::{Spec, Stage};
use cutover_testkit::Ran;

fn deployed() -> Stage {
    let stage = Stage::new(&Spec::default());
    let _first = stage.run(&["upgrade", "1.0.0", "--yes"]).exits(0);
    stage
}

/// The code, and a command to run next.
fn says(outcome: &Ran, code: &str) {
    let talk = format!("{}\n{}", outcome.stdout, outcome.stderr);
    assert!(talk.contains(code), "no `{code}` in\n{talk}");
    assert!(
        talk.contains("cutover ") || talk.contains("help  "),
        "no next command in\n{talk}"
    );
}

/// 1.0.0 is stable and answers.
fn serves(stage: &Stage) {
    assert_eq!(stage.status()["stable"]["version"], "1.0.0");
    let mut socket = std::net::TcpStream::connect(stage.address()).expect("the proxy answers");
    socket
        .write_all(b"GET /api/version HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
        .expect("a request");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut socket, &mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("1.0.0"), "{answer}");
}

#[test]
fn a_misspelt_key_is_shown_in_its_place() {
    let stage = Stage::new(&Spec::default());
    let path = stage.folder().join("cutover.yaml");
    let text = std::fs::read_to_string(&path)
        .expect("the file")
        .replace("setWeight", "setWeigth");
    std::fs::write(&path, text).expect("the file");
    let outcome = stage.run(&["plan", "1.0.0"]).exits(2);
    says(&outcome, "spec.unknown-key");
    assert!(
        outcome.stderr.contains("did you mean `setWeight`?"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_file_that_is_not_there() {
    let stage = Stage::new(&Spec {
        program: Some("./nowhere/shop".to_owned()),
        ..Spec::default()
    });
    let outcome = stage.run(&["upgrade", "1.0.0", "--yes"]).exits(2);
    says(&outcome, "release.program-missing");
}

#[test]
fn a_program_that_ends_at_once_is_not_waited_for() {
    let stage = deployed();
    stage.respecify(&Spec {
        program: Some("/bin/false".to_owned()),
        ..Spec::default()
    });
    let outcome = stage.run(&["upgrade", "1.1.0", "--yes"]).exits(3);
    says(&outcome, "does not start");
    serves(&stage);
}

#[test]
fn a_program_that_crashes_again_and_again_after_it_was_ready_is_not_promoted() {
    let stage = deployed();
    let program = stage.folder().join("fragile");
    let text = format!(
        "#!/bin/sh\n'{}' & shop=$!\nsleep 0.8\nkill -9 $shop\nexit 3\n",
        cutover_e2e::shop().display()
    );
    std::fs::write(&program, text).expect("a file");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("a program");
    stage.respecify(&Spec {
        program: Some(program.display().to_string()),
        strategy: "  canary:\n    steps:\n      - setWeight: 50\n      - pause: {duration: 60s}\n".to_owned(),
        ..Spec::default()
    });
    let outcome = stage.run(&["upgrade", "1.1.0", "--yes"]).exits(3);
    says(&outcome, "keeps crashing");
    serves(&stage);
}

#[test]
fn a_probe_that_never_passes_ends_at_the_progress_deadline() {
    let stage = deployed();
    stage.respecify(&Spec {
        ready: "/never".to_owned(),
        progress_deadline: "2s".to_owned(),
        ..Spec::default()
    });
    let outcome = stage.run(&["upgrade", "1.1.0", "--yes"]).exits(3);
    says(&outcome, "to be ready");
    serves(&stage);
}

#[test]
fn a_migration_with_a_syntax_error_leaves_nothing_of_itself() {
    let stage = deployed();
    let releases = stage.folder().join("releases");
    let migrations = releases.join("1.0.1/migrations/sqlite");
    std::fs::create_dir_all(&migrations).expect("a folder");
    let shop =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop/releases/1.0.0/migrations/sqlite");
    for entry in std::fs::read_dir(shop).expect("the shop's migrations").flatten() {
        std::fs::copy(entry.path(), migrations.join(entry.file_name())).expect("a copy");
    }
    let up = "-- cutover: phase=expand\n-- Adds a note, and stumbles.\nALTER TABLE users ADD COLUMN note TEXT;\nALTER TABEL users ADD COLUMN x TEXT;\n";
    std::fs::write(migrations.join("002_note.up.sql"), up).expect("a file");
    std::fs::write(
        migrations.join("002_note.down.sql"),
        "ALTER TABLE users DROP COLUMN note;\n",
    )
    .expect("a file");
    stage.respecify(&Spec {
        releases: Some(releases.display().to_string()),
        ..Spec::default()
    });
    let outcome = stage.run(&["upgrade", "1.0.1", "--yes"]);
    assert!(matches!(outcome.code, 1 | 3), "{outcome:?}");
    says(&outcome, "002_note");
    serves(&stage);
    // The first statement was not kept without the second: mended, the file is applied whole.
    std::fs::write(migrations.join("002_note.up.sql"), up.replace("TABEL", "TABLE")).expect("a file");
    let _mended = stage.run(&["upgrade", "1.0.1", "--yes"]).exits(0);
    assert_eq!(stage.status()["stable"]["version"], "1.0.1");
}

#[test]
fn a_listen_port_that_is_taken_is_found_before_anything_is_touched() {
    let stage = Stage::new(&Spec::default());
    let _squatter = std::net::TcpListener::bind(stage.address()).expect("the port");
    let outcome = stage.run(&["upgrade", "1.0.0", "--yes"]);
    assert!(matches!(outcome.code, 1 | 2), "{outcome:?}");
    says(&outcome, &stage.address().port().to_string());
}

#[test]
fn two_upgrades_at_once_are_one() {
    let stage = deployed();
    let spec = Spec {
        strategy:
            "  canary:\n    steps:\n      - setWeight: 50\n      - pause: {duration: 60s}\n    scaleDownDelay: 300ms\n"
                .to_owned(),
        ..Spec::default()
    };
    stage.respecify(&spec);
    let mut first = stage.start(&["upgrade", "1.1.0", "--yes"]);
    assert!(
        until(|| stage.status()["upgrade"]["step"]["stage"] == "pause"),
        "it pauses"
    );
    let second = stage.run(&["upgrade", "1.1.0", "--yes"]);
    assert_eq!(second.code, 7, "{second:?}");
    says(&second, "upgrade.in-progress");
    let _yes = stage.run(&["promote"]).exits(0);
    assert!(first.wait().expect("the first ends").success());
    assert_eq!(stage.status()["stable"]["version"], "1.1.0");
}

#[test]
fn a_state_folder_of_a_newer_version_is_left_alone() {
    let stage = deployed();
    let newer = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!(
            // The format is SQLite's user_version: four bytes, big-endian, at offset 60 of the file.
            "cd {} && printf '\\000\\000\\003\\347' | dd of=store.db bs=1 seek=60 conv=notrunc status=none",
            stage.state().display()
        ))
        .status()
        .expect("sh runs");
    assert!(newer.success());
    let outcome = stage.run(&["upgrade", "1.1.0", "--yes"]);
    assert!(matches!(outcome.code, 1 | 2), "{outcome:?}");
    says(&outcome, "store.newer-format");
}

/// Polls a condition until it holds, for at most half a minute.
fn until(mut holds: impl FnMut() -> bool) -> bool {
    for _ in 0..300 {
        if holds() {
            return true;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
    false
}
