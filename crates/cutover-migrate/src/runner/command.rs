//! One command of a tool: started in a session of its own, watched, and ended with all that it started.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use cutover_model::{Diagnostic, Span, Timestamp};
use cutover_os::{Exit, Grouping, PidFd, SpawnOptions};
use cutover_ports::PortError;
use tokio::time::Instant;

use super::lock::{self, Lock};
use super::{Tool, output};
use crate::stop::Stop;

const POLL: Duration = Duration::from_millis(10);

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// With this exit code.
    Code(i32),
    /// By a signal that was not sent from here.
    Signal(i32),
    /// It took too long, and was ended.
    TimedOut(Duration),
    /// A person did not want to wait, and it was ended.
    Stopped,
}

impl Ended {
    pub(super) const fn is_success(self) -> bool {
        matches!(self, Self::Code(0))
    }

    pub(super) const fn was_stopped(self) -> bool {
        matches!(self, Self::Stopped)
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) ended: Ended,
    /// What it printed on its standard output, without secrets.
    pub(super) out: String,
    /// The last lines of all that it printed.
    pub(super) last: String,
}

impl Ran {
    pub(super) fn said(&self) -> String {
        if self.last.is_empty() {
            return String::new();
        }
        format!(", and said last: {}", self.last)
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ended {
            Ended::Code(code) => write!(f, "ended with exit code {code}")?,
            Ended::Signal(number) => write!(f, "was ended by {}", Exit::Signal(number))?,
            Ended::TimedOut(limit) => {
                let limit = Span::from_millis(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
                write!(f, "was not done within {limit} and was ended")?;
            }
            Ended::Stopped => f.write_str("was stopped before it was done")?,
        }
        f.write_str(&self.said())
    }
}

/// A command to run.
pub(super) struct Command<'a> {
    pub(super) what: String,
    pub(super) words: &'a [String],
    pub(super) tool: &'a Tool,
    pub(super) log: PathBuf,
    pub(super) at: Timestamp,
}

impl Command<'_> {
    /// Runs it. An error is one of starting it: it has certainly not been run.
    pub(super) async fn run(&self, lock: Option<&Lock>, stop: &Stop) -> Result<Ran, PortError> {
        let trouble = |error: std::io::Error| self.not_started(&error);
        let folder = &self.tool.folder;
        cutover_os::make_private_folder(folder).map_err(trouble)?;
        let out = output::nameless(folder, "out").map_err(trouble)?;
        // What changes something is read as it was printed; of what is asked only the answer counts, not its warnings.
        let err = if lock.is_some() {
            out.try_clone()
        } else {
            output::nameless(folder, "err")
        };
        let err = err.map_err(trouble)?;
        let process = self.start(lock, &out, &err).map_err(trouble)?;
        let ended = self.watch(&process, stop).await;
        let secrets = &self.tool.secrets;
        let out = output::read(&out, secrets).map_err(trouble)?;
        let all = match lock {
            Some(_) => out.clone(),
            None => format!("{out}{}", output::read(&err, secrets).map_err(trouble)?),
        };
        let ran = Ran {
            ended,
            out,
            last: output::last(&all),
        };
        if lock.is_some() || !ended.is_success() {
            let heading = format!(
                "{} {} (release {})",
                self.at,
                self.words.join(" "),
                self.tool.release
            );
            if let Err(error) = output::keep(&self.log, &heading, &all) {
                tracing::warn!(%error, path = %self.log.display(), "what a runner printed could not be kept");
            }
        }
        Ok(ran)
    }

    fn start(&self, lock: Option<&Lock>, out: &std::fs::File, err: &std::fs::File) -> std::io::Result<PidFd> {
        let (program, arguments) = self
            .words
            .split_first()
            .ok_or_else(|| std::io::Error::other("there is no program to start"))?;
        // A path is one in the folder in which the command is run, as with services.
        let program = if program.contains('/') {
            self.tool.directory.join(program).into_os_string()
        } else {
            program.into()
        };
        let mut command = std::process::Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(&self.tool.environment)
            .current_dir(&self.tool.directory)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(err.try_clone()?);
        let options = SpawnOptions {
            // Without a terminal nobody can be asked for a password, and a Ctrl-C reaches it only through us.
            grouping: Grouping::OwnSession,
            kept: lock
                .iter()
                .map(|lock| std::os::fd::AsFd::as_fd(&lock.file))
                .collect(),
            ..SpawnOptions::default()
        };
        let process = cutover_os::spawn(&mut command, options)?;
        if let Some(lock) = lock {
            lock.held_by(process.identity())?;
        }
        Ok(process)
    }

    /// Waits for its end, or ends it. What it left behind in its group goes with it.
    async fn watch(&self, process: &PidFd, stop: &Stop) -> Ended {
        let limit = self.tool.timeout.as_duration();
        let start = Instant::now();
        let cut = loop {
            if process.has_ended() {
                break None;
            }
            if start.elapsed() >= limit {
                break Some(Ended::TimedOut(limit));
            }
            if stop.check().is_err() {
                break Some(Ended::Stopped);
            }
            tokio::time::sleep(POLL).await;
        };
        if lock::is_alive(process) {
            lock::end(process).await;
        }
        let exit = process.reap().ok().flatten();
        cut.unwrap_or(match exit {
            Some(Exit::Code(code)) => Ended::Code(code),
            Some(Exit::Signal(number)) => Ended::Signal(number),
            None => Ended::Signal(0),
        })
    }

    fn not_started(&self, error: &std::io::Error) -> PortError {
        let words = self.words.join(" ");
        PortError::refused(
            Diagnostic::error(
                "runner.not-started",
                format!("{} cannot be run: {error}", self.what),
            )
            .note("command", words)
            .note("folder", self.tool.directory.display().to_string())
            .help(format!("ls {}", self.tool.directory.display())),
        )
    }
}
