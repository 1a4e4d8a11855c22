//! A sidecar's process, with the sockets that are held for it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, PipeWriter};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::sync::Arc;

use cutover_os::{Grouping, SpawnOptions};

use crate::core::Core;
use crate::environment::{self, SUPERVISED};
use crate::launch::{Launch, LaunchError};
use crate::log_file;
use crate::process::Process;
use crate::saved::sidecar_mark;
use crate::sidecar::SidecarSpec;

/// Sockets by their address as the specification writes it.
pub(crate) type Held = BTreeMap<String, Arc<TcpListener>>;

/// Starts `command` as this sidecar; `ready` is left open for it to say that it serves. Also the addresses that it got.
pub(crate) async fn spawn(
    core: &Core,
    spec: &SidecarSpec,
    command: &[String],
    held: Held,
    ready: Option<PipeWriter>,
) -> Result<(Process, BTreeSet<String>), LaunchError> {
    let name = &spec.name;
    let mut environment = environment::base();
    environment.extend(spec.environment.clone());
    environment.insert(SUPERVISED.to_owned(), core.state.get().mark(&sidecar_mark(name)));
    let search = environment.get("PATH").map_or("", String::as_str);
    let root = core.paths.root().to_owned();
    let launch = Launch::check(name, command, root, search)?;
    let log = spec
        .log_file
        .clone()
        .unwrap_or_else(|| core.paths.sidecar_log(name));
    let log = log_file::open(&log).and_then(|log| Ok((log.try_clone()?, log)));
    let (out, err) = log.map_err(|source| LaunchError::Log {
        what: name.clone(),
        source,
    })?;
    let mut command = launch.command();
    command.env_clear().envs(environment).stdout(out).stderr(err);
    let passed = held.keys().cloned().collect();
    let started = tokio::task::spawn_blocking(move || {
        let options = SpawnOptions {
            listeners: held
                .iter()
                .map(|(name, socket)| (name.clone(), socket.as_fd()))
                .collect(),
            grouping: Grouping::OwnSession,
            ready: ready.as_ref().map(AsFd::as_fd),
            kept: Vec::new(),
        };
        cutover_os::spawn(&mut command, options)
    })
    .await
    .map_err(io::Error::other)
    .and_then(|result| result)
    .and_then(Process::new);
    let process = started.map_err(|source| LaunchError::Refused {
        what: name.clone(),
        path: launch.program,
        source,
    })?;
    tracing::info!(name, "started {}", process.identity());
    Ok((process, passed))
}
