//! Looks after instances that refused connections, or may have crashed, so that they are back as soon as they listen again.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::shared::Shared;
use crate::state::EndpointState;

/// Runs until the process stops; one task for each ejected instance.
pub(crate) async fn run(shared: Arc<Shared>, mut ejected: UnboundedReceiver<Arc<EndpointState>>) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            next = ejected.recv() => match next {
                Some(endpoint) => drop(tasks.spawn(look_after(Arc::clone(&shared), endpoint))),
                None => return,
            },
            Some(_) = tasks.join_next() => {}
        }
    }
}

async fn look_after(shared: Arc<Shared>, endpoint: Arc<EndpointState>) {
    while endpoint.routed.load(Relaxed) {
        // At once, if it has not refused any yet.
        let until = endpoint.ejected_until_ms();
        sleep(Duration::from_millis(until.saturating_sub(shared.now_ms()))).await;
        let connect = timeout(Duration::from_secs(1), TcpStream::connect(endpoint.address));
        let there =
            matches!(connect.await, Ok(Ok(stream)) if stream.local_addr().ok() != Some(endpoint.address));
        if there {
            endpoint.readmit();
            break;
        }
        endpoint.eject(shared.now_ms());
    }
    endpoint.rechecked.store(false, Relaxed);
}
