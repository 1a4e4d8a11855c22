//! An ephemeral MariaDB server.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};
use nix::unistd::{Gid, Uid, User, chown};

use crate::keeper::Keeper;
use crate::postgres::{command, log_end, run};
use crate::{TestkitError, free_port, require_or_skip};

/// The password of the server's user: tests look for it where it must not be.
const PASSWORD: &str = "s3cret-of-the-test";

/// A server that does not wait for its disk, with password authentication, on a port of its own.
///
/// It is stopped and its folder removed when the test's process ends, in whatever way.
#[derive(Debug)]
pub struct MariaDbServer {
    _keeper: Keeper,
    port: u16,
    folder: PathBuf,
}

static SHARED: OnceLock<Option<MariaDbServer>> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// Waits for the end of its input; then nothing of the server is left.
const KEEPER: &str = r#"
folder=$1
port=$2
shift 2
mariadbd --no-defaults --datadir="$folder/data" --socket="$folder/socket" --pid-file="$folder/pid" \
  --bind-address=127.0.0.1 --port="$port" --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=16M --max-connections=100 \
  --tmpdir="$folder" --skip-log-bin --skip-name-resolve --init-file="$folder/init.sql" "$@" </dev/null &
server=$!
read -r _
kill -KILL $server 2>/dev/null
wait $server
rm -rf "$folder"
"#;

impl MariaDbServer {
    /// The server of this process, started at first use; none when MariaDB is not installed.
    ///
    /// # Panics
    /// When it is installed but does not start.
    pub fn shared() -> Option<&'static Self> {
        SHARED
            .get_or_init(|| {
                require_or_skip("mariadbd")?;
                Some(Self::start().expect("the test's server starts"))
            })
            .as_ref()
    }

    /// Starts a server.
    ///
    /// # Errors
    /// When a program fails or the server never answers.
    pub fn start() -> Result<Self, TestkitError> {
        Self::start_with(None)
    }

    /// Starts a server that offers encryption with a certificate and its key, both PEM.
    ///
    /// # Errors
    /// When a program fails or the server never answers.
    pub fn start_encrypted(certificate: &str, key: &str) -> Result<Self, TestkitError> {
        Self::start_with(Some((certificate, key)))
    }

    fn start_with(certificate: Option<(&str, &str)>) -> Result<Self, TestkitError> {
        // Anybody may take the port before the server has it.
        let mut last = String::new();
        for _ in 0..5 {
            match Self::try_start(certificate)? {
                Ok(server) => return Ok(server),
                Err(said) => last = said,
            }
        }
        Err(TestkitError::Silent(last))
    }

    fn try_start(certificate: Option<(&str, &str)>) -> Result<Result<Self, String>, TestkitError> {
        let owner = owner();
        let folder = tempfile::Builder::new()
            .prefix("cutover-mariadb-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()?;
        let init = folder.path().join("init.sql");
        std::fs::write(
            &init,
            format!(
                "CREATE USER IF NOT EXISTS 'tester'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n\
                 GRANT ALL ON *.* TO 'tester'@'127.0.0.1' WITH GRANT OPTION;\n"
            ),
        )?;
        let mut more = Vec::new();
        if let Some((certificate, key)) = certificate {
            for (option, text) in [("ssl-cert", certificate), ("ssl-key", key)] {
                let path = folder.path().join(option);
                std::fs::write(&path, text)?;
                more.push(format!("--{option}={}", path.display()));
            }
        }
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group)).map_err(std::io::Error::from)?;
            for entry in std::fs::read_dir(folder.path())? {
                chown(&entry?.path(), Some(user), Some(group)).map_err(std::io::Error::from)?;
            }
        }
        let mut install = command(Path::new("mariadb-install-db"), owner);
        install
            .arg("--no-defaults")
            .arg(format!("--datadir={}", folder.path().join("data").display()))
            // Several at once would take each other's files for their own.
            .arg(format!("--tmpdir={}", folder.path().display()))
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        run(install)?;
        // From here on the keeper removes the folder.
        let folder = folder.keep();
        let mut server = Self::keep(&folder, owner, &more)?;
        Ok(match server.wait_until_ready() {
            Ok(()) => Ok(server),
            Err(why) => Err(format!("{why}: {}", log_end(&folder))),
        })
    }

    fn keep(folder: &Path, owner: Option<(Uid, Gid)>, more: &[String]) -> Result<Self, TestkitError> {
        let port = free_port();
        let number = port.to_string();
        let first = [folder.as_os_str(), number.as_ref()];
        let arguments = first.into_iter().chain(more.iter().map(AsRef::as_ref));
        let keeper = Keeper::start(KEEPER, folder, owner, arguments)?;
        Ok(Self {
            _keeper: keeper,
            port,
            folder: folder.to_owned(),
        })
    }

    /// In a thread with a runtime of its own, because the caller may be within one.
    fn wait_until_ready(&mut self) -> Result<(), String> {
        let url = self.plain_url("mysql");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?;
            runtime.block_on(async {
                let end = tokio::time::Instant::now() + Duration::from_secs(60);
                loop {
                    match connect(&url).await {
                        Ok(_) => return Ok(()),
                        Err(error) if tokio::time::Instant::now() > end => return Err(error),
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

    /// Has an encrypted server offer another certificate, with the key that it has.
    ///
    /// # Errors
    /// When its file cannot be written or the server does not read it.
    pub async fn renew(&self, certificate: &str) -> Result<(), String> {
        std::fs::write(self.folder.join("ssl-cert"), certificate).map_err(|error| error.to_string())?;
        let mut connection = connect(&self.plain_url("mysql")).await?;
        let flushed = connection.query_drop("FLUSH SSL").await;
        flushed.map_err(|error| error.to_string())
    }

    /// The password of its user.
    #[must_use]
    pub const fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.plain_url(database).replacen("mysql:", "mariadb:", 1)
    }

    fn plain_url(&self, database: &str) -> String {
        format!("mysql://tester:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// A fresh, empty database: its URL.
    ///
    /// # Panics
    /// When the server does not make it.
    pub async fn create_database(&self) -> String {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut connection = connect(&self.plain_url("mysql"))
            .await
            .expect("the test's server answers");
        connection
            .query_drop(format!("CREATE DATABASE {name}"))
            .await
            .expect("the test's server makes a database");
        drop(connection.disconnect().await);
        self.url(&name)
    }
}

/// A connection to the server of a URL, for what a test does beside what it tests.
///
/// # Errors
/// What the server or the network says.
pub async fn connect_mariadb(url: &str) -> Result<Conn, String> {
    connect(&url.replacen("mariadb:", "mysql:", 1)).await
}

async fn connect(url: &str) -> Result<Conn, String> {
    let options = Opts::from_url(url).map_err(|error| error.to_string())?;
    let options = mysql_async::OptsBuilder::from_opts(options).prefer_socket(false);
    Conn::new(options).await.map_err(|error| error.to_string())
}

/// The URL of a fresh database of this process's server; none when MariaDB is not installed.
///
/// # Panics
/// When it is installed and something fails.
pub async fn mariadb_database() -> Option<String> {
    let server = tokio::task::spawn_blocking(MariaDbServer::shared)
        .await
        .expect("starting the server does not panic")?;
    Some(server.create_database().await)
}

/// MariaDB does not run as root: its own user does it then.
fn owner() -> Option<(Uid, Gid)> {
    if !Uid::effective().is_root() {
        return None;
    }
    let user = User::from_name("mysql").ok().flatten()?;
    Some((user.uid, user.gid))
}
