//! One application in a folder of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cutover_testkit::PortBlock;
use serde_json::Value;
use tempfile::TempDir;

use cutover_testkit::Ran;

use crate::{Spec, binaries, processes};

/// One application in a folder of its own, with a state folder and ports that no other test uses. What was started for it
/// ends with it.
#[derive(Debug)]
pub struct Stage {
    folder: TempDir,
    listen: u16,
    ports: PortBlock,
    shop: PathBuf,
    releases: PathBuf,
}

impl Stage {
    /// A stage with nothing deployed.
    #[must_use]
    pub fn new(spec: &Spec) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("cutover-e2e-")
            .tempdir()
            .expect("a temporary folder");
        let releases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop/releases");
        let releases = releases.canonicalize().expect("the shop's releases");
        let listen = cutover_testkit::free_port();
        let shop = binaries::shop();
        let stage = Self {
            folder,
            listen,
            ports: PortBlock::reserve(),
            shop,
            releases,
        };
        stage.respecify(spec);
        stage
    }

    /// Another `cutover.yaml` for the same application, on the same ports.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn respecify(&self, spec: &Spec) {
        let text = spec.write(
            &self.shop.display().to_string(),
            &self.releases.display().to_string(),
            &self.folder.path().display().to_string(),
            self.listen,
            (self.ports.first(), self.ports.last()),
        );
        std::fs::write(self.folder.path().join("cutover.yaml"), text).expect("cutover.yaml");
    }

    /// The stage's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The state folder.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.listen))
    }

    /// A command of the binary on this stage, without a terminal.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binaries::cutover());
        command
            .current_dir(self.folder.path())
            .arg("--config")
            .arg(self.folder.path().join("cutover.yaml"))
            .arg("--state")
            .arg(self.state())
            .args(arguments)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().expect("cutover runs").into()
    }

    /// Starts a command and goes on.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().expect("cutover starts")
    }

    /// The state as `cutover status --output json` tells it.
    #[must_use]
    pub fn status(&self) -> Value {
        self.run(&["status", "--output", "json"]).exits(0).json()
    }

    /// The pids of this stage's processes whose command line holds a text.
    #[must_use]
    pub fn pids(&self, text: &str) -> Vec<i32> {
        processes::of(self.folder.path())
            .into_iter()
            .filter(|process| process.command.contains(text))
            .map(|process| process.pid)
            .collect()
    }

    /// Sends a signal to a process.
    pub fn signal(&self, pid: i32, name: &str) {
        processes::signal(pid, name);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        processes::end(self.folder.path());
    }
}
