//! The engine's view: local processes as a [`Target`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cutover_model::{Diagnostic, Fence, Instance, InstanceId, RevisionId};
use cutover_os::{PidFd, ProcessIdentity};
use cutover_ports::{InstanceMetrics, LogEnds, PortError, RevisionSpec, Target, Usage};
use cutover_spec::Target as TargetSpec;
use tokio::time::Instant;

use crate::client::{Connection, Reach};
use crate::log_file;
use crate::paths::Paths;
use crate::problem;
use crate::protocol::{Hello, Request, Response};
use crate::saved::SavedInstance;
use crate::sidecar::{SidecarSpec, SidecarStatus};
use crate::start::{SpawnSpec, connect_or_start};
use crate::state_file::load;
use crate::supervise::SuperviseError;

/// For one answer. Starting instances and the first part of a removal take far less.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// For a forced shutdown, which waits for every grace.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(600);

/// How long after its grace something that was asked to end may still be there: the kill itself takes a moment.
const REMOVAL_SLACK: Duration = Duration::from_secs(30);

/// How to reach the supervisor of a state folder.
#[derive(Debug, Clone)]
pub struct ProcessTargetOptions {
    /// The state folder.
    pub state_dir: PathBuf,
    /// How the supervisor is started when there is none.
    pub spawn: SpawnSpec,
    /// The folder of `cutover.yaml`: where instances start whose specification names no folder, and what relative
    /// folders are relative to.
    pub directory: PathBuf,
    /// How long the supervisor may take to start.
    pub start_timeout: Duration,
}

/// Local processes, by way of the supervisor.
#[derive(Debug)]
pub struct ProcessTarget {
    paths: Paths,
    spawn: SpawnSpec,
    directory: PathBuf,
    start_timeout: Duration,
    /// Supervisors that were started here: they are this process's children, and nobody else can reap them.
    started: Mutex<Vec<PidFd>>,
}

impl ProcessTarget {
    /// A target over the supervisor of a state folder; nothing is started yet.
    ///
    /// # Errors
    /// If a path is relative and the current folder is gone.
    pub fn new(options: ProcessTargetOptions) -> std::io::Result<Self> {
        Ok(Self {
            paths: Paths::new(&options.state_dir)?,
            spawn: options.spawn,
            directory: std::path::absolute(&options.directory)?,
            start_timeout: options.start_timeout,
            started: Mutex::default(),
        })
    }

    /// Who the supervisor is; starts it if there is none.
    ///
    /// # Errors
    /// If it cannot be started or spoken to.
    pub async fn ping(&self) -> Result<Hello, PortError> {
        Ok(self.connect().await?.hello)
    }

    /// Who the supervisor is, if one runs.
    ///
    /// # Errors
    /// If it cannot be spoken to.
    pub async fn running(&self) -> Result<Option<Hello>, PortError> {
        match Connection::open(&self.paths).await {
            Ok(connection) => Ok(Some(connection.hello)),
            Err(Reach::Absent) => Ok(None),
            Err(Reach::Failed(error)) => Err(*error),
        }
    }

    /// The folder of all logs: `<revision's service>-<version>/<instance>.log`, `<sidecar>.log`, `supervisor.log`.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        self.paths.logs()
    }

    /// The log of one instance; older parts have `.1` and so on behind.
    #[must_use]
    pub fn instance_log(&self, revision: &RevisionId, instance: &InstanceId) -> PathBuf {
        self.paths.instance_log(revision, instance)
    }

    /// The sidecar runs, and its listening sockets are held by the supervisor. A running one is not restarted; see
    /// [`SidecarStatus::must_bind`] for addresses that it has not got yet.
    ///
    /// # Errors
    /// `target.address-in-use`, `target.start-failed`, `fence.stale`, `fence.foreign-store`, or no supervisor.
    pub async fn ensure_sidecar(
        &self,
        fence: &Fence,
        sidecar: &SidecarSpec,
    ) -> Result<SidecarStatus, PortError> {
        let request = Request::EnsureSidecar {
            fence: fence.clone(),
            sidecar: sidecar.clone(),
        };
        match self.ask(&request, ANSWER_TIMEOUT).await? {
            Response::Sidecar(status) => Ok(status),
            other => Err(unexpected(&other)),
        }
    }

    /// A process of `command` with `arguments` takes the place of the sidecar's, on the same sockets; `command` alone is
    /// what is started from then on. It has to come to terms with the process that runs, and to say that it serves by
    /// [`cutover_os::announce_ready`] within 30 s. The process whose place was taken has the sidecar's grace to finish.
    ///
    /// # Errors
    /// `target.no-sidecar`; `target.not-replaced` or `target.start-failed` if the new process does not serve: then
    /// nothing has changed; else as [`Self::ensure_sidecar`].
    pub async fn replace_sidecar(
        &self,
        fence: &Fence,
        name: &str,
        command: Vec<String>,
        arguments: Vec<String>,
    ) -> Result<SidecarStatus, PortError> {
        let request = Request::ReplaceSidecar {
            fence: fence.clone(),
            name: name.to_owned(),
            command,
            arguments,
        };
        match self.ask(&request, ANSWER_TIMEOUT).await? {
            Response::Sidecar(status) => Ok(status),
            other => Err(unexpected(&other)),
        }
    }

    /// The sidecar and its sockets are gone. Gone already is `Ok`.
    ///
    /// # Errors
    /// As [`Self::ensure_sidecar`]; `target.not-ended` if it does not end even when killed.
    pub async fn stop_sidecar(&self, fence: &Fence, name: &str) -> Result<(), PortError> {
        let grace = self.saved_sidecar_grace(name).unwrap_or(Duration::from_secs(60));
        let request = Request::StopSidecar {
            fence: fence.clone(),
            name: name.to_owned(),
        };
        self.until_gone(&request, name, grace).await
    }

    /// All sidecars; none if no supervisor runs and none has anything to run.
    ///
    /// # Errors
    /// If the supervisor cannot be started or spoken to.
    pub async fn sidecars(&self) -> Result<Vec<SidecarStatus>, PortError> {
        if self.has_nothing().await? {
            return Ok(Vec::new());
        }
        match self.ask(&Request::Sidecars, ANSWER_TIMEOUT).await? {
            Response::Sidecars(all) => Ok(all),
            other => Err(unexpected(&other)),
        }
    }

    /// From now on the instances belong to the fence's store: what `--adopt` asks for.
    ///
    /// # Errors
    /// `fence.stale` if the same store has a newer generation here, or no supervisor.
    pub async fn adopt_store(&self, fence: &Fence) -> Result<(), PortError> {
        let request = Request::AdoptStore { fence: fence.clone() };
        self.ask(&request, ANSWER_TIMEOUT).await.map(drop)
    }

    /// Ends the supervisor; with `force` also everything it runs, which is forgotten then. None running is `Ok`, but
    /// with `force` one is started first if there are children to end.
    ///
    /// # Errors
    /// `target.in-use` if something runs and `force` is not set.
    pub async fn shutdown(&self, force: bool) -> Result<(), PortError> {
        if self.has_nothing().await? || (!force && self.running().await?.is_none()) {
            return Ok(());
        }
        let response = self.ask(&Request::Shutdown { force }, SHUTDOWN_TIMEOUT).await;
        response.map(drop)?;
        // The answer comes just before the end.
        let deadline = Instant::now() + REMOVAL_SLACK;
        while self.running().await?.is_some() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.reap();
        Ok(())
    }

    async fn connect(&self) -> Result<Connection, PortError> {
        self.reap();
        let (connection, process) = connect_or_start(&self.paths, &self.spawn, self.start_timeout).await?;
        if let Some(process) = process {
            self.started
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(process);
        }
        Ok(connection)
    }

    /// Takes the exit status of supervisors that were started here and have ended: they would stay zombies.
    fn reap(&self) {
        self.started
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|process| !process.has_ended() || process.reap().is_err());
    }

    async fn ask(&self, request: &Request, timeout: Duration) -> Result<Response, PortError> {
        self.connect().await?.ask(request, timeout).await
    }

    /// No supervisor runs, and it would have nothing to do: nobody needs to start it for the answer.
    async fn has_nothing(&self) -> Result<bool, PortError> {
        if self.running().await?.is_some() {
            return Ok(false);
        }
        // A state that cannot be read is the supervisor's to complain about.
        Ok(match load(&self.paths.state()) {
            Ok(saved) => saved.is_none_or(|saved| saved.is_idle()),
            Err(_) => false,
        })
    }

    fn saved_sidecar_grace(&self, name: &str) -> Option<Duration> {
        let saved = load(&self.paths.state()).ok()??;
        Some(saved.sidecars.get(name)?.spec.stop_grace.as_duration())
    }

    fn saved_instance_grace(&self, id: &InstanceId) -> Option<Duration> {
        let saved = load(&self.paths.state()).ok()??;
        let spec = saved.revisions.get(&saved.instances.get(id)?.revision)?;
        let TargetSpec::Process(target) = &spec.target;
        Some(target.stop_grace.as_duration())
    }

    /// The instances of a revision, as the supervisor wrote them down last.
    fn saved_instances(&self, revision: &RevisionId) -> Result<Vec<(InstanceId, SavedInstance)>, PortError> {
        let saved = load(&self.paths.state()).map_err(|error| {
            let error = SuperviseError::State(error);
            PortError::transient(error.diagnostic())
        })?;
        let instances = saved.map(|saved| saved.instances).unwrap_or_default();
        Ok(instances
            .into_iter()
            .filter(|(_, instance)| instance.revision == *revision)
            .collect())
    }

    /// Asks again until it is gone, each time for a few seconds: a supervisor that is killed meanwhile is no obstacle.
    async fn until_gone(&self, request: &Request, what: &str, grace: Duration) -> Result<(), PortError> {
        let deadline = Instant::now() + grace + REMOVAL_SLACK;
        loop {
            match self.ask(request, ANSWER_TIMEOUT).await {
                Ok(Response::Gone(true)) => return Ok(()),
                Ok(Response::Gone(false)) => {}
                Ok(other) => return Err(unexpected(&other)),
                Err(error) if error.transient && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
                Err(error) => return Err(error),
            }
            if Instant::now() >= deadline {
                return Err(PortError::unknown(
                    Diagnostic::error("target.not-ended", format!("{what} was killed and has not ended"))
                        .note("its log", self.paths.log().display().to_string())
                        .help("ps -eo pid,state,wchan,args"),
                ));
            }
        }
    }
}

fn unexpected(response: &Response) -> PortError {
    let kind = match response {
        Response::Done => "done",
        Response::Instances(_) => "instances",
        Response::Gone(_) => "gone",
        Response::Sidecar(_) => "a sidecar",
        Response::Sidecars(_) => "sidecars",
        Response::Refused(_) => "a refusal",
    };
    let mut error = problem::protocol(format!("the supervisor answered with {kind}, not as asked"));
    error.certainty = cutover_ports::Certainty::Unknown;
    error
}

#[async_trait::async_trait]
impl Target for ProcessTarget {
    async fn observe(&self) -> Result<Vec<Instance>, PortError> {
        if self.has_nothing().await? {
            return Ok(Vec::new());
        }
        match self.ask(&Request::Observe, ANSWER_TIMEOUT).await? {
            Response::Instances(instances) => Ok(instances),
            other => Err(unexpected(&other)),
        }
    }

    async fn ensure(&self, fence: &Fence, spec: &RevisionSpec, replicas: u32) -> Result<(), PortError> {
        let mut spec = spec.clone();
        // The supervisor does not know where the file lies that the command was written in.
        let TargetSpec::Process(target) = &mut spec.target;
        let directory = match &target.directory {
            Some(directory) => self.directory.join(directory),
            None => self.directory.clone(),
        };
        target.directory = Some(directory.to_string_lossy().into_owned());
        let request = Request::Ensure {
            fence: fence.clone(),
            spec: Box::new(spec),
            replicas,
        };
        self.ask(&request, ANSWER_TIMEOUT).await.map(drop)
    }

    async fn remove(&self, fence: &Fence, instance: &InstanceId) -> Result<(), PortError> {
        if self.has_nothing().await? {
            return Ok(());
        }
        let grace = self
            .saved_instance_grace(instance)
            .unwrap_or(Duration::from_secs(60));
        let request = Request::Remove {
            fence: fence.clone(),
            instance: instance.clone(),
        };
        self.until_gone(&request, instance.as_str(), grace).await
    }
}

#[async_trait::async_trait]
impl InstanceMetrics for ProcessTarget {
    async fn usage(&self, revision: &RevisionId) -> Result<BTreeMap<InstanceId, Usage>, PortError> {
        let mut all = BTreeMap::new();
        for (id, instance) in self.saved_instances(revision)? {
            let Some(process) = instance.process.filter(ProcessIdentity::exists) else {
                continue;
            };
            let used = cutover_os::group_usage(process.pid).map_err(|error| {
                let message = format!("what the instances use cannot be read: {error}");
                PortError::transient(Diagnostic::error("metrics.unavailable", message).help("ls /proc/self"))
            })?;
            all.insert(
                id,
                Usage {
                    cpu_seconds: used.cpu_seconds,
                    memory_bytes: used.memory_bytes,
                },
            );
        }
        Ok(all)
    }

    async fn log_ends(&self, revision: &RevisionId) -> Result<LogEnds, PortError> {
        let instances = self.saved_instances(revision)?;
        let end = |id: InstanceId| (log_file::length(&self.instance_log(revision, &id)), id);
        let ends = instances.into_iter().map(|(id, _)| end(id));
        Ok(ends.map(|(end, id)| (id, end)).collect())
    }

    async fn log_lines(
        &self,
        revision: &RevisionId,
        from: &LogEnds,
        line: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<LogEnds, PortError> {
        let mut ends = LogEnds::new();
        for (id, _) in self.saved_instances(revision)? {
            let path = self.instance_log(revision, &id);
            let begin = from.get(&id).copied().unwrap_or(0);
            let end = log_file::lines(&path, begin, line).map_err(|error| {
                let message = format!("cannot read a log: {error}");
                PortError::transient(
                    Diagnostic::error("logs.unreadable", message).help(format!("ls -l {}", path.display())),
                )
            })?;
            ends.insert(id, end);
        }
        Ok(ends)
    }
}
