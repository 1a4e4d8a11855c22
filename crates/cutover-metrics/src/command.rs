//! A program's exit code and output.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use cutover_model::Span;
use cutover_os::{PidFd, ProcessIdentity, Signal};
use cutover_ports::{PortError, Question};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use crate::http::Secrets;
use crate::{Resolve, failed};

/// A longer output is no measurement, in bytes.
const MAX_OUTPUT: u64 = 1024 * 1024;

/// What it finds of whoever's environment it was started in: what an instance finds, too.
const PASSED_ON: [&str; 8] = [
    "HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER",
];

/// Runs programs to measure by.
pub struct Commands {
    folder: PathBuf,
    resolve: Arc<Resolve>,
}

impl std::fmt::Debug for Commands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commands").finish_non_exhaustive()
    }
}

impl Commands {
    /// In this folder; references in their environment are looked up with `resolve`.
    #[must_use]
    pub fn new(folder: PathBuf, resolve: Arc<Resolve>) -> Self {
        Self { folder, resolve }
    }

    pub(crate) async fn run(
        &self,
        question: &Question<'_>,
        words: &[String],
        environment: &BTreeMap<String, String>,
        timeout: Span,
    ) -> Result<Value, PortError> {
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| failed("a command", "there is no program"))?;
        let shown = format!("`{program}`");
        let path = if program.contains('/') {
            self.folder.join(program)
        } else {
            program.into()
        };
        let mut command = Command::new(path);
        command
            .args(arguments)
            .env_clear()
            .envs(
                PASSED_ON
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .env("CANDIDATE_VERSION", question.candidate.version.to_string())
            .env("SERVICE", question.candidate.service.as_str())
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(stable) = question.stable {
            command.env("STABLE_VERSION", stable.version.to_string());
        }
        let mut secrets = Secrets::default();
        for (name, value) in environment {
            let value = secrets.look_up(value, &*self.resolve);
            command.env(name, value.map_err(PortError::refused)?);
        }
        let mut child = command
            .spawn()
            .map_err(|error| failed(&shown, &format!("it cannot be started: {error}")))?;
        let group = Group::of(child.id());
        let output = read(child.stdout.take());
        let ended = tokio::time::timeout(timeout.as_duration(), async {
            let output = output.await?;
            Ok::<_, std::io::Error>((output, child.wait().await?))
        });
        let ended = ended.await;
        // Whatever it left behind is over with it, also where nobody waits for the end any more.
        drop(group);
        let (output, status) = match ended {
            Err(_) => {
                return Err(failed(
                    &shown,
                    &format!("it was not done within {timeout} and was ended"),
                ));
            }
            Ok(Err(error)) => return Err(failed(&shown, &error.to_string())),
            Ok(Ok(ended)) => ended,
        };
        let Some(code) = status.code() else {
            return Err(failed(&shown, &format!("it was ended by {status}")));
        };
        if output.len() as u64 > MAX_OUTPUT {
            return Err(failed(&shown, "it printed more than 1 MiB"));
        }
        let output = serde_json::from_slice(&output)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&output).trim().to_owned()));
        // Its beginning is told with the measurement.
        Ok(json!({"exitCode": code, "output": secrets.take_out(output)}))
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(MAX_OUTPUT + 1).read_to_end(&mut all).await?;
    }
    Ok(all)
}

/// A process group that ends when this does.
struct Group(Option<PidFd>);

impl Group {
    fn of(pid: Option<u32>) -> Self {
        let identity = pid.and_then(|pid| ProcessIdentity::of(pid).ok());
        Self(identity.and_then(|identity| PidFd::open(&identity).ok()))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = &self.0 {
            // One that is gone is what was wanted.
            drop(leader.signal_group(Signal::SIGKILL));
        }
    }
}
