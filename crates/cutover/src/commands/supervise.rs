//! `cutover supervise`: the parent of instances and proxy. Started on demand by the commands that need it, or at boot.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cutover_model::ExitCode;
use cutover_target_process::{LogLimits, SupervisorOptions};

use crate::cli::Globals;
use crate::context::Context;
use crate::failure::Outcome;
use crate::render::Printer;
use crate::world::SystemClock;

/// With nothing to run it goes; the next command that needs it starts it again.
const IDLE: Duration = Duration::from_secs(60);

pub(super) async fn run(globals: &Globals, printer: &Printer, state_dir: Option<PathBuf>) -> Outcome {
    let state_dir = match state_dir {
        Some(folder) => folder,
        None => Context::open(globals, printer.clone())?.state.own(),
    };
    let options = SupervisorOptions {
        state_dir,
        clock: Arc::new(SystemClock),
        logs: LogLimits::default(),
        idle_exit: Some(IDLE),
    };
    match cutover_target_process::supervise(options).await {
        Ok(()) => Ok(ExitCode::Done),
        Err(error) => Err(error.diagnostic().into()),
    }
}
