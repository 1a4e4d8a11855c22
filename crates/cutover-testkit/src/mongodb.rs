//! What stands in for MongoDB, which no Debian has: `nx-27017`, a server from PyPI that speaks its protocol over SQLite.
//!
//! It proves how a client behaves, and nothing of the real server: validators are taken and not enforced, an unknown command is
//! answered with `ok`, indexes are built at once, all databases of a server are one, and there are no locks and no replica set.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::keeper::Keeper;
use crate::postgres::log_end;
use crate::{TestkitError, free_port};

/// Below the target folder, where `cargo xtask test` puts it.
const FOLDER: &str = "tools/nx-27017";

/// Written beside it when it could not be had: why.
const WHY_NOT: &str = "tools/nx-27017.why-not";

/// A server on a port of its own, which may be killed and started again over the same data.
///
/// It is stopped and its folder removed when the test's process ends, in whatever way.
#[derive(Debug)]
pub struct MongoStandIn {
    keeper: Keeper,
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
}

/// Waits for the end of its input; then nothing of the server is left, but for its data if they are to be kept.
const KEEPER: &str = r#"
"$1/nx-27017" --db "$2/data.db" --host 127.0.0.1 -p "$3" --log-file "$2/server.log" --pid-file "$2/pid" </dev/null &
server=$!
read -r _
kill -KILL $server 2>/dev/null
wait $server
test -e "$2/keep" || rm -rf "$2"
"#;

impl MongoStandIn {
    /// Starts one; none where it could not be installed, after saying why.
    ///
    /// # Errors
    /// When it never answers.
    ///
    /// # Panics
    /// With `CI=true` when nobody tried to install it: a skipped test proves nothing.
    pub fn start() -> Result<Option<Self>, TestkitError> {
        let Some(programs) = programs() else {
            return Ok(None);
        };
        let mut last = String::new();
        for _ in 0..5 {
            let folder = tempfile::Builder::new()
                .prefix("cutover-mongodb-")
                .tempdir()?
                .keep();
            let port = free_port();
            match start(&programs, &folder, port)? {
                Ok(keeper) => {
                    return Ok(Some(Self {
                        keeper,
                        programs,
                        folder,
                        port,
                    }));
                }
                Err(said) => last = said,
            }
        }
        Err(TestkitError::Silent(last))
    }

    /// The address of a database: there is one, whatever it is called.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("mongodb://127.0.0.1:{}/{database}", self.port)
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Ends it without warning; its data stay.
    ///
    /// # Errors
    /// When its folder cannot be written.
    pub fn kill(&mut self) -> Result<(), TestkitError> {
        std::fs::write(self.folder.join("keep"), "")?;
        self.keeper.end();
        Ok(())
    }

    /// Starts it again over the same data, after it was killed.
    ///
    /// # Errors
    /// When it never answers.
    pub fn start_again(&mut self) -> Result<(), TestkitError> {
        match start(&self.programs, &self.folder, self.port)? {
            Ok(keeper) => self.keeper = keeper,
            Err(said) => return Err(TestkitError::Silent(said)),
        }
        std::fs::remove_file(self.folder.join("keep"))?;
        Ok(())
    }
}

fn start(programs: &Path, folder: &Path, port: u16) -> Result<Result<Keeper, String>, TestkitError> {
    let number = port.to_string();
    let arguments = [programs.as_os_str(), folder.as_os_str(), number.as_ref()];
    let mut keeper = Keeper::start(KEEPER, folder, None, arguments)?;
    for _ in 0..1_200 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(Ok(keeper));
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
    Ok(Err(log_end(folder)))
}

/// Looked for above the running test, which lies below the target folder.
fn programs() -> Option<PathBuf> {
    let own = std::env::current_exe().unwrap_or_default();
    let found = own
        .ancestors()
        .map(|folder| folder.join(FOLDER).join("bin"))
        .find(|folder| folder.join("nx-27017").is_file());
    if found.is_some() {
        return found;
    }
    let why = own
        .ancestors()
        .find_map(|folder| std::fs::read_to_string(folder.join(WHY_NOT)).ok());
    let told = match &why {
        Some(why) => format!("skipped: nothing stands in for MongoDB here: {}", why.trim()),
        None => "skipped: nothing stands in for MongoDB here; install it with: cargo xtask test".to_owned(),
    };
    assert!(
        why.is_some() || std::env::var("CI").as_deref() != Ok("true"),
        "{told}"
    );
    #[expect(
        clippy::print_stderr,
        reason = "a skipped test says so where the runner shows it"
    )]
    {
        eprintln!("{told}");
    }
    None
}
