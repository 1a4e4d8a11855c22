//! A state folder, a supervisor on demand, and words for what tests do with them.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cutover_model::{Fence, Generation, Instance, InstanceState, Span, StoreId, Timestamp, Track};
use cutover_os::{PidFd, ProcessIdentity, Signal};
use cutover_ports::{Clock, RevisionSpec, Target};
use cutover_spec::{Health, PortRange, Probe, ProcessTarget as ProcessSpec, Target as TargetSpec};
use cutover_target_process::{ProcessTarget, ProcessTargetOptions, SpawnSpec};
use cutover_testkit::PortBlock;

use crate::entry::{SERVE, SUPERVISE};

/// Nothing here takes that long unless it is broken.
pub(crate) const WAIT: Duration = Duration::from_secs(30);

/// The system's clock.
pub(crate) struct WallClock;

#[async_trait::async_trait]
impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.as_duration()).await;
    }
}

/// A state folder of its own; its supervisor and all that runs under it end with it.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) target: ProcessTarget,
    pub(crate) ports: PortRange,
    _block: PortBlock,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_environment(&[])
    }

    pub(crate) fn with_environment(more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("orders")).unwrap();
        let target = client(folder.path(), more);
        let block = PortBlock::reserve();
        let first = block.first();
        Self {
            target,
            ports: PortRange {
                first,
                last: first + 7,
            },
            folder,
            _block: block,
        }
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Another client of the same supervisor.
    pub(crate) fn another_client(&self) -> ProcessTarget {
        client(self.folder.path(), &[])
    }

    /// What the server answers on a path: `503 {"status":"unhealthy"}`.
    pub(crate) fn order(&self, path: &str, answer: &str) {
        let orders = self.folder.path().join("orders");
        // Renamed into place, so that it is never read half written.
        std::fs::write(orders.join(".new"), answer).unwrap();
        std::fs::rename(orders.join(".new"), orders.join(path)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn server_environment(&self) -> BTreeMap<String, String> {
        let orders = self.folder.path().join("orders");
        BTreeMap::from([(SERVE.to_owned(), orders.display().to_string())])
    }

    /// The small server as a revision, ready when it listens.
    pub(crate) fn server(&self, revision: &str) -> RevisionSpec {
        RevisionSpec {
            revision: revision.parse().unwrap(),
            target: TargetSpec::Process(ProcessSpec {
                command: server_command(),
                ports: Some(self.ports),
                directory: None,
                ignore: Vec::new(),
                stop_grace: Span::from_secs(5),
            }),
            environment: self.server_environment(),
            health: Health::default(),
            track: Track::Stable,
            slot: None,
        }
    }

    /// The server by way of a shell that does something first.
    pub(crate) fn server_after(&self, revision: &str, script: &str) -> RevisionSpec {
        let mut spec = self.server(revision);
        let script = format!("{script}\nexec \"$0\" \"$@\"");
        let mut command = vec!["/bin/sh".to_owned(), "-c".to_owned(), script];
        command.append(&mut process(&mut spec).command);
        process(&mut spec).command = command;
        spec
    }

    pub(crate) async fn instances(&self) -> Vec<Instance> {
        self.target.observe().await.unwrap()
    }

    pub(crate) async fn only(&self) -> Instance {
        let mut all = self.instances().await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// Waits until all instances are ready and there are so many.
    pub(crate) async fn ready(&self, count: usize) -> Vec<Instance> {
        self.until("instances are ready", async |all| {
            all.len() == count && all.iter().all(Instance::is_ready)
        })
        .await
    }

    pub(crate) async fn until(&self, what: &str, check: impl AsyncFn(&[Instance]) -> bool) -> Vec<Instance> {
        let deadline = Instant::now() + WAIT;
        loop {
            let all = self.instances().await;
            if check(&all).await {
                return all;
            }
            assert!(Instant::now() < deadline, "{what}: {all:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the only instance is in a state.
    pub(crate) async fn until_state(&self, wanted: impl Fn(&InstanceState) -> bool) -> Instance {
        self.until("the state is as wanted", async |all| {
            all.len() == 1 && wanted(&all[0].state)
        })
        .await
        .remove(0)
    }

    pub(crate) async fn kill_supervisor(&self) {
        let hello = self.target.running().await.unwrap().unwrap();
        kill(hello.pid).await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // From a thread of its own: a runtime may be running here.
        let client = client(self.folder.path(), &[]);
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(client.shutdown(true))
        })
        .join();
        if !std::thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

fn client(folder: &Path, more: &[(&str, &str)]) -> ProcessTarget {
    let state_dir = folder.join("state");
    let mut environment = BTreeMap::from([(SUPERVISE.to_owned(), state_dir.display().to_string())]);
    for (name, value) in more {
        environment.insert((*name).to_owned(), (*value).to_owned());
    }
    ProcessTarget::new(ProcessTargetOptions {
        state_dir,
        spawn: SpawnSpec {
            program: std::env::current_exe().unwrap(),
            args: entry_arguments("supervisor"),
            environment,
        },
        directory: folder.to_owned(),
        start_timeout: WAIT,
    })
    .unwrap()
}

fn entry_arguments(name: &str) -> Vec<String> {
    ["--exact", &format!("entry::{name}"), "--nocapture"]
        .map(str::to_owned)
        .to_vec()
}

pub(crate) fn server_command() -> Vec<String> {
    let mut command = vec![std::env::current_exe().unwrap().display().to_string()];
    command.extend(entry_arguments("server"));
    command
}

pub(crate) fn process(spec: &mut RevisionSpec) -> &mut ProcessSpec {
    let TargetSpec::Process(process) = &mut spec.target;
    process
}

pub(crate) fn probe(path: &str) -> Probe {
    Probe {
        path: path.to_owned(),
        period: Span::from_millis(30),
        timeout: Span::from_secs(5),
        success_threshold: 2,
        failure_threshold: 3,
        ..Probe::default()
    }
}

pub(crate) fn fence(generation: u64) -> Fence {
    Fence {
        store: StoreId::new("store-1"),
        generation: Generation(generation),
    }
}

pub(crate) async fn get(address: &str, path: &str) -> Result<String, reqwest::Error> {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let response = client.get(format!("http://{address}{path}")).send().await?;
    response.text().await
}

pub(crate) async fn pid_of(instance: &Instance) -> u32 {
    let address = instance.address.as_deref().unwrap();
    get(address, "/pid").await.unwrap().parse().unwrap()
}

/// Kills one process and waits for its end.
pub(crate) async fn kill(pid: u32) {
    let process = PidFd::open(&ProcessIdentity::of(pid).unwrap()).unwrap();
    process.signal(Signal::SIGKILL).unwrap();
    // Not its state in `/proc`: its main thread ends before the one that waits in `accept`, which could still take a
    // connection with it.
    eventually("the killed process is gone", async || process.has_ended()).await;
}

pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, check: impl Fn() -> F) {
    let deadline = Instant::now() + WAIT;
    while !check().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
