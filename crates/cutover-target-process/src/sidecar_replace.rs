//! One process of a sidecar takes the place of another on the same sockets.
//!
//! How they come to terms is theirs; the supervisor starts the new one, waits for its word that it serves, and looks
//! after it from then on. The old one is expected to finish by itself. Without that word nothing has changed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use cutover_model::{Diagnostic, Fence};
use cutover_ports::PortError;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

use crate::core::Core;
use crate::process::{Process, describe};
use crate::sidecar::SidecarStatus;
use crate::sidecar_start;

/// For the new process to serve. A loaded machine needs a second for it.
const READY_WITHIN: Duration = Duration::from_secs(30);

impl Core {
    /// Starts `command` with `arguments` beside the sidecar's process. Once it says that it serves it is the sidecar,
    /// and `command` is what is started when it ends.
    pub(crate) async fn replace_sidecar(
        self: &Arc<Self>,
        fence: &Fence,
        name: &str,
        command: Vec<String>,
        arguments: &[String],
    ) -> Result<SidecarStatus, PortError> {
        let _turn = self.writing.lock().await;
        self.admit(fence).await?;
        let handle = self.sidecars().get(name).cloned();
        let record = self.state.get().sidecars.get(name).cloned();
        let (Some(handle), Some(record)) = (handle, record) else {
            return Err(PortError::refused(
                Diagnostic::error(
                    "target.no-sidecar",
                    format!("there is no {name} whose place could be taken"),
                )
                .help("cutover status"),
            ));
        };
        let _starting = handle.starting.lock().await;
        let mut words = command.clone();
        words.extend_from_slice(arguments);
        let failed = |error: io::Error| PortError::transient(not_replaced(name, &error.to_string()));
        let (read, ready) = io::pipe().map_err(failed)?;
        let read = Receiver::from_owned_fd(read.into()).map_err(failed)?;
        let started = sidecar_start::spawn(self, &record.spec, &words, handle.held(), Some(ready)).await;
        let (process, passed) = started.map_err(|error| PortError::refused(error.diagnostic()))?;
        if let Err(why) = until_ready(read, &process).await {
            let exit = process.end(Duration::ZERO).await;
            let why = why.map_or_else(|| describe(exit), str::to_owned);
            tracing::warn!(name, "{} did not take over: {why}", process.identity());
            let log = record
                .spec
                .log_file
                .unwrap_or_else(|| self.paths.sidecar_log(name));
            let diagnostic = not_replaced(name, &why).note("its log", log.display().to_string());
            return Err(PortError::refused(diagnostic));
        }
        self.note(|saved| {
            if let Some(record) = saved.sidecars.get_mut(name) {
                record.spec.command = command;
            }
        })
        .await;
        handle.is_now(self, name, &process, passed).await;
        handle.succeed(process);
        Ok(handle.status(&record))
    }
}

/// Returns when the process has said that it serves; else why it will not, or nothing if it has ended.
async fn until_ready(mut read: Receiver, process: &Process) -> Result<(), Option<&'static str>> {
    let mut byte = [0];
    let said = tokio::select! {
        said = read.read_exact(&mut byte) => said,
        () = tokio::time::sleep(READY_WITHIN) => return Err(Some("it did not serve within 30s and was ended")),
    };
    if said.is_ok() {
        return Ok(());
    }
    // It has closed the pipe without a word, which all do that end.
    let ended = tokio::time::timeout(Duration::from_secs(1), process.ended()).await;
    Err(ended
        .err()
        .map(|_| "it closed the pipe without a word and was ended"))
}

fn not_replaced(name: &str, why: &str) -> Diagnostic {
    Diagnostic::error(
        "target.not-replaced",
        format!("the new process of {name} did not take over: {why}; the one that runs goes on"),
    )
    .help("cutover proxy status")
}
