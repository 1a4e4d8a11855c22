//! Who a process is: boot id, pid and start time together.
//!
//! A pid alone is reused within minutes on a busy machine, and after a reboot at once.

use std::fmt;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::proc_stat::ProcStat;

/// Names one process for as long as anybody may ask, across reboots too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The kernel's id of the boot in which the process was started.
    pub boot_id: String,
    /// The process id.
    pub pid: u32,
    /// Clock ticks between boot and the start of the process.
    pub start_ticks: u64,
}

/// Why a process could not be named.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// There is no such process (any more).
    #[error("no process has pid {pid}")]
    Gone {
        /// The pid that was asked for.
        pid: u32,
    },
    /// `/proc` could not be read.
    #[error("cannot read who process {pid} is")]
    Read {
        /// The pid that was asked for.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
}

/// The kernel's random id of this boot.
///
/// # Errors
/// If `/proc` is not mounted.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// The name of this machine, or of this container; empty where nobody knows it.
#[must_use]
pub fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| String::new(), |name| name.trim().to_owned())
}

impl ProcessIdentity {
    /// The identity of the calling process.
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    pub fn current() -> Result<Self, IdentityError> {
        Self::of(std::process::id())
    }

    /// The identity of the process that has `pid` now. A zombie still has one.
    ///
    /// # Errors
    /// [`IdentityError::Gone`] if there is none.
    pub fn of(pid: u32) -> Result<Self, IdentityError> {
        let read = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => IdentityError::Gone { pid },
            // ESRCH: the process ended between the open and the read.
            _ if source.raw_os_error() == Some(nix::libc::ESRCH) => IdentityError::Gone { pid },
            _ => IdentityError::Read { pid, source },
        };
        let stat = ProcStat::read(pid).map_err(read)?;
        let boot_id = boot_id().map_err(|source| IdentityError::Read { pid, source })?;
        Ok(Self {
            boot_id,
            pid,
            start_ticks: stat.start_ticks,
        })
    }

    /// Whether exactly this process still runs. A zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.exists() && ProcStat::read(self.pid).is_ok_and(ProcStat::is_running)
    }

    /// Whether it is gone for certain: it was on this host, and is not there any more. The boot alone does not tell, for
    /// containers share it and see only their own processes.
    #[must_use]
    pub fn has_ended_on(&self, host: &str) -> bool {
        !host.is_empty() && host == host_name() && !self.is_alive()
    }

    /// Whether exactly this process is still in the process table, running or waiting to be reaped.
    #[must_use]
    pub fn exists(&self) -> bool {
        boot_id().is_ok_and(|boot| boot == self.boot_id)
            && ProcStat::read(self.pid).is_ok_and(|stat| stat.start_ticks == self.start_ticks)
    }
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} started at tick {}", self.pid, self.start_ticks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_was_here_has_ended_here() {
        let (me, host) = (ProcessIdentity::current().unwrap(), host_name());
        let gone = ProcessIdentity {
            start_ticks: me.start_ticks + 1,
            ..me.clone()
        };
        assert!(!me.has_ended_on(&host) && gone.has_ended_on(&host));
        assert!(!gone.has_ended_on("elsewhere") && !gone.has_ended_on(""));
    }

    #[test]
    fn this_process_is_alive_and_a_changed_identity_is_not() {
        let me = ProcessIdentity::current().unwrap();
        assert!(me.is_alive());
        let other_start = ProcessIdentity {
            start_ticks: me.start_ticks + 1,
            ..me.clone()
        };
        assert!(!other_start.is_alive());
        let other_boot = ProcessIdentity {
            boot_id: "00000000-0000-0000-0000-000000000000".to_owned(),
            ..me
        };
        assert!(!other_boot.is_alive());
    }

    #[test]
    fn a_pid_that_cannot_exist_is_gone() {
        assert!(matches!(
            ProcessIdentity::of(u32::MAX),
            Err(IdentityError::Gone { pid: u32::MAX })
        ));
    }
}
