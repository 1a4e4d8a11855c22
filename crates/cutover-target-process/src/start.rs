//! Starting the supervisor on demand, once, however many clients want it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use cutover_model::Diagnostic;
use cutover_os::{Grouping, PidFd, SpawnOptions};
use cutover_ports::PortError;
use tokio::time::Instant;

use crate::client::{Connection, Reach};
use crate::environment;
use crate::lock::FileLock;
use crate::log_file;
use crate::paths::Paths;
use crate::problem;

/// How often a supervisor that was just started is asked whether it is there.
const POLL: Duration = Duration::from_millis(10);

/// The program that becomes the supervisor, by calling [`crate::supervise()`] for the same state folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnSpec {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment besides what every supervisor gets (PATH, HOME, RUST_LOG and the like). The caller's own
    /// environment is not passed on: secrets in it would live on in the daemon.
    pub environment: BTreeMap<String, String>,
}

/// A connection to the supervisor, which is started if there is none. Also the process, if it was started here.
pub(crate) async fn connect_or_start(
    paths: &Paths,
    spec: &SpawnSpec,
    timeout: Duration,
) -> Result<(Connection, Option<PidFd>), PortError> {
    match Connection::open(paths).await {
        Ok(connection) => return Ok((connection, None)),
        Err(Reach::Absent) => {}
        Err(Reach::Failed(error)) => return Err(*error),
    }
    let deadline = Instant::now() + timeout;
    paths
        .create()
        .map_err(|error| failed(paths, &error.to_string(), None))?;
    let lock = FileLock::take(&paths.start_lock(), timeout).await;
    let lock = lock.map_err(|error| failed(paths, &error.to_string(), None))?;
    let Some(_lock) = lock else {
        return Err(problem::unreachable(
            &paths.socket(),
            "another client has been starting it for too long",
        ));
    };
    // Another client may have started it while this one waited.
    match Connection::open(paths).await {
        Ok(connection) => return Ok((connection, None)),
        Err(Reach::Absent) => {}
        Err(Reach::Failed(error)) => return Err(*error),
    }
    let log_from = log_file::length(&paths.log());
    // Whatever an earlier one has left.
    drop(fs_err::remove_file(paths.failure()));
    let process = spawn(paths, spec)?;
    loop {
        match Connection::open(paths).await {
            Ok(connection) => return Ok((connection, Some(process))),
            Err(Reach::Absent) => {}
            Err(Reach::Failed(error)) => return Err(*error),
        }
        if process.has_ended() {
            let exit = process.reap().ok().flatten();
            let why = crate::process::describe(exit);
            if let Some(said) = said(paths) {
                return Err(said);
            }
            let line = log_file::last_line(&paths.log(), log_from);
            return Err(failed(paths, &why, line.as_deref().map(log_file::shorten)));
        }
        if Instant::now() >= deadline {
            return Err(problem::unreachable(
                &paths.socket(),
                &format!("it was started ({}) but does not listen", process.identity()),
            ));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn spawn(paths: &Paths, spec: &SpawnSpec) -> Result<PidFd, PortError> {
    let refused = |error: std::io::Error| {
        let program = spec.program.display();
        failed(paths, &format!("{program} cannot be started: {error}"), None)
    };
    let out = log_file::open(&paths.log()).map_err(refused)?;
    let err = out.try_clone().map_err(refused)?;
    let mut command = Command::new(&spec.program);
    command
        .args(&spec.args)
        .env_clear()
        .envs(environment::for_supervisor())
        .envs(&spec.environment)
        .current_dir(paths.root())
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err);
    let options = SpawnOptions {
        grouping: Grouping::OwnSession,
        ..SpawnOptions::default()
    };
    cutover_os::spawn(&mut command, options).map_err(refused)
}

/// The supervisor's own reason for not being there.
fn said(paths: &Paths) -> Option<PortError> {
    let text = fs_err::read_to_string(paths.failure()).ok()?;
    let said: Diagnostic = serde_json::from_str(&text).ok()?;
    let message = format!("the supervisor cannot be started: {}", said.message);
    let log = paths.log().display().to_string();
    Some(PortError::refused(
        Diagnostic { message, ..said }.note("its log", log),
    ))
}

fn failed(paths: &Paths, why: &str, line: Option<String>) -> PortError {
    let mut diagnostic = Diagnostic::error(
        "target.supervisor-failed",
        format!("the supervisor cannot be started: {why}"),
    );
    if let Some(line) = line {
        diagnostic = diagnostic.note("its last words", line);
    }
    PortError::refused(
        diagnostic
            .note("its log", paths.log().display().to_string())
            .help("cutover supervise"),
    )
}
