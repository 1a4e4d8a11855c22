//! The controller that goes on when nobody watches any more.

use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};

use cutover_model::Diagnostic;
use cutover_os::{Grouping, SpawnOptions};

use crate::context::Context;
use crate::failure::Failure;
use crate::world::this_program;

/// Starts `cutover resume --in-background` in a session of its own; it outlives this process and its terminal. Answers
/// its pid.
pub(crate) fn start(ctx: &Context) -> Result<u32, Failure> {
    let log = ctx.state.controller_log();
    let refused = |error: std::io::Error| {
        Failure::from(
            Diagnostic::error(
                "controller.not-started",
                format!("no controller can be started in the background: {error}"),
            )
            .note("state", "the upgrade stays where it is, and can be gone on with")
            .help("cutover resume"),
        )
    };
    if let Some(folder) = log.parent() {
        cutover_os::close_folder(folder).map_err(refused)?;
    }
    let out = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&log)
        .map_err(refused)?;
    let err = out.try_clone().map_err(refused)?;
    let mut command = Command::new(this_program()?);
    command
        .args(ctx.arguments())
        .args(["resume", "--in-background"])
        .args(ctx.globals.yes.then_some("--yes"))
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err);
    let options = SpawnOptions {
        grouping: Grouping::OwnSession,
        ..SpawnOptions::default()
    };
    let process = cutover_os::spawn(&mut command, options).map_err(refused)?;
    Ok(process.identity().pid)
}
