//! What is left of a request's body when its answer is over. An instance that answers early may still want all of it, and
//! the client's connection can carry another request only behind its end.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::exchange::Exchange;
use crate::instance_io::InstanceIo;
use crate::pool::Lease;
use crate::request_body::BodyWatch;

/// Sends it on, as long as the client sends and the instance takes it. The exchange counts as open until then. Should that
/// fail, the body is let go of, and the client's connection ends with the answer that it has.
pub(crate) async fn finish(mut lease: Lease, watch: Rc<BodyWatch>, exchange: Exchange) {
    let idle = exchange.serving().resilience.times.idle;
    if let Some(io) = lease.io()
        && all_sent(io, &watch, idle).await
        && let Some(endpoint) = exchange.endpoint()
    {
        let worker = &exchange.worker;
        worker.pool.put(lease, endpoint, &worker.shared.limits);
    }
}

async fn all_sent(io: &mut InstanceIo, watch: &BodyWatch, idle: Duration) -> bool {
    loop {
        let end = watch.progress.get() + idle;
        tokio::select! {
            biased;
            sent = poll_fn(|cx| io.poll_send(cx)) => return sent.is_ok(),
            () = sleep_until(end) => {}
        }
        if watch.progress.get() + idle <= Instant::now() {
            return false;
        }
    }
}
