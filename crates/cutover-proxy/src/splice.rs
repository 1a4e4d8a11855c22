//! A connection that has changed its protocol: bytes both ways, as they come.

use std::io;
use std::pin::pin;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy, split};
use tokio::time::timeout;

use crate::exchange::Exchange;

/// How long a client may still send when the instance has ended a connection that had changed its protocol.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Carries bytes both ways until both sides have ended, or the instance has left and its time is over. The exchange counts
/// as open until then.
pub(crate) async fn splice(client: OnUpgrade, instance: OnUpgrade, exchange: Exchange) {
    let (Ok(client), Ok(instance)) = (client.await, instance.await) else {
        return;
    };
    let (mut from_client, mut to_client) = split(TokioIo::new(client));
    let (mut from_instance, mut to_instance) = split(TokioIo::new(instance));
    let mut up = pin!(carry(&mut from_client, &mut to_instance));
    let mut down = pin!(carry(&mut from_instance, &mut to_client));
    let limit = exchange.serving().resilience.times.web_sockets;
    let ended = tokio::select! {
        () = exchange.leaves_after(limit) => Err(io::Error::other("its instance has left")),
        ended = up.as_mut() => match ended {
            Ok(()) => down.await,
            Err(error) => Err(error),
        },
        ended = down.as_mut() => match ended {
            // An instance that has gone is not kept among those with open requests by a client that does not hang up.
            Ok(()) => timeout(LAST_WORDS, up).await.unwrap_or(Ok(())),
            Err(error) => Err(error),
        },
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an upgraded connection ended");
    }
    drop(exchange);
}

/// One way, the end included.
async fn carry(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    copy(from, to).await?;
    to.shutdown().await
}
