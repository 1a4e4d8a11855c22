//! One run at a time on a database, for as long as anything of it runs.
//!
//! The lock belongs to the open file, which the tool and all that it starts inherit: a controller that dies does not give
//! it back while its tool still works. What is written into the file says whose run it is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use cutover_model::{DatabaseName, Diagnostic, Fence, Generation};
use cutover_os::{PidFd, ProcessIdentity, Signal};
use cutover_ports::PortError;
use serde::{Deserialize, Serialize};

use crate::databases::what;
use crate::stop::{self, Stop};

/// Between being asked to end and being ended.
pub(super) const GRACE: Duration = Duration::from_secs(5);

const POLL: Duration = Duration::from_millis(20);

/// Whose run it is.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    generation: Generation,
    process: ProcessIdentity,
}

/// A run that nobody else's can overlap.
#[derive(Debug)]
pub(super) struct Lock {
    pub(super) file: File,
    generation: Generation,
}

impl Lock {
    /// Takes it. What a controller of an older generation left running is ended; a newer one's is not touched.
    pub(super) async fn take(
        folder: &Path,
        database: &DatabaseName,
        fence: &Fence,
        stop: &Stop,
    ) -> Result<Self, PortError> {
        let path = folder.join(format!("{database}.lock"));
        let opened = cutover_os::make_private_folder(folder).and_then(|()| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
        });
        let file = opened.map_err(|error| unwritable(&path, &error))?;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(unwritable(&path, &error)),
            }
            if let Some(holder) = read(&file) {
                if holder.generation > fence.generation {
                    return Err(PortError::stale(&what(database)));
                }
                if holder.generation < fence.generation
                    && let Ok(process) = PidFd::open(&holder.process)
                {
                    tracing::warn!(%database, pid = holder.process.pid, "what an older controller started is ended");
                    end(&process).await;
                }
            }
            if stop.check().is_err() {
                return Err(stop::not_begun(&what(database)));
            }
            if waited >= GRACE {
                return Err(PortError::transient(
                    Diagnostic::error(
                        "runner.busy",
                        format!("another run on the {} has not ended yet", what(database)),
                    )
                    .note("lock", path.display().to_string())
                    .help(format!("fuser -v {}", path.display())),
                ));
            }
            tokio::time::sleep(POLL).await;
            waited += POLL;
        }
        Ok(Self {
            file,
            generation: fence.generation,
        })
    }

    /// Says who runs, for a controller that comes after this one.
    pub(super) fn held_by(&self, process: &ProcessIdentity) -> io::Result<()> {
        let holder = Holder {
            generation: self.generation,
            process: process.clone(),
        };
        let mut file = &self.file;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&serde_json::to_vec(&holder).map_err(io::Error::other)?)
    }
}

fn read(mut file: &File) -> Option<Holder> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Ends a process and all of its group: it is asked, and after [`GRACE`] it is not asked any more.
pub(super) async fn end(process: &PidFd) {
    let send = |signal| {
        if let Err(error) = process.signal_group(signal) {
            tracing::warn!(%error, "a runner could not be signalled");
        }
    };
    send(Signal::SIGTERM);
    let mut waited = Duration::ZERO;
    while is_alive(process) && waited < GRACE {
        tokio::time::sleep(POLL).await;
        waited += POLL;
    }
    send(Signal::SIGKILL);
    while is_alive(process) && waited < GRACE * 2 {
        tokio::time::sleep(POLL).await;
        waited += POLL;
    }
}

/// Whether it, or anybody whom it left in its group, runs.
pub(super) fn is_alive(process: &PidFd) -> bool {
    let left = cutover_os::group_members(process.identity().pid);
    !process.has_ended() || left.is_ok_and(|left| !left.is_empty())
}

fn unwritable(path: &Path, error: &io::Error) -> PortError {
    PortError::refused(
        Diagnostic::error(
            "runner.unwritable",
            format!("{} cannot be written: {error}", path.display()),
        )
        .help(format!("ls -ld {}", path.parent().unwrap_or(path).display())),
    )
}
