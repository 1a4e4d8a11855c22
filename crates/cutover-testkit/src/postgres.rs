//! An ephemeral PostgreSQL server.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::unistd::{Gid, Uid, User, chown};
use tokio_postgres::NoTls;

use crate::keeper::Keeper;
use crate::{free_port, require_or_skip};

/// The password of the server's owner: tests look for it where it must not be.
const PASSWORD: &str = "s3cret-of-the-test";

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum TestkitError {
    /// A program could not be run.
    #[error("cannot run {program}: {source}")]
    Run {
        /// Which.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program failed.
    #[error("{program} ended with {status}: {said}")]
    Failed {
        /// Which.
        program: PathBuf,
        /// How.
        status: ExitStatus,
        /// The end of what it said.
        said: String,
    },
    /// The temporary folder could not be prepared.
    #[error("cannot prepare the server's folder: {0}")]
    Folder(#[from] std::io::Error),
    /// It did not answer in time, on any of several ports.
    #[error("the server did not answer: {0}")]
    Silent(String),
}

/// A server with `fsync` off and password authentication, on a port of its own.
///
/// It is stopped and its folder removed when the test's process ends, in whatever way.
#[derive(Debug)]
pub struct PostgresServer {
    _keeper: Keeper,
    port: u16,
}

static SHARED: OnceLock<Option<PostgresServer>> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// Waits for the end of its input or of the server, whichever comes first; then nothing of the server is left.
const KEEPER: &str = r#"
"$1/postgres" -D "$2/data" -p "$3" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$2" \
  -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=50 -c shared_buffers=16MB \
  -c deadlock_timeout=100ms </dev/null &
server=$!
read -r _
kill -QUIT $server 2>/dev/null
wait $server
rm -rf "$2"
"#;

impl PostgresServer {
    /// The server of this process, started at first use; none when PostgreSQL is not installed.
    ///
    /// # Panics
    /// When it is installed but does not start.
    pub fn shared() -> Option<&'static Self> {
        SHARED
            .get_or_init(|| {
                let programs = require_or_skip("postgres")?;
                Some(Self::start(&programs).expect("the test's server starts"))
            })
            .as_ref()
    }

    /// Starts a server with the programs of a folder.
    ///
    /// # Errors
    /// When a program fails or the server never answers.
    pub fn start(programs: &Path) -> Result<Self, TestkitError> {
        // Anybody may take the port before the server has it.
        let mut last = String::new();
        for _ in 0..5 {
            match Self::try_start(programs)? {
                Ok(server) => return Ok(server),
                Err(said) => last = said,
            }
        }
        Err(TestkitError::Silent(last))
    }

    fn try_start(programs: &Path) -> Result<Result<Self, String>, TestkitError> {
        let owner = owner();
        let folder = tempfile::Builder::new()
            .prefix("cutover-postgres-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()?;
        let secret = folder.path().join("password");
        std::fs::File::create(&secret)?.write_all(PASSWORD.as_bytes())?;
        if let Some((user, group)) = owner {
            for path in [folder.path(), &secret] {
                chown(path, Some(user), Some(group)).map_err(std::io::Error::from)?;
            }
        }
        let mut initdb = command(&programs.join("initdb"), owner);
        initdb
            .arg("-D")
            .arg(folder.path().join("data"))
            .arg("--pwfile")
            .arg(&secret)
            .args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8"])
            .args(["--no-locale", "--no-sync"]);
        run(initdb)?;
        // From here on the keeper removes the folder.
        let folder = folder.keep();
        let mut server = Self::keep(programs, &folder, owner)?;
        Ok(match server.wait_until_ready() {
            Ok(()) => Ok(server),
            Err(why) => Err(format!("{why}: {}", log_end(&folder))),
        })
    }

    fn keep(programs: &Path, folder: &Path, owner: Option<(Uid, Gid)>) -> Result<Self, TestkitError> {
        let port = free_port();
        let number = port.to_string();
        let arguments = [programs.as_os_str(), folder.as_os_str(), number.as_ref()];
        let keeper = Keeper::start(KEEPER, folder, owner, arguments)?;
        Ok(Self {
            _keeper: keeper,
            port,
        })
    }

    /// In a thread with a runtime of its own, because the caller may be within one.
    fn wait_until_ready(&mut self) -> Result<(), String> {
        let url = self.url("postgres");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?;
            runtime.block_on(async {
                let end = tokio::time::Instant::now() + Duration::from_secs(60);
                loop {
                    match tokio_postgres::connect(&url, NoTls).await {
                        Ok(_) => return Ok(()),
                        Err(error) if tokio::time::Instant::now() > end => {
                            return Err(error.to_string());
                        }
                        Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                }
            })
        })
        .join()
        .map_err(|_| "the waiting thread panicked".to_owned())?
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The owner's password.
    #[must_use]
    pub const fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres:{PASSWORD}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// A fresh, empty database: its URL.
    ///
    /// # Panics
    /// When the server does not make it.
    pub async fn create_database(&self) -> String {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let (client, connection) = tokio_postgres::connect(&self.url("postgres"), NoTls)
            .await
            .expect("the test's server answers");
        let driver = tokio::spawn(connection);
        client
            .batch_execute(&format!("CREATE DATABASE {name} STRATEGY file_copy"))
            .await
            .expect("the test's server makes a database");
        drop(client);
        drop(driver.await);
        self.url(&name)
    }
}

/// The URL of a fresh database of this process's server; none when PostgreSQL is not installed.
///
/// # Panics
/// When it is installed and something fails.
pub async fn postgres_database() -> Option<String> {
    let server = tokio::task::spawn_blocking(PostgresServer::shared)
        .await
        .expect("starting the server does not panic")?;
    Some(server.create_database().await)
}

/// PostgreSQL does not run as root: its own user does it then.
pub(crate) fn owner() -> Option<(Uid, Gid)> {
    if !Uid::effective().is_root() {
        return None;
    }
    let user = User::from_name("postgres").ok().flatten()?;
    Some((user.uid, user.gid))
}

pub(crate) fn command(program: &Path, owner: Option<(Uid, Gid)>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").env("LC_ALL", "C");
    if let Some((user, group)) = owner {
        command.uid(user.as_raw()).gid(group.as_raw());
    }
    command
}

pub(crate) fn run(mut command: Command) -> Result<(), TestkitError> {
    let program = PathBuf::from(command.get_program());
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| TestkitError::Run {
            program: program.clone(),
            source,
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(TestkitError::Failed {
        program,
        status: output.status,
        said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

pub(crate) fn log_end(folder: &Path) -> String {
    let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    log.lines().rev().take(3).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait_for;

    #[tokio::test]
    async fn it_serves_and_leaves_nothing_behind() {
        let Some(programs) = require_or_skip("postgres") else {
            return;
        };
        let server = PostgresServer::start(&programs).unwrap();
        let url = server.create_database().await;
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        let driver = tokio::spawn(connection);
        let row = client.query_one("SHOW data_directory", &[]).await.unwrap();
        let data: PathBuf = row.get::<_, String>(0).into();
        let port = server.port();
        drop(client);
        drop(driver.await);
        drop(server);
        let gone = || async { !data.parent().unwrap().exists() };
        wait_for("the folder's end", Duration::from_secs(60), gone).await;
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}
