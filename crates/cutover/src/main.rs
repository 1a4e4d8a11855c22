//! `cutover`: the command line.
//!
//! Here the words become calls of the engine, adapters are chosen and wired, and everything is printed. The crate owns the
//! layout of the state folder and the exit codes; what an upgrade is and how it goes is decided below.

mod breaks;
mod cli;
mod commands;
mod context;
mod demo;
mod drive;
mod execute;
mod failure;
mod lookup;
mod lost;
mod planning;
mod release;
mod render;
mod state_dir;
mod world;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode as ProcessExit;

use cutover_model::{Diagnostic, ExitCode};
use serde_json::Map;
use tokio::runtime::Builder;
use tracing_subscriber::EnvFilter;

use cli::{Cli, Command, Migrate, Proxy};
use failure::Outcome;
use render::{Address, Colour, Output, Printer};

fn main() -> ProcessExit {
    let words: Vec<OsString> = std::env::args_os().collect();
    let (cli, address) = match Cli::read(&words) {
        Ok(read) => read,
        Err(error) => return usage(&error, &words),
    };
    log(&cli.command);
    let printer = Printer::new(cli.globals.output, cli.globals.color, false, &address);
    let outcome = dispatch(cli, &printer);
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            printer.failure(&failure.found, failure.beside);
            failure.exit.into()
        }
    }
}

fn dispatch(cli: Cli, printer: &Printer) -> Outcome {
    // The proxy makes its own threads and runtimes, one per core.
    if let Command::Proxy {
        command: Proxy::Run(run),
    } = &cli.command
    {
        return commands::serve_proxy(run, printer);
    }
    let mut builder = match &cli.command {
        // One question to a database, most of the time: it is answered sooner where nothing is handed from thread to thread.
        Command::Migrate { command } if !matches!(command, Migrate::Contract { .. }) => {
            Builder::new_current_thread()
        }
        _ => Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build();
    let runtime = runtime.map_err(|error| {
        Diagnostic::error("state.no-runtime", format!("no threads can be started: {error}")).help("ulimit -u")
    })?;
    let outcome = runtime.block_on(commands::run(cli, printer));
    // A blocking read of a terminal or a database must not keep the process.
    runtime.shutdown_background();
    outcome
}

/// Help and version are data; what was wrong is talk.
fn usage(error: &clap::Error, words: &[OsString]) -> ProcessExit {
    if error.use_stderr() && cli::for_a_program(words) {
        let printer = Printer::new(Output::Json, Colour::Never, true, &Address::default());
        printer.failure(&[cli::refused(error, words)], Map::new());
        return ExitCode::Usage.into();
    }
    // Nobody can be told that nobody reads.
    drop(error.print());
    if error.use_stderr() {
        ExitCode::Usage.into()
    } else {
        ExitCode::Done.into()
    }
}

/// What the program says of itself goes to stderr: everything for the processes in the background, whose stderr is their
/// log, and nothing but what is asked for by RUST_LOG where a person looks.
fn log(command: &Command) {
    let background = match command {
        Command::Supervise(_) | Command::DemoShop => true,
        Command::Proxy {
            command: Proxy::Run(run),
        } => run.listen.is_none(),
        Command::Resume(resume) => resume.in_background,
        _ => false,
    };
    let default = if background { "info" } else { "off" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(filter)
        .init();
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn output_and_colour_are_words_of_the_command_line() {
        let cli = Cli::try_parse_from(["cutover", "status", "--output", "json", "--color", "never"]).unwrap();
        assert_eq!(cli.globals.output, render::Output::Json);
    }
}
