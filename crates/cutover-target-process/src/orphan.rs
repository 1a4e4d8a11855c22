//! Children of a supervisor that was killed before it could write down whom it had started.

use std::collections::BTreeMap;
use std::time::Duration;

use cutover_os::{PidFd, ProcessIdentity, Signal};
use nix::unistd::{Pid, getpgid};

use crate::environment::SUPERVISED;

/// How long strays may take to end before they are killed.
const GRACE: Duration = Duration::from_secs(5);

/// A process that bears our mark.
#[derive(Debug, Clone)]
struct Marked {
    identity: ProcessIdentity,
    group: u32,
}

/// Everything that runs with a mark of ours in its environment, by the part after the `/`.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    by_name: BTreeMap<String, Vec<Marked>>,
}

impl Orphans {
    /// Looks through `/proc` for the mark `<marker>/<name>`.
    pub(crate) fn find(marker: &str) -> Self {
        let prefix = format!("{SUPERVISED}={marker}/");
        let mut by_name: BTreeMap<String, Vec<Marked>> = BTreeMap::new();
        let Ok(processes) = fs_err::read_dir("/proc") else {
            return Self::default();
        };
        for entry in processes.flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // Other users' processes cannot be read, and are not ours.
            let Ok(environment) = std::fs::read(entry.path().join("environ")) else {
                continue;
            };
            let Some(mark) = environment
                .split(|byte| *byte == 0)
                .find_map(|line| line.strip_prefix(prefix.as_bytes()))
            else {
                continue;
            };
            let group = getpgid(i32::try_from(pid).ok().map(Pid::from_raw));
            let (Ok(identity), Ok(group)) = (ProcessIdentity::of(pid), group) else {
                continue;
            };
            by_name
                .entry(String::from_utf8_lossy(mark).into_owned())
                .or_default()
                .push(Marked {
                    identity,
                    group: group.as_raw().unsigned_abs(),
                });
        }
        Self { by_name }
    }

    /// The group leader with this name: the child itself, not what it started.
    pub(crate) fn leader(&self, name: &str) -> Option<&ProcessIdentity> {
        self.by_name
            .get(name)?
            .iter()
            .filter(|marked| marked.group == marked.identity.pid)
            .map(|marked| &marked.identity)
            .min_by_key(|identity| identity.start_ticks)
    }

    /// The leader with this name that was started last, if that was after `other`. Starts are told apart by hundredths of
    /// a second: one in the same is the later one, since `other` is what was recorded first.
    pub(crate) fn younger(&self, name: &str, other: &ProcessIdentity) -> Option<&ProcessIdentity> {
        let marked = self.by_name.get(name)?.iter();
        let leaders = marked
            .filter(|marked| marked.group == marked.identity.pid)
            .map(|marked| &marked.identity);
        leaders
            .filter(|identity| identity.start_ticks >= other.start_ticks && identity.pid != other.pid)
            .max_by_key(|identity| identity.start_ticks)
    }

    /// Ends what is left of a group whose leader `leader` has ended: it may hold the port of the next one.
    pub(crate) async fn end_group(&self, name: &str, leader: &ProcessIdentity) {
        let strays: Vec<PidFd> = self
            .by_name
            .get(name)
            .into_iter()
            .flatten()
            .filter(|marked| marked.group == leader.pid && marked.identity.boot_id == leader.boot_id)
            .filter_map(|marked| PidFd::open(&marked.identity).ok())
            .collect();
        for (signal, grace) in [(Signal::SIGTERM, GRACE), (Signal::SIGKILL, GRACE)] {
            let left: Vec<&PidFd> = strays.iter().filter(|stray| !stray.has_ended()).collect();
            for stray in &left {
                tracing::warn!(
                    name,
                    "ending {}, left by an instance that is gone",
                    stray.identity()
                );
                if let Err(error) = stray.signal(signal) {
                    tracing::error!(%error, "cannot signal");
                }
            }
            let deadline = tokio::time::Instant::now() + grace;
            while left.iter().any(|stray| !stray.has_ended()) && tokio::time::Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
