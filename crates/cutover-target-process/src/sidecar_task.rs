//! The life of a sidecar: started on sockets that outlive it, started again on the same ones.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cutover_model::{Diagnostic, Fence};
use cutover_ports::PortError;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backoff::Backoff;
use crate::core::Core;
use crate::launch::LaunchError;
use crate::orphan::Orphans;
use crate::ports;
use crate::process::{Process, describe};
use crate::saved::{SavedSidecar, sidecar_mark};
use crate::sidecar::{ListenerStatus, SidecarSpec, SidecarStatus, resolve};
use crate::sidecar_start::{self, Held};

/// How often a socket that the sidecar bound itself is looked for.
const TAKE_OVER_PERIOD: Duration = Duration::from_millis(250);

/// How long a removal is waited for before the client is told to ask again.
const REMOVAL_WAIT: Duration = Duration::from_secs(5);

/// What the rest of the supervisor sees and asks of a sidecar.
#[derive(Debug, Default)]
pub(crate) struct SidecarHandle {
    sockets: Mutex<Sockets>,
    /// Held while a process is started: for one that has ended, or to take the place of one that runs.
    pub(crate) starting: tokio::sync::Mutex<()>,
    /// A process that takes the place of the one that runs, or will when that one has ended.
    successor: Mutex<Option<Process>>,
    succeeded: Notify,
    /// Processes whose place was taken and that finish what they had begun.
    leaving: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// It has ended and its record and sockets are gone.
    pub(crate) done: CancellationToken,
}

#[derive(Debug, Default)]
struct Sockets {
    /// The sockets by their address as the specification writes it.
    held: Held,
    /// What the running process got at its start.
    passed: BTreeSet<String>,
    pid: Option<u32>,
    last_failure: Option<String>,
    /// The kernel does not let us copy sockets out of the process.
    may_not_copy: bool,
}

impl SidecarHandle {
    fn sockets(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn held(&self) -> Held {
        self.sockets().held.clone()
    }

    /// Who the sidecar is, in memory and on disk.
    pub(crate) async fn is_now(&self, core: &Core, name: &str, process: &Process, passed: BTreeSet<String>) {
        let identity = process.identity().clone();
        {
            let mut sockets = self.sockets();
            sockets.pid = Some(identity.pid);
            sockets.passed = passed;
            sockets.may_not_copy = false;
        }
        core.note(|saved| {
            if let Some(record) = saved.sidecars.get_mut(name) {
                record.process = Some(identity);
            }
        })
        .await;
    }

    /// The process takes the place of the one that runs; that one finishes by itself.
    pub(crate) fn succeed(&self, process: Process) {
        *self.successor.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        self.succeeded.notify_one();
    }

    fn take_successor(&self) -> Option<Process> {
        self.successor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn missing(&self, spec: &SidecarSpec) -> Vec<String> {
        let sockets = self.sockets();
        spec.listen
            .iter()
            .filter(|address| !sockets.held.contains_key(*address))
            .cloned()
            .collect()
    }

    /// Binds what is not held yet; the addresses that somebody else has are returned with the reason.
    fn bind_missing(&self, spec: &SidecarSpec) -> Vec<(String, io::Error)> {
        let mut failed = Vec::new();
        for address in self.missing(spec) {
            let bound = resolve(&address)
                .map_err(io::Error::other)
                .and_then(cutover_os::bind_listener);
            match bound {
                Ok(listener) => {
                    self.sockets().held.insert(address, Arc::new(listener));
                }
                Err(error) => failed.push((address, error)),
            }
        }
        failed
    }

    /// Copies sockets that the process bound itself, or that were passed to it by a supervisor that was killed.
    fn take_over(&self, process: &Process, spec: &SidecarSpec) {
        for address in self.missing(spec) {
            let Ok(socket_address) = resolve(&address) else {
                continue;
            };
            match cutover_os::duplicate_listener(process.pidfd(), socket_address) {
                Ok(Some(listener)) => {
                    tracing::info!(name = spec.name, address, "holding a socket of the sidecar");
                    let mut sockets = self.sockets();
                    sockets.passed.insert(address.clone());
                    sockets.held.insert(address, Arc::new(listener));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(name = spec.name, address, %error,
                        "cannot copy the sidecar's socket; it will be bound again when the sidecar ends");
                    self.sockets().may_not_copy = true;
                    return;
                }
            }
        }
    }

    pub(crate) fn status(&self, record: &SavedSidecar) -> SidecarStatus {
        let sockets = self.sockets();
        SidecarStatus {
            name: record.spec.name.clone(),
            pid: sockets.pid,
            restarts: record.restarts,
            listeners: record
                .spec
                .listen
                .iter()
                .map(|address| ListenerStatus {
                    address: address.clone(),
                    held: sockets.held.contains_key(address),
                    passed: sockets.passed.contains(address),
                })
                .collect(),
            last_failure: sockets.last_failure.clone(),
        }
    }
}

impl Core {
    /// All sidecars.
    pub(crate) fn observe_sidecars(&self) -> Vec<SidecarStatus> {
        let saved = self.state.get();
        let handles = self.sidecars();
        saved
            .sidecars
            .iter()
            .filter_map(|(name, record)| Some(handles.get(name)?.status(record)))
            .collect()
    }

    /// The sidecar exists with these addresses. A running one is not restarted: what changed counts from its next
    /// start.
    pub(crate) async fn ensure_sidecar(
        self: &Arc<Self>,
        fence: &Fence,
        spec: SidecarSpec,
    ) -> Result<SidecarStatus, PortError> {
        let _turn = self.writing.lock().await;
        self.admit(fence).await?;
        spec.check().map_err(PortError::refused)?;
        let existing = self.sidecars().get(&spec.name).cloned();
        let Some(handle) = existing else {
            return self.start_sidecar(spec).await;
        };
        if handle.stop.is_cancelled() {
            return Err(PortError::transient(Diagnostic::error(
                "target.sidecar-stopping",
                format!("the sidecar {} is being stopped", spec.name),
            )));
        }
        let name = spec.name.clone();
        let known = self.state.get().sidecars.get(&name).cloned();
        let record = match known {
            Some(record) if record.spec == spec => record,
            _ => {
                handle
                    .sockets()
                    .held
                    .retain(|address, _| spec.listen.contains(address));
                self.change(|saved| {
                    let record = saved.sidecars.entry(name).or_insert_with(|| SavedSidecar {
                        spec: spec.clone(),
                        process: None,
                        restarts: 0,
                    });
                    record.spec = spec;
                    record.clone()
                })
                .await?
            }
        };
        Ok(handle.status(&record))
    }

    async fn start_sidecar(self: &Arc<Self>, spec: SidecarSpec) -> Result<SidecarStatus, PortError> {
        let handle = Arc::new(SidecarHandle::default());
        if let Some((address, error)) = handle.bind_missing(&spec).into_iter().next() {
            return Err(PortError::refused(address_in_use(&spec, &address, &error)));
        }
        let name = spec.name.clone();
        let record = SavedSidecar {
            spec,
            process: None,
            restarts: 0,
        };
        let inserted = record.clone();
        self.change(|saved| saved.sidecars.insert(name.clone(), inserted))
            .await?;
        let process = match start(self, &name, &handle).await {
            Ok(process) => process,
            Err(error) => {
                self.note(|saved| {
                    saved.sidecars.remove(&name);
                })
                .await;
                return Err(PortError::refused(error.diagnostic()));
            }
        };
        self.sidecars().insert(name.clone(), Arc::clone(&handle));
        let status = handle.status(&record);
        let task = run(Arc::clone(self), name, Arc::clone(&handle), Some(process));
        self.tasks.spawn(task);
        Ok(status)
    }

    /// Asks a sidecar to end; whether it is gone by the time of the answer.
    pub(crate) async fn stop_sidecar(&self, fence: &Fence, name: &str) -> Result<bool, PortError> {
        let handle = {
            let _turn = self.writing.lock().await;
            self.admit(fence).await?;
            self.sidecars().get(name).cloned()
        };
        let Some(handle) = handle else {
            return Ok(true);
        };
        handle.stop.cancel();
        let gone = tokio::time::timeout(REMOVAL_WAIT, handle.done.cancelled()).await;
        Ok(gone.is_ok())
    }

    /// Takes up every sidecar where the last supervisor left it.
    pub(crate) async fn restore_sidecars(self: &Arc<Self>, orphans: &Arc<Orphans>) {
        let saved = self.state.get();
        for (name, record) in &saved.sidecars {
            let handle = Arc::new(SidecarHandle::default());
            let mark = sidecar_mark(name);
            let process = record
                .process
                .as_ref()
                .and_then(Process::adopt)
                .or_else(|| orphans.leader(&mark).and_then(Process::adopt));
            match &process {
                Some(process) => {
                    tracing::info!(name, "adopted {}", process.identity());
                    handle.take_over(process, &record.spec);
                    let mut sockets = handle.sockets();
                    sockets.pid = Some(process.identity().pid);
                    if sockets.may_not_copy {
                        // It has them, or it would not be there; only we cannot see them.
                        sockets.passed = record.spec.listen.iter().cloned().collect();
                    }
                    drop(sockets);
                    // It was to take this one's place. Whether it has shows when one of the two ends.
                    let younger = orphans.younger(&mark, process.identity());
                    if let Some(next) = younger.and_then(Process::adopt) {
                        tracing::info!(name, "adopted {}, which was to succeed it", next.identity());
                        *handle.successor.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
                    }
                }
                None => {
                    if let Some(leader) = &record.process {
                        orphans.end_group(&mark, leader).await;
                    }
                    // Before anything else, so that clients can queue.
                    for (address, error) in handle.bind_missing(&record.spec) {
                        tracing::error!(name, address, %error, "cannot listen");
                    }
                }
            }
            self.sidecars().insert(name.clone(), Arc::clone(&handle));
            let task = run(Arc::clone(self), name.clone(), handle, process);
            self.tasks.spawn(task);
        }
    }
}

fn address_in_use(spec: &SidecarSpec, address: &str, error: &io::Error) -> Diagnostic {
    let code = if error.kind() == io::ErrorKind::AddrInUse {
        "target.address-in-use"
    } else {
        "target.cannot-listen"
    };
    let name = &spec.name;
    let mut diagnostic = Diagnostic::error(code, format!("{name} cannot listen on {address}: {error}"));
    let port = resolve(address).map_or(0, |found| found.port());
    if let Some(owner) = ports::owner(port) {
        diagnostic = diagnostic.note("held by", owner);
    }
    diagnostic.help(format!("ss -ltnp 'sport = {port}'"))
}

/// Starts the sidecar with the sockets that are held, and writes down who it is.
async fn start(core: &Core, name: &str, handle: &SidecarHandle) -> Result<Process, LaunchError> {
    let spec = core.state.get().sidecars.get(name).map(|r| r.spec.clone());
    let Some(spec) = spec else {
        let what = name.to_owned();
        return Err(LaunchError::Empty { what });
    };
    let (process, passed) = sidecar_start::spawn(core, &spec, &spec.command, handle.held(), None).await?;
    handle.is_now(core, name, &process, passed).await;
    Ok(process)
}

/// Runs until the sidecar was asked to end, or the supervisor leaves its children alone.
async fn run(core: Arc<Core>, name: String, handle: Arc<SidecarHandle>, first: Option<Process>) {
    let mut backoff = Backoff::for_sidecars();
    let mut current = first;
    loop {
        let Some(spec) = core.state.get().sidecars.get(&name).map(|r| r.spec.clone()) else {
            return;
        };
        let mut ran_for = Duration::ZERO;
        let failure = match current.take() {
            Some(process) => {
                let since = Instant::now();
                tokio::select! {
                    biased;
                    () = core.leave.cancelled() => return,
                    () = handle.stop.cancelled() => {
                        let grace = spec.stop_grace.as_duration();
                        tokio::select! {
                            biased;
                            () = core.leave.cancelled() => return,
                            exit = process.end(grace) => tracing::info!(name, "{}", describe(exit)),
                        }
                        return forget(&core, &name, &handle).await;
                    }
                    () = handle.succeeded.notified() => {
                        // It was taken up already if the other one ended first.
                        current = match handle.take_successor() {
                            None => Some(process),
                            Some(next) => {
                                let grace = spec.stop_grace.as_duration();
                                let left =
                                    let_go(Arc::clone(&core), Arc::clone(&handle), name.clone(), process, grace);
                                handle.leaving.spawn(left);
                                Some(next)
                            }
                        };
                        continue;
                    }
                    () = process.ended() => {}
                    () = hold_new_sockets(&core, &name, &handle, &process) => {}
                }
                ran_for = since.elapsed();
                // What it left in its group could not serve, and must not keep its sockets.
                let exit = process.end(Duration::ZERO).await;
                let _turn = handle.starting.lock().await;
                if let Some(next) = handle.take_successor() {
                    tracing::info!(name, "{} takes its place", next.identity());
                    let passed = spec.listen.iter().cloned().collect();
                    handle.is_now(&core, &name, &next, passed).await;
                    current = Some(next);
                    continue;
                }
                handle.sockets().pid = None;
                core.note(|saved| {
                    if let Some(record) = saved.sidecars.get_mut(&name) {
                        record.restarts += 1;
                    }
                })
                .await;
                Some(describe(exit))
            }
            None => {
                let _turn = handle.starting.lock().await;
                match handle.take_successor() {
                    Some(next) => {
                        current = Some(next);
                        continue;
                    }
                    None => match restart(&core, &name, &handle).await {
                        Ok(process) => {
                            current = Some(process);
                            continue;
                        }
                        Err(why) => Some(why),
                    },
                }
            }
        };
        if let Some(failure) = failure {
            tracing::warn!(name, failure, "the sidecar is not running");
            handle.sockets().last_failure = Some(failure);
        }
        tokio::select! {
            biased;
            () = core.leave.cancelled() => return,
            () = handle.stop.cancelled() => return forget(&core, &name, &handle).await,
            () = handle.succeeded.notified() => {}
            () = tokio::time::sleep(backoff.after(ran_for)) => {}
        }
    }
}

/// Somebody else has its place: it finishes by itself, and is made to when that takes too long.
async fn let_go(
    core: Arc<Core>,
    handle: Arc<SidecarHandle>,
    name: String,
    process: Process,
    grace: Duration,
) {
    tokio::select! {
        biased;
        () = core.leave.cancelled() => return,
        () = process.ended() => {}
        () = handle.stop.cancelled() => {}
        () = tokio::time::sleep(grace) => {
            tracing::warn!(name, "{} did not finish in time", process.identity());
        }
    }
    let grace = if handle.stop.is_cancelled() {
        grace
    } else {
        Duration::ZERO
    };
    let exit = process.end(grace).await;
    tracing::info!(
        name,
        "{}, whose place was taken, {}",
        process.identity(),
        describe(exit)
    );
}

async fn restart(core: &Core, name: &str, handle: &SidecarHandle) -> Result<Process, String> {
    let spec = core.state.get().sidecars.get(name).map(|r| r.spec.clone());
    let Some(spec) = spec else {
        return Err("it was removed".to_owned());
    };
    let failed = handle.bind_missing(&spec);
    for (address, error) in &failed {
        tracing::error!(name, address, %error, "cannot listen");
    }
    // With some of its addresses it serves some of its clients.
    if !spec.listen.is_empty() && failed.len() == spec.listen.len() {
        let (address, error) = &failed[0];
        return Err(address_in_use(&spec, address, error).message);
    }
    let started = start(core, name, handle).await;
    started.map_err(|error| error.to_string())
}

/// Takes copies of sockets that a running sidecar binds itself, for as long as it runs.
async fn hold_new_sockets(core: &Core, name: &str, handle: &SidecarHandle, process: &Process) {
    loop {
        tokio::time::sleep(TAKE_OVER_PERIOD).await;
        let spec = core.state.get().sidecars.get(name).map(|r| r.spec.clone());
        if let Some(spec) = spec
            && !handle.sockets().may_not_copy
            && !handle.missing(&spec).is_empty()
        {
            handle.take_over(process, &spec);
        }
    }
}

async fn forget(core: &Core, name: &str, handle: &SidecarHandle) {
    handle.leaving.close();
    handle.leaving.wait().await;
    core.note(|saved| {
        saved.sidecars.remove(name);
    })
    .await;
    core.sidecars().remove(name);
    {
        let mut sockets = handle.sockets();
        sockets.held.clear();
        sockets.pid = None;
    }
    handle.done.cancel();
}
