//! A PostgreSQL server of the test's own, on a socket in a temporary folder: no port, nothing to collide with.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::migrations::Direct;

pub(crate) struct Postgres {
    folder: TempDir,
    programs: PathBuf,
}

impl Postgres {
    /// Nothing when PostgreSQL is not installed; on CI that is a failure.
    pub(crate) fn start() -> Option<Self> {
        let installed = std::fs::read_dir("/usr/lib/postgresql")
            .ok()
            .into_iter()
            .flatten()
            .flatten();
        let programs = installed
            .map(|version| version.path().join("bin"))
            .find(|bin| bin.join("initdb").exists());
        let Some(programs) = programs else {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "PostgreSQL is not installed, and this is CI"
            );
            eprintln!("skipped: there is no PostgreSQL under /usr/lib/postgresql");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("shop-pg").tempdir().unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(folder.path()));
        }
        let server = Self { folder, programs };
        let (data, log) = (server.data(), server.folder.path().join("log"));
        run(server.program("initdb").arg("-D").arg(&data).args([
            "-A",
            "trust",
            "-U",
            "postgres",
            "--no-sync",
            "--no-locale",
            "-E",
            "UTF8",
        ]));
        let socket = server.folder.path().display();
        let options = format!("-c listen_addresses= -c unix_socket_directories={socket} -c fsync=off");
        run(server
            .program("pg_ctl")
            .arg("-D")
            .arg(&data)
            .arg("-l")
            .arg(log)
            .arg("-w")
            .arg("-o")
            .arg(options)
            .arg("start"));
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        let socket = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{socket}/postgres")
    }

    /// A connection around the shop; the task that moves its bytes ends with it.
    pub(crate) async fn connect(&self) -> Direct {
        let (client, connection) = tokio_postgres::connect(&self.url(), tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        Direct::Postgres(client)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// As root the programs refuse to run, so they run as `postgres`.
    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _stopped = self
            .program("pg_ctl")
            .arg("-D")
            .arg(self.data())
            .args(["-m", "immediate", "-w", "stop"])
            .output();
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(Path::new("/proc/self")).is_ok_and(|process| process.uid() == 0)
}

/// `pg_ctl start` leaves a server that holds what it inherits, so output goes nowhere; the server's log stays.
fn run(command: &mut Command) {
    use std::process::Stdio;
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
