//! An ephemeral PgBouncer, before a test's PostgreSQL server.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use nix::unistd::chown;

use crate::keeper::Keeper;
use crate::postgres::{log_end, owner};
use crate::{PostgresServer, TestkitError, free_port, require_or_skip};

/// A pooler in one mode, with the server's own users, on a port of its own.
///
/// It is stopped and its folder removed when the test's process ends, in whatever way.
#[derive(Debug)]
pub struct PgBouncer {
    _keeper: Keeper,
    port: u16,
}

/// Waits for the end of its input; then nothing of the pooler is left.
const KEEPER: &str = r#"
"$1/pgbouncer" -q "$2/pgbouncer.ini" </dev/null &
pooler=$!
read -r _
kill -KILL $pooler 2>/dev/null
wait $pooler
rm -rf "$2"
"#;

impl PgBouncer {
    /// Starts one before a server, in a mode: `session` or `transaction`; none when PgBouncer is not installed.
    ///
    /// # Errors
    /// When it never answers.
    pub fn start(server: &PostgresServer, mode: &str) -> Result<Option<Self>, TestkitError> {
        let Some(programs) = require_or_skip("pgbouncer") else {
            return Ok(None);
        };
        let mut last = String::new();
        for _ in 0..5 {
            match Self::try_start(&programs, server, mode)? {
                Ok(pooler) => return Ok(Some(pooler)),
                Err(said) => last = said,
            }
        }
        Err(TestkitError::Silent(last))
    }

    fn try_start(
        programs: &Path,
        server: &PostgresServer,
        mode: &str,
    ) -> Result<Result<Self, String>, TestkitError> {
        let owner = owner();
        let port = free_port();
        let folder = tempfile::Builder::new()
            .prefix("cutover-pgbouncer-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()?;
        let users = folder.path().join("users");
        std::fs::write(&users, format!("\"postgres\" \"{}\"\n", server.password()))?;
        let settings = folder.path().join("pgbouncer.ini");
        std::fs::write(
            &settings,
            format!(
                "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = {mode}\n",
                server.port(),
                users.display()
            ),
        )?;
        if let Some((user, group)) = owner {
            for path in [folder.path(), &users, &settings] {
                chown(path, Some(user), Some(group)).map_err(std::io::Error::from)?;
            }
        }
        // From here on the keeper removes the folder.
        let folder = folder.keep();
        let arguments = [programs.as_os_str(), folder.as_os_str()];
        let mut keeper = Keeper::start(KEEPER, &folder, owner, arguments)?;
        for _ in 0..1_200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(Ok(Self {
                    _keeper: keeper,
                    port,
                }));
            }
            if keeper.has_ended() {
                break;
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "between two looks at a condition that has a deadline"
            )]
            std::thread::sleep(Duration::from_millis(25));
        }
        Ok(Err(log_end(&folder)))
    }

    /// The same database by way of it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let (before, name) = database.rsplit_once('/').unwrap_or((database, ""));
        let before = before.rsplit_once(':').map_or(before, |(before, _)| before);
        format!("{before}:{}/{name}", self.port)
    }
}
