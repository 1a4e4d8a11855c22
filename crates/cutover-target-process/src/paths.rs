//! Where things lie in the state folder.

use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use cutover_model::{InstanceId, RevisionId};

/// `sockaddr_un` holds 108 bytes with the final zero; longer paths go through `/proc/self/fd`.
const LONGEST_SOCKET_PATH: usize = 107;

/// The files of one state folder's supervisor.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    root: PathBuf,
}

impl Paths {
    pub(crate) fn new(state_dir: &Path) -> io::Result<Self> {
        Ok(Self {
            root: std::path::absolute(state_dir)?,
        })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    fn own(&self) -> PathBuf {
        self.root.join("supervisor")
    }

    /// Held locked by the supervisor for as long as it lives.
    pub(crate) fn lock(&self) -> PathBuf {
        self.own().join("lock")
    }

    /// Held locked by a client while it starts the supervisor.
    pub(crate) fn start_lock(&self) -> PathBuf {
        self.own().join("start.lock")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.own().join("state.json")
    }

    /// Why the supervisor that was started last is not there.
    pub(crate) fn failure(&self) -> PathBuf {
        self.own().join("failure.json")
    }

    /// What the supervisor itself has to say.
    pub(crate) fn log(&self) -> PathBuf {
        self.logs().join("supervisor.log")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.own().join("socket")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub(crate) fn revision_logs(&self, revision: &RevisionId) -> PathBuf {
        self.logs()
            .join(format!("{}-{}", revision.service, revision.version))
    }

    pub(crate) fn instance_log(&self, revision: &RevisionId, instance: &InstanceId) -> PathBuf {
        self.revision_logs(revision).join(format!("{instance}.log"))
    }

    pub(crate) fn sidecar_log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// Makes the folders, readable by their owner only.
    pub(crate) fn create(&self) -> io::Result<()> {
        // The state holds resolved secrets, and applications write anything: older, wider folders are closed too.
        for folder in [self.own(), self.logs()] {
            cutover_os::close_folder(&folder).map_err(|source| {
                io::Error::new(
                    source.kind(),
                    format!("cannot make the folder {}: {source}", folder.display()),
                )
            })?;
        }
        Ok(())
    }

    /// An address for the socket that fits, however deep the state folder lies.
    pub(crate) fn socket_address(&self) -> io::Result<SocketAddress> {
        let path = self.socket();
        if path.as_os_str().len() <= LONGEST_SOCKET_PATH {
            return Ok(SocketAddress { path, folder: None });
        }
        let folder = fs_err::File::open(self.own())?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/socket", folder.as_raw_fd()));
        Ok(SocketAddress {
            path,
            folder: Some(folder),
        })
    }
}

/// Valid while it lives: a long path is reached through the open folder.
#[derive(Debug)]
pub(crate) struct SocketAddress {
    path: PathBuf,
    #[expect(dead_code, reason = "kept open, because the path goes through it")]
    folder: Option<fs_err::File>,
}

impl SocketAddress {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_deep_state_folder_still_has_a_socket() {
        let top = tempfile::tempdir().unwrap();
        let paths = Paths::new(&top.path().join("x".repeat(120))).unwrap();
        paths.create().unwrap();
        let address = paths.socket_address().unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(address.path()).unwrap();
        assert!(paths.socket().exists());
        std::os::unix::net::UnixStream::connect(address.path()).unwrap();
        let mode = fs_err::metadata(paths.own()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
