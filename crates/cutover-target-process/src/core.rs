//! The supervisor's knowledge and its powers over instances.
//!
//! Owns the state file and the handles of everything that runs. Writes come one at a time, each admitted by its fence
//! first; reads never wait.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cutover_model::{Diagnostic, Fence, Instance, InstanceId, InstanceState, StoreId};
use cutover_ports::{Certainty, Clock, PortError, RevisionSpec};
use cutover_spec::Target;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::environment;
use crate::instance::{self, Begin, InstanceHandle};
use crate::launch::Launch;
use crate::orphan::Orphans;
use crate::paths::Paths;
use crate::ports;
use crate::probe::Prober;
use crate::problem;
use crate::process::Process;
use crate::saved::{Saved, SavedInstance};
use crate::sidecar_task::SidecarHandle;
use crate::state_file::StateFile;

/// How long a removal is waited for before the client is told to ask again.
const REMOVAL_WAIT: Duration = Duration::from_secs(5);

/// Everything that the supervisor's tasks share.
pub(crate) struct Core {
    pub(crate) paths: Paths,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) state: StateFile,
    pub(crate) prober: Prober,
    pub(crate) tasks: TaskTracker,
    /// Go, and leave the children running.
    pub(crate) leave: CancellationToken,
    instances: Mutex<BTreeMap<InstanceId, Arc<InstanceHandle>>>,
    sidecars: Mutex<BTreeMap<String, Arc<SidecarHandle>>>,
    /// Held while a write is admitted and done.
    pub(crate) writing: tokio::sync::Mutex<()>,
}

impl Core {
    pub(crate) fn new(paths: Paths, clock: Arc<dyn Clock>, state: StateFile, prober: Prober) -> Arc<Self> {
        Arc::new(Self {
            paths,
            clock,
            state,
            prober,
            tasks: TaskTracker::new(),
            leave: CancellationToken::new(),
            instances: Mutex::default(),
            sidecars: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        })
    }

    pub(crate) fn instances(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Arc<InstanceHandle>>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sidecars(&self) -> MutexGuard<'_, BTreeMap<String, Arc<SidecarHandle>>> {
        self.sidecars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store_id(&self) -> Option<StoreId> {
        self.state.get().fence.as_ref().map(|fence| fence.store.clone())
    }

    /// An instance's record and its revision's stored configuration.
    pub(crate) fn record(&self, id: &InstanceId) -> Option<(SavedInstance, RevisionSpec)> {
        let saved = self.state.get();
        let record = saved.instances.get(id)?.clone();
        let spec = saved.revisions.get(&record.revision)?.clone();
        Some((record, spec))
    }

    /// Makes a change durable before anything is done for it.
    pub(crate) async fn change<T>(&self, change: impl FnOnce(&mut Saved) -> T) -> Result<T, PortError> {
        let changed = self.state.change(change).await;
        changed.map_err(|source| problem::state_not_written(self.state.path(), &source))
    }

    /// Writes down what has happened already. If that fails, the world is still as it is, and a supervisor that comes
    /// later finds out by itself: by the marks that children bear, and by asking them.
    pub(crate) async fn note(&self, change: impl FnOnce(&mut Saved)) {
        if let Err(error) = self.state.change(change).await {
            tracing::error!(%error, path = %self.state.path().display(), "cannot write the state");
        }
    }

    /// Lets a write in: the first store is bound for good, older generations and other stores are refused. A newer
    /// generation is durable before anything is done in its name.
    pub(crate) async fn admit(&self, fence: &Fence) -> Result<(), PortError> {
        match &self.state.get().fence {
            Some(held) if held.store != fence.store => {
                return Err(problem::foreign_store(&held.store, fence));
            }
            Some(held) if held.generation > fence.generation => {
                return Err(problem::stale(held.generation.0, fence));
            }
            Some(held) if held == fence => return Ok(()),
            _ => {}
        }
        self.change(|saved| saved.fence = Some(fence.clone())).await
    }

    /// Binds the instances to another store, because a person said so.
    pub(crate) async fn adopt_store(&self, fence: &Fence) -> Result<(), PortError> {
        let _turn = self.writing.lock().await;
        if let Some(held) = &self.state.get().fence
            && held.store == fence.store
            && held.generation > fence.generation
        {
            return Err(problem::stale(held.generation.0, fence));
        }
        self.change(|saved| saved.fence = Some(fence.clone())).await
    }

    pub(crate) fn observe(&self) -> Vec<Instance> {
        let saved = self.state.get();
        let handles = self.instances();
        saved
            .instances
            .iter()
            .map(|(id, record)| {
                let unready = handles.get(id).and_then(|handle| handle.unready());
                let (state, since) = handles.get(id).map_or_else(
                    || (InstanceState::Starting, self.clock.now()),
                    |handle| handle.status(),
                );
                Instance {
                    id: id.clone(),
                    revision: record.revision.clone(),
                    address: record.port.map(|port| format!("127.0.0.1:{port}")),
                    state,
                    since,
                    unready,
                    restarts: record.restarts,
                }
            })
            .collect()
    }

    /// See [`cutover_ports::Target::ensure`].
    pub(crate) async fn ensure(
        self: &Arc<Self>,
        fence: &Fence,
        spec: RevisionSpec,
        replicas: u32,
    ) -> Result<(), PortError> {
        let _turn = self.writing.lock().await;
        self.admit(fence).await?;
        let saved = self.state.get();
        let wanted = usize::try_from(replicas).unwrap_or(usize::MAX);
        let missing = wanted.saturating_sub(saved.wanted(&spec.revision));
        if missing == 0 {
            // A revision that was promoted is started as stable from now on.
            if saved
                .revisions
                .get(&spec.revision)
                .is_some_and(|old| *old != spec)
            {
                self.change(|saved| saved.revisions.insert(spec.revision.clone(), spec))
                    .await?;
            }
            return Ok(());
        }
        self.check_program(&spec)?;
        let new = self.reserve(&spec, missing, &saved).await?;
        self.start_new(&new).await
    }

    /// Finds a wrong command before anything is reserved for it.
    fn check_program(&self, spec: &RevisionSpec) -> Result<(), PortError> {
        let Target::Process(target) = &spec.target;
        let revision = &spec.revision;
        let what = format!("{} {}", revision.service, revision.version);
        let mut environment = environment::base();
        environment.extend(spec.environment.clone());
        let search = environment.get("PATH").map_or("", String::as_str);
        let root = self.paths.root();
        Launch::of_instance(&what, target, &revision.version, None, root, search)
            .map(drop)
            .map_err(|error| PortError::refused(error.diagnostic()))
    }

    /// Records new instances, each with an id and a port of its own.
    async fn reserve(
        &self,
        spec: &RevisionSpec,
        count: usize,
        saved: &Saved,
    ) -> Result<Vec<InstanceId>, PortError> {
        let Target::Process(target) = &spec.target;
        let service = &spec.revision.service;
        let what = format!("{service} {}", spec.revision.version);
        let mut records = BTreeMap::new();
        let mut reserved = saved.reserved_ports();
        let mut last_port = saved.last_port;
        while records.len() < count {
            let port = match target.ports {
                None => None,
                Some(range) => {
                    let (taken, what) = (reserved.clone(), what.clone());
                    let picked =
                        tokio::task::spawn_blocking(move || ports::pick(range, last_port, &taken, &what))
                            .await;
                    let port = picked
                        .map_err(|error| problem::protocol(error.to_string()))?
                        .map_err(PortError::transient)?;
                    reserved.insert(port);
                    last_port = port;
                    Some(port)
                }
            };
            let id = new_id(service.as_str());
            if saved.instances.contains_key(&id) {
                continue;
            }
            let record = SavedInstance {
                revision: spec.revision.clone(),
                port,
                process: None,
                ready_since: None,
                restarts: 0,
                stopping: false,
            };
            records.insert(id, record);
        }
        let ids = records.keys().cloned().collect();
        self.change(|saved| {
            saved.last_port = last_port;
            saved.revisions.insert(spec.revision.clone(), spec.clone());
            saved.instances.append(&mut records);
        })
        .await?;
        Ok(ids)
    }

    /// Gives an instance another port if somebody else has taken its own: between the look at it and the start of the
    /// program anybody may. Only for one that was never ready: where others are, requests are sent already.
    pub(crate) async fn leave_taken_port(&self, id: &InstanceId) {
        // Whoever has the turn may be waiting for this very instance to end. There is a next time.
        let Ok(_turn) = self.writing.try_lock() else {
            return;
        };
        let Some((record, spec)) = self.record(id) else {
            return;
        };
        let Target::Process(target) = &spec.target;
        let (Some(port), Some(range)) = (record.port, target.ports) else {
            return;
        };
        let saved = self.state.get();
        let (reserved, last_port) = (saved.reserved_ports(), saved.last_port);
        let what = id.to_string();
        let picked = tokio::task::spawn_blocking(move || {
            let owner = ports::taken_by(port)?;
            Some((owner, ports::pick(range, last_port, &reserved, &what)))
        })
        .await;
        match picked {
            Ok(Some((owner, Ok(free)))) => {
                tracing::warn!(instance = %id, port, free, owner, "its port was taken; it gets another one");
                self.note(|saved| {
                    saved.last_port = free;
                    if let Some(record) = saved.instances.get_mut(id) {
                        record.port = Some(free);
                    }
                })
                .await;
            }
            Ok(Some((owner, Err(none)))) => {
                tracing::warn!(instance = %id, port, owner, reason = %none.message, "its port was taken");
            }
            Ok(None) | Err(_) => {}
        }
    }

    async fn start_new(self: &Arc<Self>, ids: &[InstanceId]) -> Result<(), PortError> {
        let mut started = Vec::new();
        let mut failure = None;
        for id in ids {
            match instance::start(self, id).await {
                Ok(process) => started.push((id.clone(), process)),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        self.note(|saved| {
            for (id, process) in &started {
                if let Some(record) = saved.instances.get_mut(id) {
                    record.process = Some(process.identity().clone());
                }
            }
            for id in &ids[started.len()..] {
                saved.forget(id);
            }
        })
        .await;
        let some_started = !started.is_empty();
        for (id, process) in started {
            tracing::info!(instance = %id, "started {}", process.identity());
            self.begin(id, InstanceState::Starting, Begin::Running(process));
        }
        match failure {
            None => Ok(()),
            Some(error) => {
                let mut refused = PortError::refused(error.diagnostic());
                if some_started {
                    refused.certainty = Certainty::Unknown;
                }
                Err(refused)
            }
        }
    }

    /// Hands an instance to a task of its own.
    fn begin(self: &Arc<Self>, id: InstanceId, state: InstanceState, begin: Begin) {
        let since = self
            .record(&id)
            .and_then(|(record, _)| record.ready_since)
            .filter(|_| state == InstanceState::Ready)
            .unwrap_or_else(|| self.clock.now());
        let handle = InstanceHandle::new(state, since);
        if self.record(&id).is_some_and(|(record, _)| record.stopping) {
            handle.stop.cancel();
        }
        self.instances().insert(id.clone(), Arc::clone(&handle));
        self.tasks
            .spawn(instance::run(Arc::clone(self), id, handle, begin));
    }

    /// Asks an instance to end; whether it is gone by the time of the answer.
    pub(crate) async fn remove(&self, fence: &Fence, id: &InstanceId) -> Result<bool, PortError> {
        let handle = {
            let _turn = self.writing.lock().await;
            self.admit(fence).await?;
            match self.ask_to_end(id).await? {
                Some(handle) => handle,
                None => return Ok(true),
            }
        };
        let gone = tokio::time::timeout(REMOVAL_WAIT, handle.done.cancelled()).await;
        Ok(gone.is_ok())
    }

    /// Writes down that the instance is to end, and tells it; `None` if it is gone.
    pub(crate) async fn ask_to_end(&self, id: &InstanceId) -> Result<Option<Arc<InstanceHandle>>, PortError> {
        let Some((record, _)) = self.record(id) else {
            return Ok(None);
        };
        if !record.stopping {
            self.change(|saved| {
                if let Some(record) = saved.instances.get_mut(id) {
                    record.stopping = true;
                }
            })
            .await?;
        }
        let handle = self.instances().get(id).cloned();
        if let Some(handle) = &handle {
            handle.set(InstanceState::Stopping, self.clock.now());
            handle.stop.cancel();
        }
        Ok(handle)
    }

    /// The instance is gone: its record, its port and, with the last one, its revision's secrets.
    pub(crate) async fn forget(&self, id: &InstanceId, handle: &InstanceHandle) {
        self.note(|saved| saved.forget(id)).await;
        self.instances().remove(id);
        handle.done.cancel();
    }

    /// Takes up every instance where the last supervisor left it: adopts what lives, starts what does not.
    pub(crate) async fn restore_instances(self: &Arc<Self>, orphans: &Arc<Orphans>) {
        let saved = self.state.get();
        for (id, record) in &saved.instances {
            let known = record.process.as_ref().and_then(Process::adopt);
            let is_known = known.is_some();
            let found = known.or_else(|| orphans.leader(id.as_str()).and_then(Process::adopt));
            if let Some(process) = found {
                tracing::info!(instance = %id, "adopted {}", process.identity());
                let identity = process.identity().clone();
                let ready = is_known && record.ready_since.is_some();
                if !is_known {
                    self.note(|saved| {
                        if let Some(record) = saved.instances.get_mut(id) {
                            record.process = Some(identity);
                            record.ready_since = None;
                        }
                    })
                    .await;
                }
                let state = if ready {
                    InstanceState::Ready
                } else {
                    InstanceState::Starting
                };
                self.begin(id.clone(), state, Begin::Adopted(process, ready));
                continue;
            }
            let same_boot = record
                .process
                .as_ref()
                .is_some_and(|process| cutover_os::boot_id().is_ok_and(|boot| boot == process.boot_id));
            if same_boot && let Some(leader) = &record.process {
                orphans.end_group(id.as_str(), leader).await;
            }
            if record.stopping {
                self.note(|saved| saved.forget(id)).await;
                continue;
            }
            tracing::info!(instance = %id, same_boot, "starting again what is gone");
            let begin = Begin::Absent { crashed: same_boot };
            self.begin(id.clone(), InstanceState::Starting, begin);
        }
    }

    /// The logs of all that runs, for rotation.
    pub(crate) fn log_files(&self) -> Vec<PathBuf> {
        let saved = self.state.get();
        let instances = saved
            .instances
            .iter()
            .map(|(id, record)| self.paths.instance_log(&record.revision, id));
        let sidecars = saved.sidecars.values().map(|sidecar| {
            let own = sidecar.spec.log_file.clone();
            own.unwrap_or_else(|| self.paths.sidecar_log(&sidecar.spec.name))
        });
        instances.chain(sidecars).chain([self.paths.log()]).collect()
    }

    /// Ends the supervisor. While anything runs only with `force`: then everything is ended and forgotten first. That
    /// carries no fence: it is a person's last resort, and after it there is nothing left to protect.
    pub(crate) async fn shut_down(&self, force: bool) -> Result<(), PortError> {
        let _turn = self.writing.lock().await;
        let saved = self.state.get();
        if !saved.is_idle() && !force {
            return Err(PortError::refused(
                Diagnostic::error(
                    "target.in-use",
                    "the supervisor has children and was not told to end them",
                )
                .note("instances", saved.instances.len().to_string())
                .note("sidecars", saved.sidecars.len().to_string())
                .help("cutover status"),
            ));
        }
        let sidecars: Vec<Arc<SidecarHandle>> = self.sidecars().values().cloned().collect();
        for sidecar in &sidecars {
            sidecar.stop.cancel();
        }
        let mut instances = Vec::new();
        for id in saved.instances.keys() {
            instances.extend(self.ask_to_end(id).await?);
        }
        for instance in instances {
            instance.done.cancelled().await;
        }
        for sidecar in sidecars {
            sidecar.done.cancelled().await;
        }
        self.leave.cancel();
        Ok(())
    }
}

/// Unique for ever: the journal names instances long after they are gone.
fn new_id(service: &str) -> InstanceId {
    let random = uuid::Uuid::now_v7().simple().to_string();
    // The first digits of a UUIDv7 are its time; the last are random.
    InstanceId::new(format!("{service}-{}", &random[random.len() - 8..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        let ids: std::collections::BTreeSet<_> = (0..1000).map(|_| new_id("api")).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.as_str().len() == "api-".len() + 8));
    }
}
