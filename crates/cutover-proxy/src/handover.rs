//! One proxy process takes the place of another on the same listening sockets.
//!
//! The new one asks the old one to hold publishes back, starts with the table from disk, and accepts. Then it says
//! so, takes the admin sockets' names, and the old one stops: it finishes what is open and goes. Until it is gone the
//! new one passes each table on to it, and counts its open requests with its own, so that a switch and a drain mean
//! what they mean without a hand-over. If the new one fails before, the old one goes on as if nothing had been.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cutover_model::{Fence, RouteTable};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::client::{Client, ClientError};
use crate::fd_door;
use crate::run::ProxyError;

/// From the first question until the new proxy accepts. Publishes wait as long, which a switch can afford.
pub(crate) const WITHIN: Duration = Duration::from_secs(8);

/// A table that was published to the successor.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Followed {
    pub(crate) serial: u64,
    pub(crate) fence: Option<Fence>,
    pub(crate) table: RouteTable,
}

/// A hand-over that has begun: the old proxy holds publishes back.
#[derive(Debug)]
pub(crate) struct TakeOver {
    old: Client,
}

impl TakeOver {
    /// `None` if nobody is there to take over from.
    pub(crate) fn begin(admin_socket: &Path) -> Result<Option<Self>, ProxyError> {
        let old = Client::new(admin_socket);
        match call(&old, async |old| old.hand_over().await)? {
            Ok(()) => Ok(Some(Self { old })),
            Err(ClientError::Unreachable { .. }) => Ok(None),
            Err(error) => Err(ProxyError::TakeOver(Box::new(error))),
        }
    }

    /// Where the new proxy binds until the names are its own.
    pub(crate) fn provisional(admin_socket: &Path) -> PathBuf {
        suffixed(admin_socket, ".new")
    }

    /// The new proxy accepts: the old one publishes no more and stops. Answers where it can still be asked.
    pub(crate) fn finish(self, token: u64) -> Result<PathBuf, ProxyError> {
        call(&self.old, async |old| old.handed_over().await)?
            .map_err(|error| ProxyError::TakeOver(Box::new(error)))?;
        let path = self.old.socket();
        let kept = suffixed(path, &format!(".{:x}", token & 0xff_ffff));
        let failed = |source| ProxyError::AdminSocket {
            path: path.to_owned(),
            source,
        };
        fs::hard_link(path, &kept).map_err(failed)?;
        Ok(kept)
    }

    /// From now on the names are the new proxy's. Each is replaced at once: a caller finds the one or the other.
    pub(crate) fn take_names(admin_socket: &Path) -> io::Result<()> {
        let new = Self::provisional(admin_socket);
        fs::rename(fd_door::path(&new), fd_door::path(admin_socket))?;
        fs::rename(new, admin_socket)
    }
}

/// The name at which a proxy is asked, and the socket that it bound for it.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    path: PathBuf,
    own: Option<u64>,
}

impl Name {
    pub(crate) fn new(bound: &Path, path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            own: place(bound),
        }
    }

    /// A successor takes the name a moment after this process was told to stop: until then it is asked here, and must
    /// answer.
    pub(crate) async fn until_taken(&self) {
        let taken = async {
            while place(&self.path) == self.own {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        drop(timeout(TAKEN_WITHIN, taken).await);
    }
}

/// A successor that has not done it by then has crashed.
const TAKEN_WITHIN: Duration = Duration::from_secs(2);

const LOOK_AGAIN: Duration = Duration::from_millis(5);

fn place(path: &Path) -> Option<u64> {
    fs::metadata(path).map(|found| found.ino()).ok()
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Asks from a thread that is in no runtime, whatever the caller is in.
fn call<T: Send>(client: &Client, ask: impl AsyncFnOnce(&Client) -> T + Send) -> Result<T, ProxyError> {
    let failed = |source| ProxyError::Start {
        what: "the hand-over",
        source,
    };
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            Ok(runtime.block_on(ask(client)))
        });
        asking
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("its thread ended")))
            .map_err(failed)
    })
}
