//! The supervisor's socket: who may speak, and what is answered.

use std::sync::Arc;

use cutover_ports::PortError;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};

use crate::core::Core;
use crate::problem;
use crate::protocol::{Hello, LONGEST_LINE, PROTOCOL, Request, Response};

/// Accepts until the supervisor goes.
pub(crate) async fn serve(core: &Arc<Core>, listener: &UnixListener) {
    loop {
        tokio::select! {
            biased;
            () = core.leave.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    core.tasks.spawn(converse(Arc::clone(core), stream));
                }
                Err(error) => {
                    // Too many open files: those who are served now will close theirs.
                    tracing::error!(%error, "cannot accept");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn converse(core: Arc<Core>, stream: UnixStream) {
    match cutover_os::peer_credentials(&stream) {
        Ok(peer) if peer.is_same_user_or_root() => {}
        Ok(peer) => {
            tracing::warn!(uid = peer.uid, pid = peer.pid, "refused another user");
            return;
        }
        Err(error) => {
            tracing::warn!(%error, "refused a peer that has no name");
            return;
        }
    }
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let hello = Hello {
        protocol: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        store: core.store_id(),
    };
    if !say(&mut write, &hello).await {
        return;
    }
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut read).take(LONGEST_LINE);
        tokio::select! {
            biased;
            () = core.leave.cancelled() => return,
            got = limited.read_until(b'\n', &mut line) => {
                // The end, or a line that is too long or not whole: nothing is done for that.
                if got.is_err() || line.last() != Some(&b'\n') {
                    return;
                }
            }
        }
        // What was asked is done to its end, even if whoever asked is gone.
        let response = match serde_json::from_slice(&line) {
            Ok(request) => answer(&core, request)
                .await
                .unwrap_or_else(|error| Response::Refused(error.into())),
            // The parser's message could quote a secret.
            Err(_) => {
                Response::Refused(problem::protocol("the supervisor does not know this request").into())
            }
        };
        if !say(&mut write, &response).await {
            return;
        }
    }
}

async fn say(write: &mut OwnedWriteHalf, what: &impl Serialize) -> bool {
    let Ok(mut line) = serde_json::to_vec(what) else {
        return false;
    };
    line.push(b'\n');
    write.write_all(&line).await.is_ok()
}

async fn answer(core: &Arc<Core>, request: Request) -> Result<Response, PortError> {
    Ok(match request {
        Request::Observe => Response::Instances(core.observe()),
        Request::Ensure {
            fence,
            spec,
            replicas,
        } => {
            core.ensure(&fence, *spec, replicas).await?;
            Response::Done
        }
        Request::Remove { fence, instance } => Response::Gone(core.remove(&fence, &instance).await?),
        Request::AdoptStore { fence } => {
            core.adopt_store(&fence).await?;
            Response::Done
        }
        Request::EnsureSidecar { fence, sidecar } => {
            Response::Sidecar(core.ensure_sidecar(&fence, sidecar).await?)
        }
        Request::StopSidecar { fence, name } => Response::Gone(core.stop_sidecar(&fence, &name).await?),
        Request::ReplaceSidecar {
            fence,
            name,
            command,
            arguments,
        } => Response::Sidecar(core.replace_sidecar(&fence, &name, command, &arguments).await?),
        Request::Sidecars => Response::Sidecars(core.observe_sidecars()),
        Request::Shutdown { force } => {
            core.shut_down(force).await?;
            Response::Done
        }
    })
}
