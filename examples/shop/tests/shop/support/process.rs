//! The shop as a process of its own, which can be killed.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Kept open, so that the shop can go on writing its log.
    _log: BufReader<ChildStderr>,
}

impl Process {
    pub(crate) fn start(version: &str, database: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_shop"))
            .envs([
                ("PORT", "0"),
                ("VERSION", version),
                ("DATABASE_URL", database),
                ("RUST_LOG", "shop=info"),
            ])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let address = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("address="))
            .unwrap_or_else(|| panic!("no address in {line:?}"));
        Self {
            address: address.parse().unwrap(),
            child,
            _log: log,
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let sent = Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(sent.success());
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whoever ended it already is why there are errors to ignore here.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}
