//! The daemon: take the folder, take up what runs, serve, go without taking anything along.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cutover_model::Diagnostic;
use cutover_ports::Clock;
use thiserror::Error;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::core::Core;
use crate::lock::FileLock;
use crate::log_file;
use crate::orphan::Orphans;
use crate::paths::Paths;
use crate::probe::Prober;
use crate::saved::Saved;
use crate::server::serve;
use crate::state_file::{StateError, StateFile, load};

/// How long the answers in progress may take when the supervisor goes.
const GOODBYE: Duration = Duration::from_secs(5);

/// When a log is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Longer files are rotated, in bytes.
    pub max_bytes: u64,
    /// Files kept in all, the one that is written to included; 1 keeps no older ones.
    pub files: u32,
    /// How often the lengths are looked at.
    pub check_every: Duration,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            max_bytes: 10 * 1024 * 1024,
            files: 3,
            check_every: Duration::from_secs(1),
        }
    }
}

/// How to supervise.
#[derive(Clone)]
pub struct SupervisorOptions {
    /// The state folder; one supervisor each.
    pub state_dir: PathBuf,
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// When logs are rotated.
    pub logs: LogLimits,
    /// End after so long without instances and sidecars; the next client starts it again. Never when none.
    pub idle_exit: Option<Duration>,
}

/// Why there is no supervisor.
#[derive(Debug, Error)]
pub enum SuperviseError {
    /// One is enough.
    #[error("another supervisor runs for {}", state_dir.display())]
    AlreadyRunning {
        /// The state folder.
        state_dir: PathBuf,
    },
    /// The folder, the lock or the socket cannot be made.
    #[error("the supervisor cannot {what} in {}: {source}", path.display())]
    Folder {
        /// `make its folders` and the like.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The HTTP client for probes cannot be made.
    #[error("the supervisor cannot prepare its probes")]
    Probes(#[from] reqwest::Error),
}

impl SuperviseError {
    /// With code and next command.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        let (code, help) = match self {
            Self::AlreadyRunning { .. } => ("supervisor.already-running", "cutover status"),
            Self::Folder { .. } => ("supervisor.folder", "df -h"),
            Self::State(StateError::Read(_)) => ("supervisor.state-unreadable", "cutover status"),
            Self::State(StateError::Damaged { .. }) => ("supervisor.state-damaged", "cutover status"),
            Self::State(StateError::Newer { .. }) => ("supervisor.state-newer", "cutover --version"),
            Self::Probes(_) => ("supervisor.probes", "cutover supervise"),
        };
        Diagnostic::error(code, self.to_string()).help(help)
    }
}

/// Supervises until SIGTERM or SIGINT, a shutdown request, or idleness. Children stay when it ends, however it ends;
/// the next supervisor of the folder adopts them, and starts again what is gone.
///
/// # Errors
/// If another supervisor has the folder, or its state cannot be read.
pub async fn supervise(options: SupervisorOptions) -> Result<(), SuperviseError> {
    let state_dir = options.state_dir.clone();
    let result = run(options).await;
    if let Err(error) = &result
        && !matches!(error, SuperviseError::AlreadyRunning { .. })
    {
        tell_client(&state_dir, &error.diagnostic());
    }
    result
}

/// Leaves the reason for the client that started it: stderr is a log, and hard to read back. As well as it goes, since the
/// folder itself may be what is wrong.
fn tell_client(state_dir: &Path, why: &Diagnostic) {
    let written = Paths::new(state_dir).and_then(|paths| {
        let text = serde_json::to_string(why)?;
        fs_err::write(paths.failure(), text)
    });
    if let Err(error) = written {
        tracing::debug!(%error, "the reason is in the log only");
    }
}

async fn run(options: SupervisorOptions) -> Result<(), SuperviseError> {
    let folder = |what, source| SuperviseError::Folder {
        what,
        path: options.state_dir.clone(),
        source,
    };
    let paths = Paths::new(&options.state_dir).map_err(|e| folder("find its folders", e))?;
    paths.create().map_err(|e| folder("make its folders", e))?;
    let lock = FileLock::try_take(&paths.lock()).map_err(|e| folder("take its lock", e))?;
    let Some(_lock) = lock else {
        return Err(SuperviseError::AlreadyRunning {
            state_dir: options.state_dir.clone(),
        });
    };
    let saved =
        load(&paths.state())?.unwrap_or_else(|| Saved::new(uuid::Uuid::now_v7().simple().to_string()));
    let state = StateFile::new(paths.state(), saved);
    // The marker must be on disk before a child bears it.
    let written = state.change(|_| ()).await;
    written.map_err(|e| folder("write its state", e))?;
    let core = Core::new(paths, Arc::clone(&options.clock), state, Prober::new()?);
    let saved = core.state.get();
    if !saved.is_idle() {
        let marker = saved.marker.clone();
        let orphans = tokio::task::spawn_blocking(move || Orphans::find(&marker)).await;
        let orphans = Arc::new(orphans.unwrap_or_default());
        core.restore_sidecars(&orphans).await;
        core.restore_instances(&orphans).await;
    }
    // Only now: the first answer is the whole truth.
    let listener = listen(&core.paths).map_err(|e| folder("listen", e))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| folder("wait for signals", e))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| folder("wait for signals", e))?;
    tracing::info!(
        pid = std::process::id(),
        "supervising {}",
        core.paths.root().display()
    );
    tokio::select! {
        () = serve(&core, &listener) => {}
        () = rotate_logs(&core, options.logs) => {}
        () = wait_idle(&core, options.idle_exit) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    core.leave.cancel();
    core.tasks.close();
    if tokio::time::timeout(GOODBYE, core.tasks.wait()).await.is_err() {
        tracing::warn!("going while something is still being answered");
    }
    remove(&core.paths.socket());
    tracing::info!("gone; the children stay");
    Ok(())
}

fn listen(paths: &Paths) -> io::Result<UnixListener> {
    // The lock is ours, so this socket is a dead supervisor's.
    remove(&paths.socket());
    let address = paths.socket_address()?;
    let listener = UnixListener::bind(address.path())?;
    fs_err::set_permissions(paths.socket(), std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn remove(path: &Path) {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "cannot remove the socket");
        }
        _ => {}
    }
}

async fn rotate_logs(core: &Core, limits: LogLimits) {
    loop {
        tokio::time::sleep(limits.check_every).await;
        let files = core.log_files();
        let rotated = tokio::task::spawn_blocking(move || {
            for file in files {
                if let Err(error) = log_file::rotate(&file, limits.max_bytes, limits.files) {
                    tracing::warn!(%error, "cannot rotate a log");
                }
            }
        });
        if rotated.await.is_err() {
            tracing::error!("the rotation of logs failed");
        }
    }
}

async fn wait_idle(core: &Core, limit: Option<Duration>) {
    let Some(limit) = limit else {
        return std::future::pending().await;
    };
    let step = (limit / 4).max(Duration::from_millis(10));
    let mut idle_for = Duration::ZERO;
    while idle_for < limit {
        tokio::time::sleep(step).await;
        if core.state.get().is_idle() {
            idle_for += step;
        } else {
            idle_for = Duration::ZERO;
        }
    }
    // Nobody is between being admitted and being written down.
    let _turn = core.writing.lock().await;
    core.leave.cancel();
}
