//! The second socket: listening sockets come in here by descriptor (`SCM_RIGHTS`), which HTTP cannot carry.
//!
//! One message of any one byte with descriptors; one line of JSON back.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};

use crate::admin::is_trusted;
use crate::publish::Publisher;
use crate::wire::Refusal;

/// Where descriptors are handed in, next to the admin socket.
pub(crate) fn path(admin_socket: &Path) -> PathBuf {
    let mut path = admin_socket.as_os_str().to_owned();
    path.push(".fds");
    path.into()
}

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Handed {
    Added(Vec<SocketAddr>),
    Refused(Refusal),
}

/// Serves until the process stops, one hand-over at a time.
pub(crate) async fn run(listener: UnixListener, publisher: Arc<Publisher>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if is_trusted(&stream) => {
                let hand_over = take(stream, &publisher);
                let in_time = tokio::time::timeout(std::time::Duration::from_secs(5), hand_over).await;
                if let Ok(Err(error)) = in_time {
                    tracing::warn!(%error, "a hand-over of sockets failed");
                }
            }
            Ok(_) => tracing::warn!("another user's process tried to hand in sockets"),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a hand-over now");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn take(mut stream: UnixStream, publisher: &Publisher) -> io::Result<()> {
    let receive = || cutover_os::receive_fds(&stream, &mut [0; 64]);
    let (_, fds) = stream.async_io(Interest::READABLE, receive).await?;
    let mut added = Vec::new();
    let mut answer = None;
    for fd in fds {
        match add(fd, publisher).await {
            Ok(addr) => added.push(addr),
            Err(refusal) => answer = Some(Handed::Refused(refusal)),
        }
    }
    let answer = answer.unwrap_or(Handed::Added(added));
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

async fn add(fd: OwnedFd, publisher: &Publisher) -> Result<SocketAddr, Refusal> {
    let listener = cutover_os::adopt_listener(fd).map_err(|error| Refusal::BadRequest {
        what: error.to_string(),
    })?;
    publisher.add_listener(listener).await
}
