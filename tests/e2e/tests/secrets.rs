//! A password and a resolved secret are where they are needed, and nowhere else.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use cutover_e2e::{Spec, Stage};
use cutover_testkit::Ran;

/// What the service is given besides its database.
const TOKEN: &str = "tok3n-that-nobody-reads";

/// The database is named by `${env:SHOP_DATABASE}`, the token by `${file:payments}`.
fn stage(program: Option<String>) -> Stage {
    let stage = Stage::new(&Spec {
        database: Some("${env:SHOP_DATABASE}".to_owned()),
        program,
        progress_deadline: "4s".to_owned(),
        ..Spec::default()
    });
    let file = stage.folder().join("cutover.yaml");
    let text = std::fs::read_to_string(&file).expect("the file");
    let text = text.replace(
        "RELEASE: \"{version}\"",
        "RELEASE: \"{version}\", PAYMENTS: \"${file:payments}\"",
    );
    assert!(text.contains("PAYMENTS"), "{text}");
    std::fs::write(file, text).expect("the file");
    std::fs::write(stage.folder().join("payments"), TOKEN).expect("the secret");
    stage
}

fn run(stage: &Stage, url: &str, arguments: &[&str]) -> Ran {
    let mut command = stage.command(arguments);
    command.env("SHOP_DATABASE", url).env("RUST_LOG", "debug");
    command.output().expect("cutover runs").into()
}

/// The password of a URL.
fn password(url: &str) -> String {
    let (_, rest) = url.split_once("://").expect("a URL");
    let (user, _) = rest.rsplit_once('@').expect("a user");
    user.split_once(':').expect("a password").1.to_owned()
}

fn holds(bytes: &[u8], secrets: &[&str]) -> bool {
    secrets.iter().any(|secret| {
        bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes())
    })
}

fn says_nothing(outcome: &Ran, secrets: &[&str]) {
    for text in [&outcome.stdout, &outcome.stderr] {
        assert!(!holds(text.as_bytes(), secrets), "{text}");
    }
}

fn processes() -> impl Iterator<Item = i32> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    std::fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(move |pid| *pid != own)
}

fn of_process(pid: i32, what: &str) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default()
}

/// Looks at the arguments of every process of the stage while something is done.
fn with_watched_arguments<T>(stage: &Stage, secrets: &[&str], work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    let folder = stage.folder().to_string_lossy().into_owned();
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for pid in processes() {
                    let arguments = of_process(pid, "cmdline");
                    let is_ours = |what| holds(what, &[folder.as_str()]);
                    assert!(
                        !holds(&arguments, secrets)
                            || !(is_ours(&arguments) || is_ours(&of_process(pid, "environ"))),
                        "{}",
                        String::from_utf8_lossy(&arguments).replace('\0', " ")
                    );
                }
                std::thread::park_timeout(std::time::Duration::from_millis(2));
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        watcher.join().expect("no secret among the arguments");
        result
    })
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            below(&path, found);
        }
        found.push(path);
    }
}

/// Everything in the state folder is its owner's alone; only the supervisor's state, which must start instances again,
/// and `but` hold a secret.
fn is_private(stage: &Stage, secrets: &[&str], but: &str) {
    let mut all = vec![stage.state()];
    below(&stage.state(), &mut all);
    let mut sockets = 0;
    let mut kept = false;
    for path in all {
        let Ok(meta) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        let mode = meta.permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
        if meta.file_type().is_socket() {
            sockets += 1;
        }
        let bytes = if meta.is_file() {
            std::fs::read(&path).unwrap_or_default()
        } else {
            Vec::new()
        };
        if path.ends_with("supervisor/state.json") {
            kept = holds(&bytes, secrets);
        } else if but.is_empty() || !path.to_string_lossy().contains(but) {
            assert!(!holds(&bytes, secrets), "{}", path.display());
        }
    }
    assert!(
        sockets >= 1,
        "the supervisor's socket is among what was looked at"
    );
    assert!(kept || !but.is_empty(), "the instances' environment is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_and_a_rollback_keep_them() {
    let Some(url) = cutover_testkit::postgres_database().await else {
        return;
    };
    tokio::task::spawn_blocking(move || {
        let password = password(&url);
        let secrets = [password.as_str(), TOKEN];
        let stage = stage(None);
        with_watched_arguments(&stage, &secrets, || {
            for arguments in [
                &["plan", "1.0.0", "--output", "json"][..],
                &["upgrade", "1.0.0", "--yes"],
                &["plan", "1.1.0"],
                &["upgrade", "1.1.0", "--yes"],
                &["status", "--output", "json"],
                &["history", "--output", "json"],
                &["backup", "list", "--output", "json"],
                &["migrate", "status"],
                &["rollback", "--yes"],
            ] {
                says_nothing(&run(&stage, &url, arguments).exits(0), &secrets);
            }
        });
        is_private(&stage, &secrets, "");
        for kind in ["supervise", "proxy run"] {
            let pids = stage.pids(kind);
            assert!(!pids.is_empty(), "{kind} runs");
            for pid in pids {
                assert!(
                    !holds(&of_process(pid, "environ"), &secrets),
                    "{kind} has no use for a secret"
                );
            }
        }
    })
    .await
    .expect("the test");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_cries_them_out_is_not_repeated() {
    let Some(url) = cutover_testkit::postgres_database().await else {
        return;
    };
    tokio::task::spawn_blocking(move || {
        let password = password(&url);
        let secrets = [password.as_str(), TOKEN];
        let script = tempfile::Builder::new()
            .permissions(PermissionsExt::from_mode(0o700))
            .tempdir()
            .expect("a folder");
        let program = script.path().join("crier");
        std::fs::write(
            &program,
            "#!/bin/sh\necho \"no $DATABASE_URL and no $PAYMENTS\"\nexit 1\n",
        )
        .expect("the program");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).expect("the program");
        let stage = stage(Some(program.display().to_string()));
        let failed = run(&stage, &url, &["upgrade", "1.0.0", "--yes"]);
        assert_ne!(failed.code, 0, "{failed:?}");
        let told = format!("{}{}", failed.stdout, failed.stderr);
        assert!(told.contains("no postgres://"), "its last words are told: {told}");
        says_nothing(&failed, &secrets);
        for arguments in [
            &["status", "--output", "json"][..],
            &["history", "--output", "json"],
        ] {
            says_nothing(&run(&stage, &url, arguments), &secrets);
        }
        is_private(&stage, &secrets, "/logs/api-1.0.0/");
    })
    .await
    .expect("the test");
}

#[test]
fn a_secret_that_is_taken_for_a_database_is_not_repeated() {
    let stage = stage(None);
    let outcome = run(&stage, TOKEN, &["plan", "1.0.0"]).exits(2);
    assert!(outcome.stderr.contains("db.invalid-url"), "{}", outcome.stderr);
    says_nothing(&outcome, &[TOKEN]);
}
