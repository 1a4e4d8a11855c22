//! What ends a server and removes its folder when the test's process ends, in whatever way.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Stdio};

use nix::unistd::{Gid, Uid};

use crate::TestkitError;
use crate::postgres::command;

/// A small shell between the test and a server. It reads from a pipe whose other end only the test's process holds, and
/// what its script does after that `read` happens when the process ends, or at [`Keeper::end`].
#[derive(Debug)]
pub(crate) struct Keeper(Child);

impl Keeper {
    /// Runs a script, whose words are the arguments, as the owner; what is said goes to `log` in the folder.
    pub(crate) fn start<'a>(
        script: &str,
        folder: &Path,
        owner: Option<(Uid, Gid)>,
        arguments: impl IntoIterator<Item = &'a OsStr>,
    ) -> Result<Self, TestkitError> {
        let log = std::fs::File::create(folder.join("log"))?;
        let shell = Path::new("/bin/sh");
        let spawned = command(shell, owner)
            .args(["-c", script, "keeper"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C at the terminal is for the test; the keeper notices its end by the pipe.
            .process_group(0)
            .spawn();
        spawned.map(Self).map_err(|source| TestkitError::Run {
            program: shell.to_owned(),
            source,
        })
    }

    /// Whether the script has come to its end by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// Has the script go on, and waits for its end.
    pub(crate) fn end(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end();
    }
}
