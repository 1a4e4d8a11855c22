//! A sidecar: a program that serves on sockets which the supervisor holds for it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use cutover_model::{Diagnostic, Span};
use serde::{Deserialize, Serialize};

/// What a sidecar is. It gets its listening sockets by [`cutover_os::take_inherited`], each named as in `listen`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SidecarSpec {
    /// Its name, unique in the state folder: lower-case letters, digits and `-`.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Addresses to listen on, `127.0.0.1:8080`; a port of 0 is refused, since it would change with a restart.
    pub listen: Vec<String>,
    /// Environment besides the usual (PATH, HOME and the like). Kept only in files of mode 0600.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Where it writes; default `<state>/logs/<name>.log`.
    #[serde(default)]
    pub log_file: Option<PathBuf>,
    /// Between SIGTERM and SIGKILL.
    pub stop_grace: Span,
}

/// How a sidecar is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SidecarStatus {
    /// Its name.
    pub name: String,
    /// Its process; none between two.
    pub pid: Option<u32>,
    /// How many times it was started again.
    pub restarts: u32,
    /// Its addresses.
    pub listeners: Vec<ListenerStatus>,
    /// How it ended last, or why it cannot be started.
    pub last_failure: Option<String>,
}

impl SidecarStatus {
    /// The addresses that the running process has not got: they were added after its start. It must bind them
    /// itself; the supervisor takes a copy of the socket soon after, and passes it on from the next start.
    #[must_use]
    pub fn must_bind(&self) -> Vec<&str> {
        if self.pid.is_none() {
            return Vec::new();
        }
        self.listeners
            .iter()
            .filter(|listener| !listener.passed && !listener.held)
            .map(|listener| listener.address.as_str())
            .collect()
    }
}

/// One address of a sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerStatus {
    /// As in [`SidecarSpec::listen`].
    pub address: String,
    /// Whether the supervisor holds the socket, so that it outlives the sidecar.
    pub held: bool,
    /// Whether the running process got it when it was started.
    pub passed: bool,
}

impl SidecarSpec {
    /// What is wrong with it, if anything.
    pub(crate) fn check(&self) -> Result<(), Diagnostic> {
        let name_is_good = !self.name.is_empty()
            && self.name.len() <= 63
            && self
                .name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !name_is_good || self.name == "supervisor" {
            return Err(Diagnostic::error(
                "target.bad-sidecar",
                format!("`{}` is no name for a sidecar", self.name),
            ));
        }
        self.listen.iter().try_for_each(|address| {
            resolve(address).map(drop).map_err(|why| {
                Diagnostic::error(
                    "target.bad-address",
                    format!("{} cannot listen on `{address}`: {why}", self.name),
                )
                .help("cutover check")
            })
        })
    }
}

/// The socket address of `host:port`.
pub(crate) fn resolve(address: &str) -> Result<SocketAddr, String> {
    if address.contains(',') {
        return Err("it holds a comma".to_owned());
    }
    let found = address
        .to_socket_addrs()
        .map_err(|error| error.to_string())?
        .next()
        .ok_or("the name has no address")?;
    if found.port() == 0 {
        return Err("its port is 0".to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        assert_eq!(
            resolve("127.0.0.1:8080").unwrap(),
            "127.0.0.1:8080".parse().unwrap()
        );
        assert!(resolve("[::1]:8080").is_ok());
        for bad in ["127.0.0.1", "127.0.0.1:0", "127.0.0.1:x", "a,b:1"] {
            assert!(resolve(bad).is_err(), "{bad}");
        }
    }
}
