//! Where the state lies: one folder per user and application, private to its user.

use std::io;
use std::path::{Path, PathBuf};

use cutover_model::{ApplicationName, Diagnostic, EnvironmentName};
use cutover_os::{OpenTo, close_folder, make_private_folder, open_to};

/// `sockaddr_un` holds 108 bytes with the final zero, and the proxy appends `.fds` to its socket's path.
const LONGEST_SOCKET: usize = 103;

/// The state folder of an application, and within it the folder of one environment.
#[derive(Debug, Clone)]
pub(crate) struct StateDir {
    root: PathBuf,
    environment: EnvironmentName,
}

impl StateDir {
    /// The given folder, or the default one of this user and application.
    pub(crate) fn new(
        given: Option<&Path>,
        application: &ApplicationName,
        environment: &EnvironmentName,
    ) -> Result<Self, Diagnostic> {
        // Each environment has a folder beside these.
        if ["backups", "key"].contains(&environment.as_str()) {
            return Err(Diagnostic::error(
                "state.unusable",
                format!("an environment cannot be called `{environment}`: the state folder has something of that name"),
            )
            .help("cutover --env NAME status"));
        }
        let root = match given {
            Some(root) => root.to_owned(),
            None => default_root()?.join("cutover").join(application.as_str()),
        };
        let root = std::path::absolute(&root).map_err(|error| unusable(&root, &error))?;
        Ok(Self {
            root,
            environment: environment.clone(),
        })
    }

    /// Makes the folders, closed to others. A folder that was there before and holds something else is refused: closing
    /// `/tmp`, or somebody's home, to everybody else would be a harm that nobody asked for.
    pub(crate) fn create(&self) -> Result<(), Diagnostic> {
        let refuse = |folder: &Path| {
            let folder = folder.to_owned();
            move |error: io::Error| unusable(&folder, &error)
        };
        make_private_folder(&self.root).map_err(refuse(&self.root))?;
        if open_to(&self.root).map_err(refuse(&self.root))? != OpenTo::Nobody
            && !self.store().exists()
            && !is_empty(&self.root).map_err(refuse(&self.root))?
        {
            return Err(Diagnostic::error(
                "state.unusable",
                format!(
                    "the state folder {} holds other things and is open to other users",
                    self.root.display()
                ),
            )
            .note("state", "it is not closed by itself, since others may need it")
            .help("cutover --state DIR status"));
        }
        for folder in [self.root.clone(), self.own(), self.proxy(), self.backups()] {
            close_folder(&folder).map_err(refuse(&folder))?;
        }
        let socket = self.admin_socket();
        if socket.as_os_str().len() > LONGEST_SOCKET {
            return Err(Diagnostic::error(
                "state.path-too-long",
                format!(
                    "the state folder's path is too long for sockets: {} has {} bytes, {LONGEST_SOCKET} are possible",
                    socket.display(),
                    socket.as_os_str().len()
                ),
            )
            .help("cutover --state /var/tmp/cutover status"));
        }
        Ok(())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The journal and the rest, of all environments.
    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("store.db")
    }

    /// The key of configuration digests.
    pub(crate) fn key(&self) -> PathBuf {
        self.root.join("key")
    }

    /// Of this environment alone: its databases have the names of the others', and generations are counted in each.
    pub(crate) fn backups(&self) -> PathBuf {
        self.own().join("backups")
    }

    /// What belongs to the environment alone: its supervisor's state and socket, its logs, its proxy.
    pub(crate) fn own(&self) -> PathBuf {
        self.root.join(self.environment.as_str())
    }

    pub(crate) fn proxy(&self) -> PathBuf {
        self.own().join("proxy")
    }

    pub(crate) fn admin_socket(&self) -> PathBuf {
        admin_socket(&self.proxy())
    }

    pub(crate) fn controller_log(&self) -> PathBuf {
        self.own().join("logs").join("controller.log")
    }
}

/// The admin socket of a proxy with this folder.
pub(crate) fn admin_socket(proxy: &Path) -> PathBuf {
    proxy.join("admin")
}

fn default_root() -> Result<PathBuf, Diagnostic> {
    if nix::unistd::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib"));
    }
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .ok_or_else(|| {
            Diagnostic::error(
                "state.no-home",
                "neither XDG_STATE_HOME nor HOME says where state is kept",
            )
            .help("cutover --state DIR status")
        })
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    Ok(folder.read_dir()?.next().is_none())
}

fn unusable(folder: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error(
        "state.unusable",
        format!("the state folder {} cannot be used: {error}", folder.display()),
    )
    .help("cutover --state DIR status")
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_of_others_is_not_closed() {
        let top = tempfile::tempdir().unwrap();
        let shared = top.path().join("shared");
        std::fs::create_dir(&shared).unwrap();
        std::fs::set_permissions(&shared, Permissions::from_mode(0o755)).unwrap();
        let state = StateDir::new(
            Some(&shared),
            &"shop".parse().unwrap(),
            &EnvironmentName::production(),
        )
        .unwrap();
        std::fs::write(shared.join("theirs"), "").unwrap();
        assert_eq!(state.create().unwrap_err().code, "state.unusable");
        assert_eq!(shared.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        std::fs::remove_file(shared.join("theirs")).unwrap();
        state.create().unwrap();
        assert_eq!(shared.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn folders_are_private_and_long_paths_are_refused() {
        let top = tempfile::tempdir().unwrap();
        let application: ApplicationName = "shop".parse().unwrap();
        let environment = EnvironmentName::production();
        let state = StateDir::new(Some(&top.path().join("s")), &application, &environment).unwrap();
        state.create().unwrap();
        for folder in [state.root(), &state.own(), &state.proxy()] {
            assert_eq!(
                folder.metadata().unwrap().permissions().mode() & 0o777,
                0o700,
                "{folder:?}"
            );
        }
        // Generations are counted in each environment, and so are the names of backups.
        let staging: EnvironmentName = "staging".parse().unwrap();
        let other = StateDir::new(Some(state.root()), &application, &staging).unwrap();
        assert_eq!(other.store(), state.store());
        assert_ne!(other.backups(), state.backups());
        for taken in ["backups", "key"] {
            let found = StateDir::new(Some(top.path()), &application, &taken.parse().unwrap());
            assert_eq!(found.unwrap_err().code, "state.unusable");
        }
        let deep = top.path().join("x".repeat(100));
        let deep = StateDir::new(Some(&deep), &application, &environment).unwrap();
        assert_eq!(deep.create().unwrap_err().code, "state.path-too-long");
    }
}
